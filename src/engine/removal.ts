// Takes a volume away from its storage and its row from the state, so that a crash at any step
// heals.
import type { TrashCapable, VolumeDriver } from "../core/driver.ts";
import { EngineError, toEngineError } from "../core/errors.ts";
import type { Host } from "../core/host.ts";
import { makeTrashId, type TrashId, type VolumeName } from "../core/names.ts";
import type { Operation } from "../core/operation.ts";
import { ownerOfMount } from "../core/peer-mount.ts";
import {
  RETIRED_ALIASES_MAX,
  type RetiredEntry,
  type StateStore,
  type VolumeEntry,
} from "../core/state-store.ts";
import { aliasesOf, putAliasesBack, tellTaken } from "./aliases.ts";
import { byOf, historyEntry } from "./history-entry.ts";
import { unlessAborted } from "./pause.ts";
import type { UnfinishedRemovals } from "./recovery/unfinished-removals.ts";
import { type Fate, fateOf, forGood, isOwnStorage, type TrashDefaults } from "./trash/policy.ts";
import type { Purger } from "./trash/purger.ts";
import { retirementOf } from "./trash/retired-description.ts";

export interface RemovalParts {
  readonly state: StateStore;
  readonly host: Host;
  readonly purger: Purger;
  readonly unfinished: UnfinishedRemovals;
  readonly trashDefaults: TrashDefaults;
}

/** What is to go: nobody holds it, and the caller has the volume's lease. */
export interface Removal {
  readonly driver: VolumeDriver;
  readonly entry: VolumeEntry;
  readonly action: RemovalAction;
  /** It is purged at once, whatever its time in the trash would be; missing: it is not. */
  readonly isForGood?: boolean | undefined;
  /**
   * Of a plugin's volume: its row goes whatever the plugin says, which has so many milliseconds to
   * say it. Missing: the plugin has to do it.
   */
  readonly forcedMs?: number | undefined;
}

/** "release", "undo": what is left here of a volume whose data is with another engine. */
export type RemovalAction = "remove" | "prune" | "release" | "undo";

/**
 * Removes the row and has the data moved into the trash, or destroyed where there is none. Returns
 * what stands in the trash now; undefined where there is none. When it throws, the volume is there
 * as before. Throws `volume.unknown`, `storage.*`.
 */
export async function removeData(
  parts: RemovalParts,
  removal: Removal,
  operation: Operation,
): Promise<RetiredEntry | undefined> {
  operation.signal.throwIfAborted();
  const { trash } = removal.driver;
  if (trash !== undefined) return await retire(parts, { ...removal, trash }, operation);
  await destroy(parts, removal, operation);
  return undefined;
}

/**
 * Before a removal for good, which destroys only storage of our own: a share or a tmpfs that the
 * last life has left mounted is unmounted by the removal. Throws `volume.in_use` while a mount in
 * any mount namespace shows the data, by whatever path: a container that has the directory and not
 * the volume, which no engine tells of.
 */
export async function refuseShown(
  host: Pick<Host, "mountsBelow">,
  { driver, entry }: Pick<Removal, "driver" | "entry">,
  operation: Operation,
): Promise<void> {
  await driver.trash?.refusePurge?.(entry.name, operation);
  const { name, mountpoint } = entry;
  if (mountpoint === "" || !isOwnStorage(entry)) return;
  const [first] = (await host.mountsBelow([mountpoint])).mounts;
  if (first === undefined) return;
  const { container, pid, target } = first;
  const who = ownerOfMount(first);
  throw new EngineError(
    "volume.in_use",
    `remove ${name}: ${who} still has its directory, at ${target}`,
    { details: { container, pid, target } },
  );
}

/** The row goes first, so that a crash leaves a directory which recovery knows by its identity. */
async function retire(
  parts: RemovalParts,
  removal: Removal & { readonly trash: TrashCapable },
  operation: Operation,
): Promise<RetiredEntry> {
  const { state, host, purger, unfinished } = parts;
  const { driver, trash, entry, action } = removal;
  const presence = await driver.get(entry.name, operation);
  if (presence.state === "unknown") {
    throw new EngineError("volume.unknown", `remove ${entry.name}: ${presence.reason}`);
  }
  const found = presence.state === "found" ? presence.record : undefined;
  const identity = found?.identity ?? "";
  const lost = found === undefined ? await strayOf(parts, removal, operation) : undefined;
  const nowMs = host.nowMs();
  const retired: RetiredEntry = {
    id: lost ?? makeTrashId(host.randomHex(8)),
    volume: { ...entry, identity: lost === undefined ? identity : entry.identity },
    // Where nothing is found there is nothing to keep.
    ...((found ?? lost) ? fateOfRemoval(parts, removal, nowMs) : forGood(nowMs)),
    retiredAtMs: nowMs,
    removedBy: byOf(host, operation),
    sizeBytes: null,
    aliases: state.read((view) => aliasesOf(view, entry.name).slice(0, RETIRED_ALIASES_MAX)),
  };
  await state.write((transaction) => {
    transaction.removeVolume(entry.name);
    transaction.putRetired(retired);
    transaction.addHistory(historyEntry(host, { action, entry, subject: retired.id }, operation));
  });
  try {
    await trash.retire(entry.name, retirementOf(retired), operation);
  } catch (error) {
    // Where only the answer was lost, what was asked for has been done.
    if (identity === "" || !(await isAbsent(driver, entry.name, operation))) {
      // What was not found is known by the identity that it had.
      const back = identity === "" ? entry : retired.volume;
      // Where that fails too the volume stays removed, and its data has still to follow.
      await takeBack(parts, { retired, back }, operation).catch((failure: unknown) => {
        unfinished.add(retired);
        throw failure;
      });
      throw error;
    }
  }
  purger.add(retired);
  return retired;
}

/** The volume is there again as before, but for aliases that somebody has taken meanwhile. */
async function takeBack(
  { state, host }: RemovalParts,
  { retired, back }: { readonly retired: RetiredEntry; readonly back: VolumeEntry },
  operation: Operation,
): Promise<void> {
  const aliases = { aliases: retired.aliases, volume: back.name, sinceMs: host.nowMs() };
  const taken = await state.write((transaction) => {
    transaction.removeRetired(retired.id);
    transaction.putVolume(back);
    transaction.addHistory(historyEntry(host, { action: "undo", entry: back }, operation));
    return putAliasesBack(transaction, aliases);
  });
  tellTaken(taken, back.name, operation);
}

/** Where the data is that a removal had moved before it was taken back, its answer being lost. */
async function strayOf(
  { state }: RemovalParts,
  { trash, entry }: Removal & { readonly trash: TrashCapable },
  operation: Operation,
): Promise<TrashId | undefined> {
  if (entry.identity === "") return undefined;
  for await (const { id, identity, isPurging } of trash.list(operation)) {
    if (isPurging || identity !== entry.identity) continue;
    if (state.read((view) => view.retiredEntry(id)) === undefined) return id;
  }
  return undefined;
}

function fateOfRemoval(
  { trashDefaults }: RemovalParts,
  { entry, action, isForGood = false }: Removal,
  nowMs: number,
): Fate {
  // What is with another engine has left only its shell here.
  const isShell = action === "release" || action === "undo";
  return isForGood || isShell ? forGood(nowMs) : fateOf(entry, trashDefaults, nowMs);
}

async function destroy(
  { state, host }: RemovalParts,
  { driver, entry, action, forcedMs }: Removal,
  operation: Operation,
): Promise<void> {
  await state.write((transaction) => transaction.putVolume({ ...entry, phase: "removing" }));
  try {
    await callDestroy({ driver, entry, forcedMs }, operation);
  } catch (error) {
    if (forcedMs === undefined) {
      await state.write((transaction) => transaction.putVolume(entry));
      throw error;
    }
    const { code, message } = toEngineError(error);
    operation.log.warn("a volume is forgotten that its plugin has not removed", {
      ...{ volume: entry.name, driver: entry.driver, code, error: message },
    });
  }
  await state.write((transaction) => {
    transaction.removeVolume(entry.name);
    transaction.addHistory(historyEntry(host, { action, entry }, operation));
  });
}

async function callDestroy(
  { driver, entry, forcedMs }: Pick<Removal, "driver" | "entry" | "forcedMs">,
  operation: Operation,
): Promise<void> {
  const call = entry.origin === "made" ? driver.destroy : driver.forget;
  if (forcedMs === undefined) return await call(entry.name, operation);
  const budget = AbortSignal.timeout(forcedMs);
  const signal = AbortSignal.any([operation.signal, budget]);
  await unlessAborted(call(entry.name, { ...operation, signal }), signal);
}

/** A driver that does not answer has not said that it is gone. */
async function isAbsent(
  driver: VolumeDriver,
  name: VolumeName,
  operation: Operation,
): Promise<boolean> {
  const presence = await driver.get(name, operation).catch(() => undefined);
  return presence?.state === "absent";
}
