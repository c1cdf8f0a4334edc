// Turns the bytes of one connection into requests, however they are cut, or refuses them.
//
// Pull-style: `feed` hands in what came, `next` gives the next whole request or says that more is
// needed. Each byte is looked at a bounded number of times. What has not been given out yet lies in
// one buffer from `#start` to `#end`; it doubles when it must grow, so the cost stays linear.
//
// A request whose body is streamed is given out at the end of its head; `nextOfBody` then gives the
// body in the pieces in which it came, until its end, and only then `next` goes on.
import { Buffer } from "node:buffer";
import { chunkLineEnd, chunkSize } from "./chunk-lines.ts";
import {
  bodyTooLarge,
  type Framing,
  framingOf,
  parseFields,
  parseRequestLine,
  type RequestLine,
} from "./head-parser.ts";
import { HEAD_BYTES_MAX, TRAILER_BYTES_MAX } from "./limits.ts";
import type { ParsedRequest } from "./message.ts";
import { HttpRefusal, malformed } from "./refusal.ts";

const CR = 0x0d;
const LF = 0x0a;
const TAB = 0x09;
const SPACE = 0x20;
const DELETE = 0x7f;
const EMPTY = Buffer.alloc(0);
/** Used-up bytes in front of an unfinished request that are kept rather than copied away. */
const WASTE_BYTES_MAX = 64 * 1024;

/** A request whose head is complete. */
interface Head {
  readonly line: RequestLine;
  readonly headers: ReadonlyMap<string, string>;
  readonly framing: Framing;
}

/** Where the decoder of a chunked body is: what the next unread byte belongs to. */
type ChunkPart = "size" | "data" | "data_end" | "trailer";

/** Whether the body of a request is to be streamed, by what its request line says. */
export type StreamsBody = (method: string, path: string) => boolean;

/** The parser of one connection. After it has thrown an `HttpRefusal` it must not be used again. */
export class RequestParser {
  readonly #bodyBytesMax: number;
  readonly #streamsBody: StreamsBody | undefined;
  #buffer: Buffer = EMPTY;
  /** True if bytes may be appended in place: the buffer was made here. */
  #ownsBuffer = false;
  #start = 0;
  #end = 0;
  /** Everything before is known to be good (head) or decoded (chunked body). */
  #scanned = 0;
  /** Where the line that is being scanned starts. */
  #lineStart = 0;
  /** Where the first header field starts, once the request line is known. */
  #fieldsStart = 0;
  #line: RequestLine | undefined;
  #head: Head | undefined;
  #hasSkippedEmptyLine = false;
  #owesContinue = false;
  #chunkPart: ChunkPart = "size";
  #chunkBytesLeft = 0;
  /** The decoded body lies between `#start` and here. */
  #bodyEnd = 0;
  #trailerBytes = 0;
  #isStreaming = false;
  /** Of a streamed body with a Content-Length. */
  #streamBytesLeft = 0;

  constructor(bodyBytesMax: number, streamsBody?: StreamsBody) {
    this.#bodyBytesMax = bodyBytesMax;
    this.#streamsBody = streamsBody;
  }

  /** Bytes that came and belong to no request that was given out. */
  get waitingBytes(): number {
    return this.#end - this.#start;
  }

  /** True between two requests. */
  get isIdle(): boolean {
    return this.#head === undefined && this.#end === this.#start;
  }

  /** True if a head is complete and its body is not. */
  get isInBody(): boolean {
    return this.#head !== undefined;
  }

  /** True from the head of a request whose body is streamed to the end of that body. */
  get isStreaming(): boolean {
    return this.#isStreaming;
  }

  /** True once for each request whose sender waits for "100 Continue" and whose body is awaited. */
  takeContinue(): boolean {
    const owes = this.#owesContinue && this.#head !== undefined;
    this.#owesContinue = false;
    return owes;
  }

  /** Takes the bytes over: the caller must not use them afterwards. */
  feed(chunk: Buffer): void {
    if (this.#start === this.#end && (this.#head === undefined || this.#isStreaming)) {
      this.#buffer = chunk;
      this.#ownsBuffer = false;
      this.#start = 0;
      this.#scanned = 0;
      this.#lineStart = 0;
      this.#bodyEnd = 0;
      this.#end = chunk.length;
      return;
    }
    const neededBytes = this.#end + chunk.length;
    if (!this.#ownsBuffer || neededBytes > this.#buffer.length || this.#start > WASTE_BYTES_MAX) {
      this.#move((this.waitingBytes + chunk.length) * 2);
    }
    chunk.copy(this.#buffer, this.#end);
    this.#end += chunk.length;
  }

  /** The next whole request; undefined if more bytes are needed. Throws `HttpRefusal`. */
  next(): ParsedRequest | undefined {
    const head = this.#head ?? this.#readHead();
    if (head === undefined) {
      if (this.#start > WASTE_BYTES_MAX) {
        this.#move(this.waitingBytes * 2);
      }
      return undefined;
    }
    if (this.#isStreaming) {
      this.#head = head;
      return requestOf(head, EMPTY);
    }
    const body =
      head.framing.bodyLength === "chunked"
        ? this.#readChunkedBody()
        : this.#readBody(head.framing.bodyLength);
    if (body === undefined) {
      this.#head = head;
      return undefined;
    }
    this.#beginMessage();
    return requestOf(head, body);
  }

  /**
   * While `isStreaming`: what has come of the body and was not given out, which stays as it is;
   * undefined if more bytes are needed. "end": the body is whole. Throws `HttpRefusal`.
   */
  nextOfBody(): Uint8Array | "end" | undefined {
    const isChunked = this.#head?.framing.bodyLength === "chunked";
    const piece = isChunked ? this.#nextOfChunks() : this.#nextOfLength();
    if (piece === "end") {
      this.#isStreaming = false;
      this.#beginMessage();
    }
    return piece;
  }

  #nextOfLength(): Uint8Array | "end" | undefined {
    if (this.#streamBytesLeft === 0) return "end";
    const piece = this.#takeOfBody(this.#streamBytesLeft);
    this.#streamBytesLeft -= piece?.length ?? 0;
    return piece;
  }

  #takeOfBody(bytesMax: number): Uint8Array | undefined {
    const count = Math.min(bytesMax, this.#end - this.#start);
    if (count === 0) return undefined;
    const piece = this.#buffer.subarray(this.#start, this.#start + count);
    this.#moveStart(this.#start + count);
    return piece;
  }

  #nextOfChunks(): Uint8Array | "end" | undefined {
    for (;;) {
      if (this.#chunkPart === "data") {
        const piece = this.#takeOfBody(this.#chunkBytesLeft);
        this.#chunkBytesLeft -= piece?.length ?? 0;
        if (this.#chunkBytesLeft === 0) this.#chunkPart = "data_end";
        return piece;
      }
      const lineStart = this.#scanned;
      const lineEnd = chunkLineEnd(this.#buffer, this.#scanned, this.#end);
      if (lineEnd === undefined) return undefined;
      const isWhole = this.#endChunkLine(lineStart, lineEnd);
      this.#moveStart(lineEnd + 2);
      if (isWhole) return "end";
    }
  }

  #moveStart(start: number): void {
    this.#start = start;
    this.#scanned = start;
    this.#bodyEnd = start;
  }

  /** Lets go of all memory, at the end of the connection. */
  release(): void {
    this.#buffer = EMPTY;
    this.#start = 0;
    this.#end = 0;
  }

  #beginMessage(): void {
    this.#head = undefined;
    this.#line = undefined;
    this.#owesContinue = false;
    this.#hasSkippedEmptyLine = false;
    this.#scanned = this.#start;
    this.#lineStart = this.#start;
    if (this.#start === this.#end) {
      this.release();
    }
  }

  #move(capacityBytes: number): void {
    const buffer = Buffer.allocUnsafeSlow(capacityBytes);
    this.#buffer.copy(buffer, 0, this.#start, this.#end);
    this.#buffer = buffer;
    this.#ownsBuffer = true;
    this.#scanned -= this.#start;
    this.#lineStart -= this.#start;
    this.#fieldsStart -= this.#start;
    this.#bodyEnd -= this.#start;
    this.#end -= this.#start;
    this.#start = 0;
  }

  #readHead(): Head | undefined {
    const headEnd = this.#scanHead();
    const line = this.#line;
    if (headEnd === undefined || line === undefined) {
      return undefined;
    }
    const block = this.#buffer.toString("latin1", this.#fieldsStart, headEnd - 2);
    const headers = parseFields(block);
    const framing = framingOf(headers, line.isVersion11);
    if (framing.bodyLength !== 0) this.#decideStreaming(line, framing.bodyLength);
    this.#start = headEnd;
    this.#scanned = headEnd;
    this.#bodyEnd = headEnd;
    this.#chunkPart = "size";
    this.#trailerBytes = 0;
    this.#owesContinue = framing.expectsContinue;
    return { line, headers, framing };
  }

  #decideStreaming({ method, path }: RequestLine, bodyLength: number | "chunked"): void {
    this.#isStreaming = this.#streamsBody?.(method, path) === true;
    if (bodyLength === "chunked") this.#streamBytesLeft = 0;
    else if (this.#isStreaming) this.#streamBytesLeft = bodyLength;
    else if (bodyLength > this.#bodyBytesMax) throw bodyTooLarge(this.#bodyBytesMax);
  }

  /** Looks at new bytes only. Returns the position after the empty line that ends the head. */
  #scanHead(): number | undefined {
    const buffer = this.#buffer;
    const limit = this.#start + HEAD_BYTES_MAX;
    const stop = Math.min(this.#end, limit);
    let index = this.#scanned;
    while (index < stop) {
      const byte = buffer[index] ?? 0;
      if ((byte >= SPACE && byte !== DELETE) || byte === TAB) {
        index++;
        continue;
      }
      if (byte !== CR) {
        throw malformed(byte === LF ? "a line ends in LF alone" : "a control character");
      }
      if (index + 1 === this.#end) {
        break;
      }
      if (buffer[index + 1] !== LF) {
        throw malformed("a CR without LF");
      }
      if (index + 2 > limit) {
        break;
      }
      if (this.#line === undefined) {
        this.#endRequestLine(index);
      } else if (index === this.#lineStart) {
        return index + 2;
      }
      index += 2;
      this.#lineStart = index;
    }
    this.#scanned = index;
    if (this.#end > limit) {
      throw this.#line === undefined
        ? new HttpRefusal(414, `the request line is longer than ${HEAD_BYTES_MAX} bytes`)
        : new HttpRefusal(431, `the header section is longer than ${HEAD_BYTES_MAX} bytes`);
    }
    return undefined;
  }

  #endRequestLine(lineEnd: number): void {
    if (lineEnd === this.#lineStart) {
      // Some old clients send an empty line after a body (RFC 9112, 2.2): one is ignored.
      if (this.#hasSkippedEmptyLine) {
        throw malformed("empty lines instead of a request line");
      }
      this.#hasSkippedEmptyLine = true;
    } else {
      this.#line = parseRequestLine(this.#buffer.toString("latin1", this.#lineStart, lineEnd));
      this.#fieldsStart = lineEnd + 2;
    }
  }

  #readBody(length: number): Uint8Array | undefined {
    const bodyEnd = this.#start + length;
    if (bodyEnd > this.#end) {
      return undefined;
    }
    const body = length === 0 ? EMPTY : this.#buffer.subarray(this.#start, bodyEnd);
    this.#start = bodyEnd;
    return body;
  }

  /** Decodes in place: data moves down to `#bodyEnd`, so framing takes no memory. */
  #readChunkedBody(): Uint8Array | undefined {
    for (;;) {
      if (this.#chunkPart === "data") {
        const count = Math.min(this.#chunkBytesLeft, this.#end - this.#scanned);
        this.#buffer.copyWithin(this.#bodyEnd, this.#scanned, this.#scanned + count);
        this.#bodyEnd += count;
        this.#scanned += count;
        this.#chunkBytesLeft -= count;
        if (this.#chunkBytesLeft > 0) {
          return this.#awaitMoreOfBody();
        }
        this.#chunkPart = "data_end";
      }
      const lineStart = this.#scanned;
      const lineEnd = chunkLineEnd(this.#buffer, this.#scanned, this.#end);
      if (lineEnd === undefined) {
        return this.#awaitMoreOfBody();
      }
      this.#scanned = lineEnd + 2;
      if (this.#endChunkLine(lineStart, lineEnd)) {
        const body = this.#buffer.subarray(this.#start, this.#bodyEnd);
        this.#start = this.#scanned;
        return body;
      }
    }
  }

  /** Reads a line of the framing; true for the one that ends the body. */
  #endChunkLine(lineStart: number, lineEnd: number): boolean {
    if (this.#chunkPart === "data_end") {
      if (lineEnd !== lineStart) {
        throw malformed("a chunk is longer than its size");
      }
      this.#chunkPart = "size";
    } else if (this.#chunkPart === "size") {
      this.#beginChunk(lineStart, lineEnd);
    } else if (lineEnd === lineStart) {
      return true;
    } else {
      this.#countTrailer(lineEnd - lineStart);
    }
    return false;
  }

  #awaitMoreOfBody(): undefined {
    this.#buffer.copyWithin(this.#bodyEnd, this.#scanned, this.#end);
    this.#end -= this.#scanned - this.#bodyEnd;
    this.#scanned = this.#bodyEnd;
    return undefined;
  }

  #beginChunk(lineStart: number, lineEnd: number): void {
    const bytesMax = this.#isStreaming ? Number.MAX_SAFE_INTEGER : this.#bodyBytesMax;
    const size = chunkSize(this.#buffer, lineStart, lineEnd);
    if (this.#bodyEnd - this.#start + size > bytesMax) throw bodyTooLarge(bytesMax);
    this.#chunkBytesLeft = size;
    this.#chunkPart = size === 0 ? "trailer" : "data";
  }

  #countTrailer(lineBytes: number): void {
    this.#trailerBytes += lineBytes + 2;
    if (this.#trailerBytes > TRAILER_BYTES_MAX) {
      throw new HttpRefusal(431, `the trailer section is longer than ${TRAILER_BYTES_MAX} bytes`);
    }
  }
}

function requestOf({ line, headers, framing }: Head, body: Uint8Array): ParsedRequest {
  const { method, target, path, query, isVersion11 } = line;
  const { keepsAlive } = framing;
  return { method, target, path, query, headers, body, isVersion11, keepsAlive };
}
