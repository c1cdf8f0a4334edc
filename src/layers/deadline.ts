// Every call of a driver ends in time, whether or not the driver does.
//
// At the deadline the call's signal fires, and the driver has a moment to give up by itself and to
// leave things whole or undone. A call that ignores even that is abandoned: whoever waits gets
// `driver.timed_out`, and what the call still does is nobody's any more. Until it ends, other calls
// for the same volume are refused, because a driver is never given two at once.
import type { Every, VolumeDriver } from "../core/driver.ts";
import { driverDeadlinesMs } from "../core/driver-deadlines.ts";
import { EngineError } from "../core/errors.ts";
import type { VolumeName } from "../core/names.ts";
import type { Operation } from "../core/operation.ts";
import { type Around, type CallSite, type DriverCall, surround } from "./around.ts";

/** How long a driver may take to give up once its signal has fired, in milliseconds. */
export const GIVE_UP_MS_MAX = 1_000;

/** A call that was given up on and has ended at last. */
export interface LateCall extends CallSite {
  /** A mount or create that succeeded late is still there: somebody has to undo it. */
  readonly outcome: "succeeded" | "failed";
  /** How long after its start, in milliseconds. */
  readonly tookMs: number;
}

export interface DeadlineParts {
  /** A clock that only goes forward, in milliseconds. */
  monotonicMs(): number;
  /** Replaces deadlines of `driverDeadlinesMs`, in milliseconds. */
  readonly deadlinesMs?: Readonly<Partial<Record<DriverCall, number>>> | undefined;
  /** At most and by default `GIVE_UP_MS_MAX`. */
  readonly giveUpMs?: number | undefined;
  /** Is told of every abandoned call that ends after all. */
  readonly ended?: ((late: LateCall) => void) | undefined;
  /** Calls `fire` after `delayMs` unless the result is called first. */
  readonly startTimer?: ((delayMs: number, fire: () => void) => () => void) | undefined;
}

/** The driver with its deadlines kept. What is synchronous in it stays untouched. */
export function withDeadlines(driver: VolumeDriver, parts: DeadlineParts): Every<VolumeDriver> {
  return surround(driver, new Deadlines(parts));
}

/** One attempt to have something done in time. */
interface Attempt<T> extends CallSite {
  readonly outer: AbortSignal;
  /** Fires the signal that the driver sees. */
  readonly controller: AbortController;
  readonly deadlineMs: number;
  readonly work: () => Promise<T>;
}

class Deadlines implements Around {
  readonly #parts: DeadlineParts;
  readonly #giveUpMs: number;
  readonly #startTimer: NonNullable<DeadlineParts["startTimer"]>;
  /** The abandoned calls of each volume that has some: one, unless two were under way at once. */
  readonly #stuck = new Map<VolumeName, readonly DriverCall[]>();

  constructor(parts: DeadlineParts) {
    this.#parts = parts;
    this.#giveUpMs = Math.min(parts.giveUpMs ?? GIVE_UP_MS_MAX, GIVE_UP_MS_MAX);
    this.#startTimer = parts.startTimer ?? startTimer;
  }

  call<T>(
    site: CallSite,
    operation: Operation,
    work: (operation: Operation) => Promise<T>,
  ): Promise<T> {
    const controller = new AbortController();
    return this.#inTime({
      ...site,
      outer: operation.signal,
      controller,
      deadlineMs: this.#deadlineMs(site.call),
      work: async () => await work({ ...operation, signal: controller.signal }),
    });
  }

  /** What the consumer does between two items is not the driver's time. */
  async *items<T>(
    site: CallSite,
    operation: Operation,
    open: (operation: Operation) => AsyncIterable<T>,
  ): AsyncIterable<T> {
    const controller = new AbortController();
    const items = open({ ...operation, signal: controller.signal })[Symbol.asyncIterator]();
    let remainingMs = this.#deadlineMs(site.call);
    let isDone = false;
    try {
      while (true) {
        // The last item may have come in the moment for giving up; it is the last one then.
        controller.signal.throwIfAborted();
        const startedAtMs = this.#parts.monotonicMs();
        const attempt = { outer: operation.signal, controller, deadlineMs: remainingMs };
        const item = await this.#inTime({ ...site, ...attempt, work: () => items.next() });
        remainingMs = Math.max(0, remainingMs - (this.#parts.monotonicMs() - startedAtMs));
        isDone = item.done === true;
        if (item.done === true) return;
        yield item.value;
      }
    } finally {
      // Not awaited: a list that hangs would hang here too. How it ends is nobody's business.
      if (!isDone) items.return?.().catch(() => undefined);
    }
  }

  #deadlineMs(call: DriverCall): number {
    return this.#parts.deadlinesMs?.[call] ?? driverDeadlinesMs[call];
  }

  #inTime<T>(attempt: Attempt<T>): Promise<T> {
    const { call, volume, outer, controller, deadlineMs } = attempt;
    if (outer.aborted) return Promise.reject(cancellation(outer));
    const stuck = volume === undefined ? undefined : this.#stuck.get(volume);
    if (stuck !== undefined) return Promise.reject(stillStuck(volume, stuck));

    const { promise, resolve, reject } = Promise.withResolvers<T>();
    const startedAtMs = this.#parts.monotonicMs();
    let verdict: EngineError | undefined;
    let isAbandoned = false;

    const abandon = (): void => {
      isAbandoned = true;
      this.#changeStuck(volume, (calls) => [...calls, call]);
      reject(verdict);
    };
    const giveUp = (why: EngineError): void => {
      outer.removeEventListener("abort", onAbort);
      stopTimer();
      verdict = why;
      stopTimer = this.#startTimer(this.#giveUpMs, abandon);
      controller.abort(why);
    };
    const onAbort = (): void => giveUp(cancellation(outer));
    const settle = (outcome: LateCall["outcome"], finish: () => void): void => {
      outer.removeEventListener("abort", onAbort);
      stopTimer();
      if (!isAbandoned) {
        finish();
        return;
      }
      this.#changeStuck(volume, (calls) => calls.toSpliced(calls.indexOf(call), 1));
      const tookMs = this.#parts.monotonicMs() - startedAtMs;
      this.#parts.ended?.({ call, volume, outcome, tookMs });
    };
    let stopTimer = this.#startTimer(deadlineMs, () => giveUp(timeout(attempt)));
    outer.addEventListener("abort", onAbort, { once: true });
    attempt.work().then(
      (value) => settle("succeeded", () => resolve(value)),
      (error: unknown) => settle("failed", () => reject(verdict ?? error)),
    );
    return promise;
  }

  #changeStuck(
    volume: VolumeName | undefined,
    change: (calls: readonly DriverCall[]) => readonly DriverCall[],
  ): void {
    if (volume === undefined) return;
    const calls = change(this.#stuck.get(volume) ?? []);
    if (calls.length === 0) this.#stuck.delete(volume);
    else this.#stuck.set(volume, calls);
  }
}

function startTimer(delayMs: number, fire: () => void): () => void {
  const timer = setTimeout(fire, delayMs);
  return () => clearTimeout(timer);
}

function cancellation(signal: AbortSignal): EngineError {
  const reason: unknown = signal.reason;
  if (reason instanceof EngineError) return reason;
  return new EngineError("operation.cancelled", "the operation was cancelled", { cause: reason });
}

function timeout({ call, volume, deadlineMs }: Attempt<unknown>): EngineError {
  const what = volume === undefined ? call : `${call} of volume ${volume}`;
  return new EngineError("driver.timed_out", `${what} did not end in ${deadlineMs} ms`, {
    details: { call, volume, deadlineMs },
  });
}

function stillStuck(volume: VolumeName | undefined, calls: readonly DriverCall[]): EngineError {
  return new EngineError(
    "driver.timed_out",
    `volume ${volume}: an earlier ${calls.join(" and ")} was given up on and has not ended yet`,
    { details: { calls, volume } },
  );
}
