// One request from socket to disk: its id, its caller, its signal and its log.
import type { OperationId } from "./names.ts";

/**
 * The process that asked, as the kernel told us (SO_PEERCRED at connect time, so `pid` may be gone
 * or reused by the time anybody reads it). "system" is Holdfast itself: recovery and jobs.
 */
export type Caller =
  | { readonly kind: "process"; readonly uid: number; readonly gid: number; readonly pid: number }
  | { readonly kind: "system" };

/**
 * Structured fields of a log line. Values are printed as JSON; secrets have a type of their own.
 */
export type LogFields = Readonly<Record<string, unknown>>;

/** A log that is bound to its operation. Who handles an error logs it, and nobody else. */
export interface Log {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
}

/**
 * Passed to everything that waits, always as the last argument and never optional. A client that
 * goes away fires nothing: what it asked for is done all the same. Deadlines of drivers and the
 * end of the daemon fire signals of their own. Work checks
 * `signal` before each effect; a signal that fires makes calls reject with `operation.cancelled`
 * or `operation.timed_out`, and what was done by then is either whole or undone. Whoever fires it
 * gives the `EngineError` to reject with as its reason, so that `signal.throwIfAborted()` throws
 * it.
 */
export interface Operation {
  readonly id: OperationId;
  readonly caller: Caller;
  readonly signal: AbortSignal;
  readonly log: Log;
}

/** The caller of what Holdfast does on its own account. */
export const systemCaller: Caller = { kind: "system" };

/** A log that says nothing: for checks and tests. */
export const silentLog: Log = { debug() {}, info() {}, warn() {}, error() {} };

/**
 * The same operation with a signal that never fires: for what must be undone whatever has failed,
 * and for what others wait for, too. What it waits for needs limits of its own.
 */
export function unfired(operation: Operation): Operation {
  return { ...operation, signal: new AbortController().signal };
}
