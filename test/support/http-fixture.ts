// A server on a Unix socket with a clock that tests move, and the clients that a test opens.
import { afterEach, beforeEach } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ConnectionTimeouts } from "../../src/http/connection-host.ts";
import type { Handler } from "../../src/http/message.ts";
import { messageResponse } from "../../src/http/refusal.ts";
import { HttpServer, type HttpServerLimits, type HttpServerParts } from "../../src/http/server.ts";
import { connectRaw, type RawClient } from "./raw-http-client.ts";

export const timeouts: ConnectionTimeouts = {
  idleMs: 60_000,
  headMs: 10_000,
  bodyMs: 20_000,
  stallMs: 30_000,
  lingerMs: 5_000,
};

/** Thu, 15 Oct 2026 20:00:00 GMT */
const wallMs = 1_792_094_400_000;

export class HttpFixture {
  readonly directory = mkdtempSync(join(tmpdir(), "holdfast-http-"));
  readonly path = join(this.directory, "h.sock");
  /** What handlers threw. */
  readonly failures: unknown[] = [];
  peerQuestionCount = 0;
  /** How often the server asked for dropped answers to be collected. */
  collectionCount = 0;
  readonly #clients: RawClient[] = [];
  #server: HttpServer | undefined;
  #clockMs = 1_000_000;

  get server(): HttpServer {
    if (this.#server === undefined) {
      throw new Error("call serve first");
    }
    return this.#server;
  }

  /** A peer's pid is the descriptor that the server asked about. */
  async serve(
    handler: Handler,
    limits?: Partial<HttpServerLimits>,
    further: Pick<HttpServerParts, "streamsBody" | "admit"> = {},
  ): Promise<void> {
    this.#server = new HttpServer({
      handler,
      ...further,
      onHandlerError: (error) => {
        this.failures.push(error);
        return messageResponse(500, "report 17");
      },
      onMuchDropped: () => {
        this.collectionCount += 1;
      },
      onServerError: (error) => this.failures.push(error),
      peerOf: (descriptor) => {
        this.peerQuestionCount += 1;
        return { uid: 7, gid: 8, pid: descriptor };
      },
      clock: { monotonicMs: () => this.#clockMs, nowMs: () => wallMs },
      limits,
      timeouts,
    });
    await this.#server.listen({ path: this.path });
  }

  async open(): Promise<RawClient> {
    const client = await connectRaw(this.path);
    this.#clients.push(client);
    return client;
  }

  /** Lets time pass for the server. */
  pass(milliseconds: number): void {
    this.#clockMs += milliseconds;
    this.server.sweep();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const client of this.#clients) {
      client.socket.destroy();
    }
    await this.#server?.close({ drainMs: 0 });
    rmSync(this.directory, { recursive: true, force: true });
  }
}

/** Opens a fixture before each test of the file that calls this, and closes it after. */
export function fixtureForEachTest(use: (fixture: HttpFixture) => void): void {
  let fixture: HttpFixture | undefined;
  beforeEach(() => {
    fixture = new HttpFixture();
    use(fixture);
  });
  afterEach(async () => {
    await fixture?.[Symbol.asyncDispose]();
  });
}

export const ok = (body: string) => ({ status: 200, headers: [], body });

export const get = (target: string, fields = "") =>
  `GET ${target} HTTP/1.1\r\nHost: d\r\n${fields}\r\n`;

export const post = (fields: string, body = "") =>
  `POST / HTTP/1.1\r\nHost: d\r\n${fields}\r\n${body}`;

/** For `RawClient.until`: the answer has come and ends in this body. */
export const bodyIs = (text: string) => (received: string) => received.endsWith(`\r\n\r\n${text}`);

export const count = (text: string, part: string) => text.split(part).length - 1;

/** Resolves when `holds`, looked at after every turn of the event loop. */
export async function turnsUntil(holds: () => boolean): Promise<void> {
  while (!holds()) {
    await new Promise((resolve) => setImmediate(resolve));
  }
}

/** A promise and the function that settles it. */
export function gate(): { readonly opened: Promise<void>; readonly open: () => void } {
  const { promise, resolve } = Promise.withResolvers<void>();
  return { opened: promise, open: resolve };
}
