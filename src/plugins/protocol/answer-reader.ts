// Reads one HTTP/1.1 answer from whoever listens there, with every part of it bounded.
//
// It is our own because memory must stay bounded whatever a plugin sends: bytes go into one buffer
// that grows up to its limit, however small the pieces are that they come in.
import { EngineError } from "../../core/errors.ts";

export interface HttpAnswer {
  readonly status: number;
  readonly body: Uint8Array;
}

/** Of the status line with all headers, and of a line between chunks. */
const HEAD_BYTES_MAX = 64 * 1024;
/** Of all that comes, for each byte that a body may have: chunks may be small, not endless. */
const RAW_SHARE_MAX = 8;
const FIRST_CAPACITY = 4 * 1024;
const NEWLINE = 0x0a;
const CARRIAGE_RETURN = 0x0d;

type Stage =
  | { readonly kind: "head" }
  | { readonly kind: "sized"; readonly bytes: number }
  | { readonly kind: "until_close" }
  | { readonly kind: "chunk_size" }
  | { readonly kind: "chunk"; leftBytes: number }
  | { readonly kind: "chunk_end" }
  | { readonly kind: "trailer" };

/** An answer that is none; the client adds which plugin and which call. */
export function badAnswer(words: string): EngineError {
  return new EngineError("plugin.failed", words, { details: { words } });
}

export class AnswerReader {
  readonly #bytesMax: number;
  readonly #body: GrowingBuffer;
  /** The line, or the head, that is being read. */
  #line = new GrowingBuffer(HEAD_BYTES_MAX, "the head of the answer");
  #stage: Stage = { kind: "head" };
  #status = 0;
  #isOpen = false;
  #rawBytes = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
    this.#body = new GrowingBuffer(bytesMax, "the answer");
  }

  /** Whether the answer, which is complete, lets the connection go on. */
  get isOpen(): boolean {
    return this.#isOpen;
  }

  /** Returns the answer when it is complete. Throws `plugin.failed` for what is none. */
  push(bytes: Uint8Array): HttpAnswer | undefined {
    this.#rawBytes += bytes.length;
    if (this.#rawBytes > RAW_SHARE_MAX * this.#bytesMax + HEAD_BYTES_MAX) {
      throw badAnswer("the answer has next to nothing in it, and no end");
    }
    let left = bytes;
    while (left.length > 0) {
      const { taken, isDone } = this.#take(left);
      left = left.subarray(taken);
      if (!isDone) continue;
      // What nobody has asked for is no answer of the next request.
      this.#isOpen &&= left.length === 0;
      return this.#answer();
    }
    return undefined;
  }

  /** The connection has ended. undefined: the answer is not complete. */
  end(): HttpAnswer | undefined {
    return this.#stage.kind === "until_close" ? this.#answer() : undefined;
  }

  /** Takes at least one byte. */
  #take(bytes: Uint8Array): { readonly taken: number; readonly isDone: boolean } {
    const stage = this.#stage;
    if (stage.kind === "until_close" || stage.kind === "sized") {
      const isSized = stage.kind === "sized";
      const wanted = isSized ? stage.bytes - this.#body.length : bytes.length;
      const part = bytes.subarray(0, wanted);
      this.#body.add(part);
      return { taken: part.length, isDone: isSized && this.#body.length === stage.bytes };
    }
    if (stage.kind === "chunk") {
      const part = bytes.subarray(0, stage.leftBytes);
      this.#body.add(part);
      stage.leftBytes -= part.length;
      if (stage.leftBytes === 0) this.#stage = { kind: "chunk_end" };
      return { taken: part.length, isDone: false };
    }
    const newline = bytes.indexOf(NEWLINE);
    const taken = newline < 0 ? bytes.length : newline + 1;
    this.#line.add(bytes.subarray(0, taken));
    return { taken, isDone: newline >= 0 && this.#endOfLine(stage.kind) };
  }

  #endOfLine(stage: "head" | "chunk_size" | "chunk_end" | "trailer"): boolean {
    const isEmpty = this.#line.endsWithEmptyLine();
    if (stage === "head") return isEmpty && this.#startBody(this.#line.takeText());
    if (stage === "trailer") return isEmpty;
    const text = this.#line.takeText().trim();
    if (stage === "chunk_end") {
      if (text !== "") throw badAnswer("the answer is not HTTP: a chunk is longer than it says");
      this.#stage = { kind: "chunk_size" };
      return false;
    }
    const [, digits] = /^([0-9a-fA-F]{1,12})\s*(?:;|$)/.exec(text) ?? [];
    if (digits === undefined) throw badAnswer("the answer is not HTTP: a chunk has no size");
    const leftBytes = Number.parseInt(digits, 16);
    this.#refuseLong(this.#body.length + leftBytes);
    this.#stage = leftBytes === 0 ? { kind: "trailer" } : { kind: "chunk", leftBytes };
    // The size line was the end of one, so that an empty line after it ends the trailer.
    if (leftBytes === 0) this.#line.isAtLineStart = true;
    return false;
  }

  /** Returns whether there is no body. */
  #startBody(head: string): boolean {
    const [first = "", ...lines] = head.split(/\r?\n/);
    const [, digits] = /^HTTP\/1\.[01] ([1-5][0-9]{2})(?: |$)/.exec(first) ?? [];
    if (digits === undefined) throw badAnswer("the answer is not HTTP/1.1");
    this.#status = Number(digits);
    const isClosed = /\bclose\b/i.test(headerOf(lines, "connection"));
    this.#isOpen = first.startsWith("HTTP/1.1 ") && !isClosed;
    // "100 Continue" and its like: the answer proper is still to come.
    if (this.#status < 200) return false;
    if (this.#status === 204 || this.#status === 304) return true;
    if (/\bchunked\s*$/i.test(headerOf(lines, "transfer-encoding"))) {
      this.#stage = { kind: "chunk_size" };
      return false;
    }
    const length = headerOf(lines, "content-length");
    if (length === "") {
      this.#isOpen = false;
      this.#stage = { kind: "until_close" };
      return false;
    }
    if (!/^[0-9]{1,15}$/.test(length)) throw badAnswer("the answer is not HTTP: its length is odd");
    const bytes = Number(length);
    this.#refuseLong(bytes);
    this.#stage = { kind: "sized", bytes };
    return bytes === 0;
  }

  #refuseLong(bytes: number): void {
    if (bytes > this.#bytesMax) throw tooLong("the answer", this.#bytesMax);
  }

  #answer(): HttpAnswer {
    return { status: this.#status, body: this.#body.bytes() };
  }
}

function headerOf(lines: readonly string[], name: string): string {
  for (const line of lines) {
    const colon = line.indexOf(":");
    if (line.slice(0, colon).trim().toLowerCase() === name) return line.slice(colon + 1).trim();
  }
  return "";
}

function tooLong(what: string, bytesMax: number): EngineError {
  return badAnswer(`${what} is longer than ${bytesMax} bytes`);
}

/** Bytes in one piece of memory, at most twice as large as they are. */
class GrowingBuffer {
  readonly #bytesMax: number;
  readonly #what: string;
  #bytes = new Uint8Array(0);
  length = 0;
  /** Where nothing is yet, a line begins. */
  isAtLineStart = false;

  constructor(bytesMax: number, what: string) {
    this.#bytesMax = bytesMax;
    this.#what = what;
  }

  add(part: Uint8Array): void {
    const length = this.length + part.length;
    if (length > this.#bytesMax) throw tooLong(this.#what, this.#bytesMax);
    if (length > this.#bytes.length) {
      const wanted = Math.max(length, this.#bytes.length * 2, FIRST_CAPACITY);
      const larger = new Uint8Array(Math.min(this.#bytesMax, wanted));
      larger.set(this.bytes());
      this.#bytes = larger;
    }
    this.#bytes.set(part, this.length);
    this.length = length;
  }

  bytes(): Uint8Array {
    return this.#bytes.subarray(0, this.length);
  }

  /** Whether what has been added ends with a line that has nothing in it. */
  endsWithEmptyLine(): boolean {
    let end = this.length - 1;
    if (this.#bytes[end - 1] === CARRIAGE_RETURN) end -= 1;
    return end === 0 ? this.isAtLineStart : this.#bytes[end - 1] === NEWLINE;
  }

  /** The text so far; it is empty afterwards. */
  takeText(): string {
    const text = Buffer.from(this.bytes()).toString("latin1");
    this.length = 0;
    return text;
  }
}
