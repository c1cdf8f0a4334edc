// The directory operations of an adoption: looking, renaming durably, removing what is empty.
import fs from "node:fs";
import path from "node:path";
import { EngineError, isErrno, storageError } from "../core/errors.ts";
import type { DataPlaces, PlaceFacts } from "../core/foreign-volumes.ts";

/** See core/foreign-volumes.ts. */
export const dataPlaces: DataPlaces = { look, move, make, removeEmpty };

function look(place: string): PlaceFacts | undefined {
  let stat: fs.BigIntStats | undefined;
  try {
    stat = fs.lstatSync(place, { bigint: true, throwIfNoEntry: false });
  } catch (error) {
    throw storageError(error, `looking at ${place}`);
  }
  if (stat === undefined) return undefined;
  if (!stat.isDirectory()) {
    throw new EngineError("volume.data_foreign", `${place} is not a plain directory`, {
      details: { path: place },
    });
  }
  return {
    identity: `${stat.ino}-${stat.birthtimeNs}`,
    device: String(stat.dev),
    isEmpty: isEmpty(place),
  };
}

/** Reads one entry, however many there are. */
function isEmpty(place: string): boolean {
  try {
    const directory = fs.opendirSync(place);
    try {
      return directory.readSync() === null;
    } finally {
      directory.closeSync();
    }
  } catch (error) {
    throw storageError(error, `looking into ${place}`);
  }
}

async function move(from: string, to: string): Promise<void> {
  try {
    fs.renameSync(from, to);
  } catch (error) {
    throw refusalOf(error, `moving ${from} to ${to}`);
  }
  try {
    // The directory above `to` may be new itself. Where the data is must never be lost, so its new
    // name is durable first.
    for (const directory of [path.dirname(to), path.dirname(path.dirname(to)), path.dirname(from)])
      await sync(directory);
  } catch (error) {
    throw storageError(error, `syncing after ${from} was moved to ${to}`);
  }
}

function make(place: string): void {
  try {
    fs.mkdirSync(place);
  } catch (error) {
    if (!isErrno(error, "EEXIST")) throw storageError(error, `making ${place}`);
  }
}

function removeEmpty(place: string): void {
  try {
    fs.rmdirSync(place);
  } catch (error) {
    if (isErrno(error, "ENOENT")) return;
    throw refusalOf(error, `removing the empty directory ${place}`);
  }
}

async function sync(directory: string): Promise<void> {
  const flags = fs.constants.O_RDONLY | fs.constants.O_DIRECTORY;
  const handle = await fs.promises.open(directory, flags);
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

function refusalOf(error: unknown, doing: string): EngineError {
  if (isErrno(error, "EXDEV")) {
    return new EngineError("adoption.other_file_system", `${doing}: not the same mount`);
  }
  if (isErrno(error, "ENOTEMPTY") || isErrno(error, "EEXIST")) {
    return new EngineError("adoption.refused", `${doing}: there is something in it`);
  }
  return storageError(error, doing);
}
