// The contract every storage driver keeps: built in, or a plugin behind a socket.
//
// A driver knows how to keep volumes on one kind of storage, and nothing else: it takes no locks,
// counts no references of others, keeps no labels and checks no permissions. The engine does that
// once, for all drivers, so that a driver can be read in one sitting.
//
// The life of a volume: `create` makes it; `mount` and `unmount` make its data reachable for one
// holder at a time; `destroy` (or the trash facet's `retire`) ends it. `get` and `list` tell what
// is there. The engine never has two calls in flight for one volume. After a crash it may repeat
// the last call, so every call is safe to repeat. Every call has a deadline (`driverDeadlinesMs`),
// which fires the operation's signal: a driver gives up then, and a system call that cannot be
// given up runs in a helper process of `Host`, never in the daemon's own threads. A call that would
// change something rejects when its signal has fired already, and changes nothing. Every parsed
// name works, the longest too, and two names never share storage.
//
// Worked example: `create({name: "wiki", options: {}})` → record; `mount("wiki", "c1")` →
// "/…/volumes/wiki/_data"; `mount("wiki", "c2")` → the same data; `unmount("wiki", "c1")`,
// `unmount("wiki", "c2")`, again `unmount("wiki", "c2")` (succeeds); `destroy("wiki")`.
//
// src/conformance/volume-driver.ts holds one check for each promise made in these comments, and
// src/conformance/unchecked.ts says why for each that has none.
import type { DriverName, HolderId, SnapshotName, TrashId, VolumeName } from "./names.ts";
import type { Operation } from "./operation.ts";
import type { ElsewhereCapable } from "./second-mount.ts";

/** Docker's driver options, as given. A driver refuses what it does not know, by name. */
export type DriverOptions = Readonly<Record<string, string>>;

/** What is wanted. */
export interface VolumeSpec {
  readonly name: VolumeName;
  readonly options: DriverOptions;
}

/** What is there. */
export interface VolumeRecord {
  readonly name: VolumeName;
  readonly options: DriverOptions;
  /** Milliseconds since the epoch. */
  readonly createdAtMs: number;
  /** "adopted": it was there before; it may be somebody else's data and is never destroyed. */
  readonly origin: "made" | "adopted";
  /** Where Docker says the data is, mounted or not; "" when the driver cannot say. */
  readonly mountpoint: string;
  /**
   * What tells this very piece of storage from a later one of the same name (a directory's inode
   * and birth time, for example); "" when the driver cannot say. Recovery compares it.
   */
  readonly identity: string;
  /** What a plugin says of it in words of its own (Docker's `Status`); missing: nothing. */
  readonly status?: Readonly<Record<string, unknown>> | undefined;
}

/** What `get` knows. "unknown": nothing is removed, forgotten or made again because of it. */
export type Presence =
  | { readonly state: "found"; readonly record: VolumeRecord }
  | { readonly state: "absent" }
  | { readonly state: "unknown"; readonly reason: string };

export interface VolumeDriver {
  readonly name: DriverName;
  /** "global": every host sees the same volumes. */
  readonly scope: "local" | "global";
  /**
   * It speaks Docker's volume plugin protocol, which has no words for options, times of creation,
   * identities and what was there before: records have none, `create` never throws
   * `volume.exists_differently`, and what cannot be told from a failure is "unknown".
   */
  readonly isPlugin?: true | undefined;

  /**
   * Throws `volume.option_invalid` when `create` could never accept these options, naming the
   * option. Pure: it looks at nothing but its argument.
   */
  validate(options: DriverOptions): void;

  /**
   * Creates the volume. Repeating it with an equal spec returns a record with the same identity.
   * With other options it throws `volume.exists_differently`. When it throws, nothing of the volume
   * is left behind.
   */
  create(spec: VolumeSpec, operation: Operation): Promise<VolumeRecord>;

  /** "absent" is said only by a driver that is sure. One that cannot tell says "unknown". */
  get(name: VolumeName, operation: Operation): Promise<Presence>;

  /** Every volume once, in no particular order. */
  list(operation: Operation): AsyncIterable<VolumeRecord>;

  /**
   * Ends the driver's part in the volume and leaves its data alone. The only removal that recovery
   * may call. Forgetting what is not there succeeds.
   */
  forget(name: VolumeName, operation: Operation): Promise<void>;

  /**
   * Destroys the volume and its data. What `create` found rather than made is left where it is, as
   * `forget` leaves it. Refuses with `volume.in_use` while a holder has it mounted. Destroying what
   * is not there succeeds.
   */
  destroy(name: VolumeName, operation: Operation): Promise<void>;

  /**
   * Makes the data reachable at an absolute path until the same holder unmounts. What was written
   * is there again at the next mount. Repeating it for the same holder changes nothing. Two holders
   * see the same data. Throws `volume.not_found` for what was never created or is destroyed. Throws
   * `volume.data_missing` for what has lost its storage.
   */
  mount(name: VolumeName, holder: HolderId, operation: Operation): Promise<string>;

  /** Ends one holder's mount and no other's. Unmounting what is not mounted succeeds. */
  unmount(name: VolumeName, holder: HolderId, operation: Operation): Promise<void>;

  // What only some storage can do. Present means that it works, absent that it does not: a facet
  // that is present and throws an "unsupported" error fails the conformance checks.

  /** Everything `create` makes can be made again from the record: no journal row is needed. */
  readonly rebuild?: RebuildCapable | undefined;
  /** Out of sight and back in O(1), on the same storage. */
  readonly trash?: TrashCapable | undefined;
  readonly rename?: RenameCapable | undefined;
  readonly usage?: UsageCapable | undefined;
  readonly quota?: QuotaCapable | undefined;
  readonly snapshots?: SnapshotCapable | undefined;
  /** Only where the storage itself can refuse a host. */
  readonly fence?: FenceCapable | undefined;
  /** Storage that may fall silent, and is looked at for that. */
  readonly health?: HealthCapable | undefined;
  readonly update?: UpdateCapable | undefined;
  /** What is written reaches the storage later than its writer is told. */
  readonly flush?: FlushCapable | undefined;
  /** The same storage can be looked at as another client would see it. */
  readonly elsewhere?: ElsewhereCapable | undefined;
}

/**
 * "ready": it answers. "degraded": it answers, and something is not as it should be. "unreachable":
 * nothing answers, and what uses it waits. "read-only": it answers, and refuses writes that it
 * should take. "stale": what is mounted will never answer again; only another mount helps.
 */
export type StorageState = "ready" | "degraded" | "unreachable" | "read-only" | "stale";

export interface StorageHealth {
  readonly state: StorageState;
  /** One line, without secrets; "" where there is nothing to say. */
  readonly reason: string;
  /** How long the storage took to answer, in milliseconds; null: it was not asked, or did not. */
  readonly tookMs: number | null;
  /** What is not on the storage yet; undefined: everything is, or nobody knows. */
  readonly unsaved?: Unsaved | undefined;
  /** Of all that the storage has, as it says itself; undefined: it does not, or was not asked. */
  readonly space?: StorageSpace | undefined;
}

export interface StorageSpace {
  readonly sizeBytes: number;
  /** What can still be written. */
  readonly availableBytes: number;
}

/** Written by its users, and not on the server yet. */
export interface Unsaved {
  readonly fileCount: number;
  readonly bytes: number;
}

export interface HealthCapable {
  /**
   * What fails together, in a word or two for people (`10.0.0.5`, `s3:bucket`). "" for volumes that
   * are on this machine, which are not looked at. Pure.
   */
  server(options: DriverOptions): string;
  /**
   * Looks at the storage: what is mounted, if anything is, and else whether the server answers. It
   * does so in a helper process; of those at most one per volume is stuck, and while it is the
   * answer is "unreachable" at once. Resolves for storage that does not answer, too. Unlike other
   * calls it may come while another one for the volume is in flight. Throws only
   * `volume.not_found`.
   */
  check(name: VolumeName, operation: Operation): Promise<StorageHealth>;
  /**
   * Replaces what is mounted and "stale": it is taken away lazily and mounted anew, at the same
   * path. Nothing is done where nothing is mounted or what is mounted answers. Afterwards new
   * openings of the path see the storage again; what had files open there has lost them. Throws
   * what `mount` throws; then nothing is mounted there, or the stale mount still is.
   */
  heal(name: VolumeName, operation: Operation): Promise<void>;
  /**
   * Whether what is mounted has died, as far as this machine's own notes tell: the process that
   * serves it is gone. It is asked every second of each volume that somebody has, so it costs no
   * more than two small files in memory; no storage, no helper. Never throws. Missing: only `check`
   * can tell.
   */
  readonly isDead?: ((name: VolumeName) => boolean) | undefined;
  /**
   * How often this life of the driver has mounted the volume anew: where it is another number than
   * before, who had the volume before has an earlier mount, which may look just like the one that
   * is there now (clients of one server share a file system). Pure. Missing: nobody counts, and
   * each new mount looks different.
   */
  readonly mountCount?: ((name: VolumeName) => number) | undefined;
}

export interface UpdateCapable {
  /**
   * Gives a volume other options: another address, another secret. Checks and tests them as
   * `create` does. Data and identity stay. What is mounted is mounted anew with them as soon as
   * nothing is lost by it: at the latest at the next mount. Repeating it changes nothing. With the
   * options that it has, what their secret says now is tested all the same. That takes effect as
   * other options do. When it throws, the options are as before.
   */
  update(spec: VolumeSpec, operation: Operation): Promise<VolumeRecord>;
  /**
   * Whether what is mounted still is as it was before an update, which waits for another mount.
   * Asks this machine's own notes alone, never storage. False where nothing is mounted. Never
   * throws. Missing: nothing ever waits.
   */
  readonly isWaiting?: ((name: VolumeName) => boolean) | undefined;
}

export interface FlushCapable {
  /**
   * Resolves when what was written before is on the server. `told` hears what is left. It takes
   * long: other calls for the volume may come meanwhile.
   */
  flush(name: VolumeName, operation: Operation, told?: (left: Unsaved) => void): Promise<void>;
}

export interface RebuildCapable {
  /**
   * The record that `create` would return for a new volume, its identity "". Pure: the engine
   * writes it down before it has the volume made, so that a crash leaves no volume without a row.
   */
  describe(spec: VolumeSpec): VolumeRecord;
  /**
   * The same as `create`, now rather than later. Throws `volume.exists_differently` where `create`
   * does. Callable without waiting, because it is one or two directory operations on the data
   * root's own file system.
   */
  createNow(spec: VolumeSpec): VolumeRecord;
  /**
   * Makes again what a power cut took before it was ever used, from its record. What is there is
   * left alone. The record it returns has the identity of what is there now.
   */
  rebuild(record: VolumeRecord, operation: Operation): Promise<VolumeRecord>;
}

/** What lies in the trash. */
export interface RetiredRecord {
  readonly id: TrashId;
  readonly identity: string;
  /** What `retire` or `describe` put beside the data; null: nothing, or it cannot be read. */
  readonly description: string | null;
  /** Its purge has begun: it is not whole any more, and cannot be restored. */
  readonly isPurging: boolean;
}

/** How a volume goes into the trash. */
export interface Retirement {
  readonly id: TrashId;
  /**
   * Kept beside the data, whatever it says: what is needed to restore the volume when everything
   * else is lost. At most `RETIRED_DESCRIPTION_BYTES_MAX`.
   */
  readonly description: string;
}

/** Longest description beside retired data, in bytes of UTF-8: 1 MiB. */
export const RETIRED_DESCRIPTION_BYTES_MAX = 1_048_576;

export interface TrashSpace {
  /** Of the file system that the trash lies on. */
  readonly sizeBytes: number;
  /** What others than root may still write there. */
  readonly availableBytes: number;
  /** How many files the file system can have; 0: as many as there is room for. */
  readonly fileCount: number;
  /** How many of them can still be made. */
  readonly availableFileCount: number;
}

export interface TrashCapable {
  /**
   * Moves the volume out of sight under `id`. Takes time that does not depend on its size.
   * Afterwards the name is free. Repeating it with the same id succeeds. Refuses like `destroy`.
   * Leaves what was found rather than made where it is. On a full file system it works without the
   * description.
   */
  retire(name: VolumeName, retirement: Retirement, operation: Operation): Promise<void>;
  /**
   * Replaces what lies beside the data of `id`. Returns when that survives a power cut. Does
   * nothing when there is no such entry.
   */
  describe(id: TrashId, description: string, operation: Operation): Promise<void>;
  /**
   * When what stands under the name was last moved or changed as a whole, in milliseconds since the
   * epoch (a directory's change time); 0 when the driver cannot say, or nothing is there.
   */
  movedAtMs(name: VolumeName, operation: Operation): Promise<number>;
  /**
   * Undoes `retire`, under any free name; nothing of the description is left in the volume. Refuses
   * with `volume.exists_differently` when the name is taken, and with `trash.purging` what is not
   * whole any more.
   */
  restore(id: TrashId, name: VolumeName, operation: Operation): Promise<void>;
  /**
   * Destroys what was retired, for ever, at a low priority. Returns when that survives a power cut.
   * Purging what is not there succeeds. It never follows a symbolic link. It never crosses into
   * another file system. Refuses with `volume.in_use` what a mount in any mount namespace still
   * shows. From its first effect on `list` says `isPurging`. `isUrgent` may be asked at any time:
   * whether somebody waits for it just now.
   */
  purge(ids: readonly TrashId[], operation: Operation, isUrgent?: () => boolean): Promise<void>;
  /**
   * Throws `volume.in_use` where `purge` would, and does nothing else, so that nothing is given up
   * that cannot be destroyed. Missing: nobody can look before.
   */
  readonly refuseShown?:
    | ((ids: readonly TrashId[], operation: Operation) => Promise<void>)
    | undefined;
  /**
   * Throws `volume.in_use` where a purge of this volume would refuse, if it lay in the trash: asked
   * before a removal for good of what nobody holds. Missing: the engine looks by itself.
   */
  readonly refusePurge?: ((name: VolumeName, operation: Operation) => Promise<void>) | undefined;
  /**
   * Everything in the trash once. What is beside the data of those in `known` need not be read:
   * their `description` may be null.
   */
  list(operation: Operation, known?: ReadonlySet<TrashId>): AsyncIterable<RetiredRecord>;
  /**
   * As `UsageCapable.measure`, for what lies in the trash; null for what is not there. Of a sparse
   * file only what is stored counts: it is what a purge frees.
   */
  measure(id: TrashId, operation: Operation): Promise<{ readonly usedBytes: number | null }>;
  space(operation: Operation): Promise<TrashSpace>;
}

export interface RenameCapable {
  /**
   * Gives a volume another name. Its identity, options and data stay. Returns when that survives a
   * power cut. Repeating it succeeds. Refuses with `volume.in_use` while a holder has it mounted,
   * and with `volume.exists_differently` when the new name is taken.
   */
  rename(from: VolumeName, to: VolumeName, operation: Operation): Promise<void>;
}

export interface UsageCapable {
  /**
   * Apparent bytes of all that is no directory, hard links counted once (Docker's sum). Yields to
   * other work while it walks. Cost grows with the number of files. null where the data is on
   * storage that the volume only points to, which is not measured.
   */
  measure(name: VolumeName, operation: Operation): Promise<{ readonly usedBytes: number | null }>;
}

export interface QuotaCapable {
  /** From its return on, a write that would bring the volume over the limit fails. */
  setLimit(name: VolumeName, limitBytes: number, operation: Operation): Promise<void>;
}

export interface FenceCapable {
  /** From its return on, the storage refuses writes of every holder of an older fence. */
  raise(name: VolumeName, fence: bigint, operation: Operation): Promise<void>;
}

export interface SnapshotRef {
  readonly volume: VolumeName;
  readonly snapshot: SnapshotName;
}

export interface SnapshotRecord extends SnapshotRef {
  /** Milliseconds since the epoch. */
  readonly takenAtMs: number;
}

/** A read-only view that stays as it is until it is disposed of. */
export interface OpenSnapshot extends AsyncDisposable {
  readonly path: string;
}

export interface SnapshotCapable {
  /** The volume as it was at one instant, even while it is being written to. */
  take(ref: SnapshotRef, operation: Operation): Promise<SnapshotRecord>;
  /** Every snapshot of the volume once. */
  list(volume: VolumeName, operation: Operation): AsyncIterable<SnapshotRecord>;
  open(ref: SnapshotRef, operation: Operation): Promise<OpenSnapshot>;
  /** A new, independent, writable volume that starts out as the snapshot. */
  clone(ref: SnapshotRef, spec: VolumeSpec, operation: Operation): Promise<VolumeRecord>;
  /** Sets the unmounted volume back to the snapshot. */
  restore(ref: SnapshotRef, operation: Operation): Promise<void>;
  /** Removes the snapshot and leaves the volume alone. Removing what is not there succeeds. */
  remove(ref: SnapshotRef, operation: Operation): Promise<void>;
}

/** Every member by name: adding one to T breaks each decorator that has not thought about it. */
export type Every<T> = { readonly [Name in keyof Required<T>]: T[Name] };
