// How many connections locks may keep busy: some are left for everybody else.
import { EngineError } from "../../core/errors.ts";

/** Counts requests that hold a lock, or wait for one, each on a connection of its own. */
export class LockRoom {
  readonly #countMax: number;
  #count = 0;

  constructor(countMax: number) {
    this.#countMax = countMax;
  }

  /** One more; returns what gives it back, once. Throws `lock.too_many`. */
  enter(): () => void {
    if (this.#count < this.#countMax) return this.goOn();
    const words = `${this.#count} connections hold a lock or wait for one: no further one may`;
    throw new EngineError("lock.too_many", words, { details: { connections: this.#count } });
  }

  /** As `enter`, for a lock that somebody has: he was let in when he got it. */
  goOn(): () => void {
    this.#count += 1;
    let isIn = true;
    return () => {
      if (isIn) this.#count -= 1;
      isIn = false;
    };
  }
}
