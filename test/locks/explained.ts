// Says of histories of locks that they can be explained, or shows where they cannot.

import { type Call, checkLinearizable, type SequentialModel } from "../support/linearizability.ts";
import type { TimedEvent } from "./history.ts";
import { after, freeLock, keyOf, type LockEvent, type LockState } from "./lock-model.ts";

/** How much of a history stands in the error. */
const shownCount = 12;

/** Throws, with where the longest explanation ends, when one of them has none. */
export function expectExplained(histories: ReadonlyMap<string, readonly TimedEvent[]>): void {
  for (const [lock, history] of histories) {
    const { isLinearizable, order, stuckAt } = checkLinearizable(model, history.map(callOf));
    if (isLinearizable) continue;
    const shown = [...order.slice(-shownCount), "none of these can follow:", ...stuckAt];
    const lines = shown.map((one) => (typeof one === "string" ? one : textOf(one)));
    throw new Error(`the history of lock ${lock} cannot be explained:\n${lines.join("\n")}`);
  }
}

/** What happened is asked, and the answer is that it did. */
const model: SequentialModel<LockState, LockEvent, true> = {
  initial: freeLock,
  step(state, event) {
    const next = after(state, event);
    return next === undefined ? [] : [next];
  },
  keyOf,
  isRead: ({ kind }) => kind !== "granted" && kind !== "ended",
};

function callOf({ event, fromMs, untilMs }: TimedEvent): Call<LockEvent, true> {
  const returned = untilMs === undefined ? undefined : ({ at: untilMs, output: true } as const);
  return { input: event, calledAt: fromMs, returned };
}

function textOf({ input, calledAt, returned }: Call<LockEvent, true>): string {
  const words = JSON.stringify(input, (_, value) =>
    typeof value === "bigint" ? String(value) : value,
  );
  return `${calledAt.toFixed(1)}–${returned?.at.toFixed(1) ?? "(perhaps)"} ${words}`;
}
