// The directories that `holdfast verify` makes on a user's storage, and how they go again.
//
// Checks mount things, and what is mounted is not ours: a removal that walked into it would destroy
// it. A bind mount of the same file system looks like any directory, so only the mount table tells.
// It is read before anything is removed; what is mounted is unmounted; and if anything stays, or a
// check has not ended and may mount yet, nothing is removed at all.
import { mkdirSync, mkdtempSync, realpathSync } from "node:fs";
import path from "node:path";
import { EngineError, storageError, toEngineError } from "../core/errors.ts";
import type { Host } from "../core/host.ts";
import { makeOperationId } from "../core/names.ts";
import { type Operation, silentLog, systemCaller } from "../core/operation.ts";

/** How long one unmount may take at the end, and one removal, in milliseconds. */
const UNMOUNT_MS_MAX = 10_000;
const REMOVAL_MS_MAX = 60_000;

export class VerifyPlaces {
  readonly #host: Host;
  readonly #made: string[] = [];

  constructor(host: Host) {
    this.#host = host;
  }

  /**
   * A new, empty directory below `parent`, which is made if it is missing; links are resolved,
   * because the mount table knows none. Throws `storage.*`, `host.denied`.
   */
  make(parent: string): string {
    try {
      mkdirSync(parent, { recursive: true });
      const made = realpathSync(mkdtempSync(path.join(parent, "holdfast-verify-")));
      this.#made.push(made);
      return made;
    } catch (error) {
      throw storageError(error, `making a directory for the checks below ${parent}`);
    }
  }

  /** Removes all of it and says, for a person, what is left behind and why. Never rejects. */
  async remove({ mayStillMount }: { readonly mayStillMount: boolean }): Promise<readonly string[]> {
    const failures = await this.#unmountAll();
    if (mayStillMount) {
      return this.#leave("a check has not ended and may still mount something there");
    }
    const leftBehind: string[] = [];
    for (const directory of this.#made) {
      // Once more before each: what was mounted meanwhile is nobody's to remove either.
      const [target] = this.#mountedTargets();
      if (target !== undefined) {
        const reason = failures.get(target) ?? "it was mounted just now";
        return [...leftBehind, ...this.#leave(`${target} is still mounted (${reason})`, directory)];
      }
      const failure = await this.#removeTree(directory);
      if (failure !== undefined) leftBehind.push(`directory ${directory}: ${failure}`);
    }
    return leftBehind;
  }

  /** All from `first` on. */
  #leave(reason: string, first = this.#made[0] ?? ""): readonly string[] {
    const rest = this.#made.slice(this.#made.indexOf(first));
    return rest.map((directory) => `directory ${directory}: ${reason}`);
  }

  /** Unmounts what can be unmounted; what cannot, with the reason. */
  async #unmountAll(): Promise<ReadonlyMap<string, string>> {
    const failures = new Map<string, string>();
    for (;;) {
      const targets = this.#mountedTargets();
      const target = targets.find((each) => !failures.has(each));
      if (target === undefined) return failures;
      try {
        await within(UNMOUNT_MS_MAX, (operation) => this.#host.unmount(target, operation));
        // Where several are mounted on each other, the others may have waited for this one.
        if (this.#mountedTargets().length < targets.length) failures.clear();
        else failures.set(target, "it is still there after its unmount");
      } catch (error) {
        failures.set(target, toEngineError(error).message);
      }
    }
  }

  /** What is mounted at or below the directories, the deepest first. */
  #mountedTargets(): readonly string[] {
    return this.#host
      .mounts()
      .map(({ target }) => target)
      .filter((target) => this.#made.some((each) => isAtOrBelow(target, each)))
      .toSorted((one, other) => other.length - one.length);
  }

  /** In a helper process, for what blocks; the reason why it failed. */
  async #removeTree(directory: string): Promise<string | undefined> {
    const words = ["--recursive", "--force", "--one-file-system", "--", directory];
    try {
      const { exitCode, stderr } = await within(REMOVAL_MS_MAX, (operation) =>
        this.#host.run("rm", words, operation),
      );
      return exitCode === 0 ? undefined : (stderr.split("\n", 1)[0] ?? "");
    } catch (error) {
      return toEngineError(error).message;
    }
  }
}

function isAtOrBelow(target: string, directory: string): boolean {
  return target === directory || target.startsWith(`${directory}/`);
}

async function within<T>(timeoutMs: number, work: (operation: Operation) => Promise<T>) {
  const controller = new AbortController();
  const timer = setTimeout(() => {
    const words = `it did not end in ${timeoutMs} ms`;
    controller.abort(new EngineError("operation.timed_out", words));
  }, timeoutMs);
  const { signal } = controller;
  const id = makeOperationId("verify-removal");
  try {
    return await work({ id, caller: systemCaller, signal, log: silentLog });
  } finally {
    clearTimeout(timer);
  }
}
