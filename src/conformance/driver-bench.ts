// The bench of the driver checks: a driver, names of its own, and eyes and hands on the data.
//
// It may stand on a user's own storage: every name begins with `holdfast-verify-` and 16 random hex
// digits, every trash id is random, and nothing else is ever changed or removed.
import type { DriverOptions, VolumeDriver } from "../core/driver.ts";
import type { HolderId, TrashId, VolumeName } from "../core/names.ts";
import {
  makeOperationId,
  makeTrashId,
  NAME_BYTES_MAX,
  parseHolderId,
  parseVolumeName,
} from "../core/names.ts";
import type { Operation } from "../core/operation.ts";
import { silentLog, systemCaller } from "../core/operation.ts";

/** File access to mounted volumes, as a container would have it. Paths are absolute. */
export interface BenchFiles {
  /** Creates or replaces a file, and rejects when the storage refuses. */
  write(path: string, text: string): Promise<void>;
  read(path: string): Promise<string>;
  /** Whether anything is there, a dangling symbolic link included. */
  exists(path: string): Promise<boolean>;
  makeDirectory(path: string): Promise<void>;
  hardLink(link: { readonly existing: string; readonly path: string }): Promise<void>;
  symbolicLink(link: { readonly target: string; readonly path: string }): Promise<void>;
  /** A new empty directory outside of the driver's storage. */
  outside(): Promise<string>;
}

/** What only somebody who can reach behind the driver's back can do. Missing skips its checks. */
export interface BenchHooks {
  /** Puts somebody else's data where the driver will find it; returns the path of a file of it. */
  readonly plant?: ((name: VolumeName) => Promise<string>) | undefined;
  /** Takes a used volume's storage away, as a careless `rm -r` does. */
  readonly breakStorage?: ((name: VolumeName) => Promise<void>) | undefined;
  /** Takes the purge of what lies in the trash to its middle and no further, as a crash does. */
  readonly beginPurge?: ((id: TrashId) => Promise<void>) | undefined;
  /** Makes the storage of all volumes unreachable until the result is disposed of. */
  readonly hideStorage?: (() => Promise<AsyncDisposable>) | undefined;
  /** Has the storage of all volumes answer nothing until the result is disposed of. */
  readonly silence?: (() => Promise<AsyncDisposable>) | undefined;
  /** Makes what is mounted of a volume stale. */
  readonly kill?: ((name: VolumeName) => Promise<void>) | undefined;
}

/** What a bench is made of. The same parts may serve many benches, one after another. */
export interface BenchParts extends BenchHooks {
  readonly driver: VolumeDriver;
  readonly files: BenchFiles;
  /** Options that `create` accepts, each set different. Two let `exists_differently` be checked. */
  readonly optionSets: readonly [DriverOptions, ...DriverOptions[]];
  /** `bytes` random bytes as lower-case hex. */
  randomHex(bytes: number): string;
  /** Is told what could not be removed, in words for a person. */
  readonly leftBehind?: ((what: string) => void) | undefined;
  /** Removes what `files.outside` and the hooks made, or the whole storage of a test. */
  readonly release?: (() => Promise<void>) | undefined;
}

export interface DriverBench extends BenchHooks, AsyncDisposable {
  readonly driver: VolumeDriver;
  readonly files: BenchFiles;
  readonly optionSets: readonly [DriverOptions, ...DriverOptions[]];
  /** Two holders; a check uses no others. */
  readonly holders: { readonly first: HolderId; readonly second: HolderId };
  /** The bench's own volume name with this label; the same for the same label. */
  name(label: string): VolumeName;
  /** A name of the greatest length allowed, another for each label of one character. */
  longestName(label: string): VolumeName;
  /** Another one at each call. */
  trashId(): TrashId;
  /** An operation of its own, whose signal never fires unless one is given. */
  operation(signal?: AbortSignal): Operation;
}

/** Applies where the protocol of volume plugins has words for the promise: see `isPlugin`. */
export function notOfPlugins({ driver }: DriverBench): boolean {
  return driver.isPlugin !== true;
}

/** What every name that a bench makes begins with. */
export const benchNamePrefix = "holdfast-verify-";

/** Opens a bench with a fresh random part in its names. Disposing of it removes what it made. */
export function openDriverBench(parts: BenchParts): DriverBench {
  const prefix = `${benchNamePrefix}${parts.randomHex(8)}-`;
  const names = new Set<VolumeName>();
  const trashIds = new Set<TrashId>();
  let operationCount = 0;

  function owned(text: string): VolumeName {
    const name = parseVolumeName(text);
    names.add(name);
    return name;
  }
  const bench: DriverBench = {
    driver: parts.driver,
    files: parts.files,
    optionSets: parts.optionSets,
    holders: { first: parseHolderId("verify-first"), second: parseHolderId("verify-second") },
    plant: parts.plant,
    breakStorage: parts.breakStorage,
    beginPurge: parts.beginPurge,
    hideStorage: parts.hideStorage,
    silence: parts.silence,
    kill: parts.kill,
    name: (label) => owned(`${prefix}${label}`),
    longestName: (label) => owned(`${prefix}${label}`.padEnd(NAME_BYTES_MAX, "x")),
    trashId() {
      const id = makeTrashId(parts.randomHex(8));
      trashIds.add(id);
      return id;
    },
    operation(signal = new AbortController().signal) {
      operationCount += 1;
      const id = makeOperationId(`${prefix}${operationCount}`);
      return { id, caller: systemCaller, signal, log: silentLog };
    },
    async [Symbol.asyncDispose]() {
      for (const name of names) await removeVolume(bench, name, parts);
      await removeTrash(bench, [...trashIds], parts);
      await parts.release?.();
    },
  };
  return bench;
}

/** Tries every way there is: the driver under test may be broken, so none is relied on. */
async function removeVolume(
  bench: DriverBench,
  name: VolumeName,
  parts: BenchParts,
): Promise<void> {
  const { driver } = bench;
  let reason = "it is still there";
  const attempt = async (work: () => Promise<void> | undefined): Promise<void> => {
    try {
      await work();
    } catch (error) {
      reason = error instanceof Error ? error.message : String(error);
    }
  };
  for (const holder of Object.values(bench.holders)) {
    await attempt(() => driver.unmount(name, holder, bench.operation()));
  }
  await attempt(() => removeSnapshots(bench, name));
  await attempt(() => driver.destroy(name, bench.operation()));
  await attempt(async () => {
    const presence = await driver.get(name, bench.operation());
    if (presence.state === "absent") return;
    parts.leftBehind?.(`volume ${name}: ${reason}`);
  });
}

async function removeSnapshots(bench: DriverBench, volume: VolumeName): Promise<void> {
  const { snapshots } = bench.driver;
  if (snapshots === undefined) return;
  for await (const { snapshot } of snapshots.list(volume, bench.operation())) {
    await snapshots.remove({ volume, snapshot }, bench.operation());
  }
}

async function removeTrash(
  bench: DriverBench,
  ids: readonly TrashId[],
  parts: BenchParts,
): Promise<void> {
  const { trash } = bench.driver;
  if (trash === undefined || ids.length === 0) return;
  try {
    await trash.purge(ids, bench.operation());
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    parts.leftBehind?.(`trash ${ids.join(", ")}: ${reason}`);
  }
}
