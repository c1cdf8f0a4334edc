// Which storage we ourselves look at just now: what is looked at is busy for the moment of an
// unmount, though nobody uses it.
import { isAtOrBelow } from "../core/mount-of.ts";

export interface Looks {
  /** Whether a look at the directory, or at something in it, has not ended. */
  isLookedAt(directory: string): boolean;
  during<T>(directory: string, look: () => Promise<T>): Promise<T>;
}

export function makeLooks(): Looks {
  const counts = new Map<string, number>();
  return {
    isLookedAt: (directory) => [...counts.keys()].some((each) => isAtOrBelow(each, directory)),
    async during(directory, look) {
      counts.set(directory, (counts.get(directory) ?? 0) + 1);
      try {
        return await look();
      } finally {
        const left = (counts.get(directory) ?? 1) - 1;
        if (left === 0) counts.delete(directory);
        else counts.set(directory, left);
      }
    },
  };
}
