// Another name for a volume of the `local` driver: its directory is renamed, with all that is in
// it.
import type { RenameCapable } from "../../core/driver.ts";
import { EngineError } from "../../core/errors.ts";
import type { Host } from "../../core/host.ts";
import type { VolumeName } from "../../core/names.ts";
import { refuseMounts } from "./foreign-mounts.ts";
import {
  type Layout,
  moveDirectory,
  plainDirectory,
  readOptions,
  refuseLinkedRoot,
  syncDirectory,
} from "./layout.ts";
import { localMount } from "./options.ts";

export interface LocalRenameParts {
  readonly layout: Layout;
  readonly host: Host;
  /** Whether a holder has the volume mounted. */
  readonly isHeld: (name: VolumeName) => boolean;
}

export function localRename({ layout, host, isHeld }: LocalRenameParts): RenameCapable {
  return {
    async rename(from, to, operation) {
      operation.signal.throwIfAborted();
      if (isHeld(from)) throw new EngineError("volume.in_use", "volume has active mounts");
      refuseLinkedRoot(layout);
      const [source, target] = [layout.volume(from), layout.volume(to)];
      const isTaken = plainDirectory(target) !== undefined;
      if (from !== to && plainDirectory(source) !== undefined) {
        if (isTaken) throw new EngineError("volume.exists_differently", `volume ${to} exists`);
        if (localMount(readOptions(layout, from)) !== undefined) {
          // Left from an earlier life: for its next holder it is mounted under the new name.
          await host.unmount(layout.data(from), operation);
          refuseLinkedRoot(layout);
        }
        refuseMounts(host, [source]);
        plainDirectory(layout.data(from));
        moveDirectory(source, target);
      } else if (!isTaken) {
        throw new EngineError("volume.not_found", `get ${from}: no such volume`);
      }
      // A repeated call, too: the last one may not have come this far.
      await syncDirectory(layout.volumes);
    },
  };
}
