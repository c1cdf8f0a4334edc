// Long synchronous work that shares the event loop: one clock for all of it says when to let go.

/** Others get their turn after this many milliseconds. */
const SLICE_MS_MAX = 4;

/**
 * However many pieces of work share one of these, the event loop is kept for `SLICE_MS_MAX` and for
 * what is done between two questions, and not for that much by each of them.
 */
export class Turns {
  #sliceStartedAtMs = performance.now();
  #next: Promise<void> | undefined;

  /**
   * Asked often, and again after each wait, because all that wait go on in the same turn:
   * `while (turns.isOver()) await turns.next();`
   */
  isOver(): boolean {
    return performance.now() - this.#sliceStartedAtMs > SLICE_MS_MAX;
  }

  /** Resolves when the others have had their turn, and the next slice has begun. */
  next(): Promise<void> {
    this.#next ??= new Promise((resolve) => {
      setImmediate(() => {
        this.#sliceStartedAtMs = performance.now();
        this.#next = undefined;
        resolve();
      });
    });
    return this.#next;
  }
}
