// Randomness from a seed that is printed, so that a failing run can be repeated.

/**
 * A small generator (mulberry32): good enough to choose moments and names, and the same everywhere.
 */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** From 0 up to but not including 1. */
  fraction(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let mixed = this.#state;
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  }

  /** A whole number from 0 up to but not including `limit`. */
  below(limit: number): number {
    return Math.floor(this.fraction() * limit);
  }

  /** A whole number, both ends included. */
  between(low: number, high: number): number {
    return low + this.below(high - low + 1);
  }

  /** One of the list, which is not empty. */
  pick<T>(list: readonly T[]): T {
    const picked = list[this.below(list.length)];
    if (picked === undefined) throw new Error("nothing to pick from");
    return picked;
  }

  chance(probability: number): boolean {
    return this.fraction() < probability;
  }

  /** A generator of its own, so that what one part draws does not move what another gets. */
  fork(): Random {
    return new Random(this.below(4_294_967_296));
  }
}

/** HOLDFAST_TEST_SEED, or another one in every run. Prints it. */
export function printedSeed(subject: string): number {
  const given = process.env["HOLDFAST_TEST_SEED"];
  const seed = given === undefined ? Date.now() % 1_000_000_007 : Number(given);
  console.log(`${subject}: HOLDFAST_TEST_SEED=${seed}`);
  return seed;
}
