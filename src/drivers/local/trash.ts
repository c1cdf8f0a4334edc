// The trash of the `local` driver: removal is a rename, destruction comes later and off the main
// path.
import fs from "node:fs";
import type { RetiredRecord, TrashCapable } from "../../core/driver.ts";
import { EngineError, storageError, toEngineError } from "../../core/errors.ts";
import type { Host } from "../../core/host.ts";
import { makeTrashId, parseTrashId, type TrashId, type VolumeName } from "../../core/names.ts";
import type { Operation } from "../../core/operation.ts";
import { Turns } from "../../core/turns.ts";
import {
  addDescription,
  hasDescription,
  readDescription,
  removeDescription,
  replaceDescription,
} from "./description.ts";
import { refuseMounts, refuseShown } from "./foreign-mounts.ts";
import {
  entriesOf,
  type Layout,
  moveDirectory,
  PURGING,
  plainDirectory,
  readOptions,
  readOptionsIn,
  refuseLinkedRoot,
  syncDirectory,
} from "./layout.ts";
import { localMount } from "./options.ts";
import { purgeLocal, refuseShownRetired } from "./purge.ts";
import { measureTree, mountedBelow } from "./usage.ts";

export interface LocalTrashParts {
  readonly layout: Layout;
  readonly host: Host;
  /** Whether a holder has the volume mounted. */
  readonly isHeld: (name: VolumeName) => boolean;
}

export interface LocalTrash {
  readonly facet: TrashCapable;
  /** `VolumeDriver.destroy`: through the trash, where it does not stay. */
  destroy(name: VolumeName, operation: Operation): Promise<void>;
}

export function localTrash(parts: LocalTrashParts): LocalTrash {
  const { layout, host } = parts;
  return {
    facet: {
      async retire(name, { id, description }, operation) {
        if (!(await isRetirable(parts, name, operation))) return;
        const directory = layout.volume(name);
        addDescription(directory, description, operation);
        try {
          moveDirectory(directory, layout.retired(id));
        } catch (error) {
          removeDescription(directory);
          throw error;
        }
      },

      async describe(id, description, operation) {
        operation.signal.throwIfAborted();
        refuseLinkedRoot(layout);
        if (plainDirectory(layout.retired(id)) === undefined) return;
        await replaceDescription(layout.retired(id), description);
      },

      async movedAtMs(name) {
        const directory = layout.volume(name);
        const facts = plainDirectory(directory);
        if (facts === undefined) return 0;
        // The description is put in before the move, and later than the removal was written down:
        // where it was the last change, the move has not come, or a power cut has taken it.
        return facts.isChangedInside && hasDescription(directory) ? 0 : facts.changedAtMs;
      },

      restore: (id, name, operation) => restore(layout, id, name, operation),
      purge: (ids, operation, isUrgent) => purgeLocal({ ...parts, isUrgent }, ids, operation),
      refuseShown: (ids, operation) => refuseShownRetired(parts, ids, operation),
      list: (operation, known) => retiredOnes(layout, operation, known),
      ...trashUsage(parts),
    },

    async destroy(name, operation) {
      if (!(await isRetirable(parts, name, operation))) return;
      // Before it is moved: what is refused stays a volume.
      await refuseShown(host, [layout.volume(name)], operation);
      refuseLinkedRoot(layout);
      const id = makeTrashId(host.randomHex(8));
      moveDirectory(layout.volume(name), layout.retired(id));
      await purgeLocal(parts, [id], operation);
    },
  };
}

/** Refuses as `destroy` does; false: there is nothing to be moved. */
async function isRetirable(
  { layout, host, isHeld }: LocalTrashParts,
  name: VolumeName,
  operation: Operation,
): Promise<boolean> {
  operation.signal.throwIfAborted();
  if (isHeld(name)) throw new EngineError("volume.in_use", "volume has active mounts");
  refuseLinkedRoot(layout);
  const directory = layout.volume(name);
  if (plainDirectory(directory) === undefined) return false;
  if (localMount(readOptions(layout, name)) !== undefined) {
    // What is mounted here is not ours: it is let go of, never moved or removed.
    await host.unmount(layout.data(name), operation);
    refuseLinkedRoot(layout);
  }
  refuseMounts(host, [directory]);
  plainDirectory(layout.data(name));
  return true;
}

async function restore(
  layout: Layout,
  id: TrashId,
  name: VolumeName,
  operation: Operation,
): Promise<void> {
  operation.signal.throwIfAborted();
  refuseLinkedRoot(layout);
  const directory = layout.volume(name);
  const isTaken = plainDirectory(directory) !== undefined;
  if (plainDirectory(layout.retired(id)) !== undefined) {
    if (isTaken) throw new EngineError("volume.exists_differently", `volume ${name} exists`);
    moveDirectory(layout.retired(id), directory);
  } else if (plainDirectory(layout.purging(id)) !== undefined) {
    throw new EngineError("trash.purging", `the destruction of ${id} has begun`);
  } else if (!isTaken) {
    throw new EngineError("trash.not_found", `nothing lies in the trash under ${id}`);
  }
  // A repeated call, too: the last one may not have come this far before a crash.
  removeDescription(directory);
  await syncDirectory(layout.volumes);
  await syncDirectory(layout.trash);
}

/** In slices: there may be a hundred thousand, with a file each. */
async function* retiredOnes(
  layout: Layout,
  operation: Operation,
  known?: ReadonlySet<TrashId>,
): AsyncGenerator<RetiredRecord> {
  const turns = new Turns();
  const entries = await entriesOf(layout.trash);
  const whole = new Set(entries.filter((entry) => parseTrashId(entry) !== undefined));
  for (const entry of entries) {
    while (turns.isOver()) await turns.next();
    const isPurging = entry.endsWith(PURGING);
    const id = parseTrashId(isPurging ? entry.slice(0, -PURGING.length) : entry);
    // Of the same id, whole and begun: nobody makes that; the whole one counts.
    if (id === undefined || (isPurging && whole.has(id))) continue;
    const directory = `${layout.trash}/${entry}`;
    const identity = identityOrWarn(directory, operation);
    if (identity === undefined) continue;
    const description = known?.has(id) ? null : readDescription(directory, operation);
    yield { id, identity, description, isPurging };
  }
}

/** A link or file that somebody put into the trash is no removed volume. */
function identityOrWarn(directory: string, operation: Operation): string | undefined {
  try {
    return plainDirectory(directory)?.identity;
  } catch (error) {
    const { message } = toEngineError(error);
    operation.log.warn("left out of the list of the trash", { directory, error: message });
    return undefined;
  }
}

function trashUsage({ layout, host }: LocalTrashParts): Pick<TrashCapable, "measure" | "space"> {
  const isMounted = mountedBelow(layout.trash, host);
  const turns = new Turns();
  return {
    async measure(id, operation) {
      while (turns.isOver()) await turns.next();
      operation.signal.throwIfAborted();
      const directory = layout.retired(id);
      if (isMounted(id) || plainDirectory(directory) === undefined) return { usedBytes: null };
      if (localMount(readOptionsIn(directory)) !== undefined) return { usedBytes: null };
      const place = { directory, name: "_data", fileSize: "stored" } as const;
      return { usedBytes: await measureTree(place, turns, operation) };
    },

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
