// The directory of the holds, on a mount that engines in other namespaces get copies from.
import { mkdirSync } from "node:fs";
import path from "node:path";
import { storageError, toEngineError } from "../core/errors.ts";
import type { Host, MountInfo } from "../core/host.ts";
import type { Operation } from "../core/operation.ts";

/** Container engines go in as root; nobody else has to. */
const HOLDS_MODE = 0o700;

/**
 * Makes `<root>/holds`. Where it does not lie on a shared mount (systemd makes `/` one), it becomes
 * one of its own: engines whose mount namespace is made later then see what is mounted in it. Those
 * that were there before do not, and are refused at their Mount. Returns its absolute path.
 */
export async function makeHoldsDirectory(
  root: string,
  host: Host,
  operation: Operation,
): Promise<string> {
  const directory = path.join(root, "holds");
  try {
    mkdirSync(directory, { recursive: true, mode: HOLDS_MODE });
  } catch (error) {
    throw storageError(error, `making the directory of holds ${directory}`);
  }
  if (process.getuid?.() !== 0 || isShared(mountOf(directory, host.mounts()))) return directory;
  try {
    await host.bind({ source: directory, target: directory, mayHang: false }, operation);
  } catch (error) {
    const { message } = toEngineError(error);
    operation.log.warn("other mount namespaces will not see volumes", { error: message });
  }
  return directory;
}

function isShared(mount: MountInfo | undefined): boolean {
  return mount?.propagation.some((word) => word.startsWith("shared:")) === true;
}

/** The mount that a directory lies on: the longest target above it, and the last of those. */
function mountOf(directory: string, mounts: readonly MountInfo[]): MountInfo | undefined {
  let found: MountInfo | undefined;
  for (const mount of mounts) {
    const above = mount.target === "/" ? "/" : `${mount.target}/`;
    if (!`${directory}/`.startsWith(above)) continue;
    if (found === undefined || mount.target.length >= found.target.length) found = mount;
  }
  return found;
}
