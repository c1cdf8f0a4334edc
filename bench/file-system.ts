// A fresh ext4 file system on a loop device: both engines of a pair keep their data on one.
import { mkdir, open, rm } from "node:fs/promises";

import { join } from "node:path";
import { programPath, run, runAnyway } from "./processes.ts";

/**
 * The size of the image, unless a group wants another. It is sparse: the disk below holds only what
 * was written. One file in 16 KiB has room in it.
 */
export const IMAGE_BYTES = 8 * 1024 ** 3;

/** A mounted file system that is unmounted and removed when disposed of. */
export interface FreshFileSystem extends AsyncDisposable {
  readonly path: string;
}

/**
 * Makes an image in `directory`, mounts it there, and returns the mount point. Lazy initialisation
 * is off: the kernel would otherwise write inode tables behind the measurement's back. Needs root.
 */
export async function freshFileSystem(
  directory: string,
  signal: AbortSignal,
  bytes = IMAGE_BYTES,
): Promise<FreshFileSystem> {
  const image = join(directory, "image");
  const path = join(directory, "disk");
  const makeFileSystem = programPath("mkfs.ext4", "e2fsprogs");
  const file = await open(image, "wx");
  await file.truncate(bytes);
  await file.close();
  try {
    const lazy = "lazy_itable_init=0,lazy_journal_init=0";
    await run({ command: [makeFileSystem, "-q", "-F", "-m", "0", "-E", lazy, image], signal });
    await mkdir(path, { recursive: true });
    // `-o loop` lets go of the loop device by itself when the file system is unmounted.
    await run({ command: ["mount", "-t", "ext4", "-o", "loop", image, path], signal });
  } catch (error) {
    // An interrupted mount may have happened all the same.
    await runAnyway({ command: ["umount", path] });
    await rm(image, { force: true });
    throw error;
  }
  return {
    path,
    async [Symbol.asyncDispose]() {
      const unmounted = await runAnyway({ command: ["umount", path] });
      if (unmounted.exitCode !== 0) {
        // A process that is still ending holds it; a lazy unmount is undone when that process ends.
        await run({ command: ["umount", "--lazy", path] });
      }
      await rm(image, { force: true });
    },
  };
}

/** Writes everything out, so that one engine does not pay for what the other left unwritten. */
export async function settle(path: string, signal: AbortSignal): Promise<void> {
  await run({ command: ["sync", "--file-system", path], signal });
}

/**
 * As `settle`, and the journal is empty afterwards: what was done long ago costs nobody anything.
 * A file system that is frozen for a moment writes all of it to its place.
 */
export async function settleJournal(path: string, signal: AbortSignal): Promise<void> {
  await settle(path, signal);
  const freezer = programPath("fsfreeze", "util-linux");
  try {
    await run({ command: [freezer, "--freeze", path], signal });
  } finally {
    // Also after an interrupted freeze, which may have happened all the same.
    await runAnyway({ command: [freezer, "--unfreeze", path] });
  }
}
