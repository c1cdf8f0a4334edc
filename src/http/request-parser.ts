// Turns the bytes of one connection into requests, however they are cut, or refuses them.
//
// Pull-style: `feed` hands in what came, `next` gives the next whole request or says that more is
// needed. Each byte is looked at a bounded number of times. What has not been given out yet lies in
// one buffer from `#start` to `#end`; it doubles when it must grow, so the cost stays linear.
import { Buffer } from "node:buffer";
import {
  bodyTooLarge,
  type Framing,
  framingOf,
  parseFields,
  parseRequestLine,
  type RequestLine,
} from "./head-parser.ts";
import { CHUNK_LINE_BYTES_MAX, HEAD_BYTES_MAX, TRAILER_BYTES_MAX } from "./limits.ts";
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

/** The parser of one connection. After it has thrown an `HttpRefusal` it must not be used again. */
export class RequestParser {
  readonly #bodyBytesMax: number;
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

  constructor(bodyBytesMax: number) {
    this.#bodyBytesMax = bodyBytesMax;
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

  /** True once for each request whose sender waits for "100 Continue" and whose body is awaited. */
  takeContinue(): boolean {
    const owes = this.#owesContinue && this.#head !== undefined;
    this.#owesContinue = false;
    return owes;
  }

  /** Takes the bytes over: the caller must not use them afterwards. */
  feed(chunk: Buffer): void {
    if (this.#start === this.#end && this.#head === undefined) {
      this.#buffer = chunk;
      this.#ownsBuffer = false;
      this.#start = 0;
      this.#scanned = 0;
      this.#lineStart = 0;
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
    const body =
      head.framing.bodyLength === "chunked"
        ? this.#readChunkedBody()
        : this.#readBody(head.framing.bodyLength);
    if (body === undefined) {
      this.#head = head;
      return undefined;
    }
    this.#beginMessage();
    const { method, target, path, query, isVersion11 } = head.line;
    const { headers } = head;
    const { keepsAlive } = head.framing;
    return { method, target, path, query, headers, body, isVersion11, keepsAlive };
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
    const framing = framingOf(headers, line.isVersion11, this.#bodyBytesMax);
    this.#start = headEnd;
    this.#scanned = headEnd;
    this.#bodyEnd = headEnd;
    this.#chunkPart = "size";
    this.#trailerBytes = 0;
    this.#owesContinue = framing.expectsContinue;
    return { line, headers, framing };
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
      const lineEnd = this.#chunkLineEnd();
      if (lineEnd === undefined) {
        return this.#awaitMoreOfBody();
      }
      this.#scanned = lineEnd + 2;
      if (this.#chunkPart === "data_end") {
        if (lineEnd !== lineStart) {
          throw malformed("a chunk is longer than its size");
        }
        this.#chunkPart = "size";
      } else if (this.#chunkPart === "size") {
        this.#beginChunk(lineStart, lineEnd);
      } else if (lineEnd === lineStart) {
        const body = this.#buffer.subarray(this.#start, this.#bodyEnd);
        this.#start = this.#scanned;
        return body;
      } else {
        this.#countTrailer(lineEnd - lineStart);
      }
    }
  }

  #awaitMoreOfBody(): undefined {
    this.#buffer.copyWithin(this.#bodyEnd, this.#scanned, this.#end);
    this.#end -= this.#scanned - this.#bodyEnd;
    this.#scanned = this.#bodyEnd;
    return undefined;
  }

  /** Where the CR of the line at `#scanned` is. */
  #chunkLineEnd(): number | undefined {
    const buffer = this.#buffer;
    const stop = Math.min(this.#end, this.#scanned + CHUNK_LINE_BYTES_MAX);
    for (let index = this.#scanned; index < stop; index++) {
      const byte = buffer[index] ?? 0;
      if ((byte >= SPACE && byte !== DELETE) || byte === TAB) {
        continue;
      }
      if (byte !== CR) {
        throw malformed("a control character or LF alone in the framing of the body");
      }
      if (index + 1 === this.#end) {
        return undefined;
      }
      if (buffer[index + 1] !== LF) {
        throw malformed("a CR without LF in the framing of the body");
      }
      return index;
    }
    if (this.#end - this.#scanned >= CHUNK_LINE_BYTES_MAX) {
      throw malformed(`a chunk line is longer than ${CHUNK_LINE_BYTES_MAX} bytes`);
    }
    return undefined;
  }

  #beginChunk(lineStart: number, lineEnd: number): void {
    let index = lineStart;
    let size = 0;
    for (; index < lineEnd; index++) {
      const digit = hexDigit(this.#buffer[index] ?? 0);
      if (digit < 0) {
        break;
      }
      size = size * 16 + digit;
      if (this.#bodyEnd - this.#start + size > this.#bodyBytesMax) {
        throw bodyTooLarge(this.#bodyBytesMax);
      }
    }
    const after = this.#buffer[index];
    const isExtended = index < lineEnd && (after === 0x3b || after === SPACE || after === TAB);
    if (index === lineStart || (index < lineEnd && !isExtended)) {
      throw malformed("a chunk size is not a hexadecimal number");
    }
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

function hexDigit(byte: number): number {
  if (byte >= 0x30 && byte <= 0x39) {
    return byte - 0x30;
  }
  const lower = byte | 0x20;
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -1;
}
