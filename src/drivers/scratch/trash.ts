// The scratch driver's trash, and other names for its volumes: folders that are moved.
import {
  existsSync,
  readFileSync,
  renameSync,
  rmSync,
  statfsSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import type { RenameCapable, RetiredRecord, TrashCapable } from "../../core/driver.ts";
import { EngineError, isErrno, storageError } from "../../core/errors.ts";
import { parseTrashId, type TrashId, type VolumeName } from "../../core/names.ts";
import {
  check,
  type Holders,
  move,
  notFound,
  type Places,
  readFolder,
  readRecord,
  readStored,
  recordPath,
  refuseWhileMounted,
  syncFolder,
  volumePath,
} from "./places.ts";
import { apparentBytes, removeTree } from "./tree.ts";

/** What the name of a folder in the trash ends in that is being destroyed. */
const PURGING = ".purging";

export function scratchTrash(places: Places, holders: Holders): TrashCapable {
  const retired = (id: TrashId) => join(places.trash, id);
  return {
    async retire(name, { id, description }, operation) {
      check(operation);
      if (existsSync(retired(id))) return;
      refuseWhileMounted(holders, name);
      const record = readRecord(places, name);
      if (record === undefined) return;
      if (record.origin === "adopted") rmSync(recordPath(places, name));
      else {
        writeDescription(volumePath(places, name), description);
        move(volumePath(places, name), retired(id));
      }
    },

    async describe(id, description, operation) {
      check(operation);
      if (!existsSync(retired(id))) return;
      writeDescription(retired(id), description);
    },

    async movedAtMs(name, operation) {
      check(operation);
      return statSync(volumePath(places, name), { throwIfNoEntry: false })?.ctimeMs ?? 0;
    },

    async restore(id, name, operation) {
      check(operation);
      restore(places, id, name);
    },

    async purge(ids, operation) {
      for (const id of ids) {
        check(operation);
        if (existsSync(retired(id))) move(retired(id), `${retired(id)}${PURGING}`);
        removeTree(`${retired(id)}${PURGING}`);
      }
      syncFolder(places.trash);
    },

    async *list(operation): AsyncGenerator<RetiredRecord> {
      check(operation);
      for (const entry of readFolder(places.trash)) {
        check(operation);
        const record = retiredRecord(places, entry);
        if (record !== undefined) yield record;
      }
    },

    async measure(id, operation) {
      check(operation);
      if (!existsSync(retired(id))) return { usedBytes: null };
      return { usedBytes: await apparentBytes(join(retired(id), "_data"), () => check(operation)) };
    },

    async space(operation) {
      check(operation);
      const { bsize, blocks, bavail, files, ffree } = statfsSync(places.trash);
      return {
        ...{ sizeBytes: bsize * blocks, availableBytes: bsize * bavail },
        ...{ fileCount: files, availableFileCount: ffree },
      };
    },
  };
}

export function scratchRename(places: Places, holders: Holders): RenameCapable {
  return {
    async rename(from, to, operation) {
      check(operation);
      refuseWhileMounted(holders, from);
      const [source, target] = [volumePath(places, from), volumePath(places, to)];
      if (from !== to && existsSync(source)) {
        if (existsSync(target)) {
          throw new EngineError("volume.exists_differently", `volume ${to} exists`);
        }
        move(source, target);
      } else if (!existsSync(target)) throw notFound(from);
      syncFolder(places.volumes);
    },
  };
}

function restore(places: Places, id: TrashId, name: VolumeName): void {
  const [source, target] = [join(places.trash, id), volumePath(places, name)];
  if (existsSync(source)) {
    if (existsSync(target)) {
      throw new EngineError("volume.exists_differently", `volume ${name} exists again`);
    }
    move(source, target);
  } else if (existsSync(`${source}${PURGING}`)) {
    throw new EngineError("trash.purging", `the destruction of ${id} has begun`);
  } else if (!existsSync(target)) {
    throw new EngineError("trash.not_found", `nothing lies in the trash under ${id}`);
  }
  // Repeated after a crash, too: what it was to bring back is there already.
  rmSync(descriptionPath(target), { force: true });
}

/** undefined: this driver did not put it there. */
function retiredRecord(places: Places, entry: string): RetiredRecord | undefined {
  const isPurging = entry.endsWith(PURGING);
  const id = parseTrashId(isPurging ? entry.slice(0, -PURGING.length) : entry);
  if (id === undefined) return undefined;
  const folder = join(places.trash, entry);
  // Of what is being destroyed, its record may be gone already.
  const stored = readStored(folder);
  if (stored === undefined && !isPurging) return undefined;
  const description = readDescription(folder);
  return { id, identity: stored?.identity ?? "", description, isPurging };
}

function descriptionPath(folder: string): string {
  return join(folder, "retired.json");
}

/** Durable enough for tests: what it replaces is whole until the new one is. */
function writeDescription(folder: string, description: string): void {
  const path = descriptionPath(folder);
  try {
    writeFileSync(`${path}.new`, description);
    renameSync(`${path}.new`, path);
  } catch (error) {
    throw storageError(error, `writing ${path}`);
  }
}

function readDescription(folder: string): string | null {
  try {
    return readFileSync(descriptionPath(folder), "utf8");
  } catch (error) {
    if (isErrno(error, "ENOENT")) return null;
    throw storageError(error, `reading ${descriptionPath(folder)}`);
  }
}
