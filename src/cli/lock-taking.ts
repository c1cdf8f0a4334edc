// Waits for a lock: as long as it is allowed to, over restarts of the daemon too.
import { exitOfKind, lockTimedOutExit, ownFailure } from "./exit-codes.ts";
import { CliFailure, DaemonRefusal, DaemonUnreachable } from "./failure.ts";
import { type HeldLock, keepLock, type OpenStream, openStream } from "./lock-keeping.ts";
import { type GrantedLock, type LockPlace, placeText } from "./lock-place.ts";
import { waitSeconds } from "./lock-times.ts";
import type { Target } from "./target.ts";

/** How long a daemon that was there may be gone while we wait, in milliseconds. */
const GONE_MS_MAX = 30_000;
const AGAIN_MS = 250;

export interface LockWish {
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
  let goneSinceMs: number | undefined;
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
      goneSinceMs = undefined;
      wish.queued(at);
    };
    const stream = openStream(target, place, { body, queued });
    const lock = await grantOf(stream);
    if (!(lock instanceof CliFailure)) return keepLock({ target, lock, stream, ttlMs: wish.ttlMs });
    stream.close();
    if (lock.code === "lock.timed_out" && wish.untilMs === undefined) continue;
    if (lock instanceof DaemonRefusal || !hasWaited) throw lock;
    goneSinceMs ??= performance.now();
    if (performance.now() > Math.min(goneSinceMs + GONE_MS_MAX, wish.untilMs ?? Infinity))
      throw lock;
    await Bun.sleep(AGAIN_MS);
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

/** The failure of a lock that was not taken; `exit` is for everything but the time. */
export function notTaken(
  error: unknown,
  place: LockPlace,
  { timedOutExit, exit }: { readonly timedOutExit: string | undefined; readonly exit?: number },
): unknown {
  if (!(error instanceof CliFailure)) return error;
  const { code, recovery, message } = error;
  if (code === "lock.timed_out") {
    const words = error instanceof DaemonRefusal ? error.reason : message;
    const text = `the lock ${placeText(place)} was not free in time: ${words}`;
    return new CliFailure(text, Number(timedOutExit ?? lockTimedOutExit), { code, recovery });
  }
  if (exit !== undefined) return new CliFailure(message, exit, { code, recovery });
  if (error instanceof DaemonUnreachable) return new CliFailure(message, exitOfKind.unavailable);
  return ownFailure(error);
}
