// Where what a boot may take lies: sockets of plugins, credentials and notes of processes.
import { createHash } from "node:crypto";
import { realpathSync } from "node:fs";
import path from "node:path";

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

/** What the run directories of all roots lie in. */
export function runParent(): string {
  const userId = process.getuid?.() ?? 0;
  if (userId === 0) return "/run/holdfast";
  return path.join(process.env["XDG_RUNTIME_DIR"] ?? `/run/user/${userId}`, "holdfast");
}
