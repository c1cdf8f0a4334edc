// The HTTP/1.1 server: listens, knows its callers, bounds everything, and drains when told to.
//
// docs/decisions/0002-http-path.md says why this is not one of the runtime's own servers.
import { createServer, type Server, type Socket } from "node:net";
import type { Host } from "../core/host.ts";
import { Connection } from "./connection.ts";
import type { ConnectionHost, ConnectionTimeouts } from "./connection-host.ts";
import { BODY_BYTES_MAX_DEFAULT, REFUSED_CONNECTIONS_MAX } from "./limits.ts";
import type { Handler, HttpRequest, HttpResponse, Peer } from "./message.ts";
import { OutputRoom } from "./output-room.ts";
import { HttpRefusal } from "./refusal.ts";
import type { StreamsBody } from "./request-parser.ts";
import { refusalText } from "./response-text.ts";
import {
  listenAtPath,
  listenOnDescriptor,
  type PlacedSocket,
  type UnixSocketPlace,
} from "./unix-listener.ts";

export interface HttpServerParts {
  readonly handler: Handler;
  /** Makes the answer for a handler that threw, and reports the error. */
  readonly onHandlerError: (error: unknown, request: HttpRequest) => HttpResponse;
  /** Who is at the other end of a socket, by its descriptor; asked once per connection. */
  readonly peerOf: (descriptor: number) => Peer | undefined;
  /**
   * Asked for each connection that there is room for, with its descriptor; returns what is called
   * when it has ended, or why it is answered 503 and closed without a look at what it wants. The
   * same `Peer` comes with its requests. By default all may.
   */
  readonly admit?: Admit | undefined;
  /** A listening socket failed after it had started (no descriptors left), or a bug showed. */
  readonly onServerError: (error: unknown) => void;
  /** Many long answers were cut off: their memory is to be collected. At most once a sweep. */
  readonly onMuchDropped?: () => void;
  /** Requests whose body is streamed, by method and path (as sent, without the query). */
  readonly streamsBody?: StreamsBody | undefined;
  readonly limits?: Partial<HttpServerLimits> | undefined;
  readonly timeouts?: Partial<ConnectionTimeouts> | undefined;
  readonly clock: Pick<Host, "monotonicMs" | "nowMs">;
}

export type Admit = (peer: Peer | undefined, descriptor: number) => (() => void) | string;

export interface HttpServerLimits {
  /** Further connections get 503. */
  readonly connectionCountMax: number;
  readonly bodyBytesMax: number;
}

/** A place on the file system, or a listening socket that somebody handed down (systemd). */
export type ListenTarget = UnixSocketPlace | { readonly descriptor: number };

const CONNECTION_COUNT_MAX_DEFAULT = 1_024;
const TIMEOUTS_DEFAULT: ConnectionTimeouts = {
  idleMs: 180_000,
  headMs: 20_000,
  bodyMs: 60_000,
  stallMs: 30_000,
  lingerMs: 5_000,
};
/** How often deadlines are compared with the clock, which is how exact they are. */
const SWEEP_INTERVAL_MS = 1_000;

export class HttpServer {
  readonly #parts: HttpServerParts;
  readonly #host: ConnectionHost;
  readonly #connectionCountMax: number;
  /** Each with what wants to know of its end. */
  readonly #connections = new Map<Connection, (() => void) | undefined>();
  readonly #listeners: Server[] = [];
  readonly #places: PlacedSocket[] = [];
  #sweepTimer: NodeJS.Timeout | undefined;
  #onEmpty: (() => void) | undefined;
  #endedCount = 0;

  constructor(parts: HttpServerParts) {
    this.#parts = parts;
    this.#connectionCountMax = parts.limits?.connectionCountMax ?? CONNECTION_COUNT_MAX_DEFAULT;
    this.#host = {
      handler: parts.handler,
      onHandlerError: parts.onHandlerError,
      onServerError: parts.onServerError,
      streamsBody: parts.streamsBody,
      bodyBytesMax: parts.limits?.bodyBytesMax ?? BODY_BYTES_MAX_DEFAULT,
      timeouts: { ...TIMEOUTS_DEFAULT, ...parts.timeouts },
      nowMs: 0,
      dateLine: "",
      isDraining: false,
      unfinishedBytes: 0,
      room: new OutputRoom(),
      forget: (connection) => this.#forget(connection),
    };
  }

  get connectionCount(): number {
    return this.#connections.size;
  }

  /** How many connections have ended so far. */
  get endedCount(): number {
    return this.#endedCount;
  }

  /** What long answers and streams have left to send, see `UNSENT_BYTES_MAX`. */
  get unsentBytes(): number {
    return this.#host.room.bytes;
  }

  /** Starts to accept; may be called for several targets. Throws `ListenError`. */
  async listen(target: ListenTarget): Promise<void> {
    // Half-open: a client may end its sending side and still read its answer.
    const listener = createServer({ allowHalfOpen: true }, (socket) => this.#accept(socket));
    if ("path" in target) {
      this.#places.push(await listenAtPath(listener, target));
    } else {
      await listenOnDescriptor(listener, target.descriptor);
    }
    listener.on("error", this.#parts.onServerError);
    this.#listeners.push(listener);
  }

  /**
   * Stops in order: accepts nothing more, ends idle connections and endless streams, lets requests
   * in progress finish. What is left after `drainMs` is cut off. Resolves when all is closed, with
   * the number of connections that had to be cut off.
   */
  async close(options: { readonly drainMs: number }): Promise<number> {
    this.#host.isDraining = true;
    for (const place of this.#places) {
      place.remove();
    }
    for (const listener of this.#listeners) {
      listener.close();
    }
    for (const connection of this.#connections.keys()) {
      connection.drain();
    }
    if (this.#connections.size > 0) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, options.drainMs);
        this.#onEmpty = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
    const leftCount = this.#connections.size;
    for (const connection of this.#connections.keys()) {
      connection.destroy();
    }
    clearInterval(this.#sweepTimer);
    return leftCount;
  }

  /**
   * Reads the clock and ends what has lasted too long. A timer of the server's own calls it every
   * second while there are connections; tests with a clock of their own call it themselves.
   */
  sweep(): void {
    this.#readClock();
    for (const connection of this.#connections.keys()) {
      connection.checkDeadline(this.#host.nowMs);
    }
    this.#host.room.sweep();
    if (this.#host.room.takeDropped()) {
      this.#parts.onMuchDropped?.();
    }
    if (this.#connections.size === 0) {
      clearInterval(this.#sweepTimer);
      this.#sweepTimer = undefined;
    }
  }

  #forget(connection: Connection): void {
    this.#connections.get(connection)?.();
    if (this.#connections.delete(connection)) this.#endedCount += 1;
    if (this.#connections.size === 0) {
      this.#onEmpty?.();
    }
  }

  #readClock(): void {
    this.#host.nowMs = this.#parts.clock.monotonicMs();
    this.#host.dateLine = `Date: ${new Date(this.#parts.clock.nowMs()).toUTCString()}\r\n`;
  }

  #accept(socket: Socket): void {
    const count = this.#connections.size;
    if (this.#host.isDraining || count >= this.#connectionCountMax + REFUSED_CONNECTIONS_MAX) {
      socket.on("error", () => undefined);
      socket.destroy();
      return;
    }
    if (this.#sweepTimer === undefined) {
      this.#readClock();
      this.#sweepTimer = setInterval(() => this.sweep(), SWEEP_INTERVAL_MS);
    }
    const descriptor = descriptorOf(socket);
    const peer = descriptor === undefined ? undefined : this.#parts.peerOf(descriptor);
    const isFull = count >= this.#connectionCountMax;
    const ended = isFull ? undefined : this.#parts.admit?.(peer, descriptor ?? -1);
    if (typeof ended === "string") {
      this.#turnAway(socket, ended);
      return;
    }
    const connection = new Connection(socket, peer, this.#host);
    this.#connections.set(connection, ended);
    if (isFull) {
      connection.refuse(
        new HttpRefusal(503, `too many connections: the limit is ${this.#connectionCountMax}`),
      );
    }
  }

  /** Nothing of it stays: a caller may come thousands of times. What was written can be read. */
  #turnAway(socket: Socket, why: string): void {
    socket.on("error", () => undefined);
    const text = refusalText(new HttpRefusal(503, why), this.#host.dateLine);
    socket.end(text, () => socket.destroy());
  }
}

function descriptorOf(socket: Socket): number | undefined {
  // `as`: neither runtime's types name the handle, but both have always had it, with `fd` on Unix.
  const { _handle: handle } = socket as unknown as { readonly _handle?: { readonly fd?: number } };
  return handle?.fd !== undefined && handle.fd >= 0 ? handle.fd : undefined;
}
