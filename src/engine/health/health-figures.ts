// How long storage takes to answer, as counts by driver: for the metrics.

/** Upper ends of the classes, in seconds. What took longer is in the last one, without an end. */
export const latencySeconds = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5] as const;

/** The answers of one driver's storage. */
export interface Latency {
  /** How many took at most so long, by the places of `latencySeconds`: each has those before. */
  readonly counts: readonly number[];
  readonly count: number;
  readonly sumSeconds: number;
}

export class HealthFigures {
  readonly #latencies = new Map<string, Latency>();
  /** Questions by what was answered. */
  readonly #answers = new Map<string, Map<string, number>>();

  /** Notes an answer; `tookMs` null: the storage was not asked, or did not answer. */
  note(driver: string, state: string, tookMs: number | null): void {
    const answers = this.#answers.get(driver) ?? new Map<string, number>();
    this.#answers.set(driver, answers.set(state, (answers.get(state) ?? 0) + 1));
    if (tookMs === null) return;
    const seconds = tookMs / 1_000;
    const before = this.#latencies.get(driver);
    this.#latencies.set(driver, {
      counts: latencySeconds.map(
        (end, index) => (before?.counts[index] ?? 0) + (seconds <= end ? 1 : 0),
      ),
      count: (before?.count ?? 0) + 1,
      sumSeconds: (before?.sumSeconds ?? 0) + seconds,
    });
  }

  get latencies(): ReadonlyMap<string, Latency> {
    return this.#latencies;
  }

  get answers(): ReadonlyMap<string, ReadonlyMap<string, number>> {
    return this.#answers;
  }
}
