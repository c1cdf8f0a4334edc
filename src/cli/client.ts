// The command line's own HTTP client: one Unix socket, small, bounded, and never waiting for ever.
import { refusal } from "./client-refusal.ts";
import { bodyHeaders, chunkOf, drained, flush, release, send } from "./client-socket.ts";
import { CliFailure, DaemonUnreachable } from "./failure.ts";
import { MalformedReply, type ReplyHead, ReplyParser } from "./reply-parser.ts";
import type { Target } from "./target.ts";

/** The newest version of Docker's API that Holdfast speaks. */
export const apiVersionNewest = "1.51";

/** A command gives up when no byte came for so long; events may be silent for longer. */
const silenceMsMax = 60_000;
/** For what measures volumes first: the daemon walks every file before it answers. */
export const measuringSilenceMs = 3_600_000;
/** Bytes of a reply that are kept; a list of 100,000 volumes has about 25 MB. */
const bodyBytesMax = 512 * 1024 * 1024;
/** Bytes of one line of a stream. */
const lineBytesMax = 1024 * 1024;

export interface Reply extends ReplyHead {
  readonly text: string;
}

export interface ApiRequest {
  readonly method: "GET" | "HEAD" | "POST" | "PUT" | "PATCH" | "DELETE";
  /** Starts with a slash: `/volumes`, without the version, or one of our own `/holdfast/v1/…`. */
  readonly path: string;
  readonly body?: unknown;
  /** Sent in place of `body`, in chunks, as they come. */
  readonly upload?: Upload;
  readonly headers?: Readonly<Record<string, string>>;
  /** In place of the usual limit of silence, in milliseconds. */
  readonly silenceMs?: number;
}

/** A body of unknown length. */
export interface Upload {
  readonly contentType: string;
  readonly chunks: AsyncIterable<Uint8Array>;
}

/** Who waits for the reply that is under way. */
interface Waiting {
  /** undefined: silence has no limit. */
  silenceMs: number | undefined;
  head(head: ReplyHead): void;
  body(bytes: Uint8Array): void;
  end(): void;
  fail(error: Error): void;
}

interface Connection {
  readonly socket: Bun.Socket<undefined>;
  readonly parser: ReplyParser;
  isOpen: boolean;
}

export interface ClientLimits {
  readonly silenceMs?: number;
}

/** Talks to one daemon, one request at a time, on one connection that is kept between requests. */
export class DaemonClient {
  readonly target: Target;
  readonly #silenceMs: number;
  #apiVersion = apiVersionNewest;
  #isNegotiated = false;
  #connection: Connection | undefined;
  #waiting: Waiting | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(target: Target, limits: ClientLimits = {}) {
    this.target = target;
    this.#silenceMs = limits.silenceMs ?? silenceMsMax;
  }

  /**
   * Asks the daemon which version of the API it speaks and stays at the older of its and ours. Only
   * what depends on the version asks before it acts: a request that is too new is refused unread,
   * so `send` can ask after it.
   */
  async negotiate(): Promise<string> {
    if (this.#isNegotiated) return this.#apiVersion;
    const reply = await this.#exchange({ method: "HEAD", path: "/_ping" });
    const offered = reply.headers.get("api-version") ?? "1.24";
    if (compareVersions(offered, this.#apiVersion) < 0) this.#apiVersion = offered;
    this.#isNegotiated = true;
    return this.#apiVersion;
  }

  /** Sends one request. Throws `DaemonRefusal` from status 400 on. */
  async send(request: ApiRequest): Promise<Reply> {
    // What is sent as it is read cannot be sent again.
    if (request.upload !== undefined || this.#mayTakeLong(request)) await this.negotiate();
    const reply = await this.#exchange({ ...request, path: this.#pathOf(request) });
    if (reply.status === 400 && !this.#isNegotiated && /version .* is too new/.test(reply.text)) {
      await this.negotiate();
      return this.send(request);
    }
    if (reply.status >= 400) throw refusal(reply, request);
    return reply;
  }

  /** `send`, and reads the reply as JSON. The daemon is trusted to keep the shape of its API. */
  async json<T>(request: ApiRequest): Promise<T> {
    const reply = await this.send(request);
    try {
      // The one border where the daemon's JSON becomes a type.
      return JSON.parse(reply.text) as T;
    } catch {
      throw new CliFailure(
        `the daemon at ${this.target.host} answered ${request.method} ${request.path} with ` +
          "something that is not JSON. Is it a Holdfast daemon?",
      );
    }
  }

  /**
   * The lines of a reply that may go on for ever; ends when the daemon ends it. Once they have
   * begun silence has no limit but the one that is asked for.
   */
  async lines(request: ApiRequest, onLine: (line: string) => Promise<void>): Promise<ReplyHead> {
    // Our own routes have no version, and answer at once: a daemon that does not is hung.
    const isOwn = request.path.startsWith("/holdfast/");
    if (!isOwn || this.#mayTakeLong(request)) await this.negotiate();
    const decoder = new TextDecoder();
    const refused: Uint8Array[] = [];
    let head: ReplyHead | undefined;
    let rest = "";
    let work = Promise.resolve();
    let failure: Error | undefined;
    try {
      await new Promise<void>((resolve, reject) => {
        const take = (text: string): void => {
          const parts = (rest + text).split("\n");
          rest = parts.pop() ?? "";
          if (rest.length > lineBytesMax) throw new MalformedReply("a line is too long");
          for (const line of parts) {
            if (line === "") continue;
            work = work
              .then(() => onLine(line))
              .catch((error: Error) => {
                failure ??= error;
                reject(error);
              });
          }
        };
        const waiting: Waiting = {
          silenceMs: request.silenceMs ?? (isOwn ? this.#silenceMs : undefined),
          head: (received) => {
            head = received;
            waiting.silenceMs = request.silenceMs;
            this.#watch();
          },
          body: (bytes) => {
            if (head !== undefined && head.status >= 400) refused.push(bytes.slice());
            else take(decoder.decode(bytes, { stream: true }));
          },
          end: resolve,
          fail: reject,
        };
        this.#start({ ...request, path: this.#pathOf(request) }, waiting).catch(reject);
      });
    } finally {
      // What came before a connection broke is not lost.
      await work;
    }
    if (failure) {
      // The rest of the reply is on its way.
      this.close();
      throw failure;
    }
    if (head === undefined) throw new MalformedReply("the reply has no head");
    if (head.status >= 400) {
      const text = await new Blob(refused as Uint8Array<ArrayBuffer>[]).text();
      throw refusal({ ...head, text }, request);
    }
    return head;
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#waiting = undefined;
    this.#connection?.socket.end();
    this.#connection = undefined;
  }

  /** Whoever asks for more patience than usual does not ask a daemon that is hung already. */
  #mayTakeLong({ silenceMs = 0 }: ApiRequest): boolean {
    return silenceMs > this.#silenceMs;
  }

  /** Our own routes have no version of Docker's in front. */
  #pathOf({ path }: ApiRequest): string {
    return path.startsWith("/holdfast/") ? path : `/v${this.#apiVersion}${path}`;
  }

  async #exchange(request: ApiRequest): Promise<Reply> {
    const decoder = new TextDecoder();
    let head: ReplyHead | undefined;
    let text = "";
    let received = 0;
    await new Promise<void>((resolve, reject) => {
      const waiting: Waiting = {
        silenceMs: request.silenceMs ?? this.#silenceMs,
        head: (value) => {
          head = value;
        },
        body: (bytes) => {
          received += bytes.length;
          if (received > bodyBytesMax) throw new MalformedReply("the reply is too long");
          text += decoder.decode(bytes, { stream: true });
        },
        end: resolve,
        fail: reject,
      };
      this.#start(request, waiting).catch(reject);
    });
    if (head === undefined) throw new MalformedReply("the reply has no head");
    return { ...head, text: text + decoder.decode() };
  }

  async #start(request: ApiRequest, waiting: Waiting): Promise<void> {
    // The reply of one would be taken for the other's, which nobody would wait for.
    if (this.#waiting !== undefined) throw new Error("a request is under way on this connection");
    this.#waiting = waiting;
    this.#watch();
    const body = request.body === undefined ? undefined : JSON.stringify(request.body);
    const connection = await this.#connect().catch((error: unknown) => {
      // The next request is one of its own.
      if (this.#waiting === waiting) this.#settle(() => undefined);
      throw error;
    });
    connection.parser.expectReply(request.method);
    const { upload, method } = request;
    const own = Object.entries(request.headers ?? {}).map(([name, text]) => `${name}: ${text}\r\n`);
    const headers = `Host: holdfast\r\nUser-Agent: Holdfast-Client (linux)\r\n${own.join("")}`;
    const head = `${method} ${request.path} HTTP/1.1\r\n${headers}`;
    const ofBody = bodyHeaders(method, body, upload);
    // A body is a few kilobytes at most, but the socket may still take it in parts.
    send(connection.socket, new TextEncoder().encode(`${head}${ofBody}\r\n${body ?? ""}`));
    if (upload) await this.#upload(upload, connection, waiting);
  }

  /** Ends early where the daemon has answered already: it has refused what it was sent. */
  async #upload(upload: Upload, connection: Connection, waiting: Waiting): Promise<void> {
    for await (const chunk of upload.chunks) {
      await drained(connection.socket);
      if (this.#waiting !== waiting || !connection.isOpen) return;
      send(connection.socket, chunkOf(chunk));
      this.#watch();
    }
    send(connection.socket, new TextEncoder().encode("0\r\n\r\n"));
  }

  async #connect(): Promise<Connection> {
    if (this.#connection?.isOpen) return this.#connection;
    const parser = new ReplyParser({
      head: (head) => this.#waiting?.head(head),
      body: (bytes) => this.#waiting?.body(bytes),
      end: () => this.#settle((waiting) => waiting.end()),
    });
    let connection: Connection | undefined;
    const closed = (): void => {
      if (connection) {
        connection.isOpen = false;
        release(connection.socket);
      }
      // A socket that ends and closes is told of twice: the next connection is another one.
      if (connection !== undefined && connection !== this.#connection) return;
      if (!parser.close()) this.#fail(this.#lost());
    };
    try {
      const socket = await Bun.connect<undefined>({
        unix: this.target.socketPath,
        socket: {
          binaryType: "uint8array",
          data: (_, bytes) => this.#receive(parser, bytes),
          drain: flush,
          close: closed,
          end: closed,
          error: (_, error) => this.#fail(this.#lost(error)),
        },
      });
      connection = { socket, parser, isOpen: true };
      this.#connection = connection;
      return connection;
    } catch (cause) {
      throw this.#unreachable(cause);
    }
  }

  #receive(parser: ReplyParser, bytes: Uint8Array): void {
    this.#watch();
    try {
      parser.push(bytes);
    } catch (error) {
      if (!(error instanceof MalformedReply)) throw error;
      const message = `the daemon at ${this.target.host} does not speak HTTP: ${error.message}`;
      this.#fail(new CliFailure(message));
    }
  }

  /** Starts the silence over. */
  #watch(): void {
    clearTimeout(this.#timer);
    const silenceMs = this.#waiting?.silenceMs;
    if (silenceMs === undefined) return;
    this.#timer = setTimeout(() => {
      const seconds = Math.round(silenceMs / 1000);
      this.#fail(
        new DaemonUnreachable(
          `the Holdfast daemon at ${this.target.host} has not answered for ${seconds} seconds; ` +
            "whether it did what was asked is not known. Look at its log, or try again",
          { wasReached: true },
        ),
      );
    }, silenceMs);
  }

  #fail(error: Error): void {
    this.#settle((waiting) => waiting.fail(error));
    const connection = this.#connection;
    this.#connection = undefined;
    if (connection?.isOpen) connection.socket.end();
  }

  #settle(settle: (waiting: Waiting) => void): void {
    clearTimeout(this.#timer);
    const waiting = this.#waiting;
    this.#waiting = undefined;
    if (waiting) settle(waiting);
  }

  #lost(cause?: Error): CliFailure {
    return new DaemonUnreachable(
      `the connection to the Holdfast daemon at ${this.target.host} ended before its answer` +
        `${cause ? ` (${cause.message})` : ""}; whether it did what was asked is not known`,
      { wasReached: true },
    );
  }

  #unreachable(cause: unknown): DaemonUnreachable {
    const { host } = this.target;
    // Bun's connect errors carry the system's code; anything else is shown as "not there".
    const code = (cause as { readonly code?: unknown }).code;
    if (code === "EACCES" || code === "EPERM") {
      return new DaemonUnreachable(
        `permission denied while trying to connect to the Holdfast daemon at ${host}. ` +
          "Use sudo, or join the group that owns the socket (docker or holdfast)",
        { wasReached: false },
      );
    }
    return new DaemonUnreachable(
      `Cannot connect to the Holdfast daemon at ${host}. Is it running? ` +
        "Start it with: holdfast daemon",
      { wasReached: false },
    );
  }
}

/** Compares dotted versions by the numbers in them. */
export function compareVersions(left: string, right: string): number {
  const a = left.split(".").map(Number);
  const b = right.split(".").map(Number);
  for (let index = 0; index < Math.max(a.length, b.length); index++) {
    const difference = (a[index] ?? 0) - (b[index] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}
