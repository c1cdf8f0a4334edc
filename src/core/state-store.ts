// What the engine remembers: rows are the truth, directories follow.
//
// One file, durable on every acknowledged change. Reads are served from memory and never touch the
// disk. `write` runs its work at once, records the changes, and resolves when they are on disk; all
// writes of one turn of the event loop share one commit. Views change only when the commit is done,
// so nobody sees what a power cut could still take. Two writes of one turn do not see each other:
// whoever needs that holds the volume's lease until `write` has resolved.
import type { DriverOptions } from "./driver.ts";
import type { DriverName, HolderId, OperationId, TrashId, VolumeName } from "./names.ts";
import type { Caller } from "./operation.ts";

export type Labels = Readonly<Record<string, string>>;

/**
 * How many bytes labels and options of one volume may take together, as JSON in UTF-8: 256 KiB. A
 * state has room in reserve for one more row of that size when its disk is full.
 */
export const DESCRIPTION_BYTES_MAX = 262_144;

/**
 * "ready": usable. "creating": a driver without the rebuild facet was asked to create it and has
 * not answered; recovery forgets it. "removing": a driver without trash was asked to destroy it.
 * "adopting", "releasing": its data is on the way from, or to, another engine's place (decision
 * 0008); `mountpoint` and `identity` may be those of the data directory there.
 */
export const volumePhases = ["ready", "creating", "removing", "adopting", "releasing"] as const;

export type VolumePhase = (typeof volumePhases)[number];

/** One volume. Immutable: a change is a new entry, so an entry can be a key of caches. */
export interface VolumeEntry {
  readonly name: VolumeName;
  readonly driver: DriverName;
  readonly scope: "local" | "global";
  /** As the client sent them: null when it sent nothing or null, `{}` when it sent `{}`. */
  readonly labels: Labels | null;
  readonly options: DriverOptions | null;
  /** Milliseconds since the epoch. */
  readonly createdAtMs: number;
  readonly origin: "made" | "adopted";
  readonly phase: VolumePhase;
  readonly mountpoint: string;
  /** See `VolumeRecord.identity`. */
  readonly identity: string;
  /**
   * First mount in milliseconds since the epoch; null: never. From then on data is never made
   * again.
   */
  readonly usedAtMs: number | null;
}

/**
 * Who a holder is. "client": somebody who mounted by Holdfast's own API and ends it himself.
 * "engine": a container engine, by the volume driver socket; the kernel says when it ends
 * (decision 0006).
 */
export type HolderKind = "client" | "engine";

/** One holder of one volume. */
export interface HolderEntry {
  readonly volume: VolumeName;
  readonly holder: HolderId;
  readonly kind: HolderKind;
  readonly sinceMs: number;
}

/** A container engine that has used the volume driver socket: it may have containers with ours. */
export interface KnownEngine {
  /** See `ContainerEngine.key`. 1 to 1,024 characters. */
  readonly key: string;
  /** The first contact in milliseconds since the epoch. */
  readonly sinceMs: number;
}

/** A removed volume whose data still lies in the trash. */
export interface RetiredEntry {
  readonly id: TrashId;
  readonly volume: VolumeEntry;
  readonly retiredAtMs: number;
}

/** "undo": the storage refused the change that stands before it, and it was taken back. */
export const historyActions = [
  "create",
  "adopt",
  "release",
  "remove",
  "prune",
  "mount",
  "unmount",
  "undo",
] as const;

export type HistoryAction = (typeof historyActions)[number];

/** Who changed what, when. Kept for the last `HISTORY_ROWS_MAX` changes. */
export interface HistoryEntry {
  readonly atMs: number;
  readonly action: HistoryAction;
  readonly volume: VolumeName;
  readonly driver: DriverName;
  readonly caller: Caller;
  readonly operation: OperationId;
}

/** How many changes the history keeps; the oldest go first. */
export const HISTORY_ROWS_MAX = 100_000;

/** Forbids promises: work inside `read` and `write` is synchronous. */
export type Settled<T> = T extends PromiseLike<unknown> ? never : T;

export interface StateView {
  volume(name: string): VolumeEntry | undefined;
  /** In the order of creation. */
  volumes(): Iterable<VolumeEntry>;
  readonly volumeCount: number;
  holders(name: VolumeName): readonly HolderEntry[];
  retired(): Iterable<RetiredEntry>;
  /** In the order of their first contact. */
  engines(): Iterable<KnownEngine>;
}

export interface StateTransaction extends StateView {
  putVolume(entry: VolumeEntry): void;
  /** Removes the row and its holders. */
  removeVolume(name: VolumeName): void;
  putHolder(entry: HolderEntry): void;
  removeHolder(volume: VolumeName, holder: HolderId): void;
  putRetired(entry: RetiredEntry): void;
  removeRetired(id: TrashId): void;
  /** Adds the engine, or replaces the one of the same key. */
  putEngine(entry: KnownEngine): void;
  removeEngine(key: string): void;
  addHistory(entry: HistoryEntry): void;
}

/** What `open` had to do to get at the state, for the log, `info` and recovery. */
export type StateOrigin =
  | { readonly kind: "opened" }
  | { readonly kind: "created" }
  /** The state was lost or damaged; rows came back from the copy of `copiedAtMs`, or none did. */
  | {
      readonly kind: "salvaged";
      readonly reason: string;
      readonly copiedAtMs: number | null;
      /** Where the damaged file was put aside; null when there was none. */
      readonly damagedPath: string | null;
    };

export interface StateStore {
  readonly origin: StateOrigin;
  /** A random UUID that was made with this state and goes with it: a lost state gets another. */
  readonly id: string;
  read<T>(work: (view: StateView) => Settled<T>): T;
  /**
   * Resolves when all of it is on disk. Rejects, with none of it done, when `work` throws (that
   * error) or the commit fails (`storage.full`, `storage.read_only`, `storage.failed`).
   */
  write<T>(work: (transaction: StateTransaction) => Settled<T>): Promise<T>;
  /** The newest changes first, at most `countMax`, of one volume or of all. Reads the disk. */
  history(query: {
    readonly volume?: VolumeName;
    readonly countMax: number;
  }): readonly HistoryEntry[];
  /** Commits what waits, writes the copy and lets go of the file. */
  close(): Promise<void>;
}
