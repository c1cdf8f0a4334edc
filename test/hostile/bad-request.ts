// Generates bad requests: bytes to send, how to leave, and nothing about what will be answered.
import type { Random } from "../support/random.ts";
import {
  anyBytes,
  badBytes,
  badJson,
  badKeys,
  badNames,
  badPatterns,
  mutated,
  utf8,
} from "./odd-texts.ts";

export interface BadRequest {
  /** Which generator made it, for the report. */
  readonly kind: string;
  /** Latin-1. */
  readonly bytes: string;
  /**
   * "finish": sends all, ends its side and reads to the end. "vanish": the connection is gone
   * after a part of it.
   */
  readonly leave: "finish" | "vanish";
}

/** Names that a request may create by chance: valid ones of the mutations. They all begin so. */
export const OK_PREFIX = "ok";

type Generator = (random: Random) => string;

const kinds: readonly (readonly [name: string, weight: number, make: Generator])[] = [
  ["name in JSON", 12, nameInJson],
  ["name in a path", 12, nameInPath],
  ["body", 14, oddBody],
  ["filters", 14, oddFilters],
  ["query", 5, oddQuery],
  ["header", 12, oddHeader],
  ["request line", 10, oddRequestLine],
  ["framing", 10, oddFraming],
  ["method", 6, oddMethod],
  ["own route", 6, ownRoute],
  ["pipeline", 6, pipeline],
  ["mutation", 20, (random) => mutated(random, validRequest(random))],
  ["noise", 4, (random) => anyBytes(random, 600)],
  ["truncation", 6, truncated],
];

const lottery = kinds.flatMap((kind) => Array.from({ length: kind[1] }, () => kind));

export function badRequest(random: Random): BadRequest {
  const [kind, , make] = random.pick(lottery);
  return { kind, bytes: make(random), leave: random.chance(0.12) ? "vanish" : "finish" };
}

/** A request of one of the ordinary routes, which changes nothing but volumes named `ok…`. */
export function validRequest(random: Random): string {
  const name = `${OK_PREFIX}${random.below(40)}`;
  const label = encodeURIComponent('{"label":["none-has-it"]}');
  return random.pick([
    () => post("/volumes/create", JSON.stringify({ Name: name, Labels: { a: "b" } })),
    () => post("/v1.43/volumes/create", JSON.stringify({ Name: name, DriverOpts: {} })),
    () => get(`/volumes/${name}`),
    () => get(`/v1.24/volumes?filters=${label}`),
    () => request("DELETE", `/volumes/${name}?force=1`),
    () => post(`/v1.51/volumes/prune?filters=${label}`, ""),
    () => get("/_ping"),
    () => request("HEAD", "/_ping"),
    () => get("/info"),
    () => get("/system/df"),
    () => get("/events?until=1"),
    () => get(`/holdfast/v1/volumes/${name}`),
    () => get("/holdfast/v1/history?count=3"),
  ])();
}

function request(method: string, target: string, body = "", headers = ""): string {
  const length = body === "" ? "" : `Content-Length: ${body.length}\r\n`;
  const type = body === "" ? "" : "Content-Type: application/json\r\n";
  return `${method} ${target} HTTP/1.1\r\nHost: x\r\n${type}${length}${headers}\r\n${body}`;
}

function get(target: string): string {
  return request("GET", target);
}

function post(target: string, body: string): string {
  return request("POST", target, body);
}

function nameInJson(random: Random): string {
  const name = random.pick(badNames);
  const extra = random.chance(0.3) ? { Labels: oddLabels(random) } : {};
  // A volume without a name would get one of its own, which is no bad request.
  const given = name === "" ? "." : name;
  return post("/volumes/create", utf8(JSON.stringify({ Name: given, ...extra })));
}

function oddLabels(random: Random): unknown {
  const value = random.pick(["", "x", "\0", "y".repeat(3_000), "\ud800"]);
  return Object.fromEntries([[random.pick(badKeys), value]]);
}

function nameInPath(random: Random): string {
  const name = random.pick(badNames);
  const form = random.pick<(text: string) => string>([
    (text) => encodeURIComponent(text.toWellFormed()),
    (text) => utf8(text).replaceAll(/[\s\0]/g, "%00"),
    (text) => utf8(text).replaceAll(/[^a-z]/g, (each) => `%${each.charCodeAt(0).toString(16)}`),
    (text) => encodeURIComponent(encodeURIComponent(text.toWellFormed())),
  ])(name);
  const prefix = random.pick([
    "",
    "/v1.24",
    "/v1.51",
    "/v1.99",
    "/v1.0",
    "/v",
    "/v1.43/v1.43",
    "//",
  ]);
  const method = random.pick(["GET", "DELETE", "PUT", "HEAD"]);
  const suffix = random.pick(["", "", "?force=1", "?force=%zz", "/json", "/../.."]);
  return request(method, `${prefix}/volumes/${form}${suffix}`);
}

function oddBody(random: Random): string {
  const json = random.chance(0.3)
    ? mutated(random, JSON.stringify({ Name: "ok1", Labels: { a: "b" }, DriverOpts: {} }))
    : random.pick([...badJson.map(utf8), ...badBytes.map((bytes) => `{"Name":"ok${bytes}`)]);
  const headers = random.pick([
    ...["", "", "", "Content-Encoding: gzip\r\n", "Expect: 100-continue\r\n"],
    ...["Transfer-Encoding: identity\r\n", "Connection: close\r\n"],
  ]);
  const asIs = request("POST", "/volumes/create", json === "" ? " " : json, headers);
  const type = random.pick([
    ...["application/json", "application/json", "application/json", "text/plain", "", "x"],
    ...["application/json; charset=\xff", ";;;", "multipart/form-data", "application/json, a/b"],
  ]);
  return asIs.replace("Content-Type: application/json", `Content-Type: ${type}`);
}

function oddFilters(random: Random): string {
  const many = Array.from({ length: 200 + random.below(5_000) }, (_, index) => `v${index}`);
  const filters = random.pick<() => unknown>([
    () => ({ name: [random.pick(badPatterns)] }),
    () => ({ name: [random.pick(badPatterns), random.pick(badPatterns)] }),
    () => ({ name: Object.fromEntries([[random.pick(badPatterns), true]]) }),
    () => ({ label: many.map((value) => `${value}=x`) }),
    () => ({ name: many }),
    () => ({ label: [random.pick(badKeys), `${random.pick(badKeys)}=x`] }),
    () => Object.fromEntries([[random.pick(badKeys), ["x"]]]),
    () => ({ dangling: random.pick([["maybe"], [], ["1", "0"], [1], "true", { x: 1 }]) }),
    () => ({ driver: random.pick([["local", "x"], 7, [{}], "x", { a: "b" }]) }),
    () => ({ all: random.pick([["maybe"], ["1", "0"], [7]]) }),
    () => random.pick<unknown>([[], "x", 7, true, { a: { b: { c: {} } } }]),
  ])();
  const target = random.pick([
    ...["/volumes", "/v1.24/volumes", "/v1.43/volumes", "/holdfast/v1/volumes"],
    "/events?until=1",
  ]);
  const text = random.chance(0.2)
    ? random.pick([...badJson, '{"__proto__":{"x":true}}']).slice(0, 9_000)
    : JSON.stringify(filters);
  const bytes = encodeURIComponent(text.toWellFormed());
  return get(`${target}${target.includes("?") ? "&" : "?"}filters=${bytes}`);
}

function oddQuery(random: Random): string {
  const part = random.pick([
    ...["%", "%zz", "a;b", "=", "&&&", "filters", "filters=%ff", "force=%00", "type=nosuch"],
    ...["until=-1", "until=x", "since=1e999&until=1", "until=99999999999999999999", "until=0x10"],
    ...[
      "since=1.2.3&until=1",
      "count=0",
      "count=-1",
      "count=1e9",
      "volume=..%2f",
      "x".repeat(8_000),
    ],
    ...["a=1&".repeat(2_000), "version=x", "__proto__=1", "verbose=%e2%28"],
  ]);
  const until = part.includes("until") ? "" : "&until=1";
  const route = random.pick(["/volumes", "/system/df", "/holdfast/v1/history", "/events", "/info"]);
  return get(`${route}?${part}${route === "/events" ? until : ""}`);
}

function oddHeader(random: Random): string {
  const headers = random.pick([
    ...["Content-Length: -1\r\n", "Content-Length: +5\r\n", "Content-Length: 0x5\r\n"],
    ...["Content-Length: 5, 5\r\n", "Content-Length: 5\r\nContent-Length: 6\r\n"],
    ...[
      "Content-Length: 99999999999999999999\r\n",
      "Content-Length: 1e3\r\n",
      "Content-Length:\r\n",
    ],
    ...["Content-Length: 18446744073709551616\r\n", "Content-Length: 4194305\r\n"],
    ...["Transfer-Encoding: chunked\r\nContent-Length: 3\r\n", "Transfer-Encoding: gzip\r\n"],
    ...["Transfer-Encoding: chunked, chunked\r\n", "Transfer-Encoding: \x0bchunked\r\n"],
    ...["Transfer-Encoding : chunked\r\n", "Host: a\r\nHost: b\r\n", "Host: \0\r\n", " folded\r\n"],
    ...["X: a\r\n\tfolded\r\n", "No colon here\r\n", ": empty\r\n", "X y: z\r\n", "X: \x01\r\n"],
    ...[
      "X: \xff\xfe\r\n",
      "X: a\rb\r\n",
      "X: a\nb\r\n",
      "X: a\n\r\n",
      "\r\nX: y\r\n",
      "X\0: y\r\n",
    ],
    ...["Expect: 100-continue\r\n", "Expect: miracles\r\n", "Upgrade: websocket\r\n"],
    ...["Connection: keep-alive, close, upgrade\r\n", "Connection: \xff\r\n", "__proto__: x\r\n"],
    ...["constructor: x\r\n", "X: y\r\n".repeat(150), `X: ${"y".repeat(70_000)}\r\n`],
    `${"X".repeat(70_000)}: y\r\n`,
    ...["Content-Type: \0\r\n", "Accept-Encoding: gzip;q=NaN\r\n", "Range: bytes=0-\r\n"],
  ]);
  return request(random.pick(["GET", "POST", "HEAD", "DELETE"]), "/volumes/none", "", headers);
}

function oddRequestLine(random: Random): string {
  const line = random.pick([
    ...[
      "GET",
      "GET /volumes",
      "GET  /volumes HTTP/1.1",
      "GET /volumes HTTP/1.1 ",
      "get /volumes HTTP/1.1",
    ],
    ...[
      "GET /volumes HTTP/2.0",
      "GET /volumes HTTP/0.9",
      "GET /volumes HTTP/1.2",
      "GET /volumes http/1.1",
    ],
    ...["GET /volumes HTTP/1.10", "GET /volumes HTTP/11", "GET /volumes FTP/1.1", "PRI * HTTP/2.0"],
    ...["OPTIONS * HTTP/1.1", "GET * HTTP/1.1", "CONNECT x:80 HTTP/1.1", "GET http:// HTTP/1.1"],
    ...[
      "GET http://x/volumes HTTP/1.1",
      "GET https://x/volumes HTTP/1.1",
      "GET HTTP/1.1",
      " HTTP/1.1",
    ],
    ...["GET /a b HTTP/1.1", "GET /\0 HTTP/1.1", "GET /\xff HTTP/1.1", "GET /%ff HTTP/1.1"],
    ...[
      "GET /volumes#x HTTP/1.1",
      "GET ?x HTTP/1.1",
      "GET x HTTP/1.1",
      "G\0T / HTTP/1.1",
      "\x16\x03\x01",
    ],
    ...[
      "GET /../../etc/passwd HTTP/1.1",
      "GET //volumes HTTP/1.1",
      "GET /volumes\tHTTP/1.1",
      "(): /x HTTP/1.1",
    ],
    `GET /${"a".repeat(70_000)} HTTP/1.1`,
    `${"A".repeat(5_000)} / HTTP/1.1`,
    `GET /volumes/${"%61".repeat(9_000)} HTTP/1.1`,
    `GET /${"../".repeat(5_000)} HTTP/1.1`,
  ]);
  return `${line}${random.pick(["\r\n", "\r\n", "\r\n", "\n", "\r"])}Host: x\r\n\r\n`;
}

function oddFraming(random: Random): string {
  const json = '{"Name":"ok7"}';
  const size = json.length.toString(16);
  const chunks = random.pick([
    ...[`${size}\r\n${json}\r\n0\r\n`, `${size}\r\n${json}0\r\n\r\n`, `${size}\n${json}\n0\n\n`],
    ...[
      `zz\r\n${json}\r\n0\r\n\r\n`,
      `-1\r\n${json}\r\n0\r\n\r\n`,
      `${size} \r\n${json}\r\n0\r\n\r\n`,
    ],
    ...[
      "ffffffffffffffff\r\nx",
      "fffffffffffffffff\r\nx",
      "0x5\r\nhello\r\n0\r\n\r\n",
      "\r\n\r\n",
      "",
    ],
    ...[
      `${size};${"x".repeat(5_000)}\r\n${json}\r\n0\r\n\r\n`,
      `${size};a="\0"\r\n${json}\r\n0\r\n\r\n`,
    ],
    ...[`${size}\r\n${json}\r\n0\r\n${"T: x\r\n".repeat(4_000)}\r\n`, "0\r\nno colon\r\n\r\n"],
    ...["400001\r\n", `${size}\r\n${json}\r\n`, `${size}\r\n${json.slice(3)}`, "0\r\n: x\r\n\r\n"],
    `${"1\r\na\r\n".repeat(3_000)}0\r\n\r\n`,
  ]);
  if (random.chance(0.03)) return post("/volumes/create", `{"Name":"${"a".repeat(4_300_000)}"}`);
  const headers = "Host: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n";
  return `POST /volumes/create HTTP/1.1\r\n${headers}\r\n${chunks}`;
}

function oddMethod(random: Random): string {
  const method = random.pick([
    ...[
      "PATCH",
      "OPTIONS",
      "TRACE",
      "CONNECT",
      "BREW",
      "HEAD",
      "PUT",
      "DELETE",
      "POST",
      "get",
      "GETT",
    ],
    "M-SEARCH",
  ]);
  const target = random.pick([
    ...["/volumes", "/volumes/create", "/volumes/ok1", "/_ping", "/version", "/info", "/events"],
    ...[
      "/system/df",
      "/containers/json",
      "/containers/create",
      "/images/json",
      "/networks",
      "/build",
    ],
    ...[
      "/nosuch",
      "/holdfast/v1/health",
      "/holdfast/v1/volumes",
      "/holdfast/v1/nosuch",
      "/swarm",
      "/",
    ],
    ...["/plugins/pull", "/auth", "/secrets", "/exec/x/start", "/session", "/grpc", "/metrics"],
  ]);
  return request(method, target, random.chance(0.3) ? "{}" : "");
}

function ownRoute(random: Random): string {
  const volume = random.pick([
    "none",
    "ok1",
    encodeURIComponent(random.pick(badNames).toWellFormed()),
  ]);
  const holder = encodeURIComponent(
    random.pick([...badNames, "h".repeat(300), "\u0001", "a/b", "__proto__"]).toWellFormed(),
  );
  const method = random.pick(["PUT", "DELETE", "GET", "POST"]);
  const path = random.pick([
    ...[`volumes/none/holders/${holder}`, `volumes/${volume}/holders/`, `volumes/${volume}/x`],
    ...[`volumes/${volume}`, `history?volume=${volume}`, `history?${holder}=1`, "openapi.json?x=1"],
    ...["", "%2e%2e/volumes", "..", "health/", "volumes/%zz", "volumes/%ff/holders/%ff"],
  ]);
  return request(method, `/holdfast/v1/${path}`);
}

function pipeline(random: Random): string {
  const parts = Array.from({ length: 2 + random.below(6) }, () => {
    if (random.chance(0.6)) return validRequest(random);
    return random.chance(0.5) ? oddRequestLine(random) : anyBytes(random, 80);
  });
  return parts.join("");
}

function truncated(random: Random): string {
  const whole = random.chance(0.5) ? validRequest(random) : oddBody(random);
  return whole.slice(0, random.below(whole.length));
}
