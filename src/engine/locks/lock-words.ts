// What is said of locks that are not to be had, or not any more.
import { EngineError } from "../../core/errors.ts";
import type { LockHolder } from "../../core/lock.ts";
import { holderText } from "./lock-holders.ts";
import type { LockPlace } from "./lock-table.ts";

interface TimedOut {
  readonly waitMs: number;
  /** Who has it now; undefined: it has just become free. */
  readonly holder: { readonly holder: LockHolder; readonly sinceMs: number } | undefined;
  readonly nameOf: (container: string) => string | undefined;
  readonly cause: EngineError;
}

export function timedOut({ volume, lock }: LockPlace, how: TimedOut): EngineError {
  const { waitMs, holder, nameOf, cause } = how;
  const who = holder === undefined ? "somebody" : holderText(holder.holder, nameOf);
  const since = holder === undefined ? "" : ` since ${new Date(holder.sinceMs).toISOString()}`;
  const words = `${waitedText(waitMs)}${who} has lock ${lock} of ${volume}${since}`;
  return new EngineError("lock.timed_out", words, {
    cause,
    details: { volume, lock, holder: who },
  });
}

/** `waited 1.5 s: `, before what came of it. */
export function waitedText(waitMs: number): string {
  const waitSeconds = Math.round(waitMs / 100) / 10;
  return waitSeconds === 0 ? "" : `waited ${waitSeconds} s: `;
}

/** Leases speak of keys. */
export function lostReason({ volume, lock }: LockPlace, reason: EngineError): EngineError {
  if (reason.code !== "lock.expired") return reason;
  const words = `lock ${lock} of ${volume} was not renewed in time`;
  return new EngineError("lock.expired", words, { cause: reason, details: { volume, lock } });
}

export function notHeld(
  { volume, lock }: { volume: string; lock: string },
  how: string,
): EngineError {
  return new EngineError("lock.not_held", `lock ${lock} of ${volume} is not held ${how}`, {
    details: { volume, lock },
  });
}

export function endedWaiting({ lock, volume }: LockPlace): EngineError {
  const words = `the process that waited for lock ${lock} of ${volume} has ended`;
  return new EngineError("operation.cancelled", words);
}
