// Locks of applications: named locks that belong to a volume (decision 0012).
import { EngineError } from "./errors.ts";

/** Longest name of a lock in bytes. */
const LOCK_NAME_BYTES_MAX = 128;

/** Longest label of a holder in characters. */
export const LOCK_LABEL_LENGTH_MAX = 100;

/** The time to live that nobody asked for, in milliseconds. */
export const LOCK_TTL_MS = 30_000;

/** How many locks of one volume may be held or waited for at a time. */
export const LOCKS_PER_VOLUME_MAX = 1_000;

/**
 * How many may wait for one lock, whoever they are. Each needs a connection, of which the daemon's
 * sockets have fewer: see `lockConnectionsMax` and api/locks/shares.ts.
 */
export const LOCK_WAITERS_MAX = 10_000;

const namePattern = /^[a-zA-Z0-9][a-zA-Z0-9_.:@-]*$/;

/** A lock's name: 1 to 128 of `[a-zA-Z0-9_.:@-]`, beginning with a letter or digit. */
export type LockName = string & { readonly lockName: unique symbol };

/** Throws `lock.name_invalid`. */
export function parseLockName(text: string): LockName {
  if (namePattern.test(text) && text.length <= LOCK_NAME_BYTES_MAX) return text as LockName;
  throw new EngineError(
    "lock.name_invalid",
    `invalid name of a lock: ${JSON.stringify(text.slice(0, LOCK_NAME_BYTES_MAX))}: 1 to ` +
      `${LOCK_NAME_BYTES_MAX} of [a-zA-Z0-9_.:@-] are needed, beginning with a letter or digit`,
    { details: { name: text.slice(0, LOCK_NAME_BYTES_MAX) } },
  );
}

/**
 * What a lock's life hangs on, besides its time to live. "connection": it ends with the connection
 * that took it. "process": it ends with a process, which the kernel tells at once. "none": only its
 * time ends it.
 */
export type LockBond = "connection" | "process" | "none";

/** Who has a lock, for people: all of it as the kernel, or the holder itself, said. */
export interface LockHolder {
  /** Of the process that asked, or that it named; 0: not known. */
  readonly pid: number;
  /** What it runs; "": not known. */
  readonly program: string;
  /** What it calls itself; "": nothing. */
  readonly label: string;
  /** 64 hex digits; null: it is in no container that is known. */
  readonly container: string | null;
}
