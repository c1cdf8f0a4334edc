// The end of a remote volume: its record, and its data only where we made it and nobody else has
// come to use it.
import type { DriverOptions } from "../core/driver.ts";
import { EngineError, toEngineError } from "../core/errors.ts";
import { parseTrashId, parseVolumeName, type TrashId } from "../core/names.ts";
import { type Operation, unfired } from "../core/operation.ts";
import { ownerOfMount } from "../core/peer-mount.ts";
import { type Workshop, withFreshPlace } from "./creation.ts";
import {
  entriesOf,
  isPlainDirectory,
  moveDirectory,
  type Place,
  PURGING,
  refuseMounted,
  removePlace,
  syncDirectory,
} from "./layout.ts";
import { within } from "./limited.ts";
import { readStoredOptions } from "./options.ts";
import { readStored, type StoredVolume } from "./record.ts";
import { takeStep } from "./steps.ts";
import { withoutSubpath } from "./trial.ts";

/** How long the server may take to be mounted for a purge, in milliseconds. */
const MOUNT_MS_MAX = 60_000;

/**
 * Purges one entry of the trash. Succeeds when there is none. Throws what a mount throws where data
 * is to be destroyed and the server does not answer; then nothing was destroyed.
 */
export async function purgeRetired<Options>(
  shop: Workshop<Options>,
  id: TrashId,
  operation: Operation,
): Promise<void> {
  operation.signal.throwIfAborted();
  const { layout, parts } = shop;
  const [retired, purging] = [layout.retired(id), layout.purging(id)];
  const isWhole = isPlainDirectory(retired.directory);
  const place = isWhole ? retired : purging;
  if (!isPlainDirectory(place.directory)) return;
  refuseMounted(place, parts.host);
  const stored = readOrWarn(place, operation);
  await refuseShown(shop, [stored], operation);
  const begin = async (): Promise<void> => {
    if (isWhole) await moveDirectory(retired.directory, purging.directory);
    await syncDirectory(layout.trash);
  };
  const own = stored === undefined ? undefined : ownData(stored);
  if (stored === undefined || own === undefined) {
    await begin();
  } else if (await isNamedElsewhere(shop, stored, { path: own.path, id })) {
    operation.log.warn("another volume has the directory, which is left", { id, path: own.path });
    await begin();
  } else {
    await destroyData(shop, stored, own, begin, operation);
  }
  removePlace(purging, parts.host);
  await syncDirectory(layout.trash);
}

/** What a purge destroys on the server; undefined: nothing. */
function ownData({ mark, origin, options }: StoredVolume): OwnData | undefined {
  const path = options["subpath"];
  if (mark === null || origin !== "made" || path === undefined) return undefined;
  return { path, mark };
}

interface OwnData {
  readonly path: string;
  readonly mark: string;
}

/** `TrashCapable.refuseShown`. */
export async function refuseShownRetired<Options>(
  shop: Workshop<Options>,
  ids: readonly TrashId[],
  operation: Operation,
): Promise<void> {
  operation.signal.throwIfAborted();
  const { layout } = shop;
  const places = ids
    .flatMap((id) => [layout.retired(id), layout.purging(id)])
    .filter(({ directory }) => isPlainDirectory(directory));
  for (const place of places) refuseMounted(place, shop.parts.host);
  const stored = places.map((place) => readOrWarn(place, operation));
  await refuseShown(shop, stored, operation);
}

/**
 * Throws `volume.in_use` when a mount in any mount namespace still shows data that is to be
 * destroyed: a container that still runs would lose it under its hands.
 */
export async function refuseShown<Options>(
  { sessions, parts }: Workshop<Options>,
  all: readonly (StoredVolume | undefined)[],
  operation: Operation,
): Promise<void> {
  const shows = sessions.kind.shows;
  if (shows === undefined) return;
  const wanted = all.flatMap((stored) => {
    const own = stored === undefined ? undefined : ownData(stored);
    if (stored === undefined || own === undefined) return [];
    return [{ own: readStoredOptions(sessions.kind, stored.options).own, path: own.path }];
  });
  if (wanted.length === 0) return;
  const { mounts, isWhole } = await parts.host.mountsWhere((mount) =>
    wanted.some(({ own, path }) => shows(mount, own, path)),
  );
  operation.signal.throwIfAborted();
  if (!isWhole) operation.log.debug("not all mount namespaces could be looked into", {});
  const [first] = mounts;
  if (first === undefined) return;
  const { container, pid, target, mount } = first;
  const words = `${ownerOfMount(first)} still has ${mount.source}, at ${target}`;
  throw new EngineError("volume.in_use", words, { details: { container, pid, target } });
}

/** A record that cannot be read destroys nothing on any server. */
function readOrWarn(place: Place, operation: Operation): StoredVolume | undefined {
  try {
    return readStored(place);
  } catch (thrown) {
    const { message } = toEngineError(thrown);
    const fields = { directory: place.directory, error: message };
    operation.log.warn("purged without touching the server: its record cannot be read", fields);
    return undefined;
  }
}

/** The share is mounted first: where that fails, nothing has been done. */
async function destroyData<Options>(
  shop: Workshop<Options>,
  { options }: StoredVolume,
  { path, mark }: OwnData,
  begin: () => Promise<void>,
  operation: Operation,
): Promise<void> {
  const { sessions, parts } = shop;
  const share = withoutSubpath({ ...options, "read-only": "false" });
  // The name is of no volume: the mount is the purge's own.
  const volume = parseVolumeName("holdfast-purge");
  await withFreshPlace(shop, operation, async (place) => {
    const at = { volume, place };
    const limit = { limitMs: MOUNT_MS_MAX, what: "the mount for a purge" };
    await within(limit, operation, (inner) => sessions.begin(at, share, inner));
    let isLost = true;
    try {
      await begin();
      const step = { do: "remove", path, mark } as const;
      const { isOurs } = await takeStep(parts.host, place.data, step, operation);
      isLost = false;
      if (!isOurs) operation.log.info("a directory that is another's now is left", { path });
    } finally {
      await sessions.end(at, share, { isLost }, unfired(operation));
    }
  });
}

/**
 * Whether another record here has this directory, or one in it, on the same server: by whatever
 * share, because a share may show what another one shows. Records that cannot be read may.
 */
async function isNamedElsewhere<Options>(
  { sessions, layout }: Workshop<Options>,
  { options, identity }: StoredVolume,
  { path, id }: { readonly path: string; readonly id: TrashId },
): Promise<boolean> {
  const serverOf = (of: DriverOptions) =>
    sessions.kind.server(readStoredOptions(sessions.kind, of).own);
  const server = serverOf(options);
  for (const place of await otherPlaces({ layout, id })) {
    const other = readStored(place);
    if (other === undefined || other.identity === identity) continue;
    const theirs = other.options["subpath"];
    if (theirs !== path && theirs?.startsWith(`${path}/`) !== true) continue;
    if (serverOf(other.options) === server) return true;
  }
  return false;
}

async function otherPlaces({
  layout,
  id,
}: Pick<Workshop<unknown>, "layout"> & { readonly id: TrashId }): Promise<readonly Place[]> {
  const volumes = (await entriesOf(layout.volumes)).filter((each) => !each.startsWith("."));
  const retired = (await entriesOf(layout.trash)).map((each) => each.replace(PURGING, ""));
  return [
    ...volumes.map((each) => layout.volume(parseVolumeName(each))),
    ...retired.flatMap((each) => {
      const other = parseTrashId(each);
      return other === undefined || other === id ? [] : [layout.retired(other)];
    }),
  ];
}
