// How much a volume holds: Docker's sum, walked in slices so that the daemon stays responsive.

import type { Dirent } from "node:fs";
import fs from "node:fs";
import { isErrno, storageError } from "../../core/errors.ts";
import type { Operation } from "../../core/operation.ts";

/** How long the walk keeps the event loop, in milliseconds, before others get their turn. */
const SLICE_MS = 4;

/**
 * Apparent bytes of everything below `top` that is not a directory, hard links counted once (moby's
 * rule). Follows no link and passes by what is mounted (looking at a dead server would block). What
 * vanishes meanwhile counts nothing.
 * Synchronous calls in slices: measured at a sixth of the time of asynchronous ones.
 */
export async function measureTree(
  top: string,
  mountTargets: ReadonlySet<string>,
  operation: Operation,
): Promise<number> {
  const seen = new Set<number>();
  const pending: string[] = [top];
  let usedBytes = 0;
  let sliceStartedAt = performance.now();
  for (let directory = pending.pop(); directory !== undefined; directory = pending.pop()) {
    for (const entry of entriesOf(directory)) {
      if (performance.now() - sliceStartedAt > SLICE_MS) {
        await new Promise<void>((resolve) => setImmediate(resolve));
        operation.signal.throwIfAborted();
        sliceStartedAt = performance.now();
      }
      const path = `${directory}/${entry.name}`;
      const stat = mountTargets.has(path) ? undefined : statOrGone(path);
      if (stat === undefined) continue;
      if (stat.isDirectory()) {
        pending.push(path);
        continue;
      }
      if (stat.nlink > 1) {
        if (seen.has(stat.ino)) continue;
        seen.add(stat.ino);
      }
      usedBytes += stat.size;
    }
  }
  return usedBytes;
}

function entriesOf(directory: string): readonly Dirent[] {
  try {
    return fs.readdirSync(directory, { withFileTypes: true });
  } catch (error) {
    if (isErrno(error, "ENOENT") || isErrno(error, "ENOTDIR")) return [];
    throw storageError(error, `measuring ${directory}`);
  }
}

function statOrGone(path: string): fs.Stats | undefined {
  try {
    return fs.lstatSync(path, { throwIfNoEntry: false });
  } catch (error) {
    throw storageError(error, `measuring ${path}`);
  }
}
