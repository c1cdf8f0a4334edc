// A driver over one kind of remote storage: everything that is the same for all kinds.
import type { Presence, VolumeDriver, VolumeRecord } from "../core/driver.ts";
import { toEngineError } from "../core/errors.ts";
import { isVolumeName, parseDriverName, parseVolumeName } from "../core/names.ts";
import type { Operation } from "../core/operation.ts";
import { createVolume, findStored, type Workshop } from "./creation.ts";
import { remoteElsewhere } from "./elsewhere.ts";
import { remoteFlush, remoteHealth } from "./health.ts";
import type { RemoteKind } from "./kind.ts";
import { entriesOf, isPlainDirectory, makeLayout } from "./layout.ts";
import { leftoversOf, settleLeftovers } from "./leftovers.ts";
import { remoteMounts } from "./mounts.ts";
import { readOptions } from "./options.ts";
import type { RemoteDriverParts } from "./parts.ts";
import { recordOf } from "./record.ts";
import { remoteRename } from "./renames.ts";
import { Sessions } from "./sessions.ts";
import { remoteTrash } from "./trash.ts";
import { remoteUpdate } from "./updates.ts";

/**
 * A `VolumeDriver` of a kind. Without `subpath` a volume is the share itself and "adopted"; with it
 * the directory is made where it is missing, and then "made". Throws `storage.*` when its
 * directories cannot be made.
 */
export function remoteDriver<Options>(
  kind: RemoteKind<Options>,
  parts: RemoteDriverParts,
): VolumeDriver {
  const layout = makeLayout({ ...parts, driver: kind.name });
  const sessions = new Sessions(kind, parts);
  const shop: Workshop<Options> = { layout, sessions, parts };
  const mounts = remoteMounts(shop);
  const trash = remoteTrash(shop, mounts);
  const leftovers = leftoversOf(shop);
  let cleaned: Promise<void> | undefined;
  /** Once, before the first volume is made or listed. */
  const clean = (operation: Operation): Promise<void> => {
    cleaned ??= settleLeftovers(shop, leftovers, operation);
    return cleaned;
  };

  return {
    name: parseDriverName(kind.name),
    scope: "local",
    validate: (options) => void readOptions(kind, options),

    async create(spec, operation) {
      operation.signal.throwIfAborted();
      await clean(operation);
      return await createVolume(shop, spec, operation);
    },

    async get(name): Promise<Presence> {
      const place = layout.volume(name);
      try {
        const stored = findStored(place);
        if (stored !== undefined) return { state: "found", record: recordOf(name, stored, place) };
        // Without the directory of all volumes (a disk that is not mounted) nothing is known.
        if (isPlainDirectory(layout.volumes)) return { state: "absent" };
        return { state: "unknown", reason: `${layout.volumes} is gone` };
      } catch (error) {
        return { state: "unknown", reason: toEngineError(error).message };
      }
    },

    async *list(operation) {
      await clean(operation);
      for (const entry of await entriesOf(layout.volumes)) {
        if (!isVolumeName(entry)) continue;
        const record = lookOrWarn(shop, entry, operation);
        if (record !== undefined) yield record;
      }
    },

    forget: trash.forget,
    destroy: trash.destroy,
    mount: mounts.mount,
    unmount: mounts.unmount,
    trash: trash.facet,
    rename: remoteRename(shop, mounts),
    health: remoteHealth(shop, mounts),
    update: remoteUpdate(shop, mounts),
    elsewhere: remoteElsewhere(shop),
    fixedOwner: kind.fixedOwner,
    flush: kind.writeBack !== undefined ? remoteFlush(shop) : undefined,
  };
}

/** One damaged volume must not hide all the others. */
function lookOrWarn<Options>(
  { layout }: Workshop<Options>,
  entry: string,
  operation: Operation,
): VolumeRecord | undefined {
  const name = parseVolumeName(entry);
  const place = layout.volume(name);
  try {
    const stored = findStored(place);
    return stored === undefined ? undefined : recordOf(name, stored, place);
  } catch (error) {
    const { code, message } = toEngineError(error);
    operation.log.warn("left out of the list of volumes", { name, code, error: message });
    return undefined;
  }
}
