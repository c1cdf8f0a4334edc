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
import type { SessionPlace } from "./sessions.ts";
import { tryOut } from "./trial.ts";

export interface RemoteMounts extends Pick<VolumeDriver, "mount" | "unmount"> {
  isHeld(name: VolumeName): boolean;
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
  const { sessions, layout } = shop;
  const holders = new Map<VolumeName, Set<HolderId>>();
  const isHeld = (name: VolumeName) => (holders.get(name)?.size ?? 0) > 0;
  const at = (name: VolumeName): SessionPlace => ({ volume: name, place: layout.volume(name) });

  async function letGo(name: VolumeName, stored: StoredVolume, operation: Operation) {
    const { place } = at(name);
    const isMounted = sessions.mountedAt(place) !== undefined;
    // What a kind keeps may be writes that the server does not have: only it can tell.
    if (!isMounted && (await isEmpty(place.keep))) return;
    await sessions.end(at(name), stored.options, { isLost: false }, operation);
  }

  async function replace(name: VolumeName, stored: StoredVolume, operation: Operation) {
    await sessions.end(at(name), stored.options, { isLost: true }, operation);
    await begin(name, stored, operation);
  }

  async function begin(name: VolumeName, known: StoredVolume, operation: Operation) {
    const stored = known.isPrepared ? known : await prepare(shop, name, known, operation);
    try {
      await sessions.begin(at(name), stored.options, operation);
    } catch (thrown) {
      throw explained(name, stored, thrown);
    }
  }

  /** Whether what is mounted there may be handed out; what may not is taken away. */
  async function isUsable(name: VolumeName, stored: StoredVolume, operation: Operation) {
    const { place } = at(name);
    if (sessions.mountedAt(place) === undefined) return false;
    const stale = await sessions.staleness(at(name), stored.options, operation);
    if (stale !== undefined) {
      operation.log.warn("a dead mount is replaced", { volume: name, reason: stale });
      await sessions.end(at(name), stored.options, { isLost: true }, operation);
      return false;
    }
    const mountedWith = sessions.optionsOf(place) ?? stored.options;
    if (isHeld(name) || sameOptions(mountedWith, stored.options)) return true;
    return !(await endsInOrder(name, stored, operation));
  }

  /** With other options only what loses nothing is mounted anew. */
  async function endsInOrder(name: VolumeName, stored: StoredVolume, operation: Operation) {
    try {
      await sessions.end(at(name), stored.options, { isLost: false }, operation);
      return true;
    } catch (thrown) {
      operation.signal.throwIfAborted();
      const { code, message } = toEngineError(thrown);
      operation.log.warn("new options wait for another mount", { volume: name, code, message });
      return sessions.mountedAt(at(name).place) === undefined;
    }
  }

  return {
    isHeld,
    drop: (name) => void holders.delete(name),
    letGo,
    replace,

    async mount(name, holder, operation) {
      operation.signal.throwIfAborted();
      const stored = mustBeStored(shop, name);
      if (!(await isUsable(name, stored, operation))) await begin(name, stored, operation);
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
        const stored = findStored(layout.volume(name));
        if (stored !== undefined) await letGo(name, stored, operation);
      }
      known.delete(holder);
      if (known.size === 0) holders.delete(name);
    },
  };
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
      await tryOut({ ...request, commit: () => undefined, sessions, parts }, operation);
    });
  }
  writeStored(layout.volume(name), prepared);
  return prepared;
}
