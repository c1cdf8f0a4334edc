// What is known of the health of one volume's storage, and what follows from an answer: pure.
//
// One slow answer is no news: "unreachable" and "degraded" are believed at the second answer in a
// row, and are true since the first one. "stale", "read-only" and "ready" are believed at once.
import type { StorageHealth, StorageSpace, StorageState, Unsaved } from "../../core/driver.ts";
import type { DriverName, VolumeName } from "../../core/names.ts";
import { saidBy } from "../../core/printable.ts";

/** How long after its last answer a volume is asked again, in milliseconds. */
export const looksMs = {
  /** Somebody has it. */
  held: 15_000,
  /** Somebody has it, and somebody looks at it. */
  looked: 5_000,
  /** Something is wrong with it, or it is held and not mounted. */
  trouble: 2_000,
  /** Not everything is on the storage yet. */
  unsaved: 5_000,
  /** Nobody has it: one such volume of each server. */
  idle: 60_000,
} as const;

/** One volume. Its members change; `name` tells it from all others. */
export interface Watch {
  readonly name: VolumeName;
  readonly driver: DriverName;
  /** What fails together, for people: see `HealthCapable.server`. */
  readonly server: string;
  /** Somebody has it mounted. */
  isHeld: boolean;
  state: StorageState;
  /** Since when, in milliseconds since the epoch; null: from the start on. */
  sinceMs: number | null;
  reason: string;
  tookMs: number | null;
  unsaved: Unsaved | undefined;
  space: StorageSpace | undefined;
  /** The state is its server's: the volume itself was not asked. */
  isInferred: boolean;
  /** The first answer that is not believed yet. */
  doubt: { readonly state: StorageState; readonly atMs: number } | null;
  /** What the last answer was, believed or not; null: there was none. */
  answer: StorageState | null;
  /** Since when it has answered nothing, by the clock that only goes forward. */
  silentSinceMs: number | null;
  /** When it is asked next, by the clock that only goes forward. */
  dueMs: number;
  isChecking: boolean;
  /** A question that was given up on has not ended: the answer is the same until it has. */
  isStuck: boolean;
  /** How often mending it has failed in a row, and when it may be tried again. */
  mending: { failureCount: number; dueMs: number; isRunning: boolean };
}

/** A state that has just become another one. */
export interface HealthChange {
  readonly watch: Watch;
  readonly from: StorageState;
}

/** The clocks: milliseconds since the epoch, and of the one that only goes forward. */
export interface Now {
  readonly nowMs: number;
  readonly monotonicMs: number;
}

export function newWatch(of: Pick<Watch, "name" | "driver" | "server" | "isHeld">): Watch {
  return {
    ...of,
    state: "ready",
    sinceMs: null,
    reason: "",
    tookMs: null,
    unsaved: undefined,
    space: undefined,
    isInferred: false,
    doubt: null,
    answer: null,
    silentSinceMs: null,
    dueMs: of.isHeld ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY,
    isChecking: false,
    isStuck: false,
    mending: { failureCount: 0, dueMs: Number.NEGATIVE_INFINITY, isRunning: false },
  };
}

/** Notes an answer of the volume itself. Returns what has changed, if anything has. */
export function noteAnswer(
  watch: Watch,
  health: StorageHealth,
  now: Now,
): HealthChange | undefined {
  const { state, tookMs, unsaved, space } = health;
  const reason = saidBy(health.reason);
  watch.answer = state;
  watch.silentSinceMs = state === "unreachable" ? (watch.silentSinceMs ?? now.monotonicMs) : null;
  watch.tookMs = tookMs;
  // What was not there before is not there now: silence sends nothing.
  watch.unsaved = state === "unreachable" ? (unsaved ?? watch.unsaved) : unsaved;
  // What was free before storage fell silent is still the best that is known.
  if (space !== undefined || state === "ready") watch.space = space;
  watch.isInferred = false;
  if (state === watch.state) {
    watch.doubt = null;
    watch.reason = reason;
    return undefined;
  }
  if (isDoubtful(watch.state, state) && watch.doubt?.state !== state) {
    watch.doubt = { state, atMs: now.nowMs };
    return undefined;
  }
  return change(watch, { state, reason, sinceMs: watch.doubt?.atMs ?? now.nowMs });
}

/** Gives a volume the state of its server. */
export function inferState(
  watch: Watch,
  to: Pick<Watch, "state" | "reason">,
  nowMs: number,
): HealthChange | undefined {
  if (watch.state === to.state) return undefined;
  watch.isInferred = true;
  return change(watch, { ...to, sinceMs: nowMs });
}

function change(
  watch: Watch,
  to: { readonly state: StorageState; readonly reason: string; readonly sinceMs: number },
): HealthChange {
  const from = watch.state;
  watch.state = to.state;
  watch.reason = to.reason;
  watch.sinceMs = to.sinceMs;
  watch.doubt = null;
  return { watch, from };
}

/** Whether an answer may be one slow moment. Who was silent and answers at last is believed. */
function isDoubtful(from: StorageState, to: StorageState): boolean {
  if (to === "unreachable") return true;
  return to === "degraded" && from !== "unreachable";
}

/** How long until it is asked again; undefined: only when its server's turn has come. */
export function lookMs(watch: Watch, isUnmounted: boolean): number | undefined {
  if (watch.doubt !== null || isUnmounted) return looksMs.trouble;
  if (watch.state !== "ready" && !watch.isInferred) return looksMs.trouble;
  if (watch.unsaved !== undefined && watch.unsaved.fileCount > 0) return looksMs.unsaved;
  return watch.isHeld ? looksMs.held : undefined;
}

/** Whether whoever looks at it now is to have a fresher answer soon. */
export function isOld(watch: Watch, monotonicMs: number): boolean {
  const isWaiting = watch.isHeld && !watch.isChecking && watch.state === "ready";
  return isWaiting && watch.dueMs - monotonicMs < looksMs.held - looksMs.looked;
}
