// How many lost locks are events: a container that never renews drives nobody else's out.

/** Of one volume, in a minute; the figures count all. */
const NEWS_COUNT_MAX = 30;
const SPAN_MS = 60_000;

interface Told {
  readonly sinceMs: number;
  count: number;
}

export class LockNews {
  readonly #monotonicMs: () => number;
  readonly #told = new Map<string, Told>();

  constructor(monotonicMs: () => number) {
    this.#monotonicMs = monotonicMs;
  }

  /** Whether one more of a volume is to be told. */
  may(volume: string): boolean {
    const nowMs = this.#monotonicMs();
    const known = this.#told.get(volume);
    if (known !== undefined && nowMs - known.sinceMs < SPAN_MS) {
      known.count += 1;
      return known.count <= NEWS_COUNT_MAX;
    }
    // Spans end in the order in which they began.
    this.#told.delete(volume);
    for (const [name, { sinceMs }] of this.#told) {
      if (nowMs - sinceMs < SPAN_MS) break;
      this.#told.delete(name);
    }
    this.#told.set(volume, { sinceMs: nowMs, count: 1 });
    return true;
  }
}
