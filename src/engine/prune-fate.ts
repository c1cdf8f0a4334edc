// What becomes of a volume that a prune removes, in words.
import type { VolumeDriver } from "../core/driver.ts";
import type { RetiredEntry, VolumeEntry } from "../core/state-store.ts";
import { driverOptions } from "./engine-options.ts";

/** What a removal makes of a volume: see decision 0009. */
export type Fate = Pick<RetiredEntry, "phase" | "purgeAtMs">;

/**
 * `trash until 2026-10-22` (a day of UTC), `trash until somebody purges it`, `purged at once`, or
 * `let go of; data stays`: of storage that Holdfast did not make only the description goes.
 */
export function fateInWords(
  entry: VolumeEntry,
  driver: VolumeDriver | undefined,
  { phase, purgeAtMs }: Fate,
): string {
  const isOurs = Object.keys(driverOptions(entry.options)).length === 0;
  if (entry.origin === "adopted" || !isOurs) return "let go of; data stays";
  if (driver?.trash === undefined || phase === "purging") return "purged at once";
  if (purgeAtMs === null) return "trash until somebody purges it";
  return `trash until ${new Date(purgeAtMs).toISOString().slice(0, 10)}`;
}
