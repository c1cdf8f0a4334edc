// What a removal becomes: how long it stays in the trash, and whether it goes there at all.
import type { RetiredEntry, VolumeEntry } from "../core/state-store.ts";
import { driverOptions } from "./engine-options.ts";
import { parseRetention, type Retention } from "./retention.ts";
import { ANONYMOUS_LABEL } from "./volume-filter.ts";

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
  if (reclaim === "delete" && isOurs) return after("off", nowMs);
  if (!defaults.isOn && reclaim !== "trash") return after("off", nowMs);
  if (!isOurs || entry.origin === "adopted") return { phase: "kept", purgeAtMs: null };
  const isAnonymous = entry.labels !== null && Object.hasOwn(entry.labels, ANONYMOUS_LABEL);
  return after(isAnonymous ? defaults.anonymous : defaults.named, nowMs);
}

/** Whether it never was in the trash for a while: nobody has to be told of its purge. */
export function isPurgedAtOnce({ phase, purgeAtMs, retiredAtMs }: RetiredEntry): boolean {
  return phase === "purging" && purgeAtMs !== null && purgeAtMs <= retiredAtMs;
}

function after(retention: Retention, nowMs: number): Fate {
  if (retention === "off") return { phase: "purging", purgeAtMs: nowMs };
  return { phase: "kept", purgeAtMs: nowMs + retention };
}
