// Where what a boot may take lies: sockets of plugins, credentials and notes of processes.
import { createHash } from "node:crypto";
import { chmodSync, mkdirSync, realpathSync, statSync } from "node:fs";
import path from "node:path";
import { storageError } from "../core/errors.ts";

/** Of the hash of the data root: sockets have short paths, and two daemons must not meet. */
const ROOT_DIGITS = 12;

/**
 * The run directory of the daemon of an existing data root, absolute; nothing is made. It is in
 * memory, and emptied by a boot, like the processes themselves.
 */
export function runDirectoryOf(root: string): string {
  const hash = createHash("sha256").update(realpathSync(root)).digest("hex").slice(0, ROOT_DIGITS);
  return path.join(runParent(), hash);
}

const OWN_MODE = 0o700;
/** The clients' socket lies beside it: whoever may use that must get there. */
const PARENT_MODE = 0o755;

/**
 * Makes the run directory of an existing data root, for us alone, in one that others may pass, and
 * returns it. Throws `storage.*` and `host.denied`.
 */
export function makeRunDirectory(root: string): string {
  const directory = runDirectoryOf(root);
  const parent = runParent();
  try {
    mkdirSync(parent, { recursive: true, mode: PARENT_MODE });
    // One of before, or one that was made anew while somebody emptied what it lies in.
    const { mode, uid } = statSync(parent);
    const isNarrow = (mode & PARENT_MODE) !== PARENT_MODE;
    if (isNarrow && uid === process.getuid?.()) chmodSync(parent, PARENT_MODE);
    mkdirSync(directory, { recursive: true, mode: OWN_MODE });
  } catch (error) {
    throw storageError(error, `making the run directory ${directory}`);
  }
  return directory;
}

/** What the run directories of all roots lie in. */
export function runParent(): string {
  const userId = process.getuid?.() ?? 0;
  if (userId === 0) return "/run/holdfast";
  return path.join(process.env["XDG_RUNTIME_DIR"] ?? `/run/user/${userId}`, "holdfast");
}
