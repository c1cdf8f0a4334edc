// Single files on storage that others write to, too.
import {
  closeSync,
  constants,
  openSync,
  readdirSync,
  readSync,
  rmdirSync,
  unlinkSync,
} from "node:fs";
import { isErrno } from "../core/errors.ts";
import { closeDescriptor, openPlaceWithoutLinks } from "./libc.ts";

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

/**
 * Removes what has a name in an open directory, with all that is in it. Follows no link and enters
 * no other mount: those are in the way of `rmdir` then. Succeeds when it is not there. `removed`
 * hears of each directory that is gone.
 */
export function removeTree(parent: number, name: Buffer, removed?: () => void): void {
  const place = Buffer.concat([Buffer.from(`/proc/self/fd/${parent}/`), name]);
  try {
    unlinkSync(place);
    return;
  } catch (thrown) {
    if (isErrno(thrown, "ENOENT")) return;
    // Storage may say EPERM of a directory.
    if (!isErrno(thrown, "EISDIR") && !isErrno(thrown, "EPERM")) throw thrown;
    if (!removeDirectory(parent, name, removed)) throw thrown;
  }
  rmdirSync(place);
  removed?.();
}

/** All that is in it. False: it is none. */
function removeDirectory(parent: number, name: Buffer, removed?: () => void): boolean {
  let descriptor: number;
  try {
    descriptor = openPlaceWithoutLinks(parent, name);
  } catch (thrown) {
    if (isErrno(thrown, "ENOTDIR") || isErrno(thrown, "ELOOP")) return false;
    throw thrown;
  }
  try {
    const inside = readdirSync(`/proc/self/fd/${descriptor}`, { encoding: "buffer" });
    for (const entry of inside) removeTree(descriptor, entry, removed);
  } finally {
    closeDescriptor(descriptor);
  }
  return true;
}
