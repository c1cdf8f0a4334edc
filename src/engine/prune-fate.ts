// What becomes of a volume that a prune removes, in words.
import type { VolumeDriver } from "../core/driver.ts";
import type { VolumeEntry } from "../core/state-store.ts";
import { driverOptions } from "./engine-options.ts";
import type { Fate } from "./trash-policy.ts";

/** Whether Holdfast made the volume's storage, and may destroy it. */
export function isOwnStorage({ origin, options }: VolumeEntry): boolean {
  return origin === "made" && Object.keys(driverOptions(options)).length === 0;
}

/** Whether what is removed stays in the trash for a while, and takes its space there. */
export function isKeptInTrash(driver: VolumeDriver | undefined, { phase }: Fate): boolean {
  return driver?.trash !== undefined && phase === "kept";
}

/**
 * `trash until 2026-10-22` (a day of UTC), `trash until somebody purges it`, `purged at once`, or
 * `let go of; data stays`: of storage that Holdfast did not make only the description goes.
 */
export function fateInWords(
  entry: VolumeEntry,
  driver: VolumeDriver | undefined,
  fate: Fate,
): string {
  if (!isOwnStorage(entry)) return "let go of; data stays";
  if (!isKeptInTrash(driver, fate)) return "purged at once";
  const { purgeAtMs } = fate;
  if (purgeAtMs === null) return "trash until somebody purges it";
  return `trash until ${new Date(purgeAtMs).toISOString().slice(0, 10)}`;
}
