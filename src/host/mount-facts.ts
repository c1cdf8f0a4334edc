// What the kernel says of single mounts, without reading a mount table: that has a line per volume.
//
// Older kernels have no such calls. Everything here then says "unknown", and the table is read.
import { closeSync, openSync } from "node:fs";
import { basename, dirname } from "node:path";
import { isErrno } from "../core/errors.ts";
import {
  isMountedOn,
  type MountGroups,
  mountGroups,
  mountNamespaceId,
  mountRootAt,
} from "./libc.ts";

/** Opens a folder for naming what is in it. */
const O_PATH = 0o10000000;

/** What a kernel, or whoever filters its calls, answers for a call that it does not have. */
const missingCall = ["ENOSYS", "ENOTTY", "EINVAL", "EPERM"];

/** What is gone, was never there, or is no directory is for the mount table to say. */
const notThere = ["ENOENT", "ENOTDIR", "ELOOP", "ESRCH", "EACCES"];

/**
 * Whether something is mounted on a directory; undefined: not known. Asks the storage that the
 * directory lies on, never what is mounted there.
 */
export function isMountPoint(directory: string): boolean | undefined {
  return known(() => {
    const parent = openSync(dirname(directory), O_PATH);
    try {
      return isMountedOn(parent, basename(directory));
    } finally {
      closeSync(parent);
    }
  });
}

/** The peer group of the mount that is open as a descriptor; undefined: none, or not known. */
export function groupOf(descriptor: number): number | undefined {
  return known(() => {
    const root = mountRootAt(descriptor);
    const own = root === undefined ? 0 : mountGroups(root).own;
    return own === 0 ? undefined : own;
  });
}

/**
 * The groups of what process `pid` has mounted at `target`, "none": nothing; undefined: not known.
 * Waits for what is mounted there.
 */
export function groupsSeenBy(pid: number, target: string): MountGroups | "none" | undefined {
  return known(() => {
    const root = mountRootAt(`/proc/${pid}/root${target}`);
    if (root === undefined) return "none";
    const namespace = openSync(`/proc/${pid}/ns/mnt`, "r");
    try {
      return mountGroups(root, mountNamespaceId(namespace));
    } finally {
      closeSync(namespace);
    }
  });
}

function known<T>(ask: () => T): T | undefined {
  try {
    return ask();
  } catch (error) {
    if ([...missingCall, ...notThere].some((code) => isErrno(error, code))) {
      return undefined;
    }
    throw error;
  }
}
