// Frees the space of removed volumes in the background, oldest first, and drops their rows after.
import type { TrashCapable, VolumeDriver } from "../core/driver.ts";
import { EngineError, toEngineError } from "../core/errors.ts";
import type { TrashId } from "../core/names.ts";
import type { Operation } from "../core/operation.ts";
import type { RetiredEntry, StateStore } from "../core/state-store.ts";

/** How many volumes one round purges: one commit and one sync of the trash for all of them. */
const ROUND_COUNT_MAX = 256;
/** How long removals are collected before a round starts, in milliseconds. */
const GATHER_MS = 20;
/** How long what could not be purged rests before it is tried again, in milliseconds. */
const RETRY_MS = 30_000;

export interface PurgerParts {
  readonly state: StateStore;
  readonly drivers: ReadonlyMap<string, VolumeDriver>;
  /** A fresh operation for each round, on the daemon's own account. */
  readonly operation: () => Operation;
}

/** One per daemon. What it has not done when the daemon stops, the next start does. */
export class Purger {
  readonly #parts: PurgerParts;
  readonly #stopping = new AbortController();
  #waiting: RetiredEntry[] = [];
  /** What could not be purged: it is tried again later, and the others do not wait for it. */
  #resting: RetiredEntry[] = [];
  #gatherTimer: ReturnType<typeof setTimeout> | undefined;
  #retryTimer: ReturnType<typeof setTimeout> | undefined;
  #round: Promise<void> | undefined;

  constructor(parts: PurgerParts) {
    this.#parts = parts;
  }

  /** Queues a retired volume. Returns at once. */
  add(retired: RetiredEntry): void {
    this.#waiting.push(retired);
    this.#schedule();
  }

  /** Ends the round that runs and starts no other: destroying a large volume may take an hour. */
  async stop(): Promise<void> {
    this.#stopping.abort(new EngineError("engine.stopping", "the daemon is shutting down"));
    clearTimeout(this.#gatherTimer);
    clearTimeout(this.#retryTimer);
    await this.#round;
  }

  #schedule(): void {
    const isBusy = this.#gatherTimer !== undefined || this.#round !== undefined;
    if (this.#stopping.signal.aborted || isBusy || this.#waiting.length === 0) return;
    this.#gatherTimer = setTimeout(() => {
      this.#gatherTimer = undefined;
      this.#round = this.#runRound();
    }, GATHER_MS);
  }

  #scheduleRetry(): void {
    const isSet = this.#retryTimer !== undefined;
    if (this.#stopping.signal.aborted || isSet || this.#resting.length === 0) return;
    this.#retryTimer = setTimeout(() => {
      this.#retryTimer = undefined;
      this.#waiting.push(...this.#resting.splice(0));
      this.#schedule();
    }, RETRY_MS);
  }

  async #runRound(): Promise<void> {
    const batch = this.#waiting.splice(0, ROUND_COUNT_MAX);
    const operation = { ...this.#parts.operation(), signal: this.#stopping.signal };
    for (const [driver, entries] of Map.groupBy(batch, (each) => each.volume.driver)) {
      const trash = this.#parts.drivers.get(driver)?.trash;
      // Without the driver of these volumes nothing is known of their data: their rows stay.
      if (trash === undefined) continue;
      this.#resting.push(...(await this.#purge(trash, entries, operation)));
    }
    this.#round = undefined;
    this.#schedule();
    this.#scheduleRetry();
  }

  /** Purges a batch, or one by one when the batch fails, and returns what could not be purged. */
  async #purge(
    trash: TrashCapable,
    entries: readonly RetiredEntry[],
    operation: Operation,
  ): Promise<readonly RetiredEntry[]> {
    try {
      const ids = entries.map((each) => each.id);
      await trash.purge(ids, operation);
      await this.#dropRows(ids);
      return [];
    } catch (error) {
      if (operation.signal.aborted) return entries;
      if (entries.length > 1) {
        const failed: RetiredEntry[] = [];
        for (const entry of entries) {
          failed.push(...(await this.#purge(trash, [entry], operation)));
        }
        return failed;
      }
      const { code, message } = toEngineError(error);
      operation.log.warn("a removed volume could not be purged; it is tried again", {
        volume: entries[0]?.volume.name,
        trash: entries[0]?.id,
        code,
        error: message,
      });
      return entries;
    }
  }

  async #dropRows(ids: readonly TrashId[]): Promise<void> {
    await this.#parts.state.write((transaction) => {
      for (const id of ids) transaction.removeRetired(id);
    });
  }
}
