// Gives a directory its owner and mode, through a descriptor: no link and no swap can divert it.
import { closeSync, constants, fchmodSync, fchownSync, fstatSync, openSync } from "node:fs";
import { storageError } from "../core/errors.ts";
import type { DirectoryOwner } from "../core/host.ts";

const PERMISSION_BITS = 0o7777;

/** `Host.own`: changes what differs, and nothing else. Throws `storage.*`, `host.denied`. */
export function ownDirectory(directory: string, wanted: DirectoryOwner): void {
  let descriptor: number | undefined;
  try {
    descriptor = openSync(directory, constants.O_DIRECTORY | constants.O_NOFOLLOW);
    const before = fstatSync(descriptor);
    const userId = wanted.userId ?? before.uid;
    const groupId = wanted.groupId ?? before.gid;
    const mode = wanted.mode ?? before.mode & PERMISSION_BITS;
    let now = before;
    if (userId !== before.uid || groupId !== before.gid) {
      fchownSync(descriptor, userId, groupId);
      // Some storage takes set-id bits away with it.
      now = fstatSync(descriptor);
    }
    if (mode !== (now.mode & PERMISSION_BITS)) fchmodSync(descriptor, mode);
  } catch (thrown) {
    throw storageError(thrown, `giving ${directory} its owner and mode`);
  } finally {
    if (descriptor !== undefined) closeSync(descriptor);
  }
}
