// What a removal becomes: how long it stays in the trash, and whether it goes there at all.
import type { VolumeDriver } from "../../core/driver.ts";
import type { RetiredEntry, VolumeEntry } from "../../core/state-store.ts";
import { driverOptions } from "../engine-options.ts";
import { isAnonymous } from "../volume-filter.ts";
import { parseRetention, type Retention } from "./retention.ts";

/** What the daemon says of volumes that say nothing themselves. */
export interface TrashDefaults {
  readonly named: Retention;
  /** Of volumes whose name Holdfast (or Docker) chose. */
  readonly anonymous: Retention;
  /** False: what says nothing itself is purged at once, as in Docker. */
  readonly isOn: boolean;
}

/** Without a word in the configuration: a week, and a day for anonymous volumes. */
export const trashDefaults: TrashDefaults = {
  named: 7 * 86_400_000,
  anonymous: 86_400_000,
  isOn: true,
};

export type Fate = Pick<RetiredEntry, "phase" | "purgeAtMs">;

/**
 * Decision 0009's table, for a removal at `nowMs`. What is not to be kept is "purging", its
 * `purgeAtMs` the time of its removal. A volume's own word is stronger than the daemon's; words
 * that cannot be read are none.
 */
export function fateOf(entry: VolumeEntry, defaults: TrashDefaults, nowMs: number): Fate {
  const { trash, reclaim } = entry.options ?? {};
  if (reclaim === "retain") return { phase: "kept", purgeAtMs: null };
  const isOurs = Object.keys(driverOptions(entry.options)).length === 0;
  const own = trash === undefined ? undefined : parseRetention(trash);
  if (own !== undefined) return after(own, nowMs);
  if (reclaim === "delete" && isOurs) return forGood(nowMs);
  if (!defaults.isOn && reclaim !== "trash") return forGood(nowMs);
  if (!isOwnStorage(entry)) return { phase: "kept", purgeAtMs: null };
  return after(isAnonymous(entry) ? defaults.anonymous : defaults.named, nowMs);
}

/** Of what is given up as it is removed. */
export function forGood(nowMs: number): Fate {
  return { phase: "purging", purgeAtMs: nowMs };
}

/** Whether Holdfast made the volume's storage, and may destroy it. */
export function isOwnStorage({ origin, options }: VolumeEntry): boolean {
  return origin === "made" && Object.keys(driverOptions(options)).length === 0;
}

/** Whether what is removed stays in the trash for a while, and takes its space there. */
export function isKeptInTrash(driver: VolumeDriver | undefined, { phase }: Fate): boolean {
  return driver?.trash !== undefined && phase === "kept";
}

/** Whether it never was in the trash for a while: nobody has to be told of its purge. */
export function isPurgedAtOnce({ phase, purgeAtMs, retiredAtMs }: RetiredEntry): boolean {
  return phase === "purging" && purgeAtMs !== null && purgeAtMs <= retiredAtMs;
}

function after(retention: Retention, nowMs: number): Fate {
  return retention === "off" ? forGood(nowMs) : { phase: "kept", purgeAtMs: nowMs + retention };
}
