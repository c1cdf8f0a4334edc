// The trash of remote volumes: removal moves what is on this host, and asks the server for nothing.
import fs from "node:fs";
import type { RetiredRecord, TrashCapable } from "../core/driver.ts";
import { EngineError, storageError, toEngineError } from "../core/errors.ts";
import { makeTrashId, parseTrashId, type TrashId, type VolumeName } from "../core/names.ts";
import type { Operation } from "../core/operation.ts";
import { findStored, type Workshop } from "./creation.ts";
import {
  addDescription,
  hasDescription,
  readDescription,
  removeDescription,
  writeDescription,
} from "./descriptions.ts";
import {
  entriesOf,
  isPlainDirectory,
  moveDirectory,
  type Place,
  PURGING,
  plainDirectory,
  refuseMounted,
  removePlace,
  removeRun,
  syncDirectory,
} from "./layout.ts";
import type { RemoteMounts } from "./mounts.ts";
import { purgeRetired, refuseShown, refuseShownRetired } from "./purge.ts";
import { readStored } from "./record.ts";

export interface RemoteTrash {
  readonly facet: TrashCapable;
  /** `VolumeDriver.destroy`: through the trash, where it does not stay. */
  destroy(name: VolumeName, operation: Operation): Promise<void>;
  /** `VolumeDriver.forget`: what is on this host goes, and nothing else. */
  forget(name: VolumeName, operation: Operation): Promise<void>;
}

export function remoteTrash<Options>(shop: Workshop<Options>, mounts: RemoteMounts): RemoteTrash {
  const { layout, parts } = shop;
  return {
    async destroy(name, operation) {
      if (!(await isRetirable(shop, mounts, name, operation))) return;
      const place = layout.volume(name);
      const id = makeTrashId(parts.host.randomHex(8));
      const retired = layout.retired(id);
      await moveDirectory(place.directory, retired.directory);
      try {
        await purgeRetired(shop, id, operation);
      } catch (thrown) {
        // Nothing was destroyed yet: it stays a volume.
        if (isPlainDirectory(retired.directory)) {
          await moveDirectory(retired.directory, place.directory);
        }
        throw thrown;
      }
    },

    async forget(name, operation) {
      operation.signal.throwIfAborted();
      mounts.drop(name);
      if (!(await isFree(shop, mounts, name, operation))) return;
      // Not through the trash, whose purge destroys data: what a crash leaves here goes at the next
      // start, and nothing on the server with it.
      const place = layout.fresh(parts.host.randomHex(8));
      await moveDirectory(layout.volume(name).directory, place.directory);
      await syncDirectory(layout.volumes);
      removePlace(place, parts.host);
      removeRun(layout.volume(name));
    },

    facet: trashFacet(shop, mounts),
  };
}

function trashFacet<Options>(shop: Workshop<Options>, mounts: RemoteMounts): TrashCapable {
  const { layout } = shop;
  return {
    async retire(name, { id, description }, operation) {
      if (!(await isRetirable(shop, mounts, name, operation, { mayKeepUnsaved: true }))) return;
      const place = layout.volume(name);
      addDescription(place, description, operation);
      try {
        await moveDirectory(place.directory, layout.retired(id).directory);
      } catch (thrown) {
        removeDescription(place);
        throw thrown;
      }
    },

    async describe(id, description, operation) {
      operation.signal.throwIfAborted();
      const { directory } = layout.retired(id);
      if (isPlainDirectory(directory)) writeDescription(directory, description);
    },

    async movedAtMs(name) {
      const place = layout.volume(name);
      const facts = plainDirectory(place.directory);
      // The description is put in before the move: with it, the move has not come.
      return facts === undefined || hasDescription(place) ? 0 : facts.changedAtMs;
    },

    restore: (id, name, operation) => restore(shop, id, name, operation),

    async purge(ids, operation) {
      operation.signal.throwIfAborted();
      for (const id of ids) await purgeRetired(shop, id, operation);
    },

    async refusePurge(name, operation) {
      const stored = findStored(layout.volume(name));
      // Its own mount, which nobody holds, is not to be taken for another's.
      if (stored === undefined || mounts.isHeld(name)) return;
      await mounts.letGo(name, stored, operation);
      await refuseShown(shop, [stored], operation);
    },

    refuseShown: (ids, operation) => refuseShownRetired(shop, ids, operation),

    list: (operation, known) => retiredOnes(shop, operation, known),

    // What is on a server is not measured: it stays there.
    measure: async () => ({ usedBytes: null }),

    async space(operation) {
      operation.signal.throwIfAborted();
      try {
        const { bsize, blocks, bavail, files, ffree } = fs.statfsSync(layout.trash);
        return {
          ...{ sizeBytes: bsize * blocks, availableBytes: bsize * bavail },
          ...{ fileCount: files, availableFileCount: ffree },
        };
      } catch (error) {
        throw storageError(error, `looking at the file system of ${layout.trash}`);
      }
    },
  };
}

/** Refuses as `destroy` does; false: there is nothing to be moved. */
async function isRetirable<Options>(
  shop: Workshop<Options>,
  mounts: RemoteMounts,
  name: VolumeName,
  operation: Operation,
  how: FreeingOptions = {},
): Promise<boolean> {
  operation.signal.throwIfAborted();
  if (mounts.isHeld(name)) throw new EngineError("volume.in_use", "volume has active mounts");
  return await isFree(shop, mounts, name, operation, how);
}

interface FreeingOptions {
  /** What is not on the server yet goes along, in what the kind keeps: a restore brings it back. */
  readonly mayKeepUnsaved?: true | undefined;
}

async function isFree<Options>(
  { layout, parts, sessions }: Workshop<Options>,
  mounts: RemoteMounts,
  name: VolumeName,
  operation: Operation,
  { mayKeepUnsaved }: FreeingOptions = {},
): Promise<boolean> {
  const place = layout.volume(name);
  if (!isPlainDirectory(place.directory)) return false;
  const stored = readStored(place);
  try {
    if (stored !== undefined) await mounts.letGo(name, stored, operation);
  } catch (thrown) {
    const { code, message } = toEngineError(thrown);
    if (code !== "remote.unsaved" || mayKeepUnsaved !== true || stored === undefined) throw thrown;
    const fields = { volume: name, error: message };
    operation.log.warn("a volume goes into the trash with what is not on its server yet", fields);
    const at = { volume: name, place };
    await sessions.end(at, stored.options, { isLost: true }, operation);
  }
  refuseMounted(place, parts.host);
  return true;
}

async function restore<Options>(
  { layout }: Workshop<Options>,
  id: TrashId,
  name: VolumeName,
  operation: Operation,
): Promise<void> {
  operation.signal.throwIfAborted();
  const place = layout.volume(name);
  const isTaken = isPlainDirectory(place.directory);
  if (isPlainDirectory(layout.retired(id).directory)) {
    if (isTaken) throw new EngineError("volume.exists_differently", `volume ${name} exists`);
    await moveDirectory(layout.retired(id).directory, place.directory);
  } else if (isPlainDirectory(layout.purging(id).directory)) {
    throw new EngineError("trash.purging", `the destruction of ${id} has begun`);
  } else if (!isTaken) {
    throw new EngineError("trash.not_found", `nothing lies in the trash under ${id}`);
  }
  // A repeated call, too: the last one may not have come this far before a crash.
  removeDescription(place);
  await syncDirectory(layout.volumes);
  await syncDirectory(layout.trash);
}

async function* retiredOnes<Options>(
  { layout }: Workshop<Options>,
  operation: Operation,
  known?: ReadonlySet<TrashId>,
): AsyncGenerator<RetiredRecord> {
  const entries = await entriesOf(layout.trash);
  const whole = new Set(entries.filter((entry) => parseTrashId(entry) !== undefined));
  for (const entry of entries) {
    const isPurging = entry.endsWith(PURGING);
    const id = parseTrashId(isPurging ? entry.slice(0, -PURGING.length) : entry);
    if (id === undefined || (isPurging && whole.has(id))) continue;
    const place = isPurging ? layout.purging(id) : layout.retired(id);
    const identity = identityOrWarn(place, operation);
    if (identity === undefined) continue;
    const description = known?.has(id) ? null : readDescription(place, operation);
    yield { id, identity, description, isPurging };
  }
}

/** One damaged entry must not hide all the others. */
function identityOrWarn(place: Place, operation: Operation): string | undefined {
  try {
    if (!isPlainDirectory(place.directory)) return undefined;
    // Without its record it can still be purged.
    return findStored(place)?.identity ?? "";
  } catch (error) {
    const { code, message } = toEngineError(error);
    if (code === "volume.data_missing") return "";
    const fields = { directory: place.directory, error: message };
    operation.log.warn("left out of the list of the trash", fields);
    return undefined;
  }
}
