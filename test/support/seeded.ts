// Random numbers that a seed gives again, and a clock whose time passes only when all has settled.

/** mulberry32: small, fast, and the same everywhere. */
export class Seeded {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** 0 up to, and without, 1. */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let mixed = this.#state;
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  }

  /** A whole number of both ends. */
  between(low: number, high: number): number {
    return low + Math.floor(this.next() * (high - low + 1));
  }

  chance(probability: number): boolean {
    return this.next() < probability;
  }

  pick<const T>(choices: readonly [T, ...T[]]): T {
    return choices[Math.floor(this.next() * choices.length)] ?? choices[0];
  }
}

interface SimulatedEvent {
  readonly atMs: number;
  readonly run: () => void;
}

/** How often all that can go on does so before time passes: more than any chain of promises. */
const TURN_COUNT = 24;

export class SimulatedTime {
  #nowMs = 0;
  /** By time; those of one time in the order in which they were asked for. */
  readonly #events: SimulatedEvent[] = [];

  get nowMs(): number {
    return this.#nowMs;
  }

  get eventCount(): number {
    return this.#events.length;
  }

  /** Returns what takes it back. */
  after(delayMs: number, run: () => void): () => void {
    const event = { atMs: this.#nowMs + Math.max(0, delayMs), run };
    let index = this.#events.length;
    while (index > 0 && (this.#events[index - 1]?.atMs ?? 0) > event.atMs) index -= 1;
    this.#events.splice(index, 0, event);
    return () => {
      const at = this.#events.indexOf(event);
      if (at >= 0) this.#events.splice(at, 1);
    };
  }

  sleep(ms: number): Promise<void> {
    return new Promise((resolve) => void this.after(ms, resolve));
  }

  /** Until nothing is to come, or `untilMs`. */
  async run(untilMs: number): Promise<void> {
    for (;;) {
      for (let turn = 0; turn < TURN_COUNT; turn++) await undefined;
      const next = this.#events[0];
      if (next === undefined || next.atMs > untilMs) return;
      this.#events.shift();
      this.#nowMs = next.atMs;
      next.run();
    }
  }
}
