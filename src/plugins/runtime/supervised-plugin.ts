// One managed plugin over its lives: started, watched, started again after a pause, stopped.
import { setTimeout as pause } from "node:timers/promises";
import { EngineError, toEngineError } from "../../core/errors.ts";
import type { Host } from "../../core/host.ts";
import type { Operation } from "../../core/operation.ts";
import { howItEnded, isAlive, isMonitored, type Life, nameOfLife, readLife } from "./life.ts";
import { startFailed } from "./oci-runtime.ts";
import type { PluginContainer } from "./plugin-container.ts";
import type { PluginLog } from "./plugin-log.ts";
import { untilReady } from "./readiness.ts";
import { RestartPause } from "./restart-pause.ts";
import type { RunPlaces } from "./run-places.ts";
import { type RunRequest, type RunState, stoppedState } from "./run-request.ts";

/** What of its log stands in a failure. */
const LAST_LINE_COUNT = 5;
const LAST_CHARACTERS_MAX = 1_000;

const WRITTEN_MS_MAX = 1_000;
const LOOK_AGAIN_MS = 5;

export interface SupervisedPluginParts {
  readonly places: RunPlaces;
  readonly container: PluginContainer;
  readonly host: Host;
  readonly log: PluginLog;
  /** For what it does by itself. */
  readonly operation: () => Operation;
  /** Is called after each change of the state. */
  readonly tell: () => void;
}

export class SupervisedPlugin {
  readonly #parts: SupervisedPluginParts;
  readonly #pause = new RestartPause();
  #state: RunState = stoppedState;
  /** What runs, or shall run again; undefined: it was stopped. */
  #wanted: RunRequest | undefined;
  #life: Life | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** Ends a start that is under way. */
  #starting = new AbortController();
  /** Calls wait for each other. */
  #turn: Promise<unknown> = Promise.resolve();
  #isClosed = false;

  constructor(parts: SupervisedPluginParts) {
    this.#parts = parts;
  }

  get state(): RunState {
    return { ...this.#state, restartCount: this.#pause.count };
  }

  /** See `PluginRuntime.start`. */
  start(request: RunRequest, operation: Operation): Promise<void> {
    this.#starting.abort(wasStopped());
    // What waits for its turn is not wanted any more.
    this.#wanted = undefined;
    return this.#inTurn(async () => {
      this.#cancelTimer();
      if (this.#life !== undefined) await this.#end(operation);
      this.#pause.reset();
      this.#wanted = request;
      try {
        await this.#launch(request, operation);
      } catch (error) {
        this.#wanted = undefined;
        await this.#parts.container.clean(operation, "detach");
        this.#become({ ...stoppedState, reason: toEngineError(error).message });
        throw error;
      }
    });
  }

  /** See `PluginRuntime.stop`. */
  stop(operation: Operation): Promise<void> {
    this.#wanted = undefined;
    this.#starting.abort(wasStopped());
    this.#cancelTimer();
    return this.#inTurn(async () => {
      this.#cancelTimer();
      try {
        await this.#end(operation, "detach");
      } finally {
        this.#pause.reset();
        this.#become(stoppedState);
      }
    });
  }

  /**
   * Takes over what still runs of a daemon before us. Otherwise it begins to start it, and does not
   * wait for that: what ended in the meantime has crashed.
   */
  adopt(request: RunRequest): Promise<void> {
    return this.#inTurn(async () => {
      const { container, places } = this.#parts;
      this.#wanted = request;
      const life = container.remaining(request);
      if (life !== undefined) {
        this.#isRunning(life, request, life.startedAtMs);
        return;
      }
      const hasCrashed = readLife(places) !== undefined;
      const reason = hasCrashed ? `it ended while no daemon was there${ending(places)}` : "";
      if (hasCrashed) this.#pause.next(0);
      this.#become({ ...stoppedState, state: hasCrashed ? "restarting" : "starting", reason });
      this.#startAgainIn(0);
    });
  }

  /** Looks whether it lives. Called often, and whenever conmon has written an exit status. */
  look(): void {
    const life = this.#life;
    if (life === undefined || this.#isClosed) return;
    const { host, log } = this.#parts;
    log.keep();
    this.#pause.settle(host.nowMs() - life.startedAtMs);
    if (isAlive(host, life) && isMonitored(host, life)) return;
    void this.#inTurn(() => this.#crashed(life));
  }

  /** Leaves what runs as it is, and does nothing more. */
  close(): void {
    this.#isClosed = true;
    this.#cancelTimer();
    this.#starting.abort(new EngineError("engine.stopping", "the daemon is shutting down"));
  }

  /** Resolves when nothing is under way. */
  async settled(): Promise<void> {
    await this.#turn;
  }

  async #launch(request: RunRequest, operation: Operation): Promise<void> {
    const { container, host } = this.#parts;
    this.#starting = new AbortController();
    const signal = AbortSignal.any([operation.signal, this.#starting.signal]);
    const { reason } = this.#state;
    this.#become({ ...stoppedState, state: "starting", reason });
    signal.throwIfAborted();
    const begunMs = host.nowMs();
    const life = await container.launch(request, { ...operation, signal });
    try {
      const failure = await untilReady({
        host,
        socketPath: container.socketPath(request),
        isAlive: () => isAlive(host, life),
        signal,
      });
      if (failure !== undefined) throw await this.#notReady(request, life, { failure, begunMs });
    } catch (error) {
      if (isAlive(host, life)) await container.end(life, operation);
      await container.clean(operation);
      throw error;
    }
    this.#isRunning(life, request, host.nowMs());
  }

  #isRunning(life: Life, request: RunRequest, sinceMs: number): void {
    this.#life = life;
    this.#become({
      ...stoppedState,
      state: "running",
      socketPath: this.#parts.container.socketPath(request),
      life: nameOfLife(life),
      sinceMs,
    });
  }

  /** Docker's text for a socket that cannot be reached; and what became of the process. */
  async #notReady(
    request: RunRequest,
    life: Life,
    { failure, begunMs }: { readonly failure: string; readonly begunMs: number },
  ): Promise<EngineError> {
    const { host, places, container } = this.#parts;
    await this.#untilWrittenDown(life);
    const dial = `dial unix ${container.socketPath(request)}: connect: ${failure}`;
    const lastLines = this.#lastLines(begunMs);
    if (isAlive(host, life)) return startFailed(dial, { lastLines });
    const said = lastLines === "" ? "" : `; its last words: ${lastLines}`;
    return startFailed(`${dial}: it has ended${ending(places)}${said}`, { lastLines });
  }

  /** conmon writes the rest of the log and the exit status when the process has ended. */
  async #untilWrittenDown(life: Life): Promise<void> {
    const { host, places } = this.#parts;
    const untilMs = host.monotonicMs() + WRITTEN_MS_MAX;
    while (!isAlive(host, life) && isMonitored(host, life) && howItEnded(places) === "") {
      if (host.monotonicMs() > untilMs) return;
      await pause(LOOK_AGAIN_MS);
    }
  }

  /** Of this life: what an earlier one wrote would mislead. */
  #lastLines(sinceMs: number): string {
    const lines = this.#parts.log.lines(LAST_LINE_COUNT).filter(({ atMs }) => atMs >= sinceMs);
    const words = lines.map(({ text: line }) => line.trim()).filter((line) => line !== "");
    const text = words.join("; ");
    // It goes to terminals.
    return text.replace(/\p{Cc}/gu, " ").slice(-LAST_CHARACTERS_MAX);
  }

  async #crashed(life: Life): Promise<void> {
    if (this.#life !== life || this.#isClosed) return;
    const { host, places } = this.#parts;
    const operation = this.#parts.operation();
    const ranMs = host.nowMs() - life.startedAtMs;
    const isOrphan = isAlive(host, life);
    if (!isOrphan) await this.#untilWrittenDown(life);
    const reason = isOrphan ? "its monitor (conmon) has ended" : `it has ended${ending(places)}`;
    const { log } = operation;
    log.warn("a plugin has ended by itself", { plugin: this.#wanted?.name, reason, ranMs });
    try {
      await this.#end(operation);
    } catch (error) {
      log.error("a plugin could not be cleaned up", { plugin: this.#wanted?.name, error });
    }
    this.#tryLater(reason, ranMs);
  }

  #tryLater(reason: string, ranMs: number): void {
    if (this.#wanted === undefined) return;
    const pauseMs = this.#pause.next(ranMs);
    this.#become({ ...stoppedState, state: "restarting", reason });
    this.#startAgainIn(pauseMs);
  }

  #startAgainIn(pauseMs: number): void {
    this.#cancelTimer();
    if (this.#isClosed) return;
    this.#timer = setTimeout(() => void this.#inTurn(() => this.#startAgain()), pauseMs);
    this.#timer.unref();
  }

  async #startAgain(): Promise<void> {
    this.#timer = undefined;
    const request = this.#wanted;
    if (request === undefined || this.#life !== undefined || this.#isClosed) return;
    const operation = this.#parts.operation();
    try {
      await this.#launch(request, operation);
    } catch (error) {
      const { message, code } = toEngineError(error);
      if (!this.#isClosed) {
        operation.log.warn("a plugin did not start again", { plugin: request.name, error });
      }
      if (code === "internal.bug") operation.log.error("a plugin's start has a bug", { error });
      this.#tryLater(message, 0);
    }
  }

  /** Ends what runs, or what is left of it. */
  async #end(operation: Operation, mounts: "keep" | "detach" = "keep"): Promise<void> {
    const { container, host, places } = this.#parts;
    const life = this.#life ?? readLife(places);
    this.#life = undefined;
    if (life !== undefined && isAlive(host, life)) await container.end(life, operation);
    await container.clean(operation, mounts);
  }

  #become(state: RunState): void {
    const sinceMs = state.sinceMs === 0 ? this.#parts.host.nowMs() : state.sinceMs;
    this.#state = { ...state, sinceMs };
    this.#parts.tell();
  }

  #cancelTimer(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#turn.then(work);
    // Whoever called has the failure; what comes next is not hindered by it.
    this.#turn = done.catch(() => undefined);
    return done;
  }
}

function ending(places: RunPlaces): string {
  const how = howItEnded(places);
  return how === "" ? "" : ` (${how})`;
}

function wasStopped(): EngineError {
  return new EngineError("plugin.start_failed", "it was stopped while it started");
}
