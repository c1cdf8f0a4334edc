// Holders of remote volumes: mounted for the first, unmounted after the last, proven by the mount
// table each time, so that a bare directory is never handed out for the storage.
import type { VolumeDriver } from "../core/driver.ts";
import { EngineError, toEngineError } from "../core/errors.ts";
import type { HolderId, VolumeName } from "../core/names.ts";
import type { Operation } from "../core/operation.ts";
import { findStored, type Workshop, withFreshPlace } from "./creation.ts";
import { entriesOf, isPlainDirectory } from "./layout.ts";
import { readOptions } from "./options.ts";
import { type StoredVolume, sameOptions, writeStored } from "./record.ts";
import { tryOut } from "./trial.ts";

export interface RemoteMounts extends Pick<VolumeDriver, "mount" | "unmount"> {
  isHeld(name: VolumeName): boolean;
  /** Whether it is to be mounted: it is held, and its last holder is not just letting go of it. */
  isWanted(name: VolumeName): boolean;
  /** See `HealthCapable.mountCount`. */
  mountCount(name: VolumeName): number;
  /** Drops what is known of the holders, and nothing else. */
  drop(name: VolumeName): void;
  /**
   * Ends what an earlier life or a lost holder has left mounted, and what a kind keeps besides.
   * Throws `remote.unsaved`, `volume.unmount_failed`.
   */
  letGo(name: VolumeName, stored: StoredVolume, operation: Operation): Promise<void>;
  /** Takes away a mount that will never answer again, and mounts anew. */
  replace(name: VolumeName, stored: StoredVolume, operation: Operation): Promise<void>;
}

export function remoteMounts<Options>(shop: Workshop<Options>): RemoteMounts {
  const { layout } = shop;
  const holders = new Map<VolumeName, Set<HolderId>>();
  const counts = new Map<VolumeName, number>();
  const isHeld = (name: VolumeName) => (holders.get(name)?.size ?? 0) > 0;
  const ending = new Set<VolumeName>();
  const mountCount = (name: VolumeName) => counts.get(name) ?? 0;
  const beginCounted = async (one: OneVolume, operation: Operation): Promise<void> => {
    await begin(shop, one, operation);
    counts.set(one.name, mountCount(one.name) + 1);
  };

  return {
    ...{ isHeld, mountCount },
    isWanted: (name) => isHeld(name) && !ending.has(name),
    drop: (name) => void holders.delete(name),
    letGo: (name, stored, operation) => letGo(shop, { name, stored }, operation),

    async replace(name, stored, operation) {
      const at = { volume: name, place: layout.volume(name) };
      await shop.sessions.end(at, stored.options, { isLost: true }, operation);
      await beginCounted({ name, stored }, operation);
    },

    async mount(name, holder, operation) {
      operation.signal.throwIfAborted();
      const one = { name, stored: mustBeStored(shop, name) };
      if (!(await isUsable(shop, one, isHeld(name), operation))) await beginCounted(one, operation);
      const known = holders.get(name);
      if (known === undefined) holders.set(name, new Set([holder]));
      else known.add(holder);
      return layout.volume(name).data;
    },

    async unmount(name, holder, operation) {
      operation.signal.throwIfAborted();
      const known = holders.get(name) ?? new Set([holder]);
      if (!known.has(holder)) return;
      // The last holder; or a daemon that was restarted, to which the engine names the last one.
      if (known.size === 1) {
        ending.add(name);
        try {
          const stored = findStored(layout.volume(name));
          if (stored !== undefined) await letGo(shop, { name, stored }, operation);
        } finally {
          ending.delete(name);
        }
      }
      known.delete(holder);
      if (known.size === 0) holders.delete(name);
    },
  };
}

interface OneVolume {
  readonly name: VolumeName;
  readonly stored: StoredVolume;
}

async function letGo<Options>(
  { sessions, layout }: Workshop<Options>,
  { name, stored }: OneVolume,
  operation: Operation,
): Promise<void> {
  const place = layout.volume(name);
  const isMounted = sessions.mountedAt(place) !== undefined;
  // What a kind keeps may be writes that the server does not have: only it can tell. What lies in
  // the run directory are credentials of a mount that a dead daemon had begun, and its process.
  if (!isMounted && (await isEmpty(place.keep)) && !isPlainDirectory(place.run)) return;
  const at = { volume: name, place };
  await sessions.end(at, stored.options, { isLost: false }, operation);
}

async function begin<Options>(
  shop: Workshop<Options>,
  { name, stored: known }: OneVolume,
  operation: Operation,
): Promise<void> {
  const stored = known.isPrepared ? known : await prepare(shop, name, known, operation);
  const at = { volume: name, place: shop.layout.volume(name) };
  try {
    await shop.sessions.begin(at, stored.options, operation);
  } catch (thrown) {
    throw explained(name, stored, thrown);
  }
}

/** Whether what is mounted there may be handed out; what may not is taken away. */
async function isUsable<Options>(
  shop: Workshop<Options>,
  one: OneVolume,
  isHeld: boolean,
  operation: Operation,
): Promise<boolean> {
  const { sessions, layout } = shop;
  const { name, stored } = one;
  const at = { volume: name, place: layout.volume(name) };
  if (sessions.mountedAt(at.place) === undefined) return false;
  const reason = await sessions.staleness(at, stored.options, operation);
  if (reason !== undefined) {
    operation.log.warn("a dead mount is replaced", { volume: name, reason });
    await sessions.end(at, stored.options, { isLost: true }, operation);
    return false;
  }
  const mountedWith = sessions.optionsOf(at.place) ?? stored.options;
  if (isHeld || sameOptions(mountedWith, stored.options)) return true;
  return !(await endsInOrder(shop, one, operation));
}

/** With other options only what loses nothing is mounted anew. */
async function endsInOrder<Options>(
  { sessions, layout }: Workshop<Options>,
  { name, stored }: OneVolume,
  operation: Operation,
): Promise<boolean> {
  const at = { volume: name, place: layout.volume(name) };
  try {
    await sessions.end(at, stored.options, { isLost: false }, operation);
    return true;
  } catch (thrown) {
    operation.signal.throwIfAborted();
    const { code, message } = toEngineError(thrown);
    operation.log.warn("new options wait for another mount", { volume: name, code, message });
    return sessions.mountedAt(at.place) === undefined;
  }
}

/** Throws `volume.not_found`, `volume.data_missing`. */
export function mustBeStored<Options>(
  { layout }: Workshop<Options>,
  name: VolumeName,
): StoredVolume {
  const stored = findStored(layout.volume(name));
  if (stored !== undefined) return stored;
  throw new EngineError("volume.not_found", `get ${name}: no such volume`);
}

async function isEmpty(directory: string): Promise<boolean> {
  return !isPlainDirectory(directory) || (await entriesOf(directory)).length === 0;
}

/** What was there, and is not any more, is not a wrong path. */
function explained(name: VolumeName, { options }: StoredVolume, thrown: unknown): unknown {
  const error = toEngineError(thrown);
  const subpath = options["subpath"];
  if (error.code !== "remote.not_found" || subpath === undefined) return thrown;
  return new EngineError(
    "volume.data_missing",
    `the directory ${subpath} of volume ${name} is not on the server any more: ${error.message}`,
    { cause: error, details: { path: subpath } },
  );
}

function causeOf(thrown: unknown): unknown {
  return thrown instanceof Error ? (thrown.cause ?? thrown) : thrown;
}

/** A volume that was created untested: its directory is made now, and is nobody's to destroy. */
async function prepare<Options>(
  shop: Workshop<Options>,
  name: VolumeName,
  stored: StoredVolume,
  operation: Operation,
): Promise<StoredVolume> {
  const { sessions, parts, layout } = shop;
  const prepared = { ...stored, isPrepared: true };
  const { isReadOnly } = readOptions(sessions.kind, stored.options).common;
  if (!isReadOnly) {
    await withFreshPlace(shop, operation, async (place) => {
      const { options } = stored;
      const request = { volume: name, place, options, mark: null, isTested: false };
      const trial = { ...request, commit: () => undefined, sessions, parts };
      // Nobody wants a test here: what went wrong is what there is to say.
      await tryOut(trial, operation).catch((thrown: unknown) => {
        throw toEngineError(thrown).code === "remote.test_failed" ? causeOf(thrown) : thrown;
      });
    });
  }
  writeStored(layout.volume(name), prepared);
  return prepared;
}
