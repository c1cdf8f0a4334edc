// Brings a removed volume back: its row first, then its data, so that a crash at any step heals.
import type { TrashCapable, VolumeDriver } from "../../core/driver.ts";
import { EngineError } from "../../core/errors.ts";
import { parseVolumeName, type TrashId, type VolumeName } from "../../core/names.ts";
import type { Operation } from "../../core/operation.ts";
import type { RetiredEntry, VolumeEntry } from "../../core/state-store.ts";
import { isFree, putAliasesBack, tellTaken } from "../aliases.ts";
import { driverOptions } from "../engine-options.ts";
import { historyEntry } from "../history-entry.ts";
import { leasesOf } from "../name-leases.ts";
import { drivenBy, keptEntry, settlePlace } from "./entries.ts";
import type { TrashParts } from "./trash.ts";

export interface Restoring {
  readonly id: TrashId;
  /** The name it gets; undefined: the one it had. */
  readonly as: string | undefined;
}

/** See `Trash.restore`. When it throws, it can be restored as before. */
export async function restoreVolume(
  parts: TrashParts,
  { id, as }: Restoring,
  operation: Operation,
): Promise<VolumeEntry> {
  const { leases, state, events, host } = parts;
  const wanted = as === undefined ? undefined : parseVolumeName(as);
  await using _lease = await leases.acquire(`trash:${id}`, "exclusive", operation);
  const entry = keptEntry(state, id, "restore");
  const name = wanted ?? entry.volume.name;
  await settlePlace(parts, entry, operation);
  // Of what is free now, so that nobody makes it meanwhile; for what is taken nobody waits.
  const free = state.read((view) => entry.aliases.filter((alias) => isFree(view, alias)));
  await using _names = await leasesOf(leases, [name, ...free], operation);
  refuseTaken(parts, name);
  const { driver, trash } = drivenBy(parts, entry);
  await refuseOccupied(parts, { driver, entry, name }, operation);
  const spec = { name, options: driverOptions(entry.volume.options) };
  const { mountpoint } = driver.rebuild?.describe(spec) ?? entry.volume;
  const volume: VolumeEntry = { ...entry.volume, name, mountpoint, phase: "ready" };
  const aliases = { aliases: entry.aliases, volume: name, sinceMs: host.nowMs() };
  const taken = await state.write((transaction) => {
    transaction.removeRetired(id);
    transaction.putVolume(volume);
    const change = { action: "restore", entry: volume, subject: id } as const;
    transaction.addHistory(historyEntry(host, change, operation));
    return putAliasesBack(transaction, aliases);
  });
  try {
    await bringBack({ driver, trash, id, volume }, operation);
  } catch (error) {
    await undo(parts, { driver, entry, volume, error }, operation);
  }
  tellTaken(taken, name, operation);
  events.volume("restore", name, { driver: volume.driver, trash: id });
  return volume;
}

function refuseTaken({ state }: TrashParts, name: VolumeName): void {
  const [volume, alias] = state.read((view) => [view.volume(name), view.alias(name)] as const);
  if (volume === undefined && alias === undefined) return;
  const whose = alias === undefined ? "" : `, another name of ${alias.volume}`;
  throw new EngineError("volume.name_taken", `there is a volume ${name} already${whose}`, {
    details: { name },
  });
}

interface Place {
  readonly driver: VolumeDriver;
  readonly entry: RetiredEntry;
  readonly name: VolumeName;
}

/** Something in the volume's place without a row; a restore of the last minute may be it. */
async function refuseOccupied(
  { clear }: TrashParts,
  { driver, entry, name }: Place,
  operation: Operation,
): Promise<void> {
  await clear(driver, name, operation);
  const presence = await driver.get(name, operation);
  if (presence.state === "unknown") {
    throw new EngineError("volume.unknown", `restore ${name}: ${presence.reason}`);
  }
  if (presence.state === "absent" || isThat(entry, presence.record.identity)) return;
  throw new EngineError(
    "volume.name_taken",
    `something that is no volume of Holdfast is in the place of ${name}`,
    { details: { name } },
  );
}

interface BringingBack {
  readonly driver: VolumeDriver;
  readonly trash: TrashCapable;
  readonly id: TrashId;
  readonly volume: VolumeEntry;
}

/** What was never used, and a power cut has taken in part or as a whole, is made again. */
async function bringBack(
  { driver, trash, id, volume }: BringingBack,
  operation: Operation,
): Promise<void> {
  const rebuild = volume.usedAtMs === null ? driver.rebuild : undefined;
  try {
    await trash.restore(id, volume.name, operation);
  } catch (error) {
    const isGone = error instanceof EngineError && error.code === "trash.not_found";
    if (!isGone || rebuild === undefined) throw error;
  }
  if (rebuild === undefined) return;
  const options = driverOptions(volume.options);
  const presence = await driver.get(volume.name, operation);
  const hasOptions = presence.state === "found" && Object.keys(presence.record.options).length > 0;
  const isWhole = presence.state === "found" && hasOptions === Object.keys(options).length > 0;
  if (!isWhole) await rebuild.rebuild({ ...volume, options }, operation);
}

interface Failed {
  readonly driver: VolumeDriver;
  readonly entry: RetiredEntry;
  readonly volume: VolumeEntry;
  readonly error: unknown;
}

/** It can be restored again, unless only the answer was lost. */
async function undo(
  { state, host, unfinished }: TrashParts,
  { driver, entry, volume, error }: Failed,
  operation: Operation,
): Promise<void> {
  const presence = await driver.get(volume.name, operation).catch(() => undefined);
  if (presence?.state === "found" && isThat(entry, presence.record.identity)) return;
  // It may lie under the name: the row says so, and it has to go into the trash before anybody
  // gets that name, in this life or a later one.
  const back = presence?.state === "absent" ? entry : { ...entry, volume };
  await state.write((transaction) => {
    transaction.removeVolume(volume.name);
    transaction.putRetired(back);
    transaction.addHistory(historyEntry(host, { action: "undo", entry: volume }, operation));
  });
  if (back !== entry) unfinished.add(back);
  throw error;
}

function isThat({ volume }: RetiredEntry, identity: string): boolean {
  return identity !== "" && volume.identity === identity;
}
