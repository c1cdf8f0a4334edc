// One plugin over its lives: whether it answers, since when, and what it is asked through.
//
// It is asked whether it is there (Plugin.Activate) when it is found, when a call of it was not
// answered, and then again and again, more and more seldom, until it answers.
import type { VolumeDriver } from "../core/driver.ts";
import { EngineError, toEngineError } from "../core/errors.ts";
import type { Host } from "../core/host.ts";
import type { DriverName, HolderId, VolumeName } from "../core/names.ts";
import type { Operation } from "../core/operation.ts";
import type { PluginState, PluginStatus } from "../core/plugin.ts";
import type { PluginAccess, PluginRoot } from "./plugin-driver.ts";
import { type PluginAddress, showAddress } from "./protocol/address.ts";
import { PluginClient } from "./protocol/client.ts";
import type { JsonObject } from "./protocol/fields.ts";
import type { ListedVolume } from "./protocol/list-answer.ts";
import type { PluginMethod } from "./protocol/methods.ts";
import { readScope, readsAsVolumeDriver } from "./protocol/volume-answer.ts";

/** The first pause between two attempts at a plugin that does not answer; each next is doubled. */
const PAUSE_MS = 1_000;
const PAUSE_MS_MAX = 30_000;
/** A call tries it too, but not so soon after the last attempt. */
const FRESH_MS = 1_000;
/** How long a call waits for a plugin that is just being started, in milliseconds. */
const START_MS_MAX = 5_000;

/** What is known of a plugin from outside of it. */
export interface PluginSight {
  /** "listening": it has an address. "unreadable": nobody knows where it listens. */
  readonly state: "listening" | "disabled" | "starting" | "restarting" | "unreadable";
  /** Another one for each start of its process, as far as that can be seen. */
  readonly life: string;
  readonly address: PluginAddress | undefined;
  readonly root: PluginRoot | undefined;
  readonly reason: string;
  readonly restartCount: number;
  /** undefined: since now. */
  readonly sinceMs: number | undefined;
}

export interface PluginLifeParts {
  readonly name: DriverName;
  readonly kind: "socket" | "managed";
  readonly host: Pick<Host, "nowMs" | "monotonicMs">;
  readonly operation: () => Operation;
  /** Is told of every change; must not throw. */
  readonly changed: (status: PluginStatus) => void;
  readonly timeoutsMs?: Readonly<Partial<Record<PluginMethod, number>>> | undefined;
}

export class PluginLife implements PluginAccess {
  readonly #parts: PluginLifeParts;
  readonly #client: PluginClient;
  readonly holders = new Map<VolumeName, Set<HolderId>>();
  readonly doubtful = new Map<VolumeName, Set<HolderId>>();
  scope: "local" | "global" = "local";
  /** Made for this life, by whoever wants it; a plugin that has come back gets another one. */
  driver: VolumeDriver | undefined;
  #sight: PluginSight | undefined;
  #state: PluginState = "starting";
  #sinceMs: number;
  #reason = "";
  #isOther = false;
  #isStopped = false;
  #attempt: Promise<void> | undefined;
  #attemptEndedAtMs = Number.NEGATIVE_INFINITY;
  #failureCount = 0;
  #timer: NodeJS.Timeout | undefined;
  /** Those who wait for the next change. */
  #waiting: (() => void)[] = [];

  constructor(parts: PluginLifeParts) {
    this.#parts = parts;
    this.#client = new PluginClient(parts);
    this.#sinceMs = parts.host.nowMs();
  }

  get status(): PluginStatus {
    const { name, kind } = this.#parts;
    const address = this.#sight?.address;
    return {
      name,
      kind,
      state: this.#state,
      sinceMs: this.#sinceMs,
      reason: this.#reason,
      restartCount: this.#sight?.restartCount ?? 0,
      address: address === undefined ? "" : showAddress(address),
    };
  }

  get isGone(): boolean {
    return this.#state === "gone";
  }

  /** It has answered, and is a plugin of another sort. */
  get isOther(): boolean {
    return this.#isOther;
  }

  root(): PluginRoot | undefined {
    return this.#sight?.root;
  }

  /** Takes in what is seen; the same again changes nothing. */
  see(sight: PluginSight): void {
    const last = this.#sight;
    const isSame = last?.life === sight.life && last.state === sight.state;
    this.#sight = sight;
    if (isSame) return;
    this.#endAttempts();
    this.#isOther = false;
    if (sight.state === "listening") {
      this.#become("starting", "");
      void this.#try();
    } else {
      this.#become(sight.state === "unreadable" ? "unreachable" : sight.state, sight.reason);
    }
  }

  /** It is no longer there. */
  leave(): void {
    if (this.#sight === undefined) return;
    this.#endAttempts();
    this.#sight = undefined;
    const isNews = !this.isGone;
    this.#isOther = false;
    if (isNews) this.#become("gone", "");
  }

  /** Nothing is asked from now on. */
  stop(): void {
    this.#isStopped = true;
    this.#endAttempts();
  }

  async call<T>(
    method: PluginMethod,
    body: JsonObject,
    read: (answer: JsonObject) => T,
    operation: Operation,
  ): Promise<T> {
    return await this.#ask(operation, (address) =>
      this.#client.call({ address, method, body }, read, operation),
    );
  }

  async list(operation: Operation): Promise<readonly ListedVolume[]> {
    return await this.#ask(operation, (address) => this.#client.list(address, operation));
  }

  async #ask<T>(operation: Operation, work: (address: PluginAddress) => Promise<T>): Promise<T> {
    const address = await this.#untilReady(operation);
    try {
      return await work(address);
    } catch (error) {
      if (toEngineError(error).code === "plugin.unreachable") void this.#try();
      throw error;
    }
  }

  /** Throws what there is to say of a plugin that is not ready, soon. */
  async #untilReady(operation: Operation): Promise<PluginAddress> {
    const { monotonicMs } = this.#parts.host;
    const untilMs = monotonicMs() + START_MS_MAX;
    for (;;) {
      operation.signal.throwIfAborted();
      const address = this.#sight?.address;
      if (this.#state === "ready" && address !== undefined) return address;
      if (this.#state === "disabled") throw this.#disabled();
      const isFresh = monotonicMs() - this.#attemptEndedAtMs < FRESH_MS;
      const mayTry = this.#state === "unreachable" && !isFresh && !this.#isOther;
      if (address !== undefined && (mayTry || this.#attempt !== undefined)) {
        await untilAborted(this.#try(), operation.signal);
      } else if (this.#state === "starting" && monotonicMs() < untilMs) {
        await untilAborted(this.#nextChange(untilMs - monotonicMs()), operation.signal);
      } else {
        throw this.#unreachable();
      }
    }
  }

  #disabled(): EngineError {
    const { name } = this.#parts;
    // Docker's words.
    return new EngineError("plugin.disabled", `plugin ${name} found but disabled`, {
      details: { plugin: name },
    });
  }

  #unreachable(): EngineError {
    const { name } = this.#parts;
    const saying: Readonly<Partial<Record<PluginState, string>>> = {
      starting: "it is still being started",
      restarting: "its process has ended and is started again after a pause",
      gone: "it is no longer there",
    };
    const words = this.#reason || (saying[this.#state] ?? "it is no volume driver");
    return new EngineError("plugin.unreachable", `plugin ${name} does not answer: ${words}`, {
      details: { plugin: name, words, wasSent: false },
    });
  }

  /** One attempt at a time, whoever wants to know. Never rejects. */
  #try(): Promise<void> {
    clearTimeout(this.#timer);
    const address = this.#sight?.address;
    if (address === undefined || this.#sight?.state !== "listening") return Promise.resolve();
    if (this.#attempt === undefined) {
      const attempt = this.#tryOnce(this.#sight, address).finally(() => {
        if (this.#attempt !== attempt) return;
        this.#attempt = undefined;
        this.#attemptEndedAtMs = this.#parts.host.monotonicMs();
      });
      this.#attempt = attempt;
    }
    return this.#attempt;
  }

  async #tryOnce(sight: PluginSight, address: PluginAddress): Promise<void> {
    const operation = this.#parts.operation();
    const isOver = () =>
      this.#isStopped || this.#sight?.life !== sight.life || this.#sight.state !== "listening";
    try {
      const call = { address, method: "Plugin.Activate", body: undefined } as const;
      const isDriver = await this.#client.call(call, readsAsVolumeDriver, operation);
      if (isOver() || (isDriver && this.#state === "ready")) return;
      this.#failureCount = 0;
      if (!isDriver) return this.#isSomethingElse();
      if (this.#state !== "starting") this.#become("starting", "");
      const scope = await this.#askScope(address, operation);
      if (isOver()) return;
      this.scope = scope;
      this.driver = undefined;
      this.#become("ready", "");
    } catch (error) {
      if (isOver()) return;
      const { message, details } = toEngineError(error);
      this.#failed(String(details["words"] ?? message));
    }
  }

  #isSomethingElse(): void {
    this.#isOther = true;
    const words = "Plugin does not implement the requested driver";
    // Nobody is to hear of a socket that has nothing to do with volumes.
    if (this.#parts.kind === "managed") this.#become("unreachable", words);
    else this.#become("gone", words);
  }

  /** Docker's rule: whatever goes wrong means "local". A plugin that has fallen silent is told. */
  async #askScope(address: PluginAddress, operation: Operation): Promise<"local" | "global"> {
    const call = { address, method: "VolumeDriver.Capabilities", body: {} } as const;
    try {
      return await this.#client.call(call, readScope, operation);
    } catch {
      return "local";
    }
  }

  #failed(reason: string): void {
    const pauseMs = Math.min(PAUSE_MS * 2 ** this.#failureCount, PAUSE_MS_MAX);
    this.#failureCount += 1;
    if (this.#state !== "unreachable" || this.#reason !== reason) {
      this.#become("unreachable", reason);
    }
    this.#timer = setTimeout(() => void this.#try(), pauseMs);
  }

  #endAttempts(): void {
    this.#client.forget();
    clearTimeout(this.#timer);
    this.#attempt = undefined;
    this.#failureCount = 0;
    this.#attemptEndedAtMs = Number.NEGATIVE_INFINITY;
  }

  #become(state: PluginState, reason: string): void {
    const isNew = this.#state !== state;
    const { host, changed } = this.#parts;
    this.#state = state;
    this.#reason = reason;
    const isSeen = this.#sight?.state === state;
    if (isNew) this.#sinceMs = (isSeen ? this.#sight?.sinceMs : undefined) ?? host.nowMs();
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const wake of waiting) wake();
    changed(this.status);
  }

  async #nextChange(durationMs: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#waiting.push(resolve);
    const timer = setTimeout(resolve, durationMs);
    await promise;
    clearTimeout(timer);
  }
}

/** What is waited for goes on all the same. */
async function untilAborted(work: Promise<void>, signal: AbortSignal): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const abort = () => reject(signal.reason);
  signal.addEventListener("abort", abort, { once: true });
  work.then(resolve, reject);
  try {
    await promise;
  } finally {
    signal.removeEventListener("abort", abort);
  }
}
