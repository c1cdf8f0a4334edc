// Mounts that stand in the way of moving and destroying a volume.
import { EngineError } from "../../core/errors.ts";
import type { Host } from "../../core/host.ts";
import type { Operation } from "../../core/operation.ts";
import { ownerOfMount } from "../../core/peer-mount.ts";

/**
 * Throws `volume.in_use` when something is mounted at or below one of the directories: it is not
 * the volume's. A bind mount of the same file system looks like any directory to rm and to lstat,
 * and a dead server's blocks both: only the table tells.
 */
export function refuseMounts(host: Host, directories: readonly string[]): void {
  for (const { target } of host.mounts()) {
    if (directories.some((each) => target === each || target.startsWith(`${each}/`))) {
      throw new EngineError(
        "volume.in_use",
        `something is mounted inside the volume, at ${target}; unmount it first`,
        { details: { path: target } },
      );
    }
  }
}

/**
 * Throws `volume.in_use` when a mount in any mount namespace shows one of the directories, or what
 * lies in it: a container that still runs would lose its data under its hands. `details.paths` are
 * those directories. Namespaces that cannot be looked into are passed over.
 */
export async function refuseShown(
  host: Host,
  directories: readonly string[],
  operation: Operation,
): Promise<void> {
  const { mounts, isWhole } = await host.mountsBelow(directories);
  operation.signal.throwIfAborted();
  if (!isWhole) operation.log.debug("not all mount namespaces could be looked into", {});
  const [first] = mounts;
  if (first === undefined) return;
  const { container, pid, target } = first;
  const who = ownerOfMount(first);
  throw new EngineError("volume.in_use", `${who} still has ${first.directory}, at ${target}`, {
    details: {
      paths: [...new Set(mounts.map(({ directory }) => directory))],
      container,
      pid,
      target,
    },
  });
}
