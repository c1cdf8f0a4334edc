// The options that are the engine's own, whatever the driver: sharing, database, owner, mode,
// trash, reclaim, on-stale, guard.
//
// They are kept with a volume's other options, as they were given, and taken out before the driver
// sees any.
import type { DriverOptions, VolumeDriver } from "../core/driver.ts";
import { EngineError } from "../core/errors.ts";
import type { DirectoryOwner } from "../core/host.ts";
import { goQuote } from "../core/names.ts";
import { parseRetention, RETENTION_RULE, type Retention } from "./trash/retention.ts";

/**
 * Docker's words for cluster volumes. "all": anybody. "none": one running container at a time.
 * "onewriter": one running container may have it read-write, others read-only. "readonly": nobody
 * has it read-write.
 */
export const sharingModes = ["all", "none", "onewriter", "readonly"] as const;

export type SharingMode = (typeof sharingModes)[number];

/**
 * What happens when a second running container has a volume read-write. "warn": an event and a
 * state where a database is in it. "exclusive": it is refused, or stopped. "off": nothing.
 */
const databaseModes = ["warn", "exclusive", "off"] as const;

export type DatabaseMode = (typeof databaseModes)[number];

/**
 * What becomes of the storage when the volume is removed (decision 0009). "trash": the trash, for a
 * time. "delete": it is purged at once. "retain": the trash, until somebody has it purged.
 */
export const reclaimModes = ["retain", "trash", "delete"] as const;

export type ReclaimMode = (typeof reclaimModes)[number];

/**
 * What becomes of containers that a new mount does not reach after their storage had died: they are
 * named, or restarted.
 */
const staleModes = ["warn", "restart"] as const;

export type StaleMode = (typeof staleModes)[number];

/**
 * Whether writers of one file are looked for while two or more containers have the volume
 * read-write ("warn": they are told of).
 */
const guardModes = ["off", "warn"] as const;

export type GuardMode = (typeof guardModes)[number];

export interface EngineOptions {
  readonly sharing: SharingMode;
  readonly database: DatabaseMode;
  /** What the data's own directory is given at each mount; undefined: it is left alone. */
  readonly owner: DirectoryOwner | undefined;
  /** undefined: the daemon's default. */
  readonly trash: Retention | undefined;
  readonly reclaim: ReclaimMode | undefined;
  readonly onStale: StaleMode;
  readonly guard: GuardMode;
}

/** Names of the engine's options, sorted. */
export const engineOptionNames = [
  "database",
  "guard",
  "mode",
  "on-stale",
  "owner",
  "reclaim",
  "sharing",
  "trash",
] as const;

/** Largest user or group number: the one above means "leave it" to chown(2). */
const ID_MAX = 0xffff_fffe;

const ownerPattern = /^(\d{1,10})(?::(\d{1,10}))?$/;
const modePattern = /^[0-7]{3,4}$/;

/** The options that are the driver's. Undefined and null are none. */
export function driverOptions(options: DriverOptions | null | undefined): DriverOptions {
  const own: readonly string[] = engineOptionNames;
  const entries = Object.entries(options ?? {});
  if (!entries.some(([name]) => own.includes(name))) return options ?? {};
  return Object.fromEntries(entries.filter(([name]) => !own.includes(name)));
}

/**
 * The options of a volume whose driver's own are replaced: the engine's stay. null when none is
 * left.
 */
export function withDriverOptions(
  options: DriverOptions | null,
  replacement: DriverOptions,
): DriverOptions | null {
  const own: readonly string[] = engineOptionNames;
  const kept = Object.entries(options ?? {}).filter(([name]) => own.includes(name));
  const all = [...Object.entries(replacement), ...kept];
  return all.length > 0 ? Object.fromEntries(all) : null;
}

/**
 * The engine's options. Throws `volume.option_invalid` naming the option, its value and the rule.
 */
export function engineOptions(options: DriverOptions | null | undefined): EngineOptions {
  const { owner, mode, trash } = options ?? {};
  const ids = owner === undefined ? {} : parseOwner(owner);
  const bits = mode === undefined ? {} : { mode: parseMode(mode) };
  const isGiven = owner !== undefined || mode !== undefined;
  return {
    sharing: readWord(options, "sharing", sharingModes) ?? "all",
    database: readWord(options, "database", databaseModes) ?? "warn",
    owner: isGiven ? { ...ids, ...bits } : undefined,
    trash: trash === undefined ? undefined : readRetention(trash),
    reclaim: readWord(options, "reclaim", reclaimModes),
    onStale: readWord(options, "on-stale", staleModes) ?? "warn",
    guard: readWord(options, "guard", guardModes) ?? "warn",
  };
}

/**
 * Before a volume is created or changed: as `engineOptions`, and throws `volume.option_invalid` for
 * what does not fit together too. A volume that is there is never refused for that.
 */
export function checkEngineOptions(options: DriverOptions | null | undefined): void {
  const { trash, reclaim } = engineOptions(options);
  if (reclaim === undefined || options === null || options === undefined) return;
  const hasDriverOptions = Object.keys(driverOptions(options)).length > 0;
  if (hasDriverOptions && reclaim !== "retain") {
    throw invalid(
      "reclaim",
      reclaim,
      "the driver's options name storage that is not Holdfast's, which is never deleted: only " +
        "retain fits",
    );
  }
  const fits =
    trash === undefined || (reclaim !== "retain" && (reclaim === "delete") === (trash === "off"));
  if (fits) return;
  throw invalid("reclaim", reclaim, `trash=${options["trash"]} says otherwise: give one of them`);
}

/**
 * As `checkEngineOptions`, for a volume of a plugin, which destroys what is removed at once: throws
 * `volume.option_invalid` for `trash` and `reclaim` that say otherwise.
 */
export function checkPluginOptions(options: DriverOptions | null | undefined): void {
  const { trash, reclaim } = engineOptions(options);
  const rule = "the plugin removes its volumes by itself, and nothing of them comes into the trash";
  if (trash !== undefined && trash !== "off")
    throw invalid("trash", options?.["trash"] ?? "", rule);
  if (reclaim !== undefined && reclaim !== "delete") throw invalid("reclaim", reclaim, rule);
}

/**
 * Throws `volume.option_invalid` for an `owner` or `mode` that the driver's storage would take and
 * never show. Of a volume that is there, `before` has its options: what they had is left alone.
 */
export function checkOwner(
  { fixedOwner }: Pick<VolumeDriver, "fixedOwner">,
  options: DriverOptions | null | undefined,
  before: DriverOptions | null = null,
): void {
  const insteadOf = (option: "owner" | "mode", of: DriverOptions | null | undefined) =>
    of?.[option] === undefined ? [] : (fixedOwner?.(option, driverOptions(of)) ?? []);
  for (const option of ["owner", "mode"] as const) {
    const value = options?.[option];
    const instead = insteadOf(option, options);
    if (value === undefined || instead.length === 0) continue;
    if (value === before?.[option] && insteadOf(option, before).length > 0) continue;
    const names = instead.map((name) => `${name}=`).join(", ");
    const rule = `this storage shows what ${names} say, whatever its files are given: use those`;
    throw invalid(option, value, rule);
  }
}

/**
 * Before a volume is made: throws `volume.option_invalid` for whatever the engine or the driver
 * does not take.
 */
export function checkNewOptions(
  driver: Pick<VolumeDriver, "fixedOwner" | "isPlugin" | "validate">,
  options: DriverOptions | null | undefined,
): void {
  if (driver.isPlugin) checkPluginOptions(options);
  else checkEngineOptions(options);
  driver.validate(driverOptions(options));
  checkOwner(driver, options);
}

function readRetention(text: string): Retention {
  const retention = parseRetention(text);
  if (retention === undefined) throw invalid("trash", text, RETENTION_RULE);
  return retention;
}

/** One of a few words; undefined: it is not given. */
function readWord<Word extends string>(
  options: DriverOptions | null | undefined,
  option: (typeof engineOptionNames)[number],
  words: readonly Word[],
): Word | undefined {
  const text = options?.[option];
  if (text === undefined) return undefined;
  const found = words.find((word) => word === text);
  if (found === undefined) throw invalid(option, text, `one of ${words.join(", ")} is needed`);
  return found;
}

function parseOwner(text: string): DirectoryOwner {
  const match = ownerPattern.exec(text);
  const userId = Number(match?.[1]);
  const groupId = match?.[2] === undefined ? undefined : Number(match[2]);
  if (match === null || userId > ID_MAX || (groupId ?? 0) > ID_MAX) {
    throw invalid(
      "owner",
      text,
      `UID or UID:GID is needed, in numbers up to ${ID_MAX}: names mean different users in ` +
        "different containers",
    );
  }
  return { userId, groupId };
}

function parseMode(text: string): number {
  if (!modePattern.test(text)) {
    throw invalid("mode", text, "three or four octal digits are needed, as in 0750");
  }
  return Number.parseInt(text, 8);
}

function invalid(option: string, value: string, rule: string): EngineError {
  return new EngineError(
    "volume.option_invalid",
    `invalid option: ${goQuote(option)}: ${goQuote(value.slice(0, 100))}: ${rule}`,
    { details: { option } },
  );
}
