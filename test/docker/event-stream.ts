// Follows GET /events over a Unix socket, and can stop reading to play the slow follower.
import { createConnection, type Socket } from "node:net";
import { parseHead, sendRequest } from "./wire.ts";

/** How long a follower waits for what must come. */
const waitTimeoutMs = 10_000;

export interface EventMessage {
  readonly Type: string;
  readonly Action: string;
  readonly Actor: { readonly ID: string; readonly Attributes: Readonly<Record<string, string>> };
  readonly scope: string;
  readonly time: number;
  readonly timeNano: number;
}

/** One follower. Disposing of it closes its connection. */
export class EventStream implements Disposable {
  readonly #socket: Socket;
  readonly #lines: string[] = [];
  readonly #waiting = new Set<() => void>();
  #unparsed = Buffer.alloc(0);
  #text = "";
  #status: number | undefined;
  #headers: ReadonlyMap<string, string> = new Map();
  #hasEnded = false;

  /** Connects and resolves when the head of the answer has come. */
  static async open(socketPath: string, query = ""): Promise<EventStream> {
    const stream = new EventStream(createConnection(socketPath));
    const path = `/events${query === "" ? "" : `?${query}`}`;
    sendRequest(stream.#socket, { method: "GET", path });
    await stream.#until("the head of the answer", () => stream.#status !== undefined);
    return stream;
  }

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on("data", (bytes: Buffer) => this.#take(bytes));
    socket.on("error", () => socket.destroy());
    socket.on("close", () => {
      this.#hasEnded = true;
      this.#wake();
    });
  }

  get status(): number {
    return this.#status ?? 0;
  }

  get headers(): ReadonlyMap<string, string> {
    return this.#headers;
  }

  /** The lines that have come so far. */
  get lines(): readonly string[] {
    return this.#lines;
  }

  /** Resolves with the lines as soon as there are so many. */
  async linesUpTo(count: number): Promise<readonly string[]> {
    await this.#until(`line ${count}`, () => this.#lines.length >= count);
    return this.#lines;
  }

  /** Resolves when a line satisfies the test, or the stream has ended; true when one did. */
  async lineOrEnd(isWanted: (line: string) => boolean): Promise<boolean> {
    const isThere = () => this.#lines.some(isWanted);
    await this.#until("a line or the end", () => isThere() || this.#hasEnded);
    return isThere();
  }

  /** Stops reading: what the engine sends stays in the kernel's buffers, then with the engine. */
  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  [Symbol.dispose](): void {
    this.#socket.destroy();
  }

  #take(bytes: Buffer): void {
    this.#unparsed = Buffer.concat([this.#unparsed, bytes]);
    if (this.#status === undefined) {
      const parsed = parseHead(this.#unparsed);
      if (parsed === undefined) return;
      this.#unparsed = this.#unparsed.subarray(parsed.bodyAt);
      this.#headers = parsed.head.headers;
      this.#status = parsed.head.status;
    }
    this.#takeChunks();
    const parts = this.#text.split("\n");
    this.#text = parts.pop() ?? "";
    this.#lines.push(...parts);
    this.#wake();
  }

  #takeChunks(): void {
    while (true) {
      const lineEnd = this.#unparsed.indexOf("\r\n");
      if (lineEnd < 0) return;
      const size = Number.parseInt(this.#unparsed.subarray(0, lineEnd).toString("ascii"), 16);
      const next = lineEnd + 2 + size + 2;
      if (this.#unparsed.length < next) return;
      if (size === 0) this.#hasEnded = true;
      this.#text += this.#unparsed.subarray(lineEnd + 2, next - 2).toString("utf8");
      this.#unparsed = this.#unparsed.subarray(next);
    }
  }

  #wake(): void {
    for (const look of this.#waiting) look();
  }

  #until(what: string, isSo: () => boolean): Promise<void> {
    if (isSo()) return Promise.resolve();
    return new Promise((resolve, reject) => {
      const settle = (act: () => void) => {
        this.#waiting.delete(look);
        clearTimeout(timer);
        act();
      };
      const look = () => {
        if (isSo()) settle(resolve);
        else if (this.#hasEnded) settle(() => reject(new Error(`ended before ${what}`)));
      };
      const late = () => settle(() => reject(new Error(`${what} has not come`)));
      const timer = setTimeout(late, waitTimeoutMs);
      this.#waiting.add(look);
    });
  }
}

/** A line of the stream. */
export function parseEvent(line: string): EventMessage {
  // A line that has another form fails the comparison of shapes.
  return JSON.parse(line) as EventMessage;
}

/** The names in their order, with the types of the values: what a client may rely on. */
export function shapeOf(value: unknown): unknown {
  if (typeof value !== "object" || value === null) return typeof value;
  return Object.entries(value).map(([name, item]) => [name, shapeOf(item)]);
}
