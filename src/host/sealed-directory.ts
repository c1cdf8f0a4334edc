// Keeps a mount point from being written to while nothing is mounted on it.
import { fchmodSync, fstatSync } from "node:fs";
import { basename, dirname } from "node:path";
import { EngineError, errnoOf, isErrno, storageError } from "../core/errors.ts";
import { closeDescriptor, openPlace, openUnmounted } from "./libc.ts";
import { setImmutable } from "./libc-mount-points.ts";

const PERMISSION_BITS = 0o7777;
const OPEN_MODE = 0o700;

/** The file system has no such flag, or we may not set it: then the mode must do. */
const withoutFlag: ReadonlySet<string> = new Set([
  ...["ENOTTY", "EOPNOTSUPP", "ENOTSUP", "EPERM", "EACCES", "EINVAL", "ENOSYS"],
]);

/** The `seal` of core/host.ts. */
export function sealDirectory(directory: string, isSealed: boolean): void {
  const doing = `${isSealed ? "sealing" : "unsealing"} the mount point ${directory}`;
  let parent: number | undefined;
  let descriptor: number | undefined;
  try {
    parent = openPlace(dirname(directory));
    descriptor = openUnmounted(parent, basename(directory));
    const hasFlag = flag(descriptor, isSealed);
    // What is immutable keeps its mode, and root minds no mode.
    if (!(isSealed && hasFlag)) giveMode(descriptor, isSealed ? 0 : OPEN_MODE);
  } catch (thrown) {
    if (!isErrno(thrown, "EXDEV")) throw storageError(thrown, doing);
    throw new EngineError("storage.failed", `error while ${doing}: something is mounted there`, {
      details: { errno: "EXDEV" },
      cause: thrown,
    });
  } finally {
    if (descriptor !== undefined) closeDescriptor(descriptor);
    if (parent !== undefined) closeDescriptor(parent);
  }
}

/** False: there is no flag here. */
function flag(descriptor: number, isSealed: boolean): boolean {
  try {
    setImmutable(descriptor, isSealed);
    return true;
  } catch (thrown) {
    if (withoutFlag.has(errnoOf(thrown))) return false;
    throw thrown;
  }
}

function giveMode(descriptor: number, mode: number): void {
  if ((fstatSync(descriptor).mode & PERMISSION_BITS) !== mode) fchmodSync(descriptor, mode);
}
