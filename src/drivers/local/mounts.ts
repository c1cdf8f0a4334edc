// Holders of `local` volumes: durable directories at the first mount, real mounts for
// `type`/`device`.
import type { VolumeDriver } from "../../core/driver.ts";
import { EngineError, storageError } from "../../core/errors.ts";
import type { Host } from "../../core/host.ts";
import type { HolderId, VolumeName } from "../../core/names.ts";
import type { Operation } from "../../core/operation.ts";
import { removeDescription } from "./description.ts";
import { type Layout, makeData, plainDirectory, readOptions, syncDirectory } from "./layout.ts";
import { localMount } from "./options.ts";

/** As mount.cifs and others take it; a file of credentials is none. */
const passwordPattern = /(?:^|,)(?:pass(?:word|wd)?2?=|user(?:name)?=[^,%]*%)/i;

export interface LocalMounts extends Pick<VolumeDriver, "mount" | "unmount"> {
  isHeld(name: VolumeName): boolean;
  /** Drops what is known of the holders, and nothing else. */
  forget(name: VolumeName): void;
}

export function localMounts(parts: { readonly layout: Layout; readonly host: Host }): LocalMounts {
  const { layout, host } = parts;
  const holders = new Map<VolumeName, Set<HolderId>>();
  /** Identities of the data directories that this life has made durable. */
  const durable = new Map<VolumeName, string>();

  return {
    isHeld: (name) => (holders.get(name)?.size ?? 0) > 0,
    forget(name) {
      holders.delete(name);
      durable.delete(name);
    },

    async mount(name, holder, operation) {
      operation.signal.throwIfAborted();
      if (plainDirectory(layout.volume(name)) === undefined) {
        throw new EngineError("volume.not_found", `get ${name}: no such volume`);
      }
      const target = layout.data(name);
      const mount = localMount(readOptions(layout, name));
      // What is mounted already is not looked at: its server may be dead.
      if (!host.isMountPoint(target)) {
        if (mount !== undefined) makeMountPoint(layout, name);
        const identity = dataIdentity(target);
        if (durable.get(name) !== identity) {
          // Of a removal or a restore that was cut short by a crash.
          removeDescription(layout.volume(name));
          await makeDurable(layout, name);
        }
        durable.set(name, identity);
        if (mount !== undefined) {
          if (passwordPattern.test(mount.options)) warnOfPassword(name, operation);
          await host.mount({ ...mount, target }, operation);
        }
      }
      const known = holders.get(name);
      if (known === undefined) holders.set(name, new Set([holder]));
      else known.add(holder);
      return target;
    },

    async unmount(name, holder, operation) {
      operation.signal.throwIfAborted();
      const known = holders.get(name) ?? new Set([holder]);
      if (!known.has(holder)) return;
      // The last holder; or a daemon that was restarted, to which the engine names the last one.
      if (known.size === 1) await release(name, operation);
      known.delete(holder);
      if (known.size === 0) holders.delete(name);
    },
  };

  async function release(name: VolumeName, operation: Operation): Promise<void> {
    if (localMount(readOptions(layout, name)) === undefined) return;
    await host.unmount(layout.data(name), operation);
  }
}

/** Docker takes it, and so it is taken. */
function warnOfPassword(name: VolumeName, operation: Operation): void {
  operation.log.warn("a volume has a password in its options, where everybody can read it", {
    volume: name,
    instead: "the drivers nfs, smb, sshfs and rclone take a secret: holdfast secret create",
  });
}

/** A power cut may have left the options without their mount point, which holds no data. */
function makeMountPoint(layout: Layout, name: VolumeName): void {
  try {
    makeData(layout, name);
  } catch (error) {
    throw storageError(error, `making the mount point ${layout.data(name)}`);
  }
}

function dataIdentity(target: string): string {
  const found = plainDirectory(target);
  if (found !== undefined) return found.identity;
  throw new EngineError(
    "volume.data_missing",
    `error while mounting volume '${target}': the data directory is missing`,
    { details: { path: target } },
  );
}

/**
 * From the first mount on the directories must survive a power cut, because they are not made again
 * afterwards: a missing one is an error, never an empty fresh one that would hide the loss.
 */
async function makeDurable(layout: Layout, name: VolumeName): Promise<void> {
  for (const directory of [layout.data(name), layout.volume(name), layout.volumes]) {
    await syncDirectory(directory);
  }
}
