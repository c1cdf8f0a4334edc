// An HTTP client that sends exactly the bytes it is told to, and shows what came back.
import { connect, type Socket } from "node:net";

export class RawClient {
  readonly socket: Socket;
  /** Everything that came so far, as Latin-1. */
  received = "";
  /** The server has ended its sending side, or the connection is gone. */
  hasEnded = false;
  /** The connection is gone in both directions. */
  readonly closed: Promise<void>;
  readonly #watchers = new Set<() => void>();

  constructor(socket: Socket) {
    this.socket = socket;
    socket.on("data", (chunk: Buffer) => {
      this.received += chunk.toString("latin1");
      this.#notify();
    });
    socket.on("end", () => this.#end());
    socket.on("error", () => this.#end());
    this.closed = new Promise((resolve) => {
      socket.on("close", () => {
        this.#end();
        resolve();
      });
    });
  }

  send(text: string): void {
    this.socket.write(text, "latin1");
  }

  /** Resolves with everything received once it holds, rejects if the server ends before. */
  until(holds: (received: string) => boolean): Promise<string> {
    return new Promise((resolve, reject) => {
      const look = (): void => {
        const isDone = holds(this.received);
        if (isDone || this.hasEnded) {
          this.#watchers.delete(look);
          const shown = this.received.slice(-500);
          if (isDone) {
            resolve(this.received);
          } else {
            reject(new Error(`the server ended the connection after ${shown}`));
          }
        }
      };
      this.#watchers.add(look);
      look();
    });
  }

  /** Resolves with everything received once the server has ended its sending side. */
  untilEnd(): Promise<string> {
    return this.until(() => this.hasEnded);
  }

  #end(): void {
    this.hasEnded = true;
    this.#notify();
  }

  #notify(): void {
    for (const watcher of this.#watchers) {
      watcher();
    }
  }
}

/** Resolves when connected. The client stays half-open until its `socket` is ended or destroyed. */
export function connectRaw(path: string): Promise<RawClient> {
  return new Promise((resolve, reject) => {
    const socket = connect({ path, allowHalfOpen: true });
    socket.once("error", reject);
    socket.once("connect", () => {
      socket.removeListener("error", reject);
      resolve(new RawClient(socket));
    });
  });
}
