// The part of recovery about the trash: rows and directories of what was removed.
import type { RetiredRecord, VolumeRecord } from "../../core/driver.ts";
import { parseVolumeName, type VolumeName } from "../../core/names.ts";
import type { Operation } from "../../core/operation.ts";
import type { RetiredEntry, VolumeEntry } from "../../core/state-store.ts";
import { putAliasesBack, tellTaken } from "../aliases.ts";
import { unsaid } from "../description.ts";
import { OWN_PROGRAM } from "../history-entry.ts";
import { parseRetired, retirementOf } from "../trash/retired-description.ts";
import { attempt, isIdentical, type Stage } from "./recovery-stage.ts";

/**
 * How much older than the clock a file system's time stamps may be, in milliseconds: they are taken
 * once per tick of the kernel, 10 ms at the most.
 */
const CLOCK_GRAIN_MS = 20;

/**
 * A removal is acknowledged by its row; here the directory follows, found by its identity. What has
 * been brought back out of the trash, by hand or by a restore that nobody finished, is a volume.
 */
export async function finishRemovals(stage: Stage, operation: Operation): Promise<void> {
  const { parts, driver, inTrash } = stage;
  if (driver.trash === undefined) return;
  const retired = parts.state.read((view) =>
    [...view.retired()].filter((entry) => entry.volume.driver === driver.name),
  );
  const begun = retired.filter(({ id, phase }) => phase === "kept" && inTrash.get(id)?.isPurging);
  if (begun.length > 0) {
    await parts.state.write((transaction) => {
      for (const entry of begun) transaction.putRetired({ ...entry, phase: "purging" });
    });
  }
  const places = placesByIdentity(stage);
  for (const entry of retired) {
    if (inTrash.has(entry.id)) continue;
    const { name, identity } = entry.volume;
    const here = stage.present.get(name);
    if (here !== undefined && isIdentical(here.identity, identity)) {
      await finishRemoval(stage, entry, operation);
      continue;
    }
    const place = places.get(identity);
    await attempt(stage, name, operation, () =>
      place === undefined || parts.state.read((view) => view.volume(place.name)) !== undefined
        ? dropLost(stage, entry, operation)
        : bringBack(stage, { entry, place }, operation),
    );
  }
}

async function finishRemoval(
  stage: Stage,
  entry: RetiredEntry,
  operation: Operation,
): Promise<void> {
  const { parts, driver, present, report } = stage;
  const { name } = entry.volume;
  const place = present.get(name);
  const row = parts.state.read((view) => view.volume(name));
  const isUsedSince = row !== undefined && isIdentical(row.identity, entry.volume.identity);
  let isKept = isUsedSince;
  await attempt(stage, name, operation, async () => {
    const movedAtMs = isUsedSince ? 0 : ((await driver.trash?.movedAtMs(name, operation)) ?? 0);
    // A volume has used this directory since, or somebody has moved it back out of the trash:
    // whatever was removed, this is not to go with it.
    isKept =
      isUsedSince ||
      (mayHaveBeenMovedBack(entry) && movedAtMs > entry.retiredAtMs + CLOCK_GRAIN_MS);
    if (isKept && row === undefined && place !== undefined) {
      await bringBack(stage, { entry, place }, operation);
      return;
    }
    if (isKept) {
      tellBroughtBack(entry, name, operation);
      await parts.state.write((transaction) => transaction.removeRetired(entry.id));
      return;
    }
    operation.log.info("a removal is finished that the last stop had cut short", {
      volume: name,
      trash: entry.id,
    });
    await driver.trash?.retire(name, retirementOf(entry), operation);
    report.retired.push(name);
  });
  // Also when it failed: nobody may take it for a volume again.
  if (!isKept) present.delete(name);
}

/**
 * Whether its directory has been in the trash for sure, on the disk too: the keeper has measured
 * and described it there. Before that a power cut may have taken the move, and left the time of it
 * (btrfs does); to finish the removal then destroys nothing. What is being purged would be gone.
 */
function mayHaveBeenMovedBack({ phase, sizeBytes }: RetiredEntry): boolean {
  return phase === "purging" || sizeBytes !== null;
}

/** It lies under a name that no row has: it is that volume, with all that is known of it. */
async function bringBack(
  { parts, report }: Stage,
  { entry, place }: { readonly entry: RetiredEntry; readonly place: VolumeRecord },
  operation: Operation,
): Promise<void> {
  const { name, mountpoint } = place;
  tellBroughtBack(entry, name, operation);
  const sinceMs = parts.host.nowMs();
  const taken = await parts.state.write((transaction) => {
    transaction.removeRetired(entry.id);
    transaction.putVolume({ ...entry.volume, name, mountpoint, phase: "ready" });
    return putAliasesBack(transaction, { aliases: entry.aliases, volume: name, sinceMs });
  });
  tellTaken(taken, name, operation);
  report.restored.push(name);
}

function tellBroughtBack({ id }: RetiredEntry, volume: VolumeName, operation: Operation): void {
  operation.log.warn("what was removed has been brought back out of the trash and is kept", {
    volume,
    trash: id,
  });
}

/** There is nothing to restore. What is being purged keeps its row until the purger has looked. */
async function dropLost(
  { parts, driver }: Stage,
  { id, volume, phase }: RetiredEntry,
  operation: Operation,
): Promise<void> {
  // What a driver found rather than made stays where it is, and is in no trash.
  if (phase === "purging" || volume.origin === "adopted") return;
  // A power cut takes what nobody has ever used, as it does with volumes: it is made again by its
  // restore. Only rows of an older copy may be of what was purged since.
  const isOlder = parts.state.origin.kind === "salvaged";
  if (volume.usedAtMs === null && driver.rebuild !== undefined && !isOlder) return;
  const presence = await driver.get(volume.name, operation);
  // A disk that is not there hides the trash too.
  if (presence.state === "unknown") return;
  operation.log.warn("a removed volume is neither in the trash nor in its old place: forgotten", {
    volume: volume.name,
    trash: id,
  });
  await parts.state.write((transaction) => transaction.removeRetired(id));
}

function placesByIdentity({ present }: Stage): ReadonlyMap<string, VolumeRecord> {
  const places = new Map<string, VolumeRecord>();
  for (const record of present.values()) {
    if (record.identity !== "") places.set(record.identity, record);
  }
  return places;
}

/** A lost state loses no trash: what says itself what it is gets its row again. */
export async function nameStrays(
  { parts, driver, report, strays }: Stage,
  operation: Operation,
): Promise<void> {
  const claimed = parts.state.read((view) => new Set([...view.volumes()].map(identityOf)));
  const entries = [...strays.values()].flatMap((record) => {
    // The data of a volume that could not be brought back just now: a later start does it.
    if (record.identity !== "" && claimed.has(record.identity)) return [];
    const entry = named(record, { driver, nowMs: parts.host.nowMs() });
    return entry === undefined ? [] : [entry];
  });
  if (entries.length === 0) return;
  await parts.state.write((transaction) => {
    for (const entry of entries) transaction.putRetired(entry);
  });
  for (const { id, volume, phase } of entries) {
    strays.delete(id);
    if (phase === "kept") report.trashFound.push(id);
    operation.log.info("found in the trash without a record", {
      ...{ volume: volume.name, trash: id, phase },
    });
  }
}

function identityOf({ identity }: VolumeEntry): string {
  return identity;
}

/** The row that it had. What is being purged needs no more than one to be purged on. */
function named(
  { id, identity, description, isPurging }: RetiredRecord,
  { driver, nowMs }: { readonly driver: Stage["driver"]; readonly nowMs: number },
): RetiredEntry | undefined {
  const entry = description === null ? undefined : parseRetired(description)?.entry;
  if (entry?.id === id && entry.volume.driver === driver.name) {
    const phase = isPurging ? "purging" : entry.phase;
    return { ...entry, phase, volume: { ...entry.volume, scope: driver.scope, identity } };
  }
  if (!isPurging) return undefined;
  return {
    id,
    volume: {
      ...{ name: parseVolumeName(id), driver: driver.name, scope: driver.scope },
      ...{ labels: null, options: null, createdAtMs: nowMs, origin: "made", phase: "ready" },
      ...{ mountpoint: "", identity, usedAtMs: null },
      ...unsaid,
    },
    phase: "purging",
    ...{ retiredAtMs: nowMs, removedBy: OWN_PROGRAM, purgeAtMs: nowMs, sizeBytes: null },
    aliases: [],
  };
}
