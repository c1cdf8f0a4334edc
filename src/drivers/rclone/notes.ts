// Writes rclone's notes, each in one piece: rclone itself writes them in place.
import { closeSync, fsyncSync, openSync } from "node:fs";
import { rename, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { storageError } from "../../core/errors.ts";

/** Whole or as it was, also after a power cut. */
export async function writeNote(
  path: string,
  note: Readonly<Record<string, unknown>>,
  work: string,
): Promise<void> {
  const fresh = join(work, "note");
  try {
    await writeFile(fresh, `${JSON.stringify(note, null, "\t")}\n`, { mode: 0o600, flush: true });
    await rename(fresh, path);
    syncDirectory(dirname(path));
  } catch (thrown) {
    throw storageError(thrown, `writing ${path}`);
  }
}

function syncDirectory(path: string): void {
  const directory = openSync(path, "r");
  try {
    fsyncSync(directory);
  } finally {
    closeSync(directory);
  }
}
