// How long who waits for a lock bears a daemon that is restarted: it comes back in seconds.
import { CliFailure } from "./failure.ts";

/** How long a daemon that was there may be gone, in milliseconds. */
const GONE_MS_MAX = 30_000;
const AGAIN_MS = 250;

interface Patience {
  /** The daemon was seen: what it may be gone counts from anew. */
  seen(): void;
  /** Waits a little and returns true, or returns false at once: the time is over. */
  goesOn(): Promise<boolean>;
}

/** `untilMs` by `performance.now()`: when the wait for the lock ends; undefined: never. */
export function patience(untilMs: number | undefined): Patience {
  let goneSinceMs: number | undefined;
  return {
    seen: () => {
      goneSinceMs = undefined;
    },
    goesOn: async () => {
      const nowMs = performance.now();
      goneSinceMs ??= nowMs;
      if (nowMs >= Math.min(goneSinceMs + GONE_MS_MAX, untilMs ?? Infinity)) return false;
      await Bun.sleep(AGAIN_MS);
      return true;
    },
  };
}

/** A daemon that is being stopped refuses who waits, and has done nothing for them. */
export function isStopping(error: unknown): boolean {
  return error instanceof CliFailure && error.code === "engine.stopping";
}
