// One HTTP request and its answer, with a deadline for everything; no redirects, no credentials.
//
// node:https, not fetch. Tried with Bun 1.4.5, and it holds: authorities and client certificates of
// ours, a handshake that fails told apart from a connection that is cut, senders held back while
// nobody reads (4 MB of 1 GB were under way), an answer shorter than its Content-Length reported,
// files sent with their length at the pace of the receiver, an answer seen before all is sent.
import { createReadStream } from "node:fs";
import {
  type ClientRequest,
  request as httpRequest,
  type IncomingMessage,
  type OutgoingHttpHeaders,
} from "node:http";
import { request as httpsRequest } from "node:https";
import { EngineError, storageError } from "../../core/errors.ts";
import type { TlsTrust } from "./certificates.ts";
import { cutShort, exchangeError, type FailedRequest, silence } from "./failures.ts";
import type { RegistryDeadlines } from "./limits.ts";

/** How much of a file is read ahead of the connection. */
const READ_AHEAD_BYTES = 256 * 1024;

/** A file that is sent whole; it does not change meanwhile. */
export interface FileBody {
  readonly path: string;
  readonly size: number;
  /** Told how much has been handed over, in bytes from the beginning. */
  readonly sent: (bytes: number) => void;
}

export type Method = "GET" | "HEAD" | "POST" | "PUT";

export interface Exchange {
  readonly method: Method;
  /** http or https, without user and password. */
  readonly url: URL;
  readonly headers: OutgoingHttpHeaders;
  readonly body?: Uint8Array | FileBody | undefined;
  readonly trust: TlsTrust;
  readonly deadlines: RegistryDeadlines;
  readonly signal: AbortSignal;
}

/** Either read to its end or closed. */
export interface Answer {
  readonly status: number;
  /** Where it came from. */
  readonly url: URL;
  /** Of several of one name the first, or all with commas where that means the same. */
  header(name: string): string | undefined;
  /**
   * The body as it comes; nothing more is received while nobody asks. Throws `registry.unreachable`
   * when it ends early or no byte comes in time.
   */
  body(): AsyncIterable<Uint8Array>;
  close(): void;
}

/**
 * Resolves when the head of the answer is there, which may be before the body has been sent.
 * Throws `registry.unreachable` (with a reason, see failures.ts), what the signal says, `storage.*`
 * for a file that cannot be read.
 */
export function exchange(wanted: Exchange): Promise<Answer> {
  const { signal, url } = wanted;
  if (signal.aborted) return Promise.reject(signal.reason);
  if (url.username !== "" || url.password !== "" || !/^https?:$/.test(url.protocol)) {
    const text = "the registry names an address that is not plain http or https";
    return Promise.reject(new EngineError("registry.failed", text));
  }
  return new Conversation(wanted).begin();
}

class Conversation {
  readonly #wanted: Exchange;
  readonly #sent: ClientRequest;
  readonly #head = Promise.withResolvers<Answer>();
  #isConnecting = true;
  #hasAnswer = false;
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** Lets the sender of a file go on, or stop. */
  #wake: () => void = () => undefined;

  constructor(wanted: Exchange) {
    this.#wanted = wanted;
    const { method, url, headers, body, trust, signal } = wanted;
    const length = body === undefined ? {} : { "content-length": String(sizeOf(body)) };
    const isBare = body === undefined && method !== "GET" && method !== "HEAD";
    const options = {
      method,
      signal,
      agent: false,
      headers: { ...headers, ...length, ...(isBare ? { "content-length": "0" } : {}) },
    } as const;
    const isSecure = url.protocol === "https:";
    this.#sent = isSecure
      ? httpsRequest(url, { ...options, ...mutable(trust) })
      : httpRequest(url, options);
  }

  begin(): Promise<Answer> {
    const { url, deadlines, body } = this.#wanted;
    this.#watch(deadlines.connectMs);
    this.#sent.on("socket", (socket) => {
      socket.once(url.protocol === "https:" ? "secureConnect" : "connect", () => {
        this.#isConnecting = false;
        if (!this.#hasAnswer) this.#watch(deadlines.idleMs);
      });
    });
    this.#sent.on("error", (error) => this.#fail(error));
    this.#sent.on("drain", () => this.#wake());
    this.#sent.on("close", () => this.#wake());
    this.#sent.on("response", (message) => this.#answer(message));
    if (body === undefined || body instanceof Uint8Array) this.#sent.end(body);
    else void this.#sendFile(body);
    return this.#head.promise;
  }

  get #place(): FailedRequest {
    const { method, url } = this.#wanted;
    return { method, url, isConnecting: this.#isConnecting };
  }

  /** Gives up after so long, unless it is called again. */
  #watch(delayMs: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#end(silence(this.#place)), delayMs);
  }

  #fail(error: unknown): void {
    // A server that has answered may close before it has been sent everything.
    if (this.#hasAnswer) return;
    const { signal } = this.#wanted;
    this.#end(signal.aborted ? signal.reason : exchangeError(this.#place, error));
  }

  #end(error: unknown): void {
    clearTimeout(this.#timer);
    this.#hasAnswer = true;
    this.#head.reject(error);
    this.#wake();
    this.#sent.destroy();
  }

  async #sendFile({ path, sent }: FileBody): Promise<void> {
    const file = createReadStream(path, { highWaterMark: READ_AHEAD_BYTES });
    let bytes = 0;
    try {
      for await (const chunk of file) {
        if (this.#hasAnswer) return;
        const isFull = !this.#sent.write(chunk);
        if (isFull) await new Promise<void>((resolve) => (this.#wake = resolve));
        if (this.#hasAnswer) return;
        if (!this.#isConnecting) this.#watch(this.#wanted.deadlines.idleMs);
        bytes += chunk.length;
        sent(bytes);
      }
      this.#sent.end();
    } catch (error) {
      this.#end(storageError(error, "reading a blob"));
    }
  }

  #answer(message: IncomingMessage): void {
    clearTimeout(this.#timer);
    if (this.#hasAnswer) {
      message.destroy();
      return;
    }
    this.#hasAnswer = true;
    this.#wake();
    this.#head.resolve({
      status: message.statusCode ?? 0,
      url: this.#wanted.url,
      header: (name) => {
        const value = message.headers[name];
        return Array.isArray(value) ? value[0] : value;
      },
      body: () => this.#read(message),
      close: () => {
        message.destroy();
        this.#sent.destroy();
      },
    });
  }

  async *#read(message: IncomingMessage): AsyncGenerator<Uint8Array> {
    const { deadlines, signal } = this.#wanted;
    const chunks = message[Symbol.asyncIterator]();
    let isSilent = false;
    const giveUp = () => {
      isSilent = true;
      message.destroy();
      this.#sent.destroy();
    };
    try {
      for (;;) {
        signal.throwIfAborted();
        const timer = setTimeout(giveUp, deadlines.idleMs);
        const next = await chunks.next().finally(() => clearTimeout(timer));
        if (isSilent) throw silence(this.#place);
        if (next.done === true) break;
        yield next.value;
      }
      if (!message.complete) throw cutShort(this.#place, "unexpected EOF");
    } catch (error) {
      if (signal.aborted) throw signal.reason;
      if (isSilent) throw silence(this.#place);
      throw error instanceof EngineError ? error : exchangeError(this.#place, error);
    } finally {
      message.destroy();
      this.#sent.destroy();
    }
  }
}

function sizeOf(body: Uint8Array | FileBody): number {
  return body instanceof Uint8Array ? body.byteLength : body.size;
}

/** node's types want arrays that could be changed. */
function mutable({ ca, ...rest }: TlsTrust): Omit<TlsTrust, "ca"> & { ca?: string[] } {
  return ca === undefined ? rest : { ...rest, ca: [...ca] };
}
