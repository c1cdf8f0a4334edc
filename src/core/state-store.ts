// What the engine remembers: rows are the truth, directories follow.
//
// One file, durable on every acknowledged change. Reads are served from memory and never touch the
// disk. `write` runs its work at once, records the changes, and resolves when they are on disk; all
// writes of one turn of the event loop share one commit. Views change only when the commit is done,
// so nobody sees what a power cut could still take, but for what was written lazily. Two writes of
// one turn do not see each other: whoever needs that holds the volume's lease until `write` has
// resolved.
import type { DriverOptions } from "./driver.ts";
import type { ErrorCode } from "./error-table.ts";
import type { DriverName, HolderId, OperationId, TrashId, VolumeName } from "./names.ts";
import type { Caller } from "./operation.ts";

export type Labels = Readonly<Record<string, string>>;

/**
 * How many bytes labels and options of one volume may take together, as JSON in UTF-8: 256 KiB. A
 * state has room in reserve for one more row of that size when its disk is full.
 */
export const DESCRIPTION_BYTES_MAX = 262_144;

/** How many aliases an entry of the trash knows at the most: of more the first, sorted. */
export const RETIRED_ALIASES_MAX = 1_000;

/** Longest line that people write about a volume, and longest subject of a change: characters. */
export const LINE_LENGTH_MAX = 1_000;

/**
 * "ready": usable. "creating": a driver without the rebuild facet was asked to create it and has
 * not answered; recovery forgets it. "removing": a driver without trash was asked to destroy it.
 * "adopting", "releasing": its data is on the way from, or to, another engine's place (decision
 * 0008); `mountpoint` and `identity` may be those of the data directory there.
 */
export const volumePhases = ["ready", "creating", "removing", "adopting", "releasing"] as const;

export type VolumePhase = (typeof volumePhases)[number];

/** Why a volume must not be removed, renamed or purged, and who said so. */
export interface Protection {
  /** One line, 1 to `LINE_LENGTH_MAX` characters. */
  readonly reason: string;
  /** Milliseconds since the epoch. */
  readonly sinceMs: number;
  /** See `HistoryEntry.by`. */
  readonly by: string;
}

/** The end of a volume's last use. */
export interface LastUse {
  /** Milliseconds since the epoch. */
  readonly atMs: number;
  /** Who had it: a container's name or id, or the id of a client's holder; "": not known. */
  readonly holder: string;
}

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
  /** null: no holder has ended yet. While it has holders, its last use is now. */
  readonly lastUse: LastUse | null;
  /** A line for people, 1 to `LINE_LENGTH_MAX` characters; null: none. */
  readonly note: string | null;
  readonly protection: Protection | null;
}

/** A name that a volume had before it was renamed, and that still means it. No volume has it. */
export interface AliasEntry {
  readonly alias: VolumeName;
  readonly volume: VolumeName;
  readonly sinceMs: number;
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

/**
 * A removed volume whose data still lies in the trash (decision 0009). "kept": it can be restored.
 * "purging": its destruction has begun, and only ends with the row.
 */
export interface RetiredEntry {
  readonly id: TrashId;
  readonly volume: VolumeEntry;
  readonly phase: "kept" | "purging";
  readonly retiredAtMs: number;
  /** Who removed it: see `HistoryEntry.by`. */
  readonly removedBy: string;
  /** When it may be purged, in milliseconds since the epoch; null: never by itself. */
  readonly purgeAtMs: number | null;
  /** Apparent bytes, measured in the background; null: not yet, or not measurable. */
  readonly sizeBytes: number | null;
  /** What meant the volume beside its name when it was removed: `RETIRED_ALIASES_MAX`, sorted. */
  readonly aliases: readonly VolumeName[];
}

/**
 * "undo": the storage refused the change that stands before it, and it was taken back. "purge":
 * what lay in the trash was given up for good, because somebody asked or its time was over;
 * "evict": because space was wanted. "forget": an alias was removed. "conflict": two containers
 * wrote one of its files at nearly the same time. "violation": a container had it against one of
 * its options.
 */
export const historyActions = [
  "create",
  "adopt",
  "release",
  "remove",
  "prune",
  "mount",
  "unmount",
  "undo",
  "restore",
  "purge",
  "evict",
  "rename",
  "forget",
  "update",
  "protect",
  "unprotect",
  "conflict",
  "publish",
  "violation",
] as const;

export type HistoryAction = (typeof historyActions)[number];

/** Who changed what, when. Kept for the last `HISTORY_ROWS_MAX` changes. */
export interface HistoryEntry {
  readonly atMs: number;
  readonly action: HistoryAction;
  /** Of "rename" the new name. */
  readonly volume: VolumeName;
  readonly driver: DriverName;
  readonly caller: Caller;
  /** The program that asked, as the kernel names it: "dockerd", "holdfast"; "" when it was gone. */
  readonly by: string;
  /**
   * What else it was about: the holder or container of "mount" and "unmount", the old name of
   * "rename", the trash id of "remove", "prune", "restore", "purge" and "evict", the alias of
   * "forget", the reason of "protect", what "update" changed, the path of "publish", the file and
   * the writers of "conflict" (`FILE: NAME@ID (PROGRAM), NAME@ID (PROGRAM)`), container and option
   * of "violation" (`NAME (rw) breaks sharing=readonly: stopped`); "" for nothing.
   * At most `LINE_LENGTH_MAX` characters.
   */
  readonly subject: string;
  /** "done", or why a removal, a purge or a rename was refused or failed. */
  readonly outcome: "done" | ErrorCode;
  readonly operation: OperationId;
}

/** A change that is on disk, and its place among all: a later one has a larger cursor. */
export interface StoredHistoryEntry extends HistoryEntry {
  readonly cursor: number;
}

export interface HistoryQuery {
  /** Only changes of this volume, under this name. */
  readonly volume?: VolumeName;
  /** Only older ones. */
  readonly before?: number;
  /** Only younger ones. */
  readonly after?: number;
  readonly order: "newest first" | "oldest first";
  readonly countMax: number;
  /** Looks at no more than so many changes, whether they match or not; by default at all. */
  readonly spanMax?: number;
}

export interface HistoryPage {
  readonly entries: readonly StoredHistoryEntry[];
  /** What to give as `before` (or `after`) for the next page; null: there is nothing further. */
  readonly next: number | null;
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
  /** The entry of the trash; undefined when there is none. */
  retiredEntry(id: TrashId): RetiredEntry | undefined;
  readonly retiredCount: number;
  /** What an alias means; undefined when it is none. */
  alias(name: string): AliasEntry | undefined;
  /** In no particular order. */
  aliases(): Iterable<AliasEntry>;
  /** In the order of their first contact. */
  engines(): Iterable<KnownEngine>;
}

export interface StateTransaction extends StateView {
  /** Throws `internal.bug` when an alias has that name. */
  putVolume(entry: VolumeEntry): void;
  /** Removes the row, its holders and its aliases. */
  removeVolume(name: VolumeName): void;
  /** Throws `internal.bug` when there is no such volume, or one has the alias as its name. */
  putAlias(entry: AliasEntry): void;
  removeAlias(alias: VolumeName): void;
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
   * error) or the commit fails (`storage.full`, `storage.read_only`, `storage.failed`). What is
   * lazy resolves when it outlives this process, and is on disk with the next that is not.
   */
  write<T>(
    work: (transaction: StateTransaction) => Settled<T>,
    how?: { readonly isLazy: boolean },
  ): Promise<T>;
  /** Reads the disk. O(changes looked at): some 100 ms for all of them. */
  history(query: HistoryQuery): HistoryPage;
  /** Commits what waits, writes the copy and lets go of the file. */
  close(): Promise<void>;
}
