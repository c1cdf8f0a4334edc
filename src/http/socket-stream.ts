// The sending side of a streaming answer: bounded, and cut off rather than buffered without end.
import { Buffer } from "node:buffer";
import type { Socket } from "node:net";
import { OUTPUT_SLICE_BYTES, STREAM_UNSENT_BYTES_MAX } from "./limits.ts";
import type { StreamWriter } from "./message.ts";

export interface SocketStreamParts {
  /** Otherwise the end of the connection is the end of the body (HTTP/1.0). */
  readonly isChunked: boolean;
  readonly isEndless: boolean;
  readonly nowMs: number;
  /** Whether the server has room for so much unsent output of this stream. */
  readonly takeRoom: (bytes: number) => boolean;
  readonly onEnd: () => void;
  readonly onOverflow: () => void;
}

export class SocketStream implements StreamWriter {
  readonly isEndless: boolean;
  readonly #socket: Socket;
  readonly #parts: SocketStreamParts;
  readonly #controller = new AbortController();
  #isOpen = true;
  #handedBytes = 0;
  /** What the client had taken when it was last seen to take anything, and when that was. */
  #takenBytes = 0;
  #takenAtMs: number;

  constructor(socket: Socket, parts: SocketStreamParts) {
    this.#socket = socket;
    this.#parts = parts;
    this.isEndless = parts.isEndless;
    this.#takenAtMs = parts.nowMs;
  }

  get closed(): AbortSignal {
    return this.#controller.signal;
  }

  write(chunk: string | Uint8Array): boolean {
    if (!this.#isOpen) {
      return false;
    }
    const bytes = typeof chunk === "string" ? Buffer.byteLength(chunk) : chunk.length;
    if (bytes === 0) {
      // An empty chunk would mean the end of the stream.
      return true;
    }
    if (!this.#parts.isChunked) {
      this.#socket.write(chunk);
      this.#handedBytes += bytes;
    } else {
      const size = `${bytes.toString(16)}\r\n`;
      this.#socket.write(
        typeof chunk === "string"
          ? `${size}${chunk}\r\n`
          : Buffer.concat([Buffer.from(size), chunk, Buffer.from("\r\n")]),
      );
      this.#handedBytes += size.length + bytes + 2;
    }
    const unsentBytes = this.#socket.writableLength;
    if (unsentBytes > OUTPUT_SLICE_BYTES && !this.#hasRoom(unsentBytes)) {
      this.#parts.onOverflow();
      return false;
    }
    return true;
  }

  #hasRoom(unsentBytes: number): boolean {
    return unsentBytes <= STREAM_UNSENT_BYTES_MAX && this.#parts.takeRoom(unsentBytes);
  }

  end(): void {
    if (!this.#isOpen) {
      return;
    }
    this.#isOpen = false;
    if (this.#parts.isChunked) {
      this.#socket.write("0\r\n\r\n");
    }
    this.#parts.onEnd();
  }

  /** Ends the stream in order, in the server's name. */
  cut(): void {
    this.end();
    this.#controller.abort();
  }

  /** The connection is gone. */
  abort(): void {
    this.#isOpen = false;
    this.#controller.abort();
  }

  /** True if output waits and the client has taken none of it for that long. */
  isStalled(nowMs: number, stallMs: number): boolean {
    const unsentBytes = this.#socket.writableLength;
    const takenBytes = this.#handedBytes - unsentBytes;
    if (unsentBytes === 0 || takenBytes > this.#takenBytes) {
      this.#takenBytes = takenBytes;
      this.#takenAtMs = nowMs;
    }
    return nowMs - this.#takenAtMs >= stallMs;
  }
}
