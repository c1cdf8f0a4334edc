// Mounts of other namespaces: what is asked of them, and what is found.
import type { MountInfo } from "./host.ts";

/**
 * A mount of a given peer group, somewhere on this machine (`shared:N` or `master:N` in
 * /proc/PID/mountinfo). What a container has of a volume is one.
 */
export interface PeerMount {
  /** N. */
  readonly group: number;
  /** As its namespace sees it. */
  readonly target: string;
  readonly isReadOnly: boolean;
  /** The mount namespace, as the kernel names it: `mnt:[4026531832]`. */
  readonly namespace: string;
  /** One process in it. */
  readonly pid: number;
  /** The container that the process's control group names, in full; null: it names none. */
  readonly container: string | null;
}

/**
 * What a mount shows, whoever made it: the file system and the path inside it. A copy that left
 * its group has nothing else in common with its original.
 */
export function placeOfMount({ device, root }: Pick<MountInfo, "device" | "root">): string {
  return `${device} ${root}`;
}

/** A mount in none of the groups asked for, of a place that was asked for. */
export interface LooseMount extends Omit<PeerMount, "group"> {
  /** See `placeOfMount`. */
  readonly place: string;
}

/** Which mounts are looked for. */
export interface PeerQuestion {
  /**
   * Peer groups, each with the end of a path: mounts at paths that end so are left out. "": none
   * is.
   */
  readonly groups: ReadonlyMap<number, string>;
  /** See `placeOfMount`. */
  readonly places?: ReadonlySet<string>;
}

export interface PeerScan {
  readonly mounts: readonly PeerMount[];
  readonly loose: readonly LooseMount[];
  /** False when some namespace could not be read: what is not shown may be there all the same. */
  readonly isWhole: boolean;
}

/** A mount that shows what lies in a directory. */
export interface MountBelow {
  /** Which of the directories that were asked for. */
  readonly directory: string;
  /** As its namespace sees it. */
  readonly target: string;
  readonly pid: number;
  /** See `PeerMount.container`. */
  readonly container: string | null;
}

/** Who has such a mount, for messages: `container 0123456789ab`, or `process 4711`. */
export function ownerOfMount({ container, pid }: Pick<MountBelow, "container" | "pid">): string {
  return container === null ? `process ${pid}` : `container ${container.slice(0, 12)}`;
}

/** A mount that was looked for, and where. */
export type FoundMount = Omit<MountBelow, "directory"> & { readonly mount: MountInfo };

export interface MountsFound {
  readonly mounts: readonly FoundMount[];
  /** See `PeerScan.isWhole`. */
  readonly isWhole: boolean;
}

export interface MountsBelow {
  readonly mounts: readonly MountBelow[];
  /** See `PeerScan.isWhole`. */
  readonly isWhole: boolean;
}
