// How long a plugin that ended by itself is left alone, and how often it has been tried.

const FIRST_PAUSE_MS = 1_000;
const PAUSE_MS_MAX = 60_000;
/** Whoever ran for so long starts anew. */
const STEADY_AFTER_MS = 60_000;

export class RestartPause {
  #count = 0;

  /** How often it was started again since it last ran for a minute. */
  get count(): number {
    return this.#count;
  }

  /** It ended after having run for `ranMs`, or did not start (0): the pause, in milliseconds. */
  next(ranMs: number): number {
    this.settle(ranMs);
    const pauseMs = Math.min(FIRST_PAUSE_MS * 2 ** this.#count, PAUSE_MS_MAX);
    this.#count += 1;
    return pauseMs;
  }

  /** It has been running for `ranMs`. */
  settle(ranMs: number): void {
    if (ranMs >= STEADY_AFTER_MS) this.#count = 0;
  }

  reset(): void {
    this.#count = 0;
  }
}
