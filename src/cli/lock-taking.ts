// Waits for a lock: as long as it is allowed to, over restarts of the daemon too.
import { CliFailure, DaemonRefusal } from "./failure.ts";
import { type HeldLock, keepLock, type OpenStream, openStream } from "./lock-keeping.ts";
import { isStopping, patience } from "./lock-patience.ts";
import type { GrantedLock, LockPlace } from "./lock-place.ts";
import { waitSeconds } from "./lock-times.ts";
import type { Target } from "./target.ts";

interface LockWish {
  readonly mode: "shared" | "exclusive";
  readonly ttlMs: number;
  /** By `performance.now()`; undefined: without a limit. */
  readonly untilMs: number | undefined;
  readonly label: string;
  readonly queued: (place: number) => void;
}

/**
 * Takes a lock, whose life hangs on a connection of this process. Throws `CliFailure`: with
 * `lock.timed_out` when the time is over.
 */
export async function takeLock(
  target: Target,
  place: LockPlace,
  wish: LockWish,
): Promise<HeldLock> {
  const patient = patience(wish.untilMs);
  let hasWaited = false;
  for (;;) {
    const body = {
      mode: wish.mode,
      ttl: wish.ttlMs / 1_000,
      wait: waitSeconds(wish.untilMs, performance.now()),
      label: wish.label,
      pid: process.pid,
    };
    const queued = (at: number): void => {
      hasWaited = true;
      patient.seen();
      wish.queued(at);
    };
    const stream = openStream(target, place, { body, queued });
    const lock = await grantOf(stream);
    if (!(lock instanceof CliFailure)) return keepLock({ target, lock, stream, ttlMs: wish.ttlMs });
    stream.close();
    if (lock.code === "lock.timed_out" && wish.untilMs === undefined) continue;
    if (isStopping(lock)) hasWaited = true;
    else if (lock instanceof DaemonRefusal) throw lock;
    if (!hasWaited || !(await patient.goesOn())) throw lock;
  }
}

async function grantOf({ granted }: OpenStream): Promise<GrantedLock | CliFailure> {
  try {
    return await granted;
  } catch (error) {
    if (error instanceof CliFailure) return error;
    throw error;
  }
}
