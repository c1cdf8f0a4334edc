// How `holdfast lock run` ends where not as its command does, and `lock acquire` where it waited.
import { CliFailure, DaemonRefusal } from "./failure.ts";
import { type LockPlace, placeText } from "./lock-place.ts";

/**
 * A lock was not got in time: EX_TEMPFAIL of sysexits.h, "try again later". flock(1) ends with 1
 * there, as most programs do for most reasons.
 */
export const timedOutExit = 75;

/** A lock was lost while its command ran: the first code that sysexits.h has no meaning for. */
export const lostExit = 79;

/** Nothing was started, as `docker run`, env(1) and timeout(1) end then. */
export const notStartedExit = 125;

/** As shells end where there is no such program, and where it is none. */
export const missingExit = 127;
export const notExecutableExit = 126;

/** The failure of a lock that was not free in time; undefined: it is another one. */
export function timedOut(
  error: unknown,
  place: LockPlace,
  exit: string | undefined,
): CliFailure | undefined {
  if (!(error instanceof CliFailure) || error.code !== "lock.timed_out") return undefined;
  const { code, recovery, message } = error;
  const words = error instanceof DaemonRefusal ? error.reason : message;
  const text = `the lock ${placeText(place)} was not free in time: ${words}`;
  return new CliFailure(text, Number(exit ?? timedOutExit), { code, recovery });
}
