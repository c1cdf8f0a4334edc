// Small files that are whole or not there: records, notes of mounts, credentials.
import fs from "node:fs";
import path from "node:path";
import { storageError } from "../core/errors.ts";

/** No file of ours is longer, unless it says so; a larger one is not ours. */
const BYTES_MAX = 1024 * 1024;

const { O_CREAT, O_EXCL, O_NOFOLLOW, O_NONBLOCK, O_RDONLY, O_WRONLY } = fs.constants;

/**
 * A file of mode 0600 with this text, or what was there before: durable. Until then it is beside
 * it, as `<file>.new`, where a crash may leave it. Throws `storage.*`.
 */
export function writeWhole(file: string, text: string): void {
  const fresh = `${file}.new`;
  try {
    fs.rmSync(fresh, { force: true });
    const descriptor = fs.openSync(fresh, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600);
    try {
      fs.writeFileSync(descriptor, text);
      fs.fsyncSync(descriptor);
    } finally {
      fs.closeSync(descriptor);
    }
    fs.renameSync(fresh, file);
    syncNow(path.dirname(file));
  } catch (error) {
    fs.rmSync(fresh, { force: true });
    throw storageError(error, `writing ${file}`);
  }
}

function syncNow(directory: string): void {
  const descriptor = fs.openSync(directory, O_RDONLY);
  try {
    fs.fsyncSync(descriptor);
  } finally {
    fs.closeSync(descriptor);
  }
}

/**
 * What a plain file says, which is not longer than `bytesMax`. Follows no link, waits for nothing.
 * Throws what node:fs does, or that it is no such file.
 */
export function readBounded(file: string, bytesMax = BYTES_MAX): string {
  const descriptor = fs.openSync(file, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  try {
    const stat = fs.fstatSync(descriptor);
    if (!stat.isFile()) throw new Error("it is no plain file");
    if (stat.size > bytesMax) throw new Error("it is too large");
    return fs.readFileSync(descriptor, "utf8");
  } finally {
    fs.closeSync(descriptor);
  }
}
