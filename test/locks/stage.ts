// Locks of a real daemon, over its socket: calls with JSON, and streams that hold one.
import { join } from "node:path";
import {
  type DaemonOptions,
  type RunningDaemon,
  startDaemon,
  temporaryDirectory,
} from "../support/daemon.ts";

export const timeoutMs = 10_000;

export interface Answer {
  readonly status: number;
  readonly json: Readonly<Record<string, unknown>>;
}

/** A stream of events: what has come so far, and its end. */
export interface Holding {
  readonly text: () => string;
  readonly hasEnded: () => boolean;
  leave(): void;
}

/** One data root over several lives of its daemon. */
export class LockStage implements AsyncDisposable {
  readonly #root = join(temporaryDirectory(), "root");
  #daemon: RunningDaemon | undefined;

  get daemon(): RunningDaemon {
    if (this.#daemon === undefined) throw new Error("the daemon has not been started");
    return this.#daemon;
  }

  async start(options: Partial<DaemonOptions> = {}): Promise<void> {
    this.#daemon = await startDaemon({ root: this.#root, ...options });
  }

  async call(method: string, path: string, body?: object): Promise<Answer> {
    const answer = await this.#fetch(method, path, body, AbortSignal.timeout(60_000));
    const text = await answer.text();
    return { status: answer.status, json: text === "" ? {} : JSON.parse(text) };
  }

  /** A lock of `wiki`. */
  take(lock: string, body: object = {}): Promise<Answer> {
    return this.call("POST", `holdfast/v1/volumes/wiki/locks/${lock}`, body);
  }

  async held(): Promise<readonly Readonly<Record<string, unknown>>[]> {
    const { json } = await this.call("GET", "holdfast/v1/locks");
    return json["locks"] as Answer["json"][]; // The contract's.
  }

  /** Resolves when the stream has begun. */
  async hold(lock: string, body: object): Promise<Holding> {
    const leaving = new AbortController();
    const path = `holdfast/v1/volumes/wiki/locks/${lock}/hold`;
    const answer = await this.#fetch("POST", path, body, leaving.signal);
    if (answer.status !== 200) throw new Error(await answer.text());
    let text = "";
    let hasEnded = false;
    const read = async (): Promise<void> => {
      const decoder = new TextDecoder();
      for await (const chunk of answer.body ?? []) text += decoder.decode(chunk);
    };
    void read()
      .catch(() => undefined)
      .finally(() => {
        hasEnded = true;
      });
    return { text: () => text, hasEnded: () => hasEnded, leave: () => leaving.abort() };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#daemon?.stop();
  }

  #fetch(method: string, path: string, body: object | undefined, signal: AbortSignal) {
    const json = { headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
    return fetch(`http://localhost/${path}`, {
      ...{ method, signal, unix: this.daemon.socketPath },
      ...(body === undefined ? {} : json),
    });
  }
}

/** A daemon with the volume `wiki`. */
export async function startedStage(): Promise<LockStage> {
  const stage = new LockStage();
  await stage.start();
  await stage.call("POST", "volumes/create", { Name: "wiki" });
  return stage;
}
