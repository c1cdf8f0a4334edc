// Looks into volumes by helper processes in the background: a few at a time, none for long.
import { EngineError, toEngineError } from "../../core/errors.ts";
import type { VolumeName } from "../../core/names.ts";
import type { Operation } from "../../core/operation.ts";

/** How long a look at what is in a volume may take. */
const LOOK_MS_MAX = 10_000;
/**
 * Each is a process, and may be a mount besides: hundreds of volumes that are made or mounted in
 * one moment are looked at one after the other.
 */
const LOOKS_AT_ONCE_MAX = 3;

export class BackgroundLooks {
  readonly #operation: () => Operation;
  readonly #looks = new Set<Promise<void>>();
  /** Begin looks when it is their turn. */
  readonly #waiting: (() => void)[] = [];
  readonly #stopping = new AbortController();

  /** `operation`: a fresh one of the daemon's own. */
  constructor(operation: () => Operation) {
    this.#operation = operation;
  }

  get isStopped(): boolean {
    return this.#stopping.signal.aborted;
  }

  /** Does it when its turn comes; its operation's signal fires after 10 s. A failure is logged. */
  inTurn(work: (operation: Operation) => Promise<void>, name: VolumeName): void {
    if (this.isStopped) return;
    const begin = () => this.#inBackground(work, name);
    if (this.#looks.size < LOOKS_AT_ONCE_MAX) begin();
    else this.#waiting.push(begin);
  }

  /** Ends those that run, and begins no other. */
  async stop(): Promise<void> {
    this.#waiting.length = 0;
    this.#stopping.abort(new EngineError("engine.stopping", "the daemon is shutting down"));
    await Promise.all(this.#looks);
  }

  #inBackground(work: (operation: Operation) => Promise<void>, name: VolumeName): void {
    const operation = this.#operation();
    const late = new AbortController();
    const timer = setTimeout(() => {
      late.abort(new EngineError("driver.timed_out", `no answer in ${LOOK_MS_MAX / 1000} s`));
    }, LOOK_MS_MAX);
    const signal = AbortSignal.any([operation.signal, this.#stopping.signal, late.signal]);
    const look = work({ ...operation, signal }).catch((error) => {
      // Whether the storage answers is told by others.
      const { code, message } = toEngineError(error);
      operation.log.info("what is in a volume could not be looked at", {
        ...{ volume: name, code, error: message },
      });
    });
    this.#looks.add(look);
    void look.finally(() => {
      clearTimeout(timer);
      this.#looks.delete(look);
      this.#waiting.shift()?.();
    });
  }
}
