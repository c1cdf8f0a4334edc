// What is known of each hold, and what follows from it: pure, so that every crash can be a test.
//
// docs/decisions/0006-holds.md has the rules and why.

import type { HolderId, VolumeName } from "../../core/names.ts";
import type { PeerMount } from "../../core/peer-mount.ts";

/** How long what may still come is waited for, in milliseconds. */
export interface HoldGraces {
  /** From a Mount to the container's own mount: the engine starts the container in between. */
  readonly startMs: number;
  /** The same for a hold that nobody used yet and whose engine lives: it may copy for long. */
  readonly copyMs: number;
}

/** A hold that was never used may be a long copy: it waits for so many graces. */
const COPY_GRACES = 20;

/** The graces of a daemon whose setting `hold-grace` says so many milliseconds. */
export function holdGraces(startMs: number): HoldGraces {
  return { startMs, copyMs: startMs * COPY_GRACES };
}

/**
 * One hold. Its members change, the groups by `HoldSettler.regroup`; `volume`, `holder` and `path`
 * tell it from all others.
 */
export interface Hold {
  readonly volume: VolumeName;
  readonly holder: HolderId;
  /** Where the engine was told that the data is. */
  readonly path: string;
  /** When the row was made, in milliseconds since the epoch. */
  readonly sinceMs: number;
  /** The peer group of the mount at `path`, the topmost; null: nothing is mounted there. */
  readonly group: number | null;
  /**
   * The groups of those beneath it: a dead mount stays below the one that replaced it, for as long
   * as somebody has it.
   */
  readonly lowerGroups: readonly number[];
  /** The data lies on storage that may not answer, as far as is known. */
  mayHang: boolean;
  /** The last Mount, or our own start, by the clock that only goes forward. */
  mountedAtMs: number;
  /** Counts Mounts and Unmounts: a look or a decision that one of them overtook is void. */
  changeCount: number;
  /** Mounts whose use the kernel has not shown yet, and which no Unmount has ended. */
  waitingCount: number;
  /** How many uses there were at the last Mount. */
  usesAtMount: number;
  /** An Unmount came, and no Mount is waited for. */
  isHinted: boolean;
  /** When the last Unmount came, by the clock that only goes forward. */
  hintedAtMs: number;
  /** As the last scan showed them. */
  uses: readonly PeerMount[];
  /** The last ones that a scan showed. */
  lastUses: readonly PeerMount[];
  /** Whether any scan ever showed a use. */
  wasUsed: boolean;
  /** The process that mounted, in this life of the daemon. */
  mounterPid: number | null;
  /** Nobody has it and its place is gone: only the driver has not been told. */
  isOver: boolean;
  /** Why it was not ended: what would tell is not known, or the last attempt failed. */
  stale: string | null;
}

/** The lowest first: of what lies on each other the topmost is noted. */
export function groupsOf({ group, lowerGroups }: Hold): readonly number[] {
  return group === null ? lowerGroups : [...lowerGroups, group];
}

/** A hold that has a row and nothing else: at a start, or right before its first mount. */
export function newHold(
  place: Pick<Hold, "volume" | "holder" | "path" | "sinceMs">,
  now: { readonly monotonicMs: number },
): Hold {
  return {
    ...place,
    group: null,
    lowerGroups: [],
    mayHang: true,
    mountedAtMs: now.monotonicMs,
    changeCount: 0,
    waitingCount: 0,
    usesAtMount: 0,
    isHinted: false,
    hintedAtMs: Number.NEGATIVE_INFINITY,
    uses: [],
    lastUses: [],
    wasUsed: false,
    mounterPid: null,
    isOver: false,
    stale: null,
  };
}

/** A Mount was answered, or is about to be. */
export function noteMount(
  hold: Hold,
  mount: { readonly nowMs: number; readonly startMs: number; readonly mounterPid: number | null },
): void {
  // What was waited for in vain for so long is not waited for any more.
  const isFresh = mount.nowMs - hold.mountedAtMs < mount.startMs;
  hold.waitingCount = (isFresh ? hold.waitingCount : 0) + 1;
  hold.usesAtMount = hold.uses.length;
  hold.mountedAtMs = mount.nowMs;
  hold.changeCount += 1;
  hold.mounterPid = mount.mounterPid;
  hold.isHinted = false;
  hold.isOver = false;
  hold.stale = null;
}

/** An Unmount came. It counts only when no other Mount with the same ID is waited for. */
export function noteUnmount(hold: Hold, nowMs: number): void {
  hold.hintedAtMs = nowMs;
  hold.changeCount += 1;
  hold.waitingCount = Math.max(0, hold.waitingCount - 1);
  if (hold.waitingCount === 0) hold.isHinted = true;
}

/**
 * How long after its Unmount a container may take to be gone, in milliseconds. One that is there
 * longer stays: `docker cp` on a running container sends Mount and Unmount, too.
 */
export const LEAVING_MS_MAX = 2_000;

/** Whether an Unmount has just come, so that whoever has the hold may be about to go. */
export function isLeaving({ isHinted, hintedAtMs }: Hold, nowMs: number): boolean {
  return isHinted && nowMs - hintedAtMs < LEAVING_MS_MAX;
}

/** Whether a Mount's container may still be about to appear. */
export function isAwaited(
  { waitingCount, mountedAtMs }: Hold,
  { nowMs, startMs }: { readonly nowMs: number; readonly startMs: number },
): boolean {
  return waitingCount > 0 && nowMs - mountedAtMs < startMs;
}

/** What paths of a hold's own mount end with, also in a copy of the directory of the holds. */
export function ownEnd(path: string): string {
  return path.slice(path.lastIndexOf("/"));
}

/**
 * What a scan showed of the hold's group. Copies at the hold's own path, or in a copy of the
 * directory of the holds, are no uses: whoever has them has them of all holds. Whatever that
 * directory's name is there: any user may bind it elsewhere, in a namespace of their own.
 */
export function noteScan(hold: Hold, mounts: readonly PeerMount[]): void {
  const end = ownEnd(hold.path);
  const found = mounts.filter(({ target }) => !target.endsWith(end));
  const uses = hold.lowerGroups.length === 0 ? found : eachOnce(found);
  // Who came later stays later, whatever number its process has.
  const known = hold.uses.map(({ container }) => container);
  const rank = ({ container }: PeerMount): number => {
    const index = known.indexOf(container);
    return index < 0 ? known.length : index;
  };
  hold.uses = uses.toSorted((left, right) => rank(left) - rank(right));
  if (hold.uses.length === 0) return;
  hold.lastUses = hold.uses;
  hold.wasUsed = true;
  hold.stale = null;
  // A container that shares its ID with others has arrived when there is one use more.
  if (hold.uses.length > hold.usesAtMount) {
    hold.waitingCount = 0;
    hold.usesAtMount = hold.uses.length;
  }
}

/** Layers of a hold that was mended lie on each other in containers too: that is one use. */
function eachOnce(mounts: readonly PeerMount[]): readonly PeerMount[] {
  const found = new Map(mounts.map((mount) => [`${mount.namespace} ${mount.target}`, mount]));
  return [...found.values()];
}

/** What is known when a verdict is wanted. */
export interface HoldFacts {
  readonly nowMs: number;
  /** When this life of the daemon began. */
  readonly startedAtMs: number;
  readonly graces: HoldGraces;
  readonly isScanWhole: boolean;
  /** Whether the process that mounted still sees the mount: asked only when it matters. */
  readonly isMounterAlive: () => boolean;
  /**
   * Whether a process that used the hold lives, in the namespace in which it did: asked only when
   * it matters. It may have made its mount private, which takes it out of the group.
   */
  readonly isUserAlive: () => boolean;
  /** What the engines' lists say; undefined: they have not been asked. */
  readonly lists:
    | undefined
    | {
        /** Keys of engines that could not be asked. */
        readonly unreachable: readonly string[];
        /** A running container has the volume, by its engine's list, by no hold that is in use. */
        readonly hasOtherRunning: boolean;
      };
}

/**
 * "used": the kernel shows a use. "starting": a use may still come. "unknown": what would tell
 * cannot be read. "ask": the engines' lists are needed. "over": nobody has it.
 */
export type HoldVerdict =
  | { readonly state: "used" | "starting" | "ask" | "over" }
  | { readonly state: "unknown"; readonly reason: string };

/** Decision 0006, in order. Whatever is not known counts as held. */
export function verdict(hold: Hold, facts: HoldFacts): HoldVerdict {
  if (hold.uses.length > 0) return { state: "used" };
  if (!facts.isScanWhole) {
    return { state: "unknown", reason: "the mounts of some processes could not be read" };
  }
  if (hold.isHinted && !facts.isUserAlive()) return { state: "over" };
  if (!hold.isHinted && isStarting(hold, facts)) return { state: "starting" };
  if (facts.lists === undefined) return { state: "ask" };
  const { unreachable, hasOtherRunning } = facts.lists;
  if (unreachable.length > 0) {
    return { state: "unknown", reason: `${unreachable.join(", ")} cannot be asked` };
  }
  if (hasOtherRunning) {
    return { state: "unknown", reason: "a running container has the volume by a mount not seen" };
  }
  return { state: "over" };
}

function isStarting(hold: Hold, facts: HoldFacts): boolean {
  const { nowMs, startedAtMs, graces } = facts;
  const waitedMs = nowMs - Math.max(hold.mountedAtMs, startedAtMs);
  if (waitedMs < graces.startMs) return true;
  return !hold.wasUsed && waitedMs < graces.copyMs && facts.isMounterAlive();
}
