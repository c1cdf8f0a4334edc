// Second mounts of a volume's data that can be told from each other: each has its own peer group.
//
// mount(8) cannot make them: after `mount --bind` of what lies on a shared mount, the copies that
// other namespaces got stay in the source's group for ever.
import { EngineError, errnoOf, isErrno, messageOf } from "../core/errors.ts";
import type { BindRequest, Host, MountInfo, ProgramResult } from "../core/host.ts";
import { peerGroupOf } from "../core/mount-of.ts";
import {
  closeDescriptor,
  moveMount,
  openPlace,
  openPlaceInRoot,
  openTreeClone,
  setPropagation,
  unmountTopmost,
} from "./libc.ts";
import { openFuseRoot, openLocalPlace } from "./local-places.ts";
import { groupOf, isMountPoint } from "./mount-facts.ts";
import { topmostAt, trueTarget } from "./mount-table.ts";
import { HOLD_MOUNT_COMMAND, ownExecutable } from "./own-executable.ts";
import { type StartProgram, throwIfAborted } from "./programs.ts";
import { TargetPrograms } from "./target-programs.ts";

export interface HoldMountsParts {
  readonly start: StartProgram;
  readonly table: () => readonly MountInfo[];
}

export type Places = Pick<BindRequest, "source" | "target" | "beneath">;

/**
 * `..` in a path is looked up again when anything on this machine was moved meanwhile: as often as
 * this, which no process that moves things all the time has outlasted yet.
 */
const LOOK_COUNT_MAX = 1000;

/** EAGAIN by its other name. */
const MOVED_MEANWHILE = "EWOULDBLOCK";

/** The `bind` and `unbind` of core/host.ts. */
export function makeHoldMounts({ start, table }: HoldMountsParts): Pick<Host, "bind" | "unbind"> {
  const programs = new TargetPrograms(start);

  const bindByHelper = async (places: Places, signal: AbortSignal): Promise<void> => {
    const { source, target, beneath } = places;
    await programs.untilFree(target, signal);
    const before = topmostAt(table(), target)?.mountId;
    const words = beneath === undefined ? [source, target] : [source, target, beneath];
    const command = ownExecutable(HOLD_MOUNT_COMMAND, ...words);
    const result = await programs.run(target, command, signal, {
      // Nobody was told of it. No deadline: the target stays closed for as long as it takes.
      async afterAbandoned() {
        const top = topmostAt(table(), target);
        if (top === undefined || top.mountId === before) return;
        await start("umount", ["--no-canonicalize", "--", target]).result;
      },
    });
    if (result.exitCode !== 0) throw mountFailed(places, wordsOf(result));
  };

  const bindAtOnce = (places: Places, mayHang: false | "unknown") => {
    if (mayHang === false) return bindHere(places, { mayCross: false });
    // What an abandoned helper still makes there is undone when it ends: nothing may lie on it.
    return programs.isBusy(places.target) ? "elsewhere" : bindLocal(places, table());
  };

  return {
    async bind({ source, target: asked, mayHang, beneath }, { signal }) {
      const places = { source, target: trueTarget(asked), beneath };
      throwIfAborted(signal, "mount");
      const known = mayHang === true ? "elsewhere" : bindAtOnce(places, mayHang);
      if (typeof known === "number") return known;
      if (known === "elsewhere") await bindByHelper(places, signal);
      const made = topmostAt(table(), places.target);
      const group = made === undefined ? undefined : peerGroupOf(made);
      if (group !== undefined) return group;
      throw mountFailed(places, "it was made, but the mount table has no peer group of it");
    },

    unbind(target) {
      try {
        unmountTopmost(target);
        return "gone";
      } catch (thrown) {
        if (isErrno(thrown, "EBUSY")) return "busy";
        if (isErrno(thrown, "EINVAL") || isErrno(thrown, "ENOENT")) return "gone";
        const words = messageOf(thrown);
        throw new EngineError("volume.unmount_failed", `unmount ${target}: ${words}`, {
          details: { target, words },
          cause: thrown,
        });
      }
    },
  };
}

/**
 * Makes the mount, in this process: it waits for the source's storage. Returns its peer group where
 * the kernel tells. "elsewhere": the path goes on on another mount, which may not answer, and that
 * was not to be crossed. Throws `volume.mount_failed`, and then nothing is mounted.
 */
export function bindHere(
  places: Places,
  { mayCross }: { readonly mayCross: boolean },
): number | undefined | "elsewhere" {
  const { source, beneath } = places;
  let place: number | undefined;
  try {
    if (beneath !== undefined) {
      place = openBeneath(beneath, source, mayCross);
      if (place === undefined) return "elsewhere";
    }
    return bindOpen(place ?? source, places.target);
  } catch (thrown) {
    throw mountFailed(places, wordsOfCall(thrown), thrown);
  } finally {
    if (place !== undefined) closeDescriptor(place);
  }
}

/**
 * Returns the peer group where the kernel tells, which it does not without `mayAsk`: statx(2) may
 * ask the file system. Throws the system's errors.
 */
function bindOpen(
  place: string | number,
  target: string,
  { mayAsk }: { readonly mayAsk: boolean } = { mayAsk: true },
): number | undefined {
  const descriptor = openTreeClone(place);
  try {
    // A clone is in the group of its source. Leaving it first is what gives it one of its own,
    // and it has that before anybody gets a copy.
    setPropagation(descriptor, "private");
    setPropagation(descriptor, "shared");
    moveMount(descriptor, target);
    return mayAsk ? groupOf(descriptor) : undefined;
  } finally {
    // What was not moved to its place ends with it.
    closeDescriptor(descriptor);
  }
}

function wordsOfCall(thrown: unknown): string {
  const words = messageOf(thrown);
  return isErrno(thrown, "ENOSYS") ? `${words}; needs Linux 5.12` : words;
}

/**
 * As `bindHere`, of what lies on storage of this machine, or is a FUSE mount as a whole; all else
 * is "elsewhere".
 */
function bindLocal(places: Places, mounts: readonly MountInfo[]): number | undefined | "elsewhere" {
  const { source, target, beneath } = places;
  const fuse = beneath === undefined ? openFuseRoot(source, mounts) : undefined;
  const open = fuse ?? openLocalPlace(beneath ?? source, mounts);
  if (open === undefined) return "elsewhere";
  let place: number | undefined;
  try {
    place = beneath === undefined ? open : openPlaceInRoot(open, source, false);
  } catch {
    return "elsewhere";
  } finally {
    if (place !== open) closeDescriptor(open);
  }
  try {
    return bindOpen(place, target, { mayAsk: fuse === undefined });
  } catch (thrown) {
    throw mountFailed(places, wordsOfCall(thrown), thrown);
  } finally {
    closeDescriptor(place);
  }
}

/** undefined: it lies on another mount, and that is not to be crossed. */
function openBeneath(beneath: string, source: string, mayCross: boolean): number | undefined {
  // The directory's own mount is the first that may not answer.
  if (!mayCross && isMountPoint(beneath) !== false) return undefined;
  const root = openPlace(beneath);
  try {
    for (let look = 1; ; look++) {
      try {
        return openPlaceInRoot(root, source, mayCross);
      } catch (thrown) {
        if (isErrno(thrown, "EXDEV") && !mayCross) return undefined;
        if (isErrno(thrown, MOVED_MEANWHILE) && look < LOOK_COUNT_MAX) continue;
        throw refusedBeneath(thrown);
      }
    }
  } finally {
    closeDescriptor(root);
  }
}

const wordsBeneath: Readonly<Record<string, string>> = {
  ENOENT: "there is no such directory",
  ENOTDIR: "it is not a directory",
  ELOOP: "it leads through too many symbolic links, or one of /proc",
  EXDEV: "it leads out",
  [MOVED_MEANWHILE]: "it is moved all the time",
};

/** The same error in words; what is not in the table is itself. */
function refusedBeneath(thrown: unknown): unknown {
  const code = errnoOf(thrown);
  const words = wordsBeneath[code];
  return words === undefined ? thrown : new Error(`${words} (${code})`, { cause: thrown });
}

function mountFailed(places: Places, words: string, cause?: unknown): EngineError {
  const { source, target, beneath } = places;
  const from = beneath === undefined ? source : `${source} in ${beneath}`;
  return new EngineError("volume.mount_failed", `mount ${from} at ${target}: ${words}`, {
    details: { source, target, words },
    cause,
  });
}

function wordsOf({ stderr, exitCode }: ProgramResult): string {
  const words = stderr.trim().replaceAll("\n", "; ");
  return words === "" ? `the helper ended with status ${exitCode}` : words;
}
