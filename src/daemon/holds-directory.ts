// The directory of the holds, on a mount that engines in other namespaces get copies from.
import { lstatSync, mkdirSync } from "node:fs";
import { EngineError, storageError, toEngineError } from "../core/errors.ts";
import type { Host } from "../core/host.ts";
import { holdsDirectoryOf, isShared, mountOf } from "../core/mount-of.ts";
import type { Operation } from "../core/operation.ts";

/** Container engines go in as root; nobody else has to. */
const HOLDS_MODE = 0o700;

/**
 * Makes `<root>/holds`. Where it does not lie on a shared mount (systemd makes `/` one), it becomes
 * one of its own: engines whose mount namespace is made later then see what is mounted in it. Those
 * that were there before do not, and are refused at their Mount. Returns its absolute path.
 *
 * The mount outlives the daemon, because engines go on with what they see of it. So it is made only
 * where engines are served: a data root without them can be removed when the daemon has ended.
 */
export async function makeHoldsDirectory(
  { root, isForEngines }: { readonly root: string; readonly isForEngines: boolean },
  host: Host,
  operation: Operation,
): Promise<string> {
  const directory = holdsDirectoryOf(root);
  try {
    mkdirSync(directory, { recursive: true, mode: HOLDS_MODE });
  } catch (error) {
    throw storageError(error, `making the directory of holds ${directory}`);
  }
  if (!lstatSync(directory).isDirectory()) {
    throw new EngineError(
      "config.invalid",
      `root ${root}: ${directory} is not a plain directory; put a directory in its place`,
    );
  }
  const mount = mountOf(host.mounts(), directory);
  const isNeeded = mount === undefined || !isShared(mount);
  if (!isForEngines || !isNeeded || process.getuid?.() !== 0) return directory;
  try {
    await host.bind({ source: directory, target: directory, mayHang: false }, operation);
  } catch (error) {
    const { message } = toEngineError(error);
    operation.log.warn("other mount namespaces will not see volumes", { error: message });
  }
  return directory;
}
