// Second mounts of a volume's data that can be told from each other: each has its own peer group.
//
// mount(8) cannot make them: after `mount --bind` of what lies on a shared mount, the copies that
// other namespaces got stay in the source's group for ever.
import { EngineError, isErrno } from "../core/errors.ts";
import type { BindRequest, Host, MountInfo, ProgramResult } from "../core/host.ts";
import { peerGroupOf } from "../core/mount-of.ts";
import {
  closeDescriptor,
  moveMount,
  openTreeClone,
  setPropagation,
  unmountTopmost,
} from "./libc.ts";
import { groupOf } from "./mount-facts.ts";
import { topmostAt, trueTarget } from "./mount-table.ts";
import { type StartProgram, throwIfAborted } from "./programs.ts";
import { TargetPrograms } from "./target-programs.ts";

/** Makes our own executable a helper of `bind`: src/main.ts knows it. */
const HOLD_MOUNT_COMMAND = "hold-mount";

export interface HoldMountsParts {
  readonly start: StartProgram;
  readonly table: () => readonly MountInfo[];
}

type Places = Pick<BindRequest, "source" | "target">;

/** The `bind` and `unbind` of core/host.ts. */
export function makeHoldMounts({ start, table }: HoldMountsParts): Pick<Host, "bind" | "unbind"> {
  const programs = new TargetPrograms(start);

  const bindByHelper = async (places: Places, signal: AbortSignal): Promise<void> => {
    const { source, target } = places;
    await programs.untilFree(target, signal);
    const before = topmostAt(table(), target)?.mountId;
    const result = await programs.run(target, helperOf(places), signal, {
      // Nobody was told of it. No deadline: the target stays closed for as long as it takes.
      async afterAbandoned() {
        const top = topmostAt(table(), target);
        if (top === undefined || top.mountId === before) return;
        await start("umount", ["--no-canonicalize", "--", target]).result;
      },
    });
    if (result.exitCode !== 0) throw mountFailed({ source, target }, wordsOf(result));
  };

  return {
    async bind({ source, target: asked, mayHang }, { signal }) {
      const places = { source, target: trueTarget(asked) };
      if (mayHang) await bindByHelper(places, signal);
      else {
        throwIfAborted(signal, "mount");
        const known = bindHere(places);
        if (known !== undefined) return known;
      }
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
        const words = thrown instanceof Error ? thrown.message : String(thrown);
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
 * the kernel tells. Throws `volume.mount_failed`, and then nothing is mounted.
 */
export function bindHere(places: Places): number | undefined {
  let descriptor: number | undefined;
  try {
    descriptor = openTreeClone(places.source);
    // A clone is in the group of its source. Leaving it first is what gives it one of its own,
    // and it has that before anybody gets a copy.
    setPropagation(descriptor, "private");
    setPropagation(descriptor, "shared");
    moveMount(descriptor, places.target);
    return groupOf(descriptor);
  } catch (thrown) {
    const words = thrown instanceof Error ? thrown.message : String(thrown);
    const hint = isErrno(thrown, "ENOSYS") ? "; needs Linux 5.12" : "";
    throw mountFailed(places, `${words}${hint}`, thrown);
  } finally {
    // What was not moved to its place ends with it.
    if (descriptor !== undefined) closeDescriptor(descriptor);
  }
}

/** Our own executable: from sources it is the runtime, and needs to be told where they are. */
function helperOf({ source, target }: Places): [program: string, ...args: string[]] {
  const sources = import.meta.path.startsWith("/$bunfs/")
    ? []
    : [new URL("../main.ts", import.meta.url).pathname];
  return [process.execPath, ...sources, HOLD_MOUNT_COMMAND, source, target];
}

function mountFailed({ source, target }: Places, words: string, cause?: unknown): EngineError {
  return new EngineError("volume.mount_failed", `mount ${source} at ${target}: ${words}`, {
    details: { source, target, words },
    cause,
  });
}

function wordsOf({ stderr, exitCode }: ProgramResult): string {
  const words = stderr.trim().replaceAll("\n", "; ");
  return words === "" ? `the helper ended with status ${exitCode}` : words;
}
