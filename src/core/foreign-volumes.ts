// Volumes that another engine keeps in directories of this machine: dockerd's own `local` ones.
//
// Holdfast takes such a volume over, and gives it back, by renaming its data directory (decision
// 0008). Here is what the other engine is asked, and the few things done to directories.
import type { DriverOptions } from "./driver.ts";
import type { VolumeName } from "./names.ts";
import type { Operation } from "./operation.ts";
import type { Labels } from "./state-store.ts";

/** A container of the other engine that would notice if the volume's directory went away. */
export interface ForeignUser {
  readonly name: string;
  /** The Compose project it belongs to. */
  readonly project: string | null;
  readonly isRunning: boolean;
  /** It has the directory, or one in it, by its path and not as a volume. */
  readonly isByPath: boolean;
}

export interface ForeignVolume {
  /** As the engine spells it; not every such name is one of ours. */
  readonly name: string;
  readonly labels: Labels | null;
  readonly options: DriverOptions | null;
  /** Milliseconds since the epoch. */
  readonly createdAtMs: number;
  /** The data directory, as the engine sees it. Absolute. It may be missing. */
  readonly mountpoint: string;
  /** Whether the directory above `mountpoint` is the same one for us. */
  readonly isHere: boolean;
  readonly users: readonly ForeignUser[];
}

export interface ForeignSpec {
  readonly name: VolumeName;
  readonly options: DriverOptions;
  readonly labels: Labels | null;
}

/**
 * The `local` volumes of one engine. Every call throws `containers.unreachable` when the engine
 * gives no answer; what was asked for may then be done later all the same.
 */
export interface ForeignVolumes {
  /** The engine's key: see `ContainerEngine.key`. */
  readonly key: string;
  /** All of them, in the engine's order. */
  list(operation: Operation): Promise<readonly ForeignVolume[]>;
  /** undefined: the engine has no `local` volume of this name. */
  find(name: VolumeName, operation: Operation): Promise<ForeignVolume | undefined>;
  /** Makes it. One of that name is returned as it is. Throws `adoption.refused`. */
  create(spec: ForeignSpec, operation: Operation): Promise<ForeignVolume>;
  /**
   * Has the engine forget the volume, which destroys whatever is in its directory then. What is not
   * there is forgotten. "in use": a container refers to it, and nothing was done.
   */
  forget(name: VolumeName, operation: Operation): Promise<"forgotten" | "in use">;
}

export interface ForeignVolumesFinder {
  /** Those of the engine with this key; undefined for a key of another kind of engine. */
  of(key: string): ForeignVolumes | undefined;
}

/** What stands at a path. */
export interface PlaceFacts {
  /** Inode and birth time: a rename keeps them, and no copy has them. */
  readonly identity: string;
  /** The file system's number. */
  readonly device: string;
  readonly isEmpty: boolean;
}

/** The directory operations of an adoption. */
export interface DataPlaces {
  /**
   * undefined: nothing is there. Throws `volume.data_foreign` for what is no plain directory, and
   * `storage.*`.
   */
  look(path: string): PlaceFacts | undefined;
  /**
   * Renames the directory `from` to `to`, where nothing or an empty directory is. Returns when that
   * survives a power cut. Throws `adoption.other_file_system`, `adoption.refused` when `to` is not
   * empty, and `storage.*`.
   */
  move(from: string, to: string): Promise<void>;
  /** Makes an empty directory, unless one is there. Throws `storage.*`. */
  make(path: string): void;
  /** Removes an empty directory, if it is there. Throws as `move` does. */
  removeEmpty(path: string): void;
}
