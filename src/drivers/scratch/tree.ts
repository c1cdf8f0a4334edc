// Trees of files: what is in them in bytes, and their end. Neither follows a symbolic link.
import { lstatSync, readdirSync, rmdirSync, unlinkSync } from "node:fs";
import { join } from "node:path";
import { EngineError, isErrno, storageError } from "../../core/errors.ts";

/** After how many files the walk lets other work go first. */
const filesPerTurn = 500;

/**
 * The apparent bytes of all that is no directory below `root`, hard links counted once. `proceed`
 * is asked at every turn and ends the walk by throwing.
 */
export async function apparentBytes(root: string, proceed: () => void): Promise<number> {
  const seen = new Set<string>();
  const folders = [root];
  let usedBytes = 0;
  let count = 0;
  for (let folder = folders.pop(); folder !== undefined; folder = folders.pop()) {
    for (const entry of namesIn(folder)) {
      const path = join(folder, entry);
      const found = lstatSync(path, { throwIfNoEntry: false });
      if (found?.isDirectory()) folders.push(path);
      else if (found !== undefined && isFirst(seen, found)) usedBytes += found.size;
      count += 1;
      if (count % filesPerTurn !== 0) continue;
      await new Promise((resolve) => setImmediate(resolve));
      proceed();
    }
  }
  return usedBytes;
}

/** A file that is being removed while we look is no failure. */
function namesIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder);
  } catch (error) {
    if (isErrno(error, "ENOENT")) return [];
    throw storageError(error, `reading ${folder}`);
  }
}

function isFirst(
  seen: Set<string>,
  file: { readonly nlink: number; readonly dev: number; readonly ino: number },
): boolean {
  if (file.nlink === 1) return true;
  const key = `${file.dev}:${file.ino}`;
  if (seen.has(key)) return false;
  seen.add(key);
  return true;
}

/**
 * Removes `root` and all below it. Succeeds when it is not there. Throws `storage.failed` at what
 * lies on another file system, which it leaves alone.
 */
export function removeTree(root: string): void {
  const found = lstatSync(root, { throwIfNoEntry: false });
  if (found === undefined) return;
  try {
    removeBelow(root, found.dev);
  } catch (error) {
    throw storageError(error, `removing ${root}`);
  }
}

function removeBelow(path: string, device: number): void {
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (found === undefined) return;
  if (found.dev !== device) {
    throw new EngineError("storage.failed", `${path} lies on another file system`);
  }
  if (!found.isDirectory()) {
    unlinkSync(path);
    return;
  }
  for (const entry of readdirSync(path)) removeBelow(join(path, entry), device);
  rmdirSync(path);
}
