// The trash of the `local` driver: removal is a rename, destruction comes later and off the main
// path.
import fs from "node:fs";
import type { TrashCapable } from "../../core/driver.ts";
import { EngineError, isErrno, storageError, toEngineError } from "../../core/errors.ts";
import type { Host } from "../../core/host.ts";
import { makeTrashId, parseTrashId, type TrashId, type VolumeName } from "../../core/names.ts";
import type { Operation } from "../../core/operation.ts";
import {
  type DirectoryFacts,
  entriesOf,
  type Layout,
  plainDirectory,
  readOptions,
  refuseLinkedRoot,
  syncDirectory,
} from "./layout.ts";
import { localMount } from "./options.ts";

/** How long a purge keeps the event loop, in milliseconds, before requests get their turn. */
const SLICE_MS = 1;
/** How many directories one `rm` is given. */
const REMOVE_BATCH_COUNT = 64;

export interface LocalTrashParts {
  readonly layout: Layout;
  readonly host: Host;
  /** Whether a holder has the volume mounted. */
  readonly isHeld: (name: VolumeName) => boolean;
}

export interface LocalTrash {
  readonly facet: TrashCapable;
  /** An id nobody has used. */
  freeId(): TrashId;
}

export function localTrash(parts: LocalTrashParts): LocalTrash {
  const { layout, host, isHeld } = parts;

  return {
    freeId: () => makeTrashId(host.randomHex(8)),
    facet: {
      async retire(name, id, operation) {
        operation.signal.throwIfAborted();
        if (isHeld(name)) throw new EngineError("volume.in_use", "volume has active mounts");
        refuseLinkedRoot(layout);
        const directory = layout.volume(name);
        if (plainDirectory(directory) === undefined) return;
        if (localMount(readOptions(layout, name)) !== undefined) {
          // What is mounted here is not ours: it is let go of, never moved or removed.
          await host.unmount(layout.data(name), operation);
          refuseLinkedRoot(layout);
        }
        refuseMounts(host, [directory]);
        plainDirectory(layout.data(name));
        rename(directory, layout.retired(id));
      },

      async movedAtMs(name) {
        return plainDirectory(layout.volume(name))?.changedAtMs ?? 0;
      },

      async restore(id, name, operation) {
        operation.signal.throwIfAborted();
        refuseLinkedRoot(layout);
        const isRetired = plainDirectory(layout.retired(id)) !== undefined;
        if (plainDirectory(layout.volume(name)) !== undefined) {
          // A repeated call: the last one did its work before a crash.
          if (!isRetired) return;
          throw new EngineError("volume.exists_differently", `volume ${name} exists`);
        }
        rename(layout.retired(id), layout.volume(name));
        await syncDirectory(layout.volumes);
      },

      async purge(ids, operation) {
        operation.signal.throwIfAborted();
        refuseLinkedRoot(layout);
        const full = await removeEmptyOnes(layout, ids);
        for (let index = 0; index < full.length; index += REMOVE_BATCH_COUNT) {
          const batch = full.slice(index, index + REMOVE_BATCH_COUNT);
          await removeTrees(parts, batch.map(layout.retired), operation);
        }
        // Whoever drops the row after this knows that neither rename nor removal can come undone.
        await syncDirectory(layout.trash);
        await syncDirectory(layout.volumes);
      },

      async *list(operation) {
        for (const entry of await entriesOf(layout.trash)) {
          const id = parseTrashId(entry);
          const facts = id === undefined ? undefined : factsOrWarn(layout, id, operation);
          if (id !== undefined && facts !== undefined) yield { id, identity: facts.identity };
        }
      },
    },
  };
}

/** A link or file that somebody put into the trash is no removed volume. */
function factsOrWarn(
  layout: Layout,
  id: TrashId,
  operation: Operation,
): DirectoryFacts | undefined {
  try {
    return plainDirectory(layout.retired(id));
  } catch (error) {
    operation.log.warn("left out of the list of the trash", {
      id,
      error: toEngineError(error).message,
    });
    return undefined;
  }
}

/** Removes the empty volumes among them, in slices, and returns the others. */
async function removeEmptyOnes(
  layout: Layout,
  ids: readonly TrashId[],
): Promise<readonly TrashId[]> {
  const full: TrashId[] = [];
  let sliceStartedAt = performance.now();
  for (const id of ids) {
    if (performance.now() - sliceStartedAt > SLICE_MS) {
      await new Promise<void>((resolve) => setImmediate(resolve));
      sliceStartedAt = performance.now();
    }
    if (!removeWhenEmpty(layout, id)) full.push(id);
  }
  return full;
}

/** Removes an empty volume with a few system calls and says whether that was enough. */
function removeWhenEmpty(layout: Layout, id: TrashId): boolean {
  const directory = layout.retired(id);
  const stat = fs.lstatSync(directory, { throwIfNoEntry: false });
  // A link in its place leads elsewhere; rm removes the link and follows none.
  if (stat?.isDirectory() !== true) return stat === undefined;
  for (const step of [() => fs.rmdirSync(`${directory}/_data`), () => fs.rmdirSync(directory)]) {
    try {
      step();
    } catch (error) {
      if (isErrno(error, "ENOENT")) continue;
      return false;
    }
  }
  return true;
}

function rename(from: string, to: string): void {
  try {
    fs.renameSync(from, to);
  } catch (error) {
    throw storageError(error, `moving ${from} to ${to}`);
  }
}

/** GNU rm in a helper process: it walks with descriptors, so a link swapped in leads nowhere. */
async function removeTrees(
  { host, layout }: LocalTrashParts,
  paths: readonly string[],
  operation: Operation,
): Promise<void> {
  operation.signal.throwIfAborted();
  refuseLinkedRoot(layout);
  refuseMounts(host, paths);
  const args = ["--recursive", "--force", "--one-file-system", "--", ...paths];
  const result = await host.run("rm", args, operation);
  if (result.exitCode !== 0) {
    throw new EngineError(
      "storage.failed",
      `error while purging removed volumes: ${result.stderr.trim()}`,
    );
  }
}

/**
 * Throws `volume.in_use` when something is mounted at or below one of the directories: it is not
 * the volume's. A bind mount of the same file system looks like any directory to rm and to lstat,
 * and a dead server's blocks both: only the table tells.
 */
function refuseMounts(host: Host, directories: readonly string[]): void {
  for (const { target } of host.mounts()) {
    if (directories.some((each) => target === each || target.startsWith(`${each}/`))) {
      throw new EngineError(
        "volume.in_use",
        `something is mounted inside the volume, at ${target}; unmount it first`,
        { details: { path: target } },
      );
    }
  }
}
