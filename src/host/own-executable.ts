// Our own executable as a helper: commands of it that are for no person, which src/main.ts knows.
import { readProcLink } from "./libc-command.ts";

/** One mount in a process that the daemon can abandon. */
export const HOLD_MOUNT_COMMAND = "hold-mount";

/** One layer in a process whose root directory is the layer's. */
export const UNPACK_LAYER_COMMAND = "unpack-layer";

/** The second process of `measure-storage`. */
export const MEASURE_PEER_COMMAND = "measure-peer";

/** One piece of work on storage that may not answer: the word behind it says which. */
export const ASSIST_COMMAND = "assist";

/** Becomes the command of `lock run`, with a locked file where one is asked for. */
export const BECOME_COMMAND = "become-command";

/** How to start it. From sources it is the runtime, and needs to be told where they are. */
export function ownExecutable(
  command: string,
  ...words: readonly string[]
): [program: string, ...words: string[]] {
  const sources = import.meta.path.startsWith("/$bunfs/")
    ? []
    : [new URL("../main.ts", import.meta.url).pathname];
  return [runningProgram(), ...sources, command, ...words];
}

/**
 * A path of the very program that runs, also when an upgrade has put another one in its place or
 * moved it: a helper has to be of the same version.
 */
function runningProgram(): string {
  const path = readProcLink("/proc/self/exe");
  // The name is nicer to read in a list of processes.
  const isThere = path === process.execPath && !path.endsWith(" (deleted)");
  return isThere ? path : `/proc/${process.pid}/exe`;
}
