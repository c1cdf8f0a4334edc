// HTTP/1.1 over a Unix socket, byte by byte: the replay compares what fetch and node:http hide.
//
// Paths go out as they stand (`/volumes/u%6Ek`, `/volumes/a/b`), and the reason phrase, the header
// lines and the framing of the answer come back as they were on the wire.
import { createConnection, type Socket } from "node:net";

/** How long one exchange may take: dockerd looks 15 s for an unknown driver. */
const exchangeTimeoutMs = 40_000;

export interface WireRequest {
  readonly method: string;
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Sent with a Content-Length; without one there is no body and no such header. */
  readonly body?: string | Uint8Array;
}

/** How the end of the body was known. */
export type Framing = "length" | "chunked" | "none" | "until-close";

export interface WireAnswer {
  readonly status: number;
  readonly reason: string;
  /** Names in lower case, in the order of the wire. */
  readonly headers: ReadonlyMap<string, string>;
  readonly framing: Framing;
  readonly body: string;
}

/** Sends one request on its own connection; rejects when the answer is not HTTP or not whole. */
export function exchange(socketPath: string, request: WireRequest): Promise<WireAnswer> {
  return new Promise((resolve, reject) => {
    const socket = createConnection(socketPath);
    let received = Buffer.alloc(0);
    const settle = (outcome: WireAnswer | Error) => {
      clearTimeout(timer);
      socket.destroy();
      if (outcome instanceof Error) reject(outcome);
      else resolve(outcome);
    };
    const what = `${request.method} ${request.path}`;
    const timer = setTimeout(
      () => settle(new Error(`${what}: no whole answer in ${exchangeTimeoutMs} ms`)),
      exchangeTimeoutMs,
    );
    socket.on("data", (chunk: Buffer) => {
      received = Buffer.concat([received, chunk]);
      try {
        const answer = parseAnswer(received, request.method, false);
        if (answer !== undefined) settle(answer);
      } catch (error) {
        settle(error instanceof Error ? error : new Error(String(error)));
      }
    });
    socket.on("error", settle);
    socket.on("close", () => {
      const answer = parseAnswer(received, request.method, true);
      settle(answer ?? new Error(`${what}: closed after ${received.length} bytes`));
    });
    sendRequest(socket, request);
  });
}

/** Writes one request; the connection stays open. */
export function sendRequest(socket: Socket, request: WireRequest): void {
  const headers: Record<string, string> = { Host: "localhost", ...request.headers };
  const body = request.body === undefined ? undefined : Buffer.from(request.body);
  if (body !== undefined) headers["Content-Length"] = String(body.length);
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  const head = `${request.method} ${request.path} HTTP/1.1\r\n${lines.join("")}\r\n`;
  socket.write(body === undefined ? head : Buffer.concat([Buffer.from(head), body]));
}

/** The status line and headers at the start of the bytes, and where the body starts. */
export function parseHead(
  bytes: Buffer,
): { readonly head: Omit<WireAnswer, "body" | "framing">; readonly bodyAt: number } | undefined {
  const end = bytes.indexOf("\r\n\r\n");
  if (end < 0) return undefined;
  const [statusLine = "", ...lines] = bytes.subarray(0, end).toString("utf8").split("\r\n");
  const parsed = /^HTTP\/1\.1 (\d{3}) (.*)$/.exec(statusLine);
  if (parsed === null) throw new Error(`not an HTTP/1.1 status line: ${statusLine}`);
  const headers = new Map<string, string>();
  for (const line of lines) {
    const colon = line.indexOf(":");
    if (colon <= 0) throw new Error(`not a header line: ${line}`);
    headers.set(line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim());
  }
  const head = { status: Number(parsed[1]), reason: parsed[2] ?? "", headers };
  return { head, bodyAt: end + 4 };
}

/** The bytes of the whole chunks, and whether the last chunk was among them. */
export function readChunks(bytes: Buffer): { readonly body: Buffer; readonly ended: boolean } {
  const parts: Buffer[] = [];
  let at = 0;
  while (true) {
    const lineEnd = bytes.indexOf("\r\n", at);
    if (lineEnd < 0) break;
    const sizeBytes = Number.parseInt(bytes.subarray(at, lineEnd).toString("ascii"), 16);
    if (Number.isNaN(sizeBytes)) throw new Error("not a chunk size");
    const next = lineEnd + 2 + sizeBytes + 2;
    if (next > bytes.length) break;
    if (sizeBytes === 0) return { body: Buffer.concat(parts), ended: true };
    parts.push(bytes.subarray(lineEnd + 2, next - 2));
    at = next;
  }
  return { body: Buffer.concat(parts), ended: false };
}

function parseAnswer(bytes: Buffer, method: string, closed: boolean): WireAnswer | undefined {
  const parsed = parseHead(bytes);
  if (parsed === undefined) return undefined;
  const { head, bodyAt } = parsed;
  const rest = bytes.subarray(bodyAt);
  const whole = (framing: Framing, body: Buffer) => ({
    ...head,
    framing,
    body: body.toString("utf8"),
  });
  const length = head.headers.get("content-length");
  const bodiless = method === "HEAD" || head.status === 204 || head.status === 304;
  if (bodiless) return whole(length === undefined ? "none" : "length", Buffer.alloc(0));
  if (head.headers.get("transfer-encoding") === "chunked") {
    const { body, ended } = readChunks(rest);
    return ended ? whole("chunked", body) : undefined;
  }
  if (length === undefined) return closed ? whole("until-close", rest) : undefined;
  if (rest.length > Number(length)) throw new Error(`more than ${length} bytes of body`);
  return rest.length === Number(length) ? whole("length", rest) : undefined;
}
