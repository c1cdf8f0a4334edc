// Notices within a second that what serves a mount has died, without asking the storage.
//
// The next look would find it, too, but that comes every 15 s: a program that has the volume would
// see nothing but errors for so long.
import type { Drivers } from "../drivers.ts";
import type { StartTimer } from "../trash/timers.ts";
import type { Watch } from "./health-table.ts";

/** How often all held volumes are looked at, in milliseconds. */
const LOOK_MS = 1_000;

export interface DeathWatchParts {
  readonly drivers: Pick<Drivers, "get">;
  readonly startTimer: StartTimer;
  /** See `Host.monotonicMs`. */
  readonly monotonicMs: () => number;
  /** A dead one, which is neither being asked nor being mended, and may be mended now. */
  readonly found: (watch: Watch) => void;
}

/** One timer for all. O(held volumes): some 30 microseconds for each that has a process. */
export class DeathWatch {
  readonly #parts: DeathWatchParts;
  /** What somebody has and a process serves. */
  readonly #served = new Set<Watch>();
  #stopTimer: (() => void) | undefined;
  #hasStopped = false;

  constructor(parts: DeathWatchParts) {
    this.#parts = parts;
  }

  /** After each change of who has it. No timer runs while nobody has such a volume. */
  follow(watch: Watch): void {
    if (!watch.isHeld || this.#isDeadOf(watch) === undefined) this.#served.delete(watch);
    else this.#served.add(watch);
    this.#arm();
  }

  forget(watch: Watch): void {
    this.#served.delete(watch);
    this.#arm();
  }

  stop(): void {
    this.#hasStopped = true;
    this.#disarm();
  }

  #arm(): void {
    if (this.#served.size === 0) this.#disarm();
    else if (!this.#hasStopped) {
      this.#stopTimer ??= this.#parts.startTimer(LOOK_MS, () => this.#look());
    }
  }

  #disarm(): void {
    this.#stopTimer?.();
    this.#stopTimer = undefined;
  }

  #look(): void {
    this.#stopTimer = undefined;
    const nowMs = this.#parts.monotonicMs();
    for (const watch of this.#served) {
      const { isChecking, mending } = watch;
      if (isChecking || mending.isRunning || mending.dueMs > nowMs) continue;
      if (this.#isDeadOf(watch)?.(watch.name) === true) this.#parts.found(watch);
    }
    this.#arm();
  }

  #isDeadOf({ driver }: Watch) {
    return this.#parts.drivers.get(driver)?.health?.isDead;
  }
}
