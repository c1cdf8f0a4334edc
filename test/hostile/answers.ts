// Reads everything a server sent on one connection, and says what of it is not documented.

/** Every status that a bad request may be answered with, and why. 500 is not among them. */
export const documentedStatuses: ReadonlyMap<number, string> = new Map([
  [100, "the client asked to be told to go on"],
  [200, "it was a good request after all"],
  [201, "it was a good create after all"],
  [204, "it was a good removal after all"],
  [400, "malformed HTTP, path, query, JSON, filter, name, option or version"],
  [404, "no such volume, driver, image, route"],
  [409, "the volume is in use or has another driver; another prune runs"],
  [413, "the body is too large"],
  [414, "the request line is too long"],
  [417, "an expectation that nobody knows"],
  [431, "too many or too long header fields"],
  [501, "what only a container engine does, an unknown transfer encoding"],
  [503, "what needs a swarm"],
  [505, "not HTTP/1.0 or 1.1"],
]);

interface Answer {
  readonly status: number;
  readonly headers: ReadonlyMap<string, string>;
  readonly body: string;
}

/** Complaints about what came; none when all of it is documented. `received` is Latin-1. */
export function faultsOf(received: string, sent: string): readonly string[] {
  const faults: string[] = [];
  // A HEAD may stand anywhere in odd bytes: then a missing body is no fault.
  const mayLackBody = sent.includes("HEAD ");
  // An endless stream ends with its reader's side of the connection, wherever it is.
  const mayBeCut = sent.includes("/events");
  let rest = received;
  while (rest !== "") {
    const next = readAnswer(rest, mayLackBody);
    if (next === cutStream && mayBeCut) return faults;
    if (typeof next === "string") return [...faults, next];
    faults.push(...judge(next.answer));
    rest = next.rest;
  }
  return faults;
}

function judge({ status, headers, body }: Answer): readonly string[] {
  if (!documentedStatuses.has(status)) return [`status ${status} is not documented: ${body}`];
  if (status < 400 || body === "") return [];
  const type = headers.get("content-type") ?? "";
  if (type.startsWith("text/plain")) {
    const isTooOld = status === 400 && body.includes("is too old. Minimum supported API version");
    return isTooOld ? [] : [`${status} in plain text: ${body}`];
  }
  if (type !== "application/json") return [`${status} with the type ${JSON.stringify(type)}`];
  try {
    const value: { message?: unknown } = JSON.parse(Buffer.from(body, "latin1").toString("utf8"));
    if (typeof value.message === "string" && value.message !== "") return [];
  } catch {
    // Said below.
  }
  return [`${status} without a message: ${body.slice(0, 200)}`];
}

type Read = { readonly answer: Answer; readonly rest: string } | string;

function readAnswer(text: string, mayLackBody: boolean): Read {
  const end = text.indexOf("\r\n\r\n");
  const [statusLine = "", ...lines] = text.slice(0, Math.max(end, 0)).split("\r\n");
  const status = /^HTTP\/1\.1 (\d{3}) /.exec(statusLine)?.[1];
  if (end < 0 || status === undefined) return `not an HTTP answer: ${text.slice(0, 100)}`;
  const headers = new Map<string, string>();
  for (const line of lines) {
    const colon = line.indexOf(":");
    headers.set(line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim());
  }
  const after = text.slice(end + 4);
  const { body, rest, fault } = readBody(Number(status), headers, after, mayLackBody);
  if (fault !== undefined) return fault;
  return { answer: { status: Number(status), headers, body }, rest };
}

const cutStream = "a cut chunked body";

interface Body {
  readonly body: string;
  readonly rest: string;
  readonly fault?: string;
}

function readBody(
  status: number,
  headers: ReadonlyMap<string, string>,
  text: string,
  mayLackBody: boolean,
): Body {
  if (status < 200 || status === 204) return { body: "", rest: text };
  const isLacking = mayLackBody && (text === "" || text.startsWith("HTTP/1.1 "));
  if (isLacking) return { body: "", rest: text };
  if (headers.get("transfer-encoding") === "chunked") return readChunks(text);
  const length = Number(headers.get("content-length") ?? "NaN");
  if (!(text.length >= length)) return { body: "", rest: "", fault: `${status} with a cut body` };
  return { body: text.slice(0, length), rest: text.slice(length) };
}

function readChunks(text: string): Body {
  let body = "";
  let rest = text;
  for (;;) {
    const size = Number.parseInt(/^([0-9a-f]+)\r\n/i.exec(rest)?.[1] ?? "", 16);
    if (Number.isNaN(size)) return { body, rest: "", fault: cutStream };
    rest = rest.slice(rest.indexOf("\r\n") + 2);
    body += rest.slice(0, size);
    rest = rest.slice(size + 2);
    if (size === 0) return { body, rest };
  }
}
