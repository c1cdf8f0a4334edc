// The parser against good, bad, cut-up and random bytes.
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { CHUNK_LINE_BYTES_MAX, HEAD_BYTES_MAX, HEADER_COUNT_MAX } from "./limits.ts";
import { HttpRefusal } from "./refusal.ts";
import { RequestParser } from "./request-parser.ts";

const bodyBytesMax = 1_000;

/** Everything that can be seen of a request, and of the refusal that ended the parsing. */
interface Outcome {
  readonly requests: readonly unknown[];
  readonly refusal: string | undefined;
}

function parse(chunks: Iterable<Uint8Array>): Outcome {
  const parser = new RequestParser(bodyBytesMax);
  const requests: unknown[] = [];
  try {
    for (const chunk of chunks) {
      // A copy: the parser takes over what it is fed.
      parser.feed(Buffer.from(chunk));
      for (let request = parser.next(); request !== undefined; request = parser.next()) {
        const body = Buffer.from(request.body).toString("latin1");
        requests.push({ ...request, body, headers: [...request.headers] });
      }
    }
    return { requests, refusal: undefined };
  } catch (error) {
    if (!(error instanceof HttpRefusal)) {
      throw error;
    }
    return { requests, refusal: `${error.status} ${error.message}` };
  }
}

function parseText(text: string): Outcome {
  return parse([Buffer.from(text, "latin1")]);
}

/** Cuts at the given positions, wherever they are. */
function* cut(bytes: Buffer, positions: readonly number[]): Generator<Buffer> {
  let start = 0;
  for (const position of [...positions].sort((a, b) => a - b)) {
    const end = Math.min(position, bytes.length);
    if (end > start) {
      yield bytes.subarray(start, end);
      start = end;
    }
  }
  yield bytes.subarray(start);
}

const get = (target: string) => `GET ${target} HTTP/1.1\r\nHost: d\r\n\r\n`;
const withFields = (fields: string) => `POST /a HTTP/1.1\r\nHost: d\r\n${fields}\r\n`;

const good: readonly (readonly [what: string, bytes: string, expected: readonly object[]])[] = [
  [
    "a plain request",
    get("/v1.43/volumes?filters=%7B%7D&a=?b"),
    [
      {
        method: "GET",
        target: "/v1.43/volumes?filters=%7B%7D&a=?b",
        path: "/v1.43/volumes",
        query: "filters=%7B%7D&a=?b",
        headers: [["host", "d"]],
        body: "",
        isVersion11: true,
        keepsAlive: true,
      },
    ],
  ],
  ["pipelined requests", get("/1") + get("/2") + get("/3"), paths("/1", "/2", "/3")],
  ["one empty line before a request", `\r\n${get("/1")}\r\n${get("/2")}`, paths("/1", "/2")],
  ["the absolute form", get("http://docker/v1.43/info?x"), [{ path: "/v1.43/info", query: "x" }]],
  ["the absolute form without a path", get("HTTP://docker?x"), [{ target: "/?x", path: "/" }]],
  ["OPTIONS *", "OPTIONS * HTTP/1.1\r\nHost: d\r\n\r\n", [{ target: "*" }]],
  ["a target in UTF-8", get("/\xc3\xa4?\xc3\xb6"), [{ path: "/ä", query: "ö" }]],
  ["an empty Host", "GET / HTTP/1.1\r\nHost:\r\n\r\n", [{ headers: [["host", ""]] }]],
  ["blanks around a value", withFields("X: \t a b \t\r\n"), [fields(["x", "a b"])]],
  ["a field that comes twice", withFields("X: 1\r\nx: 2\r\n"), [fields(["x", "1, 2"])]],
  ["a field named like a member", withFields("__proto__: 1\r\n"), [fields(["__proto__", "1"])]],
  ["a body of known length", `${withFields("Content-Length: 5\r\n")}hello`, [{ body: "hello" }]],
  [
    "bodies and requests in turn",
    `${withFields("Content-Length: 2\r\n")}hi${get("/2")}`,
    [{ body: "hi" }, { path: "/2", body: "" }],
  ],
  [
    "a chunked body with extensions and trailers",
    withFields("Transfer-Encoding: Chunked\r\n") +
      `3;a="b"\r\nabc\r\n00a \r\n0123456789\r\n0\r\nT: x\r\n\r\n${get("/2")}`,
    [{ body: "abc0123456789" }, { path: "/2" }],
  ],
  ["HTTP/1.0", "GET / HTTP/1.0\r\n\r\n", [{ isVersion11: false, keepsAlive: false }]],
  [
    "HTTP/1.0 with keep-alive",
    "GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n",
    [{ keepsAlive: true }],
  ],
  ["Connection: close", withFields("Connection: foo, Close\r\n"), [{ keepsAlive: false }]],
  ["a request that is not complete", get("/1") + get("/2").slice(0, -1), paths("/1")],
];

function paths(...expected: readonly string[]): readonly object[] {
  return expected.map((path) => ({ path }));
}

function fields(...more: readonly (readonly [string, string])[]): object {
  return { headers: [["host", "d"], ...more] };
}

const long = (count: number) => "x".repeat(count);
const chunked = (body: string) => `${withFields("Transfer-Encoding: chunked\r\n")}${body}`;

const bad: readonly (readonly [what: string, bytes: string, status: number])[] = [
  ["no HTTP at all", "hello\r\n", 400],
  ["a TLS hello", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400],
  ["no version", "GET /\r\n", 400],
  ["two spaces", "GET  / HTTP/1.1\r\n", 400],
  ["a space in the target", "GET /a b HTTP/1.1\r\n", 400],
  ["a tab in the request line", "GET /\ta HTTP/1.1\r\n", 400],
  ["a space before the method", " GET / HTTP/1.1\r\n", 400],
  ["a method that is no word", "G@T / HTTP/1.1\r\n", 400],
  ["a very long method", `${long(33)} / HTTP/1.1\r\n`, 400],
  ["two empty lines", "\r\n\r\n", 400],
  ["another scheme", "GET ftp://d/ HTTP/1.1\r\n", 400],
  ["no host in the absolute form", "GET http:///a HTTP/1.1\r\n", 400],
  ["a relative target", "GET a HTTP/1.1\r\n", 400],
  ["CONNECT", "CONNECT d:80 HTTP/1.1\r\n", 400],
  ["a target that is not UTF-8", "GET /\xff HTTP/1.1\r\n", 400],
  ["HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505],
  ["HTTP/1.2", "GET / HTTP/1.2\r\n", 505],
  ["a version that is none", "GET / HTTP/1.10\r\n", 400],
  ["a bare LF", "GET / HTTP/1.1\n", 400],
  ["a bare LF after a field", "GET / HTTP/1.1\r\nHost: d\n", 400],
  ["a bare CR", "GET / HTTP/1.1\rHost", 400],
  ["NUL in a value", withFields("X: a\0b\r\n"), 400],
  ["an escape in a value", withFields("X: \x1b[0m\r\n"), 400],
  ["DEL in a value", withFields("X: \x7f\r\n"), 400],
  ["a folded field", withFields("X: a\r\n b\r\n"), 400],
  ["a blank before the colon", withFields("X : a\r\n"), 400],
  ["a field without colon", withFields("X\r\n"), 400],
  ["a field without name", withFields(": a\r\n"), 400],
  ["no Host", "GET / HTTP/1.1\r\n\r\n", 400],
  ["two Hosts", "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400],
  ["two lengths", withFields("Content-Length: 1\r\nContent-Length: 1\r\n"), 400],
  ["two lengths in one", withFields("Content-Length: 1, 1\r\n"), 400],
  ["a signed length", withFields("Content-Length: +1\r\n"), 400],
  ["a negative length", withFields("Content-Length: -1\r\n"), 400],
  ["a hexadecimal length", withFields("Content-Length: 0x1\r\n"), 400],
  ["an empty length", withFields("Content-Length:\r\n"), 400],
  [
    "length and chunked (smuggling)",
    withFields("Content-Length: 3\r\nTransfer-Encoding: chunked\r\n"),
    400,
  ],
  ["chunked in HTTP/1.0", "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400],
  ["an unknown encoding", withFields("Transfer-Encoding: gzip, chunked\r\n"), 501],
  ["two encodings", withFields("Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n"), 400],
  ["an unknown expectation", withFields("Expect: 200-ok\r\n"), 417],
  ["a body over the limit", withFields("Content-Length: 1001\r\n"), 413],
  ["a length beyond numbers", withFields(`Content-Length: ${"9".repeat(40)}\r\n`), 413],
  ["a chunk over the limit", chunked("3e9\r\n"), 413],
  ["a chunk size beyond numbers", chunked(`${"f".repeat(40)}\r\n`), 413],
  ["chunks over the limit together", chunked(`3e8\r\n${long(1000)}\r\n1\r\n`), 413],
  ["a chunk without size", chunked("\r\n"), 400],
  ["a chunk size that is none", chunked("g\r\n"), 400],
  ["a signed chunk size", chunked("-1\r\n"), 400],
  ["junk after a chunk size", chunked("1x\r\n"), 400],
  ["a chunk longer than its size", chunked("1\r\nab\r\n"), 400],
  ["a bare LF after a chunk size", chunked("1\na"), 400],
  ["an endless chunk line", chunked(`1;${long(CHUNK_LINE_BYTES_MAX)}`), 400],
  ["endless trailers", chunked(`0\r\n${`T: ${long(1000)}\r\n`.repeat(17)}`), 431],
  ["an endless request line", `GET /${long(HEAD_BYTES_MAX)}`, 414],
  ["an endless field", withFields(`X: ${long(HEAD_BYTES_MAX)}`), 431],
  ["too many fields", withFields("X: a\r\n".repeat(HEADER_COUNT_MAX)), 431],
];

describe("request parser", () => {
  test.each(good)("reads %s", (_, bytes, expected) => {
    const outcome = parseText(bytes);
    expect(outcome.refusal).toBeUndefined();
    expect(outcome.requests).toMatchObject([...expected]);
    expect(outcome.requests).toHaveLength(expected.length);
  });

  test.each(bad)("refuses %s", (_, bytes, status) => {
    expect(parseText(bytes).refusal).toStartWith(`${status} `);
  });

  test("takes a head of exactly the limit, and not a byte more", () => {
    const rest = withFields("X: \r\n").length;
    const head = (bytes: number) => withFields(`X: ${long(bytes - rest)}\r\n`);
    expect(head(HEAD_BYTES_MAX)).toHaveLength(HEAD_BYTES_MAX);
    expect(parseText(head(HEAD_BYTES_MAX)).requests).toHaveLength(1);
    expect(parseText(head(HEAD_BYTES_MAX + 1)).refusal).toStartWith("431 ");
  });

  test("says once that a client waits for 100 Continue, and not if the body is there", () => {
    const head = withFields("Content-Length: 2\r\nExpect: 100-continue\r\n");
    const parser = new RequestParser(bodyBytesMax);
    parser.feed(Buffer.from(head));
    expect(parser.next()).toBeUndefined();
    expect([parser.takeContinue(), parser.takeContinue()]).toEqual([true, false]);
    parser.feed(Buffer.from(`hi${head}hi`));
    expect(parser.next()).toBeDefined();
    expect(parser.next()).toBeDefined();
    expect(parser.next()).toBeUndefined();
    expect(parser.takeContinue()).toBe(false);
  });

  test("gives the same for every table entry fed byte by byte", () => {
    for (const [what, bytes] of [...good, ...bad]) {
      const buffer = Buffer.from(bytes, "latin1");
      const positions = [...buffer.keys()];
      expect([what, parse(cut(buffer, positions))]).toEqual([what, parse([buffer])]);
    }
  });

  test("property: however a stream is cut, the same requests and the same refusal", () => {
    const piece = fc.constantFrom(...[...good, ...bad].map(([, bytes]) => bytes));
    const stream = fc.array(piece, { minLength: 1, maxLength: 6 });
    const positions = fc.array(fc.nat(600), { maxLength: 40 });
    fc.assert(
      fc.property(stream, positions, (pieces, where) => {
        const bytes = Buffer.from(pieces.join(""), "latin1");
        expect(parse(cut(bytes, where))).toEqual(parse([bytes]));
      }),
      { numRuns: 2_000 },
    );
  });

  test("property: chunked bodies come out whole, however chunked and cut", () => {
    const chunks = fc.array(fc.uint8Array({ minLength: 1, maxLength: 60 }), { maxLength: 12 });
    const positions = fc.array(fc.nat(900), { maxLength: 30 });
    fc.assert(
      fc.property(chunks, positions, (parts, where) => {
        const framed = parts.flatMap((part) => [
          Buffer.from(`${part.length.toString(16)}\r\n`),
          part,
          Buffer.from("\r\n"),
        ]);
        const bytes = Buffer.concat([
          Buffer.from(chunked("")),
          ...framed,
          Buffer.from(`0\r\n\r\n${get("/next")}`),
        ]);
        const body = Buffer.concat(parts).toString("latin1");
        expect(parse(cut(bytes, where)).requests).toMatchObject([{ body }, { path: "/next" }]);
      }),
      { numRuns: 1_000 },
    );
  });

  test("property: random and damaged bytes are parsed or refused, never anything else", () => {
    const damaged = fc
      .tuple(
        fc.constantFrom(...good.map(([, bytes]) => bytes)),
        fc.array(fc.tuple(fc.nat(400), fc.nat(255)), { minLength: 1, maxLength: 4 }),
      )
      .map(([text, changes]) => {
        const bytes = Buffer.from(text, "latin1");
        for (const [position, byte] of changes) {
          bytes[position % bytes.length] = byte;
        }
        return bytes;
      });
    const random = fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes));
    fc.assert(
      fc.property(fc.oneof(damaged, random), fc.array(fc.nat(400)), (bytes, where) => {
        expect(parse(cut(bytes, where))).toEqual(parse([bytes]));
      }),
      { numRuns: 5_000 },
    );
  });

  test("the work is linear: a body byte by byte, and thousands of requests in one piece", () => {
    const bytesMax = 400_000;
    const parser = new RequestParser(bytesMax);
    parser.feed(Buffer.from(withFields(`Content-Length: ${bytesMax}\r\n`)));
    const byte = Buffer.from("x");
    const startMs = performance.now();
    for (let count = 0; count < bytesMax; count++) {
      expect(parser.next()).toBeUndefined();
      parser.feed(byte);
    }
    expect(parser.next()?.body).toHaveLength(bytesMax);
    parser.feed(Buffer.from(get("/").repeat(20_000)));
    let count = 0;
    while (parser.next() !== undefined) {
      count += 1;
    }
    expect(count).toBe(20_000);
    // Quadratic work would be 80 GB of copying, which is far from this on any machine.
    expect(performance.now() - startMs).toBeLessThan(5_000);
  });
});
