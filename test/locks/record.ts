// What clients of locks write down: each call before it is sent, each answer when it is there.
//
// One JSON object a line, on a file descriptor that takes it at once: a client that is killed has
// said what it asked for. Times are of one clock, in milliseconds, so that the lines of many
// processes can be put in one order.
import type { LeaseMode } from "../../src/core/lease-service.ts";
import type { LockBond } from "../../src/core/lock.ts";

/** What is asked of one lock. A lease is called by the number of the call that asked for it. */
export type LockCall =
  | {
      readonly kind: "acquire";
      readonly mode: LeaseMode;
      readonly bond: LockBond;
      readonly ttlMs: number;
      readonly waitMs: number;
    }
  | { readonly kind: "renew"; readonly lease: string; readonly ttlMs: number }
  | { readonly kind: "release"; readonly lease: string }
  | { readonly kind: "steal"; readonly fence: string }
  | { readonly kind: "list" };

/**
 * "refused": in time, or at all. "gone": the lease, or what was to be stolen, is not held.
 * "unsent": it has reached no daemon. What has no answer at all may have happened or not.
 */
export type LockAnswer =
  | { readonly kind: "granted"; readonly fence: string }
  | { readonly kind: "refused" }
  | { readonly kind: "done" }
  | { readonly kind: "gone" }
  | { readonly kind: "unsent" }
  | { readonly kind: "listed"; readonly held: readonly Listed[] };

/** A holder of a list; its label is the number of the call that asked for the lease. */
export interface Listed {
  readonly fence: string;
  readonly lease: string;
}

export type RecordLine =
  | {
      readonly line: "call";
      readonly call: string;
      readonly lock: string;
      readonly atMs: number;
      readonly asks: LockCall;
    }
  | {
      readonly line: "answer";
      readonly call: string;
      readonly atMs: number;
      readonly answer: LockAnswer;
    }
  /** The client ends its connection, on which the lease hangs; or was told that it is lost. */
  | { readonly line: "cut" | "lost"; readonly call: string; readonly atMs: number };

/** The same in all processes; what each runs on only goes forward. */
export function machineMs(): number {
  return performance.timeOrigin + performance.now();
}
