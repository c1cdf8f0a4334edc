// A request body that is read while it comes: what a handler iterates over, once.
//
// Nothing is kept here: what has come waits in the parser, and when that is too much the connection
// stops reading, so a slow reader slows the client down. Who reads waits for the client no longer
// than a body may take; a client that sends too slowly on the average is given up as well.
import { EngineError } from "../core/errors.ts";
import type { ConnectionHost } from "./connection-host.ts";
import { BODY_BYTES_PER_SECOND_MIN } from "./limits.ts";
import type { RequestParser } from "./request-parser.ts";

/** What a body needs of its connection. */
export interface BodyOwner {
  /** More input is needed. Ends the body with `fail` where none can come. */
  awaitBody(): void;
  /** Bytes have left the parser. */
  onTaken(): void;
  /** The parser has thrown: what comes is no body. Ends the body with `fail`. */
  onMistake(error: unknown): void;
}

interface Reader {
  resolve(result: IteratorResult<Uint8Array, undefined>): void;
  reject(error: Error): void;
}

const done: IteratorResult<Uint8Array, undefined> = { done: true, value: undefined };

/**
 * Who stops reading may go on later. Throws `operation.cancelled` if the body does not come whole:
 * the client has gone, is too slow, or sends what is no body; and when it was answered already.
 */
export class RequestBody implements AsyncIterableIterator<Uint8Array, undefined> {
  readonly #parser: RequestParser;
  readonly #host: ConnectionHost;
  readonly #owner: BodyOwner;
  #reader: Reader | undefined;
  #isWhole = false;
  #failure: EngineError | undefined;
  #bytes = 0;
  /** How long it was waited for, before the wait that may be going on. */
  #waitedMs = 0;
  #waitsSinceMs = 0;

  constructor(parser: RequestParser, host: ConnectionHost, owner: BodyOwner) {
    this.#parser = parser;
    this.#host = host;
    this.#owner = owner;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<IteratorResult<Uint8Array, undefined>> {
    const result = this.#take();
    if (result !== undefined) return Promise.resolve(result);
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    if (this.#reader !== undefined) return Promise.reject(new Error("a body has one reader"));
    return new Promise((resolve, reject) => {
      this.#reader = { resolve, reject };
      this.#waitsSinceMs = this.#host.nowMs;
      this.#owner.awaitBody();
    });
  }

  /** Input has come, or its end: hands it to whoever waits. */
  wake(): void {
    const reader = this.#reader;
    if (reader === undefined) return;
    const result = this.#take();
    if (result === undefined) {
      if (this.#failure === undefined) this.#owner.awaitBody();
      return;
    }
    this.#reader = undefined;
    this.#waitedMs += this.#host.nowMs - this.#waitsSinceMs;
    reader.resolve(result);
  }

  /** Whether its reader has waited for the client too long. */
  get isLate(): boolean {
    if (this.#reader === undefined) return false;
    const { bodyMs } = this.#host.timeouts;
    const quietMs = this.#host.nowMs - this.#waitsSinceMs;
    const allowedMs = bodyMs + (this.#bytes / BODY_BYTES_PER_SECOND_MIN) * 1_000;
    return quietMs >= bodyMs || this.#waitedMs + quietMs >= allowedMs;
  }

  /** It has been answered. True if it is whole with what has come: another request may follow. */
  leave(): boolean {
    try {
      while (!this.#isWhole && this.#failure === undefined) {
        const piece = this.#parser.nextOfBody();
        if (piece === undefined) break;
        this.#isWhole = piece === "end";
      }
    } catch {
      // What comes is no body: as good as one that goes on, and the connection ends.
    }
    this.#owner.onTaken();
    this.fail("the request was answered before its body was whole");
    return this.#isWhole;
  }

  /** Nothing more comes. */
  fail(why: string): void {
    if (!this.#isWhole) this.#failure ??= new EngineError("operation.cancelled", why);
    const reader = this.#reader;
    this.#reader = undefined;
    if (this.#failure !== undefined) reader?.reject(this.#failure);
  }

  #take(): IteratorResult<Uint8Array, undefined> | undefined {
    if (this.#isWhole) return done;
    if (this.#failure !== undefined) return undefined;
    let piece: Uint8Array | "end" | undefined;
    try {
      piece = this.#parser.nextOfBody();
    } catch (error) {
      this.#owner.onMistake(error);
      return undefined;
    }
    this.#owner.onTaken();
    if (piece === undefined) return undefined;
    if (piece === "end") {
      this.#isWhole = true;
      return done;
    }
    this.#bytes += piece.length;
    return { done: false, value: piece };
  }
}
