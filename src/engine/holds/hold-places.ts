// The directories that holds are mounted on.
import { createHash } from "node:crypto";
import { rmdirSync } from "node:fs";
import { isErrno, storageError } from "../../core/errors.ts";
import type { Host, MountInfo } from "../../core/host.ts";
import { peerGroupOf } from "../../core/mount-of.ts";
import { placeOfMount } from "../../core/peer-mount.ts";
import type { Hold } from "./hold-table.ts";

/** How many mounts on each other are ended at most: one for each time that the storage died. */
const LAYER_COUNT_MAX = 10_000;

/**
 * Ends the mounts of a hold and removes its directory, so that who comes too late finds nothing
 * there instead of an empty directory. "busy": it is in use through this very mount, and is left.
 */
export function removeHoldPlace(host: Host, path: string): "gone" | "busy" {
  for (let layer = 1; ; layer += 1) {
    if (host.unbind(path) === "busy") return "busy";
    try {
      rmdirSync(path);
      return "gone";
    } catch (error) {
      if (isErrno(error, "ENOENT")) return "gone";
      // What is busy has something mounted still.
      if (isErrno(error, "EBUSY") && layer < LAYER_COUNT_MAX) continue;
      throw storageError(error, `removing the hold ${path}`);
    }
  }
}

/** A name for a hold's directory: 32 hex digits of the volume and the ID. */
export function holdId(volume: string, holder: string): string {
  return createHash("sha256").update(`${volume}\0${holder}`).digest("hex").slice(0, 32);
}

/** The peer groups of what is mounted at a hold's path, and of what is beneath that. */
export function layersAt(
  mounts: readonly MountInfo[],
  path: string,
): Pick<Hold, "group" | "lowerGroups"> {
  const lines = mounts.filter(({ target }) => target === path);
  const groups = lines.map((line) => peerGroupOf(line) ?? null);
  return {
    group: groups.at(-1) ?? null,
    lowerGroups: groups.slice(0, -1).filter((group) => group !== null),
  };
}

/** Clients of one server share a file system: another mount of it looks the same. */
const sharedSuperblocks = /^(?:nfs4?|cifs|smb3)$/;

export interface ShownData {
  /** Of the hold. */
  readonly path: string;
  /** The volume's mount point. */
  readonly data: string;
  /** Whether that was mounted anew since the hold was: then looking the same is no proof. */
  readonly isNew: boolean | "maybe";
}

/** Whether a hold's mount shows what is mounted at `data`: false where that was mounted anew. */
export function showsData(mounts: readonly MountInfo[], { path, data, isNew }: ShownData): boolean {
  const source = mounts.findLast(({ target }) => target === data);
  const own = mounts.findLast(({ target }) => target === path);
  if (source === undefined || own === undefined) return source === undefined;
  if (isNew === true) return false;
  if (isNew === "maybe" && sharedSuperblocks.test(source.fileSystem)) return false;
  return placeOfMount(source) === placeOfMount(own);
}
