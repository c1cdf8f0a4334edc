// What becomes of a volume when it is removed, in words.
import type { VolumeDriver } from "../../core/driver.ts";
import type { VolumeEntry } from "../../core/state-store.ts";
import { type Fate, fateOf, isKeptInTrash, isOwnStorage, type TrashDefaults } from "./policy.ts";

const MINUTE_MS = 60_000;

const units: readonly (readonly [ms: number, word: string])[] = [
  [24 * 60 * MINUTE_MS, "day"],
  [60 * MINUTE_MS, "hour"],
  [MINUTE_MS, "minute"],
];

/** What is to be removed, and by what its fate is decided. */
export interface Doomed {
  readonly entry: VolumeEntry;
  /** undefined: it is not here. */
  readonly driver: VolumeDriver | undefined;
  readonly defaults: TrashDefaults;
}

/**
 * Of a removal at `nowMs`: `trash until 2026-10-22` (a day of UTC), `trash until somebody purges
 * it`, `purged at once`, `removed by its plugin`. Of storage that Holdfast did not make only the
 * description goes: `let go of; data stays, purged or not`. What it made on a server stays there as
 * long as the trash has the volume: `let go of; data stays until somebody purges it`.
 */
export function fateAt(nowMs: number, doomed: Doomed): string {
  const fate = fateOf(doomed.entry, doomed.defaults, nowMs);
  return inWords(doomed, fate, (atMs) => `until ${new Date(atMs).toISOString().slice(0, 10)}`);
}

/** Of a removal at any time: as `fateAt`, with `trash for 7 days`. */
export function fateAnyTime(doomed: Doomed): string {
  return inWords(doomed, fateOf(doomed.entry, doomed.defaults, 0), (ms) => `for ${spanText(ms)}`);
}

function inWords({ entry, driver }: Doomed, fate: Fate, end: (purgeAtMs: number) => string) {
  if (driver === undefined || driver.isPlugin) return "removed by its plugin";
  const isOurs = isOwnStorage(entry);
  // The options of a local volume name what is not ours; all others say where ours is.
  const isMadeElsewhere = !isOurs && entry.origin === "made" && entry.driver !== "local";
  if (!isOurs && !isMadeElsewhere) return "let go of; data stays, purged or not";
  if (!isKeptInTrash(driver, fate)) return "purged at once";
  const { purgeAtMs } = fate;
  const stay = isMadeElsewhere ? "let go of; data stays" : "trash";
  return `${stay} ${purgeAtMs === null ? "until somebody purges it" : end(purgeAtMs)}`;
}

/** In the largest unit that says it exactly; a time in the trash is whole minutes. */
function spanText(spanMs: number): string {
  const [unitMs, word] = units.find(([ms]) => spanMs % ms === 0) ?? [MINUTE_MS, "minute"];
  const count = Math.round(spanMs / unitMs);
  return `${count} ${word}${count === 1 ? "" : "s"}`;
}
