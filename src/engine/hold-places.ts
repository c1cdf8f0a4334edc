// The directories that holds are mounted on.
import { createHash } from "node:crypto";
import { rmdirSync } from "node:fs";
import { isErrno, storageError } from "../core/errors.ts";
import type { Host } from "../core/host.ts";
import { peerGroupOf } from "../core/mount-of.ts";

/**
 * Ends the mount of a hold and removes its directory, so that who comes too late finds nothing
 * there instead of an empty directory. "busy": it is in use through this very mount, and is left.
 */
export function removeHoldPlace(host: Host, path: string): "gone" | "busy" {
  if (host.unbind(path) === "busy") return "busy";
  try {
    rmdirSync(path);
  } catch (error) {
    if (!isErrno(error, "ENOENT")) throw storageError(error, `removing the hold ${path}`);
  }
  return "gone";
}

/** A name for a hold's directory: 32 hex digits of the volume and the ID. */
export function holdId(volume: string, holder: string): string {
  return createHash("sha256").update(`${volume}\0${holder}`).digest("hex").slice(0, 32);
}

/** The peer group of what is mounted at a hold's path, or null. */
export function groupAt(host: Pick<Host, "mounts">, path: string): number | null {
  const line = host.mounts().findLast(({ target }) => target === path);
  return (line === undefined ? undefined : peerGroupOf(line)) ?? null;
}
