// What becomes of a volume when it is removed, in a few words.
import type { VolumeEntry } from "../core/state-store.ts";
import { fateOf, type TrashDefaults } from "../engine/trash-policy.ts";

const MINUTE_MS = 60_000;

const units: readonly (readonly [ms: number, word: string])[] = [
  [24 * 60 * MINUTE_MS, "day"],
  [60 * MINUTE_MS, "hour"],
  [MINUTE_MS, "minute"],
  [1_000, "second"],
];

/** "kept for 7 days", "kept until somebody purges it", "destroyed at once". */
export function fateText(defaults: TrashDefaults, entry: VolumeEntry): string {
  const { phase, purgeAtMs } = fateOf(entry, defaults, 0);
  if (phase === "purging") return "destroyed at once";
  if (purgeAtMs === null) return "kept until somebody purges it";
  return `kept for ${spanText(purgeAtMs)}`;
}

/** In the largest unit that says it exactly. */
function spanText(spanMs: number): string {
  const [unitMs, word] = units.find(([ms]) => spanMs >= ms && spanMs % ms === 0) ?? [1, "ms"];
  const count = spanMs / unitMs;
  return `${count} ${word}${count === 1 || word === "ms" ? "" : "s"}`;
}
