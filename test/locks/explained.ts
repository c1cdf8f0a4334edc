// Says of histories of locks that they can be explained, or shows where they cannot.
import type { TimedEvent } from "./history.ts";
import { linearise } from "./linearise.ts";
import { after, freeLock, keyOf } from "./lock-model.ts";

/** How much of a history stands in the error. */
const shownCount = 12;

/** Throws, with where the longest explanation ends, when one of them has none. */
export function expectExplained(histories: ReadonlyMap<string, readonly TimedEvent[]>): void {
  for (const [lock, history] of histories) {
    const { verdict, order, stuckAt } = linearise(history, { start: freeLock, after, keyOf });
    if (verdict === "right") continue;
    const shown = [...order.slice(-shownCount), "none of these can follow:", ...stuckAt];
    const lines = shown.map((one) => (typeof one === "string" ? one : textOf(one)));
    throw new Error(`the history of lock ${lock} is ${verdict}:\n${lines.join("\n")}`);
  }
}

function textOf({ event, fromMs, untilMs, isOptional }: TimedEvent): string {
  const words = JSON.stringify(event, (_, value) =>
    typeof value === "bigint" ? String(value) : value,
  );
  return `${fromMs.toFixed(1)}–${untilMs.toFixed(1)}${isOptional ? " perhaps" : ""} ${words}`;
}
