// Gives a volume another name: its row first, then its storage, so that a crash at any step heals.
import type { RenameCapable, VolumeDriver } from "../core/driver.ts";
import { EngineError } from "../core/errors.ts";
import type { VolumeName } from "../core/names.ts";
import type { Operation } from "../core/operation.ts";
import type { AliasEntry, StateTransaction, VolumeEntry } from "../core/state-store.ts";
import { refuseMoving } from "./adoption/moving.ts";
import { aliasesOf } from "./aliases.ts";
import { driverOptions } from "./engine-options.ts";
import { historyEntry } from "./history-entry.ts";
import { leasesOf } from "./name-leases.ts";
import { refuseProtected } from "./protection.ts";
import type { UpkeepParts } from "./upkeep.ts";
import { notFound } from "./volumes.ts";

export interface RenameHow {
  /** The old name goes on to mean the volume. */
  readonly keepAlias: boolean;
}

export interface Renaming extends RenameHow {
  /** The volume as it was when it was asked for. */
  readonly entry: VolumeEntry;
  /** Another name than it has. */
  readonly to: VolumeName;
}

type RenamingDriver = VolumeDriver & { readonly rename: RenameCapable };

/** See `Upkeep.rename`. When it throws, the volume has its old name. */
export async function renameVolume(
  parts: UpkeepParts,
  { entry: asked, to, keepAlias }: Renaming,
  operation: Operation,
): Promise<VolumeEntry> {
  const { state, drivers, volumes, guard, events } = parts;
  const from = asked.name;
  const driver = renamingDriver(drivers.of(asked));
  refuseProtected(asked, "rename");
  await volumes.settle(asked, "rename", operation);
  await using _leases = await leasesOf(parts.leases, [from, to], operation);
  const entry = state.read((view) => view.volume(from));
  if (entry === undefined) throw notFound(from);
  refuseMoving(entry);
  if (entry.phase !== "ready") throw unknown(from, "its creation or removal has not ended");
  refuseProtected(entry, "rename");
  refuseTaken(parts, entry, to);
  await guard.refuseInUse(entry, "rename", operation);
  await volumes.holders.endLeftovers(entry, operation);
  await volumes.clear(driver, to, operation);
  const before = await identified(driver, entry, operation);
  const options = driverOptions(entry.options);
  const mountpoint = driver.rebuild?.describe({ name: to, options }).mountpoint ?? "";
  const renamed = { ...before, name: to, mountpoint };
  const after = await move(parts, { driver, before, renamed, keepAlias }, operation);
  volumes.forget(from);
  volumes.forget(to);
  events.volume("rename", to, { driver: entry.driver, from });
  return after;
}

function renamingDriver(driver: VolumeDriver): RenamingDriver {
  if (driver.rename !== undefined) return { ...driver, rename: driver.rename };
  throw new EngineError("driver.unsupported", `the driver ${driver.name} cannot rename volumes`, {
    details: { driver: driver.name },
  });
}

/** An alias of the volume itself becomes its name. */
function refuseTaken({ state }: UpkeepParts, entry: VolumeEntry, to: VolumeName): void {
  const [volume, alias] = state.read((view) => [view.volume(to), view.alias(to)] as const);
  if (volume === undefined && (alias === undefined || alias.volume === entry.name)) return;
  const whose = alias === undefined ? "a volume has this name" : `an alias of ${alias.volume}`;
  throw new EngineError("volume.name_taken", `rename ${entry.name}: ${to} is taken: ${whose}`, {
    details: { name: to },
  });
}

/** The row with the identity of its data: by that a start finishes what a crash cut short. */
async function identified(
  driver: RenamingDriver,
  entry: VolumeEntry,
  operation: Operation,
): Promise<VolumeEntry> {
  const presence = await driver.get(entry.name, operation);
  if (presence.state === "unknown") throw unknown(entry.name, presence.reason);
  if (presence.state === "absent") {
    throw new EngineError("volume.data_missing", `rename ${entry.name}: its data is missing`, {
      details: { path: entry.mountpoint },
    });
  }
  const { identity } = presence.record;
  if (identity !== "") return { ...entry, identity };
  throw unknown(entry.name, `the driver ${driver.name} cannot tell its data from another's`);
}

interface Move {
  readonly driver: RenamingDriver;
  readonly before: VolumeEntry;
  readonly renamed: VolumeEntry;
  readonly keepAlias: boolean;
}

/** The row goes first, so that a crash leaves a directory which recovery knows by its identity. */
async function move(parts: UpkeepParts, moving: Move, operation: Operation): Promise<VolumeEntry> {
  const { state, host, unfinishedRenames } = parts;
  const { driver, before, renamed, keepAlias } = moving;
  const [from, to] = [before.name, renamed.name];
  operation.signal.throwIfAborted();
  const aliasesBefore = state.read((view) => aliasRows(view, from));
  const old: AliasEntry = { alias: from, volume: to, sinceMs: host.nowMs() };
  await state.write((transaction) => {
    const kept = aliasesBefore.filter(({ alias }) => alias !== to);
    const aliases = kept.map((alias) => ({ ...alias, volume: to }));
    replace(transaction, before, renamed, keepAlias ? [...aliases, old] : aliases);
    const change = { action: "rename", entry: renamed, subject: from } as const;
    transaction.addHistory(historyEntry(host, change, operation));
  });
  try {
    await driver.rename.rename(from, to, operation);
  } catch (error) {
    // Where only the answer was lost, what was asked for has been done.
    if (!(await isAt(driver, renamed, operation))) {
      const undone = state.write((transaction) => {
        replace(transaction, renamed, before, aliasesBefore);
        const change = { action: "undo", entry: renamed, subject: from } as const;
        transaction.addHistory(historyEntry(host, change, operation));
      });
      // Where that fails too the volume has its new name, and its data has still to follow.
      await undone.catch((failure: unknown) => {
        unfinishedRenames.add({ driver, from, to, identity: before.identity });
        throw failure;
      });
      throw error;
    }
  }
  return await placed(parts, moving, operation);
}

/** One volume in two rows: its aliases go with it. */
function replace(
  transaction: StateTransaction,
  old: VolumeEntry,
  entry: VolumeEntry,
  aliases: readonly AliasEntry[],
): void {
  // Its aliases go with the row, and one of them may be the name that comes.
  transaction.removeVolume(old.name);
  transaction.putVolume(entry);
  for (const alias of aliases) transaction.putAlias(alias);
}

function aliasRows(
  view: Pick<StateTransaction, "alias" | "aliases">,
  name: VolumeName,
): readonly AliasEntry[] {
  return aliasesOf(view, name).flatMap((alias) => view.alias(alias) ?? []);
}

async function isAt(
  driver: VolumeDriver,
  { name, identity }: VolumeEntry,
  operation: Operation,
): Promise<boolean> {
  const presence = await driver.get(name, operation).catch(() => undefined);
  return presence?.state === "found" && presence.record.identity === identity;
}

/** Where the data is now, of a driver that could not say it before. */
async function placed(
  { state }: UpkeepParts,
  { driver, renamed }: Move,
  operation: Operation,
): Promise<VolumeEntry> {
  if (driver.rebuild !== undefined) return renamed;
  const presence = await driver.get(renamed.name, operation).catch(() => undefined);
  if (presence?.state !== "found" || presence.record.mountpoint === "") return renamed;
  const entry = { ...renamed, mountpoint: presence.record.mountpoint };
  await state.write((transaction) => transaction.putVolume(entry));
  return entry;
}

function unknown(name: VolumeName, reason: string): EngineError {
  return new EngineError("volume.unknown", `rename ${name}: ${reason}`, { details: { name } });
}
