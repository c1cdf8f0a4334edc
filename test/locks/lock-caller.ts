// Calls the API of locks over HTTP and writes down what was asked and what came back.

import type { LeaseMode } from "../../src/core/lease-service.ts";
import type { LockBond } from "../../src/core/lock.ts";
import {
  type Listed,
  type LockAnswer,
  type LockCall,
  machineMs,
  type RecordLine,
} from "./record.ts";

/** A waiting call is given up long after its own deadline only. */
const answerMsMax = 30_000;

export interface Acquiring {
  readonly lock: string;
  readonly mode: LeaseMode;
  readonly bond: LockBond;
  readonly ttlMs: number;
  readonly waitMs: number;
}

/** A lease that this client has been given. */
export interface HeldLock {
  readonly lock: string;
  /** The number of the call that asked for it. */
  readonly call: string;
  readonly id: string;
  /** Ends its connection, where it hangs on one. */
  cut(): void;
}

/** What an answer of the API says. */
interface Reply {
  readonly status: number;
  readonly code: string;
  readonly json: Readonly<Record<string, unknown>>;
}

export class LockCaller {
  readonly #place: { readonly name: string; readonly socket: string; readonly volume: string };
  readonly #write: (line: RecordLine) => void;
  #calls = 0;

  constructor(
    place: { readonly name: string; readonly socket: string; readonly volume: string },
    write: (line: RecordLine) => void,
  ) {
    this.#place = place;
    this.#write = write;
  }

  /** The lease; "unreached" when the call had no answer. */
  async acquire(asked: Acquiring): Promise<HeldLock | "refused" | "unreached"> {
    const { lock, mode, bond, ttlMs, waitMs } = asked;
    const call = this.#begin(lock, { kind: "acquire", mode, bond, ttlMs, waitMs });
    if (bond === "connection") return await this.#hold(call, asked);
    const reply = await this.#send(call, "POST", this.#path(lock), bodyOf(call, asked));
    if (reply === undefined) return "unreached";
    if (reply.status !== 200) return this.#refused(call, reply);
    this.#answer(call, { kind: "granted", fence: String(reply.json["fence"]) });
    const id = String(reply.json["id"]);
    return { lock, call, id, cut: () => undefined };
  }

  async renew(lease: HeldLock, ttlMs: number): Promise<void> {
    const { call: of, lock } = lease;
    const call = this.#begin(lock, { kind: "renew", lease: of, ttlMs });
    const reply = await this.#send(call, "PUT", this.#leasePath(lease), { ttl: ttlMs / 1_000 });
    if (reply !== undefined) this.#end(call, reply, 200);
  }

  async release(lease: HeldLock): Promise<void> {
    const call = this.#begin(lease.lock, { kind: "release", lease: lease.call });
    const reply = await this.#send(call, "DELETE", this.#leasePath(lease));
    if (reply !== undefined) this.#end(call, reply, 204);
    lease.cut();
  }

  /** False: there was no answer. */
  async steal(lock: string, fence: string): Promise<boolean> {
    const call = this.#begin(lock, { kind: "steal", fence });
    const reply = await this.#send(call, "DELETE", `${this.#path(lock)}?fence=${fence}`);
    if (reply !== undefined) this.#end(call, reply, 204);
    return reply !== undefined;
  }

  /** Who has the lock now; undefined: there was no answer. */
  async list(lock: string): Promise<readonly Listed[] | undefined> {
    const call = this.#begin(lock, { kind: "list" });
    const reply = await this.#send(call, "GET", `/volumes/${this.#place.volume}/locks`);
    if (reply === undefined) return undefined;
    if (reply.status !== 200) throw unexpected(call, reply);
    // The contract of src/api/holdfast/lock-contract.ts.
    const { locks } = reply.json as {
      readonly locks: readonly {
        readonly lock: string;
        readonly fence: string;
        readonly holder: { readonly label: string };
      }[];
    };
    const held = locks
      .filter((one) => one.lock === lock)
      .map(({ fence, holder }) => ({ fence, lease: holder.label }));
    this.#answer(call, { kind: "listed", held });
    return held;
  }

  /** Asks for the lease on a connection of its own, and listens to that until it ends. */
  async #hold(call: string, asked: Acquiring): Promise<HeldLock | "refused" | "unreached"> {
    const cutter = new AbortController();
    const first = Promise.withResolvers<HeldLock | "refused" | "unreached">();
    const listen = async (): Promise<void> => {
      const response = await this.#fetch("POST", `${this.#path(asked.lock)}/hold`, {
        body: bodyOf(call, asked),
        signal: cutter.signal,
      });
      if (response.status !== 200) {
        first.resolve(this.#refused(call, await replyOf(response)));
        return;
      }
      for await (const { event, data } of eventsOf(response)) {
        if (event === "granted") {
          this.#answer(call, { kind: "granted", fence: String(data["fence"]) });
          const id = String(data["id"]);
          const cut = () => {
            this.#write({ line: "cut", call, atMs: machineMs() });
            cutter.abort();
          };
          first.resolve({ lock: asked.lock, call, id, cut });
        } else if (event === "lost") this.#write({ line: "lost", call, atMs: machineMs() });
        else if (event === "refused") {
          this.#answer(call, { kind: "refused" });
          first.resolve("refused");
        }
      }
    };
    listen()
      .catch((error: unknown) => {
        if (isUnsent(error)) this.#answer(call, { kind: "unsent" });
      })
      .finally(() => first.resolve("unreached"));
    return await first.promise;
  }

  #refused(call: string, reply: Reply): "refused" {
    if (reply.code !== "lock.timed_out") throw unexpected(call, reply);
    this.#answer(call, { kind: "refused" });
    return "refused";
  }

  #end(call: string, reply: Reply, success: number): void {
    if (reply.status === success) this.#answer(call, { kind: "done" });
    else if (["lock.expired", "lock.stolen", "lock.not_held"].includes(reply.code)) {
      this.#answer(call, { kind: "gone" });
    } else throw unexpected(call, reply);
  }

  #begin(lock: string, asks: LockCall): string {
    const call = `${this.#place.name}.${this.#calls++}`;
    this.#write({ line: "call", call, lock, atMs: machineMs(), asks });
    return call;
  }

  #answer(call: string, answer: LockAnswer): void {
    this.#write({ line: "answer", call, atMs: machineMs(), answer });
  }

  /** undefined: the connection broke before there was an answer. */
  async #send(
    call: string,
    method: string,
    path: string,
    body?: object,
  ): Promise<Reply | undefined> {
    try {
      return await replyOf(await this.#fetch(method, path, { body }));
    } catch (error) {
      if (isUnsent(error)) this.#answer(call, { kind: "unsent" });
      return undefined;
    }
  }

  async #fetch(
    method: string,
    path: string,
    more: { readonly body?: object | undefined; readonly signal?: AbortSignal },
  ): Promise<Response> {
    const headers = { "Content-Type": "application/json" };
    return await fetch(`http://holdfast/holdfast/v1${path}`, {
      ...{ method, unix: this.#place.socket },
      ...(more.body === undefined ? {} : { headers, body: JSON.stringify(more.body) }),
      signal: more.signal ?? AbortSignal.timeout(answerMsMax),
      // A connection that an earlier daemon had must not be tried again.
      keepalive: false,
    });
  }

  #path(lock: string): string {
    return `/volumes/${this.#place.volume}/locks/${lock}`;
  }

  #leasePath({ lock, id }: HeldLock): string {
    return `${this.#path(lock)}/leases/${id}`;
  }
}

function bodyOf(call: string, { mode, bond, ttlMs, waitMs }: Acquiring): object {
  const terms = { mode, ttl: ttlMs / 1_000, wait: waitMs / 1_000, label: call };
  return bond === "connection" ? terms : { ...terms, bond };
}

async function replyOf(response: Response): Promise<Reply> {
  const text = await response.text();
  // An error of our own API has a code; other answers are objects too.
  const json = (text === "" ? {} : JSON.parse(text)) as Readonly<Record<string, unknown>>;
  return { status: response.status, code: String(json["code"] ?? ""), json };
}

function unexpected(call: string, { status, json }: Reply): Error {
  return new Error(`${call}: ${status} ${JSON.stringify(json)}`);
}

/** Bun's words for a socket that nobody listens at. */
function isUnsent(error: unknown): boolean {
  const code = error instanceof Error && "code" in error ? error.code : "";
  return ["ConnectionRefused", "FailedToOpenSocket", "ENOENT", "ECONNREFUSED"].includes(
    String(code),
  );
}

interface ServerEvent {
  readonly event: string;
  readonly data: Readonly<Record<string, unknown>>;
}

/** The events of a text/event-stream; comments are left out. */
export async function* eventsOf(response: Response): AsyncGenerator<ServerEvent> {
  const decoder = new TextDecoder();
  let text = "";
  for await (const bytes of response.body ?? []) {
    text += decoder.decode(bytes, { stream: true });
    const blocks = text.split("\n\n");
    text = blocks.pop() ?? "";
    for (const block of blocks) {
      const field = (name: string) => new RegExp(`^${name}: ?(.*)$`, "m").exec(block)?.[1];
      const event = field("event");
      // What the daemon writes into an event is an object.
      const data = JSON.parse(field("data") ?? "{}") as ServerEvent["data"];
      if (event !== undefined) yield { event, data };
    }
  }
}
