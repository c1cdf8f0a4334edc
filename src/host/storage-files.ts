// Single files on storage that others write to, too.
import { closeSync, constants, openSync, readSync, unlinkSync } from "node:fs";
import { isErrno } from "../core/errors.ts";

const { O_NOFOLLOW, O_NONBLOCK, O_RDONLY } = constants;

/** Whatever somebody has put there meanwhile, it is no link that is followed, and no pipe waits. */
export function readHead(file: string, bytesMax: number): Buffer {
  const descriptor = openSync(file, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  try {
    const bytes = Buffer.alloc(bytesMax);
    return bytes.subarray(0, readSync(descriptor, bytes, 0, bytes.length, 0));
  } finally {
    closeSync(descriptor);
  }
}

/** Succeeds when it is not there. */
export function removeFile(file: string | Buffer): void {
  try {
    unlinkSync(file);
  } catch (thrown) {
    if (!isErrno(thrown, "ENOENT")) throw thrown;
  }
}

/** For what is done after a failure that is the one to be told. */
export function removeFileQuietly(file: string): void {
  try {
    removeFile(file);
  } catch {
    // The failure that brought us here is the one to be told.
  }
}
