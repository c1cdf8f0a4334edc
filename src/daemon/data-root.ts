// The directory the daemon is given for its data: made if missing, refused if others use it.
import { mkdirSync, readdirSync, realpathSync, statSync } from "node:fs";
import path from "node:path";
import { EngineError, isErrno, storageError } from "../core/errors.ts";

/** Owner all, others may pass: containers' bind mounts start below it. */
const ROOT_MODE = 0o711;
/** The sticky bit, and writing for everybody: a place such as /tmp. */
const SHARED_BITS = 0o1002;
/** What a daemon leaves in its root, and the one directory of Docker's that is taken over. */
const ownEntry = /^(?:volumes|trash|holds|plugins|secrets|leases|lock|state\..+)$/;
/** What a new file system has in its root. */
const FRESH_ENTRIES: readonly string[] = ["lost+found"];

/**
 * Makes the root unless it is there, and returns its path without symbolic links, as the kernel
 * names what is mounted below it. Throws `config.invalid` when it is no directory of the daemon's
 * own: every user may write in it, or it has files and none of them is a daemon's. Otherwise
 * `storage.*` and `host.denied`.
 */
export function makeDataRoot(root: string): string {
  if (root === "/") throw refused(root, "a directory of its own is needed");
  try {
    mkdirSync(path.dirname(root), { recursive: true });
    mkdirSync(root, { recursive: true, mode: ROOT_MODE });
    refuseShared(root);
    return realpathSync(root);
  } catch (error) {
    if (isErrno(error, "EEXIST") || isErrno(error, "ENOTDIR")) {
      throw refused(root, "it is not a directory", error);
    }
    throw storageError(error, `making the data root ${root}`);
  }
}

function refuseShared(root: string): void {
  if ((statSync(root).mode & SHARED_BITS) !== 0) {
    throw refused(
      root,
      "every user may write there, as in /tmp; give a directory in which only the daemon may " +
        "write, for example one below it",
    );
  }
  const entries = readdirSync(root);
  const foreign = entries.find((entry) => !FRESH_ENTRIES.includes(entry));
  if (foreign !== undefined && !entries.some((entry) => ownEntry.test(entry))) {
    throw refused(
      root,
      `a directory of its own is needed, and ${JSON.stringify(foreign)} is there`,
    );
  }
}

function refused(root: string, why: string, cause?: unknown): EngineError {
  return new EngineError("config.invalid", `root ${root}: ${why}`, { cause });
}
