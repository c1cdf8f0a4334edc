// The moments that come next, of as many things as there are: O(log n) for each change.

/** What has a moment. Both fields are changed by `Deadlines` alone. */
export interface Timed {
  /** Milliseconds of whatever clock; Infinity while it has none. */
  dueMs: number;
  /** Where it lies in the heap; -1: nowhere. */
  heapIndex: number;
}

/** A binary heap that knows where each thing lies, so that nothing ended stays in it. */
export class Deadlines<T extends Timed> {
  readonly #heap: T[] = [];

  /** The one that is due first; of those that are due together any. */
  get first(): T | undefined {
    return this.#heap[0];
  }

  /** Gives it a moment, a first one or another. Infinity takes it out. */
  set(timed: T, dueMs: number): void {
    if (dueMs === Number.POSITIVE_INFINITY) {
      this.remove(timed);
      return;
    }
    timed.dueMs = dueMs;
    if (timed.heapIndex < 0) {
      timed.heapIndex = this.#heap.length;
      this.#heap.push(timed);
    }
    this.#sift(timed);
  }

  /** Does nothing where it has none. */
  remove(timed: T): void {
    const index = timed.heapIndex;
    if (index < 0) return;
    timed.heapIndex = -1;
    timed.dueMs = Number.POSITIVE_INFINITY;
    const last = this.#heap.pop();
    if (last === undefined || last === timed) return;
    this.#put(last, index);
    this.#sift(last);
  }

  #sift(timed: T): void {
    this.#rise(timed);
    this.#sink(timed);
  }

  #rise(timed: T): void {
    for (;;) {
      const parent = this.#heap[(timed.heapIndex - 1) >> 1];
      if (parent === undefined || parent === timed || parent.dueMs <= timed.dueMs) return;
      this.#swap(parent, timed);
    }
  }

  #sink(timed: T): void {
    for (;;) {
      const left = this.#heap[2 * timed.heapIndex + 1];
      const right = this.#heap[2 * timed.heapIndex + 2];
      if (left === undefined) return;
      const child = right !== undefined && right.dueMs < left.dueMs ? right : left;
      if (timed.dueMs <= child.dueMs) return;
      this.#swap(timed, child);
    }
  }

  #swap(upper: T, lower: T): void {
    const index = upper.heapIndex;
    this.#put(upper, lower.heapIndex);
    this.#put(lower, index);
  }

  #put(timed: T, index: number): void {
    this.#heap[index] = timed;
    timed.heapIndex = index;
  }
}
