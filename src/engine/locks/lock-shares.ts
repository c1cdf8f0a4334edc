// How many locks each container has and waits for: none may fill the tables of all others.
import { EngineError } from "../../core/errors.ts";

/** How many locks one container may hold or wait for at a time. */
export const LOCKS_PER_CONTAINER_MAX = 256;

/** Counts by `InsideCaller.key`; undefined: whose locks are not limited. */
export class LockShares {
  readonly #counts = new Map<string, number>();

  /** Of how many containers something is counted. */
  get size(): number {
    return this.#counts.size;
  }

  /** One more is waited for, and perhaps held then, until `leave`. Throws `lock.too_many`. */
  enter(share: string | undefined): void {
    const count = share === undefined ? 0 : (this.#counts.get(share) ?? 0);
    if (count >= LOCKS_PER_CONTAINER_MAX) {
      throw new EngineError(
        "lock.too_many",
        `this container holds or waits for ${count} locks: one is given no more than that`,
      );
    }
    this.add(share);
  }

  /** As `enter`, of one that the last daemon gave: whatever there is already. */
  add(share: string | undefined): void {
    if (share !== undefined) this.#counts.set(share, (this.#counts.get(share) ?? 0) + 1);
  }

  leave(share: string | undefined): void {
    if (share === undefined) return;
    const count = (this.#counts.get(share) ?? 1) - 1;
    if (count > 0) this.#counts.set(share, count);
    else this.#counts.delete(share);
  }
}
