// Few steps on files that the state needs: syncing a directory, putting something aside.
import { closeSync, fsyncSync, lstatSync, openSync, renameSync, rmSync, statSync } from "node:fs";

/** What `openState` calls its files, below the root. */
export const stateFileName = "state.db";
export const logSuffix = "-wal";

/** Makes renames and new names in a directory survive a power cut. */
export function syncDirectory(path: string): void {
  const descriptor = openSync(path, "r");
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

/** "file" also for a symbolic link to one; "other" for what cannot be a state file. */
export function whatIsAt(path: string): "nothing" | "file" | "other" {
  if (lstatSync(path, { throwIfNoEntry: false }) === undefined) return "nothing";
  return statSync(path, { throwIfNoEntry: false })?.isFile() === true ? "file" : "other";
}

/** A name for what is damaged that nothing else has: `state.db.damaged-20260102T030405678Z`. */
export function damagedName(path: string, nowMs: number): string {
  const time = new Date(nowMs).toISOString().replaceAll(/[-:.]/g, "");
  for (let attempt = 1; ; attempt++) {
    const candidate = `${path}.damaged-${time}${attempt === 1 ? "" : `-${attempt}`}`;
    if (whatIsAt(candidate) === "nothing" && whatIsAt(candidate + logSuffix) === "nothing") {
      return candidate;
    }
  }
}

/** Renames a file or its absence: false when there was nothing. */
export function moveIfThere(source: string, target: string): boolean {
  if (whatIsAt(source) === "nothing") return false;
  renameSync(source, target);
  return true;
}

/** Removes a database that was never finished, with its log. */
export function removeUnfinished(path: string): void {
  for (const suffix of ["", logSuffix, "-shm", "-journal"]) rmSync(path + suffix, { force: true });
}
