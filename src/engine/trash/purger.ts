// Frees the space of removed volumes in the background, oldest first, and drops their rows after.
//
// It is given only what has been given up for good: rows that are "purging".
// It waits for quiet moments, so that it does not slow what clients wait for, but not for ever.
// What cannot be purged must not keep the others: a batch that fails is split until the bad ones
// stand alone. They are tried again after a delay that doubles, and a line a tick tells of them.
import type { TrashCapable, VolumeDriver } from "../../core/driver.ts";
import { EngineError, toEngineError } from "../../core/errors.ts";
import type { TrashId } from "../../core/names.ts";
import type { Operation } from "../../core/operation.ts";
import type { RetiredEntry, StateStore } from "../../core/state-store.ts";
import { type StartTimer, startTimer } from "./timers.ts";

/** How many volumes one round purges: one commit and one sync of the trash for all of them. */
const ROUND_COUNT_MAX = 256;
/** How many of those that could not be purged are tried again in one tick. */
const RETRY_COUNT_MAX = 256;
/** How long removals are collected before a round starts, in milliseconds. */
const GATHER_MS = 20;
/** How often a round is put off by `GATHER_MS` while volumes are created and removed. */
const POSTPONE_COUNT_MAX = 100;
/** With more than so many waiting, rounds are not put off: their space is wanted. */
const BACKLOG_COUNT_MAX = 4_096;
/** How often is looked for what is to be tried again, in milliseconds. */
const TICK_MS = 30_000;
/** The longest rest of what could not be purged: 64 minutes. */
const REST_TICKS_MAX = 128;

export interface PurgerParts {
  readonly state: StateStore;
  readonly drivers: ReadonlyMap<string, VolumeDriver>;
  /** A fresh operation for each round, on the daemon's own account. */
  readonly operation: () => Operation;
  /** Told of what is destroyed, when its row is gone. */
  readonly purged?: ((retired: RetiredEntry) => void) | undefined;
  /** By default a real one. */
  readonly startTimer?: StartTimer | undefined;
}

/** A removed volume that is to be purged. */
interface Task {
  readonly retired: RetiredEntry;
  /** How long it rested last, in ticks; 0: it was not tried yet. */
  readonly restTicks: number;
}

/** A removed volume that could not be purged. */
interface Failure {
  readonly task: Task;
  readonly error: EngineError;
}

interface Resting {
  readonly task: Task;
  ticksLeft: number;
}

/** One per daemon. What it has not done when the daemon stops, the next start does. */
export class Purger {
  readonly #parts: PurgerParts;
  readonly #startTimer: StartTimer;
  readonly #stopping = new AbortController();
  #waiting: Task[] = [];
  /** What could not be purged: it is tried again later, and the others do not wait for it. */
  #resting: Resting[] = [];
  /** Drivers that were told of not to be there. */
  readonly #missing = new Set<string>();
  #stopGathering: (() => void) | undefined;
  #postponedCount = 0;
  /** Whether a client's change has been made since the last look. */
  #isBusy = false;
  #stopTicking: (() => void) | undefined;
  #round: Promise<void> | undefined;
  /** Whether failures have been told of since the last tick. */
  #isTold = false;
  /** Why what is still there could not be purged the last time. */
  readonly #reasons = new Map<TrashId, string>();
  /** Who waits for the end of which. */
  readonly #watched = new Map<TrashId, PromiseWithResolvers<void>>();
  #doneCount = 0;
  #doneBytes = 0;

  constructor(parts: PurgerParts) {
    this.#parts = parts;
    this.#startTimer = parts.startTimer ?? startTimer;
  }

  /** What was purged since the start; bytes as far as they had been measured. */
  get done(): { readonly entryCount: number; readonly bytes: number } {
    return { entryCount: this.#doneCount, bytes: this.#doneBytes };
  }

  /** What could not be purged at the last attempt: its space will not be free soon. */
  resting(): ReadonlySet<TrashId> {
    return new Set(this.#resting.map(({ task }) => task.retired.id));
  }

  /** Why the last attempt failed, in one line; undefined: none has failed in this life. */
  reasonOf(id: TrashId): string | undefined {
    return this.#reasons.get(id);
  }

  /** Queues a retired volume, if it is "purging". Returns at once. */
  add(retired: RetiredEntry): void {
    if (retired.phase !== "purging") return;
    this.#waiting.push({ retired, restTicks: 0 });
    this.#schedule();
  }

  /**
   * Resolves when it is destroyed and its row gone; what rests after a failure is tried at once.
   * Rejects with why not, when an attempt fails.
   */
  async ended(id: TrashId): Promise<void> {
    if (this.#parts.state.read((view) => view.retiredEntry(id)) === undefined) return;
    const watched = this.#watched.get(id) ?? Promise.withResolvers<void>();
    this.#watched.set(id, watched);
    if (this.#stopping.signal.aborted) this.#settle(id, this.#stopping.signal.reason);
    const resting = this.#resting.find(({ task }) => task.retired.id === id);
    if (resting !== undefined) {
      this.#resting.splice(this.#resting.indexOf(resting), 1);
      this.#waiting.push(resting.task);
      this.#schedule();
    }
    await watched.promise;
  }

  /** A client's change was made: more may follow at once, and they go before any purge. */
  noteChange(): void {
    this.#isBusy = true;
  }

  /** Ends the round that runs and starts no other: destroying a large volume may take hours. */
  async stop(): Promise<void> {
    this.#stopping.abort(new EngineError("engine.stopping", "the daemon is shutting down"));
    this.#stopGathering?.();
    this.#stopTicking?.();
    await this.#round;
    for (const id of this.#watched.keys()) this.#settle(id, this.#stopping.signal.reason);
  }

  /** Tells who waits for it; without an error it is purged. */
  #settle(id: TrashId, error?: unknown): void {
    const watched = this.#watched.get(id);
    this.#watched.delete(id);
    if (error === undefined) watched?.resolve();
    else watched?.reject(error);
  }

  #schedule(): void {
    const isBusy = this.#stopGathering !== undefined || this.#round !== undefined;
    if (this.#stopping.signal.aborted || isBusy || this.#waiting.length === 0) return;
    this.#stopGathering = this.#startTimer(GATHER_MS, () => {
      this.#stopGathering = undefined;
      if (this.#isPutOff()) {
        this.#schedule();
        return;
      }
      // A round that has nothing to wait for is over before it is noted down, without the `then`.
      this.#round = this.#runRound().then(() => {
        this.#round = undefined;
        this.#schedule();
        this.#scheduleTick();
      });
    });
  }

  #isPutOff(): boolean {
    const isWorthIt =
      this.#isBusy &&
      this.#postponedCount < POSTPONE_COUNT_MAX &&
      this.#waiting.length <= BACKLOG_COUNT_MAX;
    this.#isBusy = false;
    this.#postponedCount = isWorthIt ? this.#postponedCount + 1 : 0;
    return isWorthIt;
  }

  #scheduleTick(): void {
    const isSet = this.#stopTicking !== undefined;
    if (this.#stopping.signal.aborted || isSet || this.#resting.length === 0) return;
    this.#stopTicking = this.#startTimer(TICK_MS, () => {
      this.#stopTicking = undefined;
      this.#tick();
      this.#schedule();
      this.#scheduleTick();
    });
  }

  /** Those that have rested longest go first, so that each has its turn. */
  #tick(): void {
    this.#isTold = false;
    const stillResting: Resting[] = [];
    let retryCount = 0;
    for (const each of this.#resting) {
      each.ticksLeft -= 1;
      if (each.ticksLeft > 0 || retryCount === RETRY_COUNT_MAX) {
        stillResting.push(each);
        continue;
      }
      retryCount += 1;
      this.#waiting.push(each.task);
    }
    this.#resting = stillResting;
  }

  async #runRound(): Promise<void> {
    const batch = this.#waiting.splice(0, ROUND_COUNT_MAX);
    const operation = { ...this.#parts.operation(), signal: this.#stopping.signal };
    for (const [driver, tasks] of Map.groupBy(batch, (each) => each.retired.volume.driver)) {
      const trash = this.#parts.drivers.get(driver)?.trash;
      // Without the driver of these volumes nothing is known of their data: their rows stay.
      if (trash === undefined) this.#tellMissing(tasks, operation);
      else this.#rest(await this.#purge(trash, tasks, operation), operation);
    }
  }

  /** Purges a batch, in parts when it fails, and returns what could not be purged. */
  async #purge(
    trash: TrashCapable,
    tasks: readonly Task[],
    operation: Operation,
  ): Promise<readonly Failure[]> {
    try {
      const ids = tasks.map((each) => each.retired.id);
      // Whoever waits for another one waits for these too.
      await trash.purge(ids, operation, () => this.#watched.size > 0);
    } catch (thrown) {
      const error = toEngineError(thrown);
      if (tasks.length === 1 || operation.signal.aborted) return failures(tasks, error);
      const failed: Failure[] = [];
      // To halve what takes until its deadline would cost a deadline for each half.
      const size = error.code === "driver.timed_out" ? 1 : Math.ceil(tasks.length / 2);
      for (let index = 0; index < tasks.length; index += size) {
        const part = tasks.slice(index, index + size);
        failed.push(...(await this.#purge(trash, part, operation)));
      }
      return failed;
    }
    try {
      await this.#dropRows(tasks);
      return [];
    } catch (error) {
      return failures(tasks, toEngineError(error));
    }
  }

  async #dropRows(tasks: readonly Task[]): Promise<void> {
    await this.#parts.state.write((transaction) => {
      for (const { retired } of tasks) transaction.removeRetired(retired.id);
    });
    for (const { retired } of tasks) {
      this.#reasons.delete(retired.id);
      this.#doneCount += 1;
      this.#doneBytes += retired.sizeBytes ?? 0;
      this.#settle(retired.id);
      this.#parts.purged?.(retired);
    }
  }

  #rest(failed: readonly Failure[], operation: Operation): void {
    const [first] = failed;
    if (first === undefined || operation.signal.aborted) return;
    for (const { task, error } of failed) {
      this.#noteFailure(task.retired.id, error);
      const restTicks = Math.min(Math.max(1, task.restTicks * 2), REST_TICKS_MAX);
      this.#resting.push({ task: { ...task, restTicks }, ticksLeft: restTicks });
    }
    // A thousand of them are not told of a thousand times.
    if (this.#isTold) return;
    this.#isTold = true;
    const { volume, id } = first.task.retired;
    operation.log.warn("removed volumes could not be purged; they are tried again", {
      count: this.#resting.length,
      volume: volume.name,
      trash: id,
      code: first.error.code,
      error: first.error.message,
    });
  }

  #noteFailure(id: TrashId, error: EngineError): void {
    this.#reasons.set(id, error.message.replaceAll(/\s*\n\s*/g, "; "));
    this.#settle(id, error);
  }

  #tellMissing(tasks: readonly Task[], operation: Operation): void {
    const [first] = tasks;
    for (const { retired } of tasks) {
      const { driver } = retired.volume;
      const error = new EngineError("driver.not_found", `the driver ${driver} is not here`);
      this.#noteFailure(retired.id, error);
    }
    if (first === undefined || this.#missing.has(first.retired.volume.driver)) return;
    const { driver, name } = first.retired.volume;
    this.#missing.add(driver);
    operation.log.warn("removed volumes keep their space until a start with their driver", {
      driver,
      volume: name,
    });
  }
}

function failures(tasks: readonly Task[], error: EngineError): readonly Failure[] {
  return tasks.map((task) => ({ task, error }));
}
