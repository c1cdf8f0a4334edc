// Puts a file in its place so that at any moment the old or the new one is there, whole.
import { createHash } from "node:crypto";
import {
  chmodSync,
  closeSync,
  constants,
  copyFileSync,
  fsyncSync,
  lstatSync,
  mkdirSync,
  openSync,
  readSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import path from "node:path";
import { EngineError, isErrno } from "../core/errors.ts";

const READ_BYTES = 1024 * 1024;

/** A text, or the path of a file to be copied. */
export type Content = { readonly text: string } | { readonly copyOf: string };

/** Hex digits of a content. Throws `install.failed`. */
export function hashOfContent(content: Content): string {
  if ("text" in content) return createHash("sha256").update(content.text).digest("hex");
  const hash = hashOfFile(content.copyOf);
  if (hash !== undefined) return hash;
  throw new EngineError("install.failed", `${content.copyOf} is gone: it cannot be copied`);
}

/** Hex digits of a file's SHA-256; undefined where nothing is. Throws `install.failed`. */
export function hashOfFile(file: string): string | undefined {
  return attempt(`reading ${file}`, () => {
    if (lstatSync(file, { throwIfNoEntry: false }) === undefined) return undefined;
    const descriptor = openSync(file, "r");
    try {
      const hash = createHash("sha256");
      const buffer = Buffer.alloc(READ_BYTES);
      for (;;) {
        const count = readSync(descriptor, buffer);
        if (count === 0) return hash.digest("hex");
        hash.update(buffer.subarray(0, count));
      }
    } finally {
      closeSync(descriptor);
    }
  });
}

/**
 * Makes the directories above `file`, writes beside it, syncs, compares, renames. Returns the
 * directories it made, outermost first. Throws `install.failed`; then the old file is there still.
 */
export function putFile(file: string, content: Content, mode: number): readonly string[] {
  return attempt(`writing ${file}`, () => {
    const folder = path.dirname(file);
    const made = makeDirectories(folder);
    const beside = path.join(folder, `.${path.basename(file)}.${process.pid}.new`);
    try {
      if ("text" in content) writeFileSync(beside, content.text);
      else copyFileSync(content.copyOf, beside, constants.COPYFILE_FICLONE);
      // Whatever the umask is.
      chmodSync(beside, mode);
      syncPath(beside);
      if (hashOfFile(beside) !== hashOfContent(content)) {
        throw new EngineError("install.failed", `${beside} does not hold what was written to it`);
      }
      renameSync(beside, file);
    } finally {
      rmSync(beside, { force: true });
    }
    syncPath(folder);
    return made;
  });
}

/** Removes a file, for good. Throws `install.failed`. */
export function removeFile(file: string): void {
  attempt(`removing ${file}`, () => {
    rmSync(file, { force: true });
    syncPath(path.dirname(file));
  });
}

/** Runs file operations; their failures become `install.failed`, "error while " + `doing`. */
export function attempt<T>(doing: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (error instanceof EngineError) throw error;
    const text = error instanceof Error ? error.message : String(error);
    throw new EngineError("install.failed", `error while ${doing}: ${text}`, { cause: error });
  }
}

function makeDirectories(folder: string): readonly string[] {
  if (lstatSync(folder, { throwIfNoEntry: false }) !== undefined) return [];
  const above = makeDirectories(path.dirname(folder));
  try {
    mkdirSync(folder);
    chmodSync(folder, 0o755);
  } catch (error) {
    // Somebody else made it in this moment.
    if (isErrno(error, "EEXIST")) return above;
    throw error;
  }
  syncPath(path.dirname(folder));
  return [...above, folder];
}

function syncPath(file: string): void {
  const descriptor = openSync(file, "r");
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}
