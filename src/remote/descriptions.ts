// What lies beside a removed volume's record: `retired.json`, as it was given.
import fs from "node:fs";
import { RETIRED_DESCRIPTION_BYTES_MAX, type RetiredRecord } from "../core/driver.ts";
import { isErrno, storageError, toEngineError } from "../core/errors.ts";
import type { Operation } from "../core/operation.ts";
import type { Place } from "./layout.ts";
import { readBounded, writeWhole } from "./whole-files.ts";

const FILE = "retired.json";

/** On a full file system a volume goes into the trash without it, and a line of the log says so. */
export function addDescription({ directory }: Place, text: string, operation: Operation): void {
  try {
    writeDescription(directory, text);
  } catch (thrown) {
    const { code, message } = toEngineError(thrown);
    const fields = { directory, code, error: message };
    operation.log.warn("a volume goes into the trash without its description", fields);
  }
}

/** Durable. Throws `storage.*`. */
export function writeDescription(directory: string, text: string): void {
  if (Buffer.byteLength(text) > RETIRED_DESCRIPTION_BYTES_MAX) {
    throw new RangeError("the description is too long");
  }
  writeWhole(`${directory}/${FILE}`, text);
}

/** Leaves nothing of it. Throws `storage.*`. */
export function removeDescription({ directory }: Place): void {
  for (const name of [FILE, `${FILE}.new`]) {
    try {
      fs.rmSync(`${directory}/${name}`, { force: true });
    } catch (thrown) {
      throw storageError(thrown, `removing ${directory}/${name}`);
    }
  }
}

/** Whether there is one. */
export function hasDescription({ directory }: Place): boolean {
  return fs.lstatSync(`${directory}/${FILE}`, { throwIfNoEntry: false }) !== undefined;
}

/** null: there is none, or it cannot be read; the log tells of the latter. */
export function readDescription(
  { directory }: Place,
  operation: Operation,
): RetiredRecord["description"] {
  try {
    return readBounded(`${directory}/${FILE}`, RETIRED_DESCRIPTION_BYTES_MAX);
  } catch (thrown) {
    if (isErrno(thrown, "ENOENT")) return null;
    const { message } = toEngineError(thrown);
    operation.log.warn("a description in the trash cannot be read", { directory, error: message });
    return null;
  }
}
