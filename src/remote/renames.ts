// Another name for a remote volume: its directory on this host is renamed, with all that is in it.
import type { RenameCapable } from "../core/driver.ts";
import { EngineError } from "../core/errors.ts";
import { findStored, type Workshop } from "./creation.ts";
import { isPlainDirectory, moveDirectory, refuseMounted, syncDirectory } from "./layout.ts";
import type { RemoteMounts } from "./mounts.ts";

export function remoteRename<Options>(
  { layout, parts }: Workshop<Options>,
  mounts: RemoteMounts,
): RenameCapable {
  return {
    async rename(from, to, operation) {
      operation.signal.throwIfAborted();
      if (mounts.isHeld(from)) throw new EngineError("volume.in_use", "volume has active mounts");
      const [source, target] = [layout.volume(from), layout.volume(to)];
      const isTaken = isPlainDirectory(target.directory);
      const stored = findStored(source);
      if (from !== to && stored !== undefined) {
        if (isTaken) throw new EngineError("volume.exists_differently", `volume ${to} exists`);
        // Left from an earlier life: for its next holder it is mounted under the new name.
        await mounts.letGo(from, stored, operation);
        refuseMounted(source, parts.host);
        await moveDirectory(source.directory, target.directory);
      } else if (!isTaken) {
        throw new EngineError("volume.not_found", `get ${from}: no such volume`);
      }
      // A repeated call, too: the last one may not have come this far.
      await syncDirectory(layout.volumes);
    },
  };
}
