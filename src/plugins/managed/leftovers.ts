// Directories that nobody names any more, taken away: never through a mount, never under anybody's
// hands.
import { EngineError, toEngineError } from "../../core/errors.ts";
import { type Host, type MountInfo, ownerOfMount, type ProgramResult } from "../../core/host.ts";
import { isAtOrBelow } from "../../core/mount-of.ts";
import type { Operation } from "../../core/operation.ts";

/** What setpriv ends with when the program behind it is missing. */
const NOT_EXECUTED = 127;

/**
 * Destroys directories with all that is in them. One that something is mounted in, which cannot be
 * unmounted, or that a mount somewhere else shows, is left, and a line of the log says so: a later
 * call may find it free. Rejects only when the operation's signal fires.
 */
export async function destroyLeftovers(
  host: Host,
  directories: readonly string[],
  operation: Operation,
): Promise<void> {
  for (const directory of directories) {
    operation.signal.throwIfAborted();
    try {
      await destroy(host, directory, operation);
    } catch (thrown) {
      operation.signal.throwIfAborted();
      const { code, message: error } = toEngineError(thrown);
      operation.log.warn("what a plugin has left stays for now", { directory, code, error });
    }
  }
}

async function destroy(host: Host, directory: string, operation: Operation): Promise<void> {
  for (const { target } of mountsIn(host, directory)) await host.unmount(target, operation);
  const [left] = mountsIn(host, directory);
  if (left !== undefined) {
    throw new EngineError("storage.failed", `something is mounted there, at ${left.target}`);
  }
  const { mounts } = await host.mountsBelow([directory]);
  const [shown] = mounts;
  if (shown !== undefined) {
    throw new EngineError("storage.failed", `${ownerOfMount(shown)} has it, at ${shown.target}`);
  }
  const result = await remove(host, directory, operation);
  if (result.exitCode !== 0) throw new EngineError("storage.failed", result.stderr.trim());
}

/** The deepest first, and of several at one place each. */
function mountsIn(host: Host, directory: string): readonly MountInfo[] {
  return host
    .mounts()
    .filter(({ target }) => isAtOrBelow(target, directory))
    .sort((one, other) => other.target.length - one.target.length);
}

/**
 * GNU rm walks with descriptors, and ends with the daemon. It is missed by nobody: it comes last.
 */
async function remove(host: Host, directory: string, operation: Operation): Promise<ProgramResult> {
  const words = ["--recursive", "--force", "--one-file-system", "--", directory];
  const ending = ["--pdeathsig", "KILL", "nice", "-n", "19", "rm", ...words];
  try {
    const result = await host.run("setpriv", ending, operation);
    if (result.exitCode !== NOT_EXECUTED) return result;
  } catch (error) {
    if (!(error instanceof EngineError) || error.code !== "host.program_missing") throw error;
  }
  return await host.run("rm", words, operation);
}
