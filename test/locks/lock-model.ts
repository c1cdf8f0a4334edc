// What one lock is, as a sequence of events that each happen at once: the rules of its histories.
import type { LeaseMode } from "../../src/core/lease-service.ts";

/** What happened to one lock. Leases are called by the number of the call that asked for them. */
export type LockEvent =
  | {
      readonly kind: "granted";
      readonly lease: string;
      readonly mode: LeaseMode;
      readonly fence: bigint;
    }
  /** Not given, because somebody had it. */
  | { readonly kind: "refused" }
  /** Renewed: it was held. */
  | { readonly kind: "held"; readonly lease: string }
  /** Released, stolen, run out, or its holder is dead. */
  | { readonly kind: "ended"; readonly lease: string }
  /** Said to be no more. */
  | { readonly kind: "absent"; readonly lease: string }
  | { readonly kind: "listed"; readonly leases: readonly string[] };

export interface LockState {
  readonly lastFence: bigint;
  readonly held: ReadonlyMap<string, LeaseMode>;
}

export const freeLock: LockState = { lastFence: 0n, held: new Map() };

/** The lock afterwards; undefined: this cannot happen to a lock in this state. */
export function after(state: LockState, event: LockEvent): LockState | undefined {
  const { held } = state;
  switch (event.kind) {
    case "granted":
      return granted(state, event);
    case "refused":
      return held.size > 0 ? state : undefined;
    case "held":
      return held.has(event.lease) ? state : undefined;
    case "absent":
      return held.has(event.lease) ? undefined : state;
    case "ended":
      if (!held.has(event.lease)) return undefined;
      return { ...state, held: new Map([...held].filter(([lease]) => lease !== event.lease)) };
    case "listed": {
      const isSame = event.leases.toSorted().join() === [...held.keys()].toSorted().join();
      return isSame ? state : undefined;
    }
    default:
      return event satisfies never;
  }
}

function granted(
  { lastFence, held }: LockState,
  { lease, mode, fence }: Extract<LockEvent, { readonly kind: "granted" }>,
): LockState | undefined {
  const others = [...held.values()];
  const isAllowed = mode === "exclusive" ? others.length === 0 : !others.includes("exclusive");
  if (!isAllowed) return undefined;
  // The one rule that a stopped holder depends on: who comes later has the larger number.
  if (fence <= lastFence) return undefined;
  return { lastFence: fence, held: new Map([...held, [lease, mode]]) };
}

/** The same text for the same state. */
export function keyOf({ lastFence, held }: LockState): string {
  return `${lastFence}:${[...held.keys()].toSorted().join()}`;
}
