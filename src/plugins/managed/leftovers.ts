// Directories that nobody names any more, taken away: never through a mount, never under anybody's
// hands.
import { EngineError, toEngineError } from "../../core/errors.ts";
import type { Host, MountInfo, ProgramResult } from "../../core/host.ts";
import { isAtOrBelow } from "../../core/mount-of.ts";
import type { Operation } from "../../core/operation.ts";
import { ownerOfMount } from "../../core/peer-mount.ts";

/** What setpriv ends with when the program behind it is missing. */
const NOT_EXECUTED = 127;
/** After how many milliseconds what stayed is tried again; each time twice as many. */
const AGAIN_MS = 500;
const AGAIN_MS_MAX = 600_000;

export interface LeftoversParts {
  readonly host: Host;
  /** A fresh operation on the daemon's own account. */
  readonly operation: () => Operation;
}

/**
 * One for each directory of plugins. A directory is given to it for good: its path must never be
 * anybody's again.
 */
export class Leftovers {
  readonly #parts: LeftoversParts;
  /** What could not be destroyed, and is tried again. */
  readonly #staying = new Set<string>();
  readonly #stopping = new AbortController();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #againMs = AGAIN_MS;
  #trying = Promise.resolve();

  constructor(parts: LeftoversParts) {
    this.#parts = parts;
  }

  /**
   * Destroys directories with all that is in them. One that something is mounted in, which cannot
   * be unmounted, or that a mount somewhere else shows, stays for now: a line of the log says so,
   * and it is tried again by itself. A container that has just been started shows everything for a
   * moment. Never rejects; what the end of the daemon cuts off is for the next start.
   */
  async destroy(directories: readonly string[]): Promise<void> {
    for (const directory of directories) {
      const failure = await this.#try(directory);
      if (failure === undefined) this.#staying.delete(directory);
      if (failure === undefined || this.#stopping.signal.aborted) continue;
      const { code, message: error } = failure;
      const { log } = this.#parts.operation();
      log.warn("what a plugin has left stays for now", { directory, code, error });
      this.#staying.add(directory);
      this.#againMs = AGAIN_MS;
      this.#schedule();
    }
  }

  /** Ends what is under way. */
  async stop(): Promise<void> {
    this.#stopping.abort(new EngineError("engine.stopping", "the daemon is shutting down"));
    clearTimeout(this.#timer);
    await this.#trying;
  }

  #schedule(): void {
    clearTimeout(this.#timer);
    if (this.#staying.size === 0 || this.#stopping.signal.aborted) return;
    this.#timer = setTimeout(() => {
      this.#trying = this.#tryAgain();
    }, this.#againMs);
    this.#timer.unref();
  }

  async #tryAgain(): Promise<void> {
    this.#againMs = Math.min(this.#againMs * 2, AGAIN_MS_MAX);
    for (const directory of [...this.#staying]) {
      if ((await this.#try(directory)) === undefined) this.#staying.delete(directory);
    }
    this.#schedule();
  }

  async #try(directory: string): Promise<EngineError | undefined> {
    const operation = { ...this.#parts.operation(), signal: this.#stopping.signal };
    try {
      operation.signal.throwIfAborted();
      await destroy(this.#parts.host, directory, operation);
      return undefined;
    } catch (thrown) {
      return toEngineError(thrown);
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
