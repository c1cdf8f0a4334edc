// Which helpers of ours are in which storage just now: they are in the way of its unmount.
import { isAtOrBelow } from "../core/mount-of.ts";

/** Looks during one unmount. */
export interface LookWatch extends Disposable {
  /** Whether one was there since this was last asked, or still is. */
  wasInTheWay(): boolean;
}

export class OwnLooks {
  readonly #running = new Set<{ readonly directory: string }>();
  readonly #watches = new Set<(directory: string) => void>();

  /** One has begun that is in `directory` until `ended` resolves. */
  add(directory: string, ended: Promise<void>): void {
    const look = { directory };
    this.#running.add(look);
    for (const hear of this.#watches) hear(directory);
    void ended.finally(() => this.#running.delete(look));
  }

  watch(target: string): LookWatch {
    const isThere = () =>
      [...this.#running].some(({ directory }) => isAtOrBelow(directory, target));
    let isSeen = isThere();
    const hear = (directory: string) => {
      isSeen ||= isAtOrBelow(directory, target);
    };
    this.#watches.add(hear);
    return {
      wasInTheWay() {
        const was = isSeen;
        isSeen = isThere();
        return was || isSeen;
      },
      [Symbol.dispose]: () => void this.#watches.delete(hear),
    };
  }
}
