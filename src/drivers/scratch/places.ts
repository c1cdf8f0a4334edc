// Where the scratch driver keeps things, and how it reads and moves them.
import {
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
} from "node:fs";
import { join } from "node:path";
import type { VolumeRecord } from "../../core/driver.ts";
import { EngineError, isErrno, storageError } from "../../core/errors.ts";
import type { HolderId, VolumeName } from "../../core/names.ts";
import type { Operation } from "../../core/operation.ts";

/** The folders below the root. */
export interface Places {
  readonly volumes: string;
  readonly trash: string;
  readonly unfinished: string;
}

/** What `record.json` holds. */
export type StoredRecord = Pick<VolumeRecord, "options" | "createdAtMs" | "origin" | "identity">;

/** Who has which volume mounted. */
export type Holders = ReadonlyMap<VolumeName, ReadonlySet<HolderId>>;

/** Makes the folders, and removes what a crash left unfinished. */
export function openPlaces(root: string): Places {
  const places: Places = {
    volumes: join(root, "volumes"),
    trash: join(root, "trash"),
    unfinished: join(root, "new"),
  };
  rmSync(places.unfinished, { recursive: true, force: true });
  for (const place of Object.values(places)) mkdirSync(place, { recursive: true });
  return places;
}

/** Throws when the signal has fired: its reason, when that is one of our errors. */
export function check(operation: Operation): void {
  if (!operation.signal.aborted) return;
  const reason: unknown = operation.signal.reason;
  if (reason instanceof EngineError) throw reason;
  throw new EngineError("operation.cancelled", "the operation was cancelled", { cause: reason });
}

/** undefined: there is no such volume. Throws `storage.failed` where nobody can tell. */
export function readRecord(places: Places, name: VolumeName): VolumeRecord | undefined {
  const stored = readStored(volumePath(places, name));
  if (stored !== undefined) return { ...stored, name, mountpoint: dataPath(places, name) };
  // Without the folder of all volumes nobody can tell which of them exist.
  if (existsSync(places.volumes)) return undefined;
  throw new EngineError("storage.failed", `the folder ${places.volumes} is gone`);
}

/** undefined: this driver did not make what is there, or nothing is. Throws `storage.*`. */
export function readStored(folder: string): StoredRecord | undefined {
  try {
    // Written by this driver and nobody else, so its shape is known.
    return JSON.parse(readFileSync(join(folder, "record.json"), "utf8")) as StoredRecord;
  } catch (error) {
    if (isErrno(error, "ENOENT") || isErrno(error, "ENOTDIR")) return undefined;
    throw storageError(error, `reading ${folder}`);
  }
}

/** The names in a folder. Throws `storage.*`. */
export function readFolder(path: string): readonly string[] {
  try {
    return readdirSync(path);
  } catch (error) {
    throw storageError(error, `reading ${path}`);
  }
}

/** Renames. Throws `storage.*`. */
export function move(source: string, target: string): void {
  try {
    renameSync(source, target);
  } catch (error) {
    throw storageError(error, `moving ${source}`);
  }
}

/** Puts a folder's own entries on disk. */
export function syncFolder(path: string): void {
  const descriptor = openSync(path, "r");
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

/** Throws `volume.in_use`, naming the holders. */
export function refuseWhileMounted(holders: Holders, name: VolumeName): void {
  const held = [...(holders.get(name) ?? [])];
  if (held.length === 0) return;
  throw new EngineError("volume.in_use", `volume ${name} is mounted for ${held.join(", ")}`, {
    details: { holders: held },
  });
}

/** `volume.not_found`. */
export function notFound(name: VolumeName): EngineError {
  return new EngineError("volume.not_found", `volume ${name} does not exist`);
}

/** Where all of a volume is. */
export function volumePath(places: Places, name: VolumeName): string {
  return join(places.volumes, name);
}

/** Where its data is. */
export function dataPath(places: Places, name: VolumeName): string {
  return join(places.volumes, name, "_data");
}

/** Where the driver's part in it is. */
export function recordPath(places: Places, name: VolumeName): string {
  return join(places.volumes, name, "record.json");
}
