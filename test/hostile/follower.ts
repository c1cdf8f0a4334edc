// Follows the events of a daemon and counts them by volume and action.
import { connect, type Socket } from "node:net";
import { eventually } from "../support/child.ts";

/** How long an event may take to come after what caused it was answered. */
const eventTimeoutMs = 5_000;

export class EventFollower implements Disposable {
  readonly #socket: Socket;
  readonly #counts = new Map<string, number>();
  #text = "";
  #hasBegun = false;

  constructor(socketPath: string) {
    this.#socket = connect(socketPath);
    this.#socket.write("GET /events HTTP/1.1\r\nHost: x\r\n\r\n");
    this.#socket.on("data", (chunk: Buffer) => this.#take(chunk.toString("utf8")));
  }

  /** Resolves once the stream has begun: what happens from then on is seen. */
  async ready(): Promise<void> {
    await eventually(() => (this.#hasBegun ? true : undefined), {
      timeoutMs: eventTimeoutMs,
      otherwise: () => `no events: ${this.#text}`,
    });
  }

  count(action: "create" | "destroy", name: string): number {
    return this.#counts.get(`${action} ${name}`) ?? 0;
  }

  /** Events come in order: when this volume's has come, those before it have too. */
  async untilCreated(name: string): Promise<void> {
    await eventually(() => (this.count("create", name) > 0 ? true : undefined), {
      timeoutMs: eventTimeoutMs,
      otherwise: () => `the creation of ${name} was not told`,
    });
  }

  [Symbol.dispose](): void {
    this.#socket.destroy();
  }

  /** Lines of JSON between the chunk sizes; a line is complete when the next one begins. */
  #take(text: string): void {
    this.#text += text;
    const lines = this.#text.split("\n");
    this.#text = lines.pop() ?? "";
    for (const line of lines) this.#count(line.trim());
  }

  #count(line: string): void {
    if (line.startsWith("HTTP/1.1 200")) this.#hasBegun = true;
    if (!line.startsWith("{")) return;
    const event: { Action: string; Actor: { ID: string } } = JSON.parse(line);
    const key = `${event.Action} ${event.Actor.ID}`;
    this.#counts.set(key, (this.#counts.get(key) ?? 0) + 1);
  }
}
