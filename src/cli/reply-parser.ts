// Reads one HTTP/1.1 reply after another from the bytes of a connection, however they are cut.

/** Bytes of a reply's status line and headers together. */
export const headBytesMax = 64 * 1024;
/** Bytes of one chunk-size line or of the trailer. */
const lineBytesMax = 16 * 1024;

export interface ReplyHead {
  readonly status: number;
  /** Names in lower case. Of a repeated header the last one counts. */
  readonly headers: ReadonlyMap<string, string>;
}

export interface ReplySink {
  head(head: ReplyHead): void;
  body(bytes: Uint8Array): void;
  end(): void;
}

/** The peer does not speak HTTP/1.1 as we know it. */
export class MalformedReply extends Error {}

type State =
  | { readonly kind: "head" }
  | { readonly kind: "length"; left: number }
  | { readonly kind: "chunk_size" }
  | { readonly kind: "chunk"; left: number }
  | { readonly kind: "chunk_end" }
  | { readonly kind: "trailer" }
  | { readonly kind: "until_close" };

const carriageReturn = 13;
const lineFeed = 10;
const decoder = new TextDecoder();

/** Written without regular expressions: to compile them takes longer than to read one reply. */
function parseHead(text: string): ReplyHead {
  const lines = text.split("\r\n");
  const [first = ""] = lines;
  const status = Number(first.slice(9, 12));
  const isHttp = first.startsWith("HTTP/1.1 ") || first.startsWith("HTTP/1.0 ");
  if (!isHttp || !(status >= 100 && status <= 599) || (first.length > 12 && first[12] !== " ")) {
    throw new MalformedReply("the status line is not HTTP/1.1");
  }
  const headers = new Map<string, string>();
  for (let index = 1; index < lines.length; index++) {
    const line = lines[index] ?? "";
    const colon = line.indexOf(":");
    if (colon <= 0) throw new MalformedReply("a header has no colon");
    headers.set(line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim());
  }
  return { status, headers };
}

/** Digits of a length; no length is written with more than this many. */
const digitCountMax = 15;

function parseDigits(text: string, radix: 10 | 16): number {
  let value = text === "" || text.length > digitCountMax ? Number.NaN : 0;
  for (const character of text) {
    const digit = "0123456789abcdef".indexOf(character.toLowerCase());
    value = digit < 0 || digit >= radix ? Number.NaN : value * radix + digit;
  }
  if (Number.isNaN(value)) throw new MalformedReply("a body length is not a number");
  return value;
}

/** A parser for one connection. `expectReply` announces each request before its reply arrives. */
export class ReplyParser {
  readonly #sink: ReplySink;
  #state: State = { kind: "head" };
  #kept: Uint8Array = new Uint8Array(0);
  #withoutBody = false;

  constructor(sink: ReplySink) {
    this.#sink = sink;
  }

  /** `HEAD` has no body whatever its Content-Length says. */
  expectReply(method: string): void {
    this.#withoutBody = method === "HEAD";
    this.#state = { kind: "head" };
  }

  push(bytes: Uint8Array): void {
    let rest = bytes;
    if (this.#kept.length > 0) {
      rest = new Uint8Array(this.#kept.length + bytes.length);
      rest.set(this.#kept);
      rest.set(bytes, this.#kept.length);
      this.#kept = new Uint8Array(0);
    }
    while (rest.length > 0) {
      const next = this.#step(rest);
      if (next === undefined) {
        this.#kept = rest.slice();
        return;
      }
      rest = next;
    }
  }

  /** The connection ended; true when that is where the reply ends too. */
  close(): boolean {
    if (this.#state.kind !== "until_close") return false;
    this.#end();
    return true;
  }

  #end(): void {
    this.#state = { kind: "head" };
    this.#sink.end();
  }

  /** Takes what it can from `bytes` and returns the rest; undefined when it needs more first. */
  #step(bytes: Uint8Array): Uint8Array | undefined {
    const state = this.#state;
    switch (state.kind) {
      case "head":
        return this.#stepHead(bytes);
      case "length":
      case "chunk": {
        const taken = Math.min(state.left, bytes.length);
        this.#sink.body(bytes.subarray(0, taken));
        state.left -= taken;
        if (state.left === 0) {
          if (state.kind === "length") this.#end();
          else this.#state = { kind: "chunk_end" };
        }
        return bytes.subarray(taken);
      }
      case "until_close":
        this.#sink.body(bytes);
        return bytes.subarray(bytes.length);
      case "chunk_size":
      case "chunk_end":
      case "trailer":
        return this.#stepLine(state.kind, bytes);
      default:
        return state satisfies never;
    }
  }

  #stepHead(bytes: Uint8Array): Uint8Array | undefined {
    const end = headEnd(bytes);
    if (end < 0) {
      if (bytes.length > headBytesMax) throw new MalformedReply("the headers are too long");
      return undefined;
    }
    const head = parseHead(decoder.decode(bytes.subarray(0, end)));
    const rest = bytes.subarray(end + 4);
    if (head.status < 200) return rest;
    this.#sink.head(head);
    const length = head.headers.get("content-length");
    if (this.#withoutBody || head.status === 204 || head.status === 304) this.#end();
    else if (head.headers.get("transfer-encoding")?.toLowerCase() === "chunked") {
      this.#state = { kind: "chunk_size" };
    } else if (length === undefined) this.#state = { kind: "until_close" };
    else {
      const left = parseDigits(length, 10);
      if (left === 0) this.#end();
      else this.#state = { kind: "length", left };
    }
    return rest;
  }

  #stepLine(
    kind: "chunk_size" | "chunk_end" | "trailer",
    bytes: Uint8Array,
  ): Uint8Array | undefined {
    const end = bytes.indexOf(lineFeed);
    if (end < 0) {
      if (bytes.length > lineBytesMax) throw new MalformedReply("a chunk line is too long");
      return undefined;
    }
    const line = decoder.decode(bytes.subarray(0, end)).replace(/\r$/, "");
    if (kind === "chunk_end") {
      if (line !== "") throw new MalformedReply("a chunk is longer than announced");
      this.#state = { kind: "chunk_size" };
    } else if (kind === "chunk_size") {
      const left = parseDigits((line.split(";")[0] ?? "").trim(), 16);
      this.#state = left === 0 ? { kind: "trailer" } : { kind: "chunk", left };
    } else if (line === "") this.#end();
    return bytes.subarray(end + 1);
  }
}

/** Where the empty line after the headers begins, or -1. */
function headEnd(bytes: Uint8Array): number {
  let at = bytes.indexOf(carriageReturn);
  while (at >= 0 && at + 3 < bytes.length) {
    if (
      bytes[at + 1] === lineFeed &&
      bytes[at + 2] === carriageReturn &&
      bytes[at + 3] === lineFeed
    )
      return at;
    at = bytes.indexOf(carriageReturn, at + 1);
  }
  return -1;
}
