// What lies beside the data of a removed volume: `retired.json` in its directory, as it was given.
//
// The directory above `_data` is the daemon's alone. Nothing is followed or written into there all
// the same: a file of that name is replaced, never opened.
import fs from "node:fs";
import { RETIRED_DESCRIPTION_BYTES_MAX, type RetiredRecord } from "../../core/driver.ts";
import { isErrno, storageError, toEngineError } from "../../core/errors.ts";
import type { Operation } from "../../core/operation.ts";
import { syncDirectory } from "./layout.ts";

const FILE = "retired.json";
const NEW_FILE = "retired.json.new";
const FILE_MODE = 0o600;

/** All that is ever in a volume's directory because of its removal. */
export const descriptionFiles: readonly string[] = [FILE, NEW_FILE];

const { O_CREAT, O_EXCL, O_NOFOLLOW, O_NONBLOCK, O_RDONLY, O_WRONLY } = fs.constants;
const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/**
 * Puts the description into a volume's directory, quickly and not durably. Where there is no room
 * for it, or the storage refuses for another reason, it is left out, and a line of the log says so.
 */
export function addDescription(directory: string, text: string, operation: Operation): void {
  try {
    const descriptor = makeFile(`${directory}/${FILE}`, text);
    fs.closeSync(descriptor);
  } catch (thrown) {
    const error = storageError(thrown, `writing ${directory}/${FILE}`);
    operation.log.warn("a volume goes into the trash without its description", {
      directory,
      code: error.code,
      error: error.message,
    });
  }
}

/** Replaces the description; returns when that survives a power cut. Throws `storage.*`. */
export async function replaceDescription(directory: string, text: string): Promise<void> {
  const file = `${directory}/${NEW_FILE}`;
  try {
    const descriptor = makeFile(file, text);
    try {
      await new Promise<void>((resolve, reject) => {
        fs.fsync(descriptor, (error) => (error === null ? resolve() : reject(error)));
      });
    } finally {
      fs.closeSync(descriptor);
    }
    fs.renameSync(file, `${directory}/${FILE}`);
    await syncDirectory(directory);
  } catch (error) {
    fs.rmSync(file, { force: true });
    throw storageError(error, `writing ${file}`);
  }
}

/** Leaves nothing of it, or of one that was being written. Throws `storage.*`. */
export function removeDescription(directory: string): void {
  for (const name of descriptionFiles) {
    try {
      fs.unlinkSync(`${directory}/${name}`);
    } catch (error) {
      if (!isErrno(error, "ENOENT")) throw storageError(error, `removing ${directory}/${name}`);
    }
  }
}

/** null: there is none, or it cannot be read; the log tells of the latter. */
export function readDescription(
  directory: string,
  operation: Operation,
): RetiredRecord["description"] {
  const file = `${directory}/${FILE}`;
  try {
    return readBounded(file);
  } catch (error) {
    if (isErrno(error, "ENOENT")) return null;
    const { message } = toEngineError(error);
    operation.log.warn("a description in the trash cannot be read", { file, error: message });
    return null;
  }
}

function readBounded(file: string): string {
  // Whatever is there, opening it waits for nothing and does nothing.
  const descriptor = fs.openSync(file, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  try {
    const stat = fs.fstatSync(descriptor);
    if (!stat.isFile()) throw new Error("it is no plain file");
    if (stat.size > RETIRED_DESCRIPTION_BYTES_MAX) throw new Error("it is too large");
    const bytes = new Uint8Array(stat.size);
    return utf8.decode(bytes.subarray(0, fs.readSync(descriptor, bytes, 0, stat.size, 0)));
  } finally {
    fs.closeSync(descriptor);
  }
}

/** A new file, open for writing, with this in it; on failure nothing is there. */
function makeFile(file: string, text: string): number {
  if (Buffer.byteLength(text) > RETIRED_DESCRIPTION_BYTES_MAX) {
    throw new RangeError("the description is too long");
  }
  const descriptor = openNew(file);
  try {
    fs.writeFileSync(descriptor, text);
    return descriptor;
  } catch (error) {
    fs.closeSync(descriptor);
    fs.rmSync(file, { force: true });
    throw error;
  }
}

function openNew(file: string): number {
  const flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW;
  try {
    return fs.openSync(file, flags, FILE_MODE);
  } catch (error) {
    if (!isErrno(error, "EEXIST")) throw error;
  }
  // Of a removal that was cut short.
  fs.unlinkSync(file);
  return fs.openSync(file, flags, FILE_MODE);
}
