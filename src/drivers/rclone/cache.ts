// What rclone keeps on this host, read from its own notes: `vfsMeta` beside `vfs`.
import { type Dirent, existsSync } from "node:fs";
import { opendir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import type { Unsaved } from "../../core/driver.ts";
import { isErrno, storageError } from "../../core/errors.ts";

/** A range of a file that is whole in the cache, in bytes. */
export interface CachedRange {
  readonly Pos: number;
  readonly Size: number;
}

/** rclone's note of one file, in its own words. */
export interface CacheNote {
  readonly Size: number;
  readonly Rs: readonly CachedRange[];
  /** Of the server's file that it began as; "": there was none. Its size stands first. */
  readonly Fingerprint: string;
  /** It is not on the server as it is here. */
  readonly Dirty: boolean;
  /** All that it says. */
  readonly all: Readonly<Record<string, unknown>>;
}

/** A file in the cache. */
export interface CachedFile {
  /** Absolute. */
  readonly data: string;
  /** Absolute. */
  readonly notePath: string;
  /** Below `vfs`: the remote's name first. */
  readonly path: string;
  /** undefined: there is none that rclone understands, and it would throw the data away. */
  readonly note: CacheNote | undefined;
}

/** More files than this are not looked at: who has so many has other questions. */
const FILES_MAX = 200_000;

/** `--cache-dir`, in the directory that outlives reboots. */
export function cacheDirectory(keepDirectory: string): string {
  return join(keepDirectory, "cache");
}

/** Every file in the cache that rclone has a note of. Reads the local disk only. */
export async function* cachedFiles(cache: string): AsyncIterable<CachedFile> {
  for await (const path of filesBelow(join(cache, "vfsMeta"))) {
    const notePath = join(cache, "vfsMeta", path);
    const text = await textOf(notePath);
    // It was removed while we looked.
    if (text === undefined) continue;
    yield { data: join(cache, "vfs", path), notePath, path, note: readNote(text) };
  }
}

/**
 * Every file in the cache that has no note at all: rclone died before it wrote one, or while it
 * renamed the two. It removes them at its next start. While it runs there may be some for a moment.
 */
export async function* unnotedFiles(cache: string): AsyncIterable<CachedFile> {
  for await (const path of filesBelow(join(cache, "vfs"))) {
    const notePath = join(cache, "vfsMeta", path);
    if (existsSync(notePath)) continue;
    yield { data: join(cache, "vfs", path), notePath, path, note: undefined };
  }
}

async function* filesBelow(root: string): AsyncIterable<string> {
  let left = FILES_MAX;
  const folders = [""];
  for (let folder = folders.pop(); folder !== undefined; folder = folders.pop()) {
    for await (const entry of entries(join(root, folder))) {
      const path = join(folder, entry.name);
      if (entry.isDirectory()) folders.push(path);
      else if (entry.isFile() && left-- > 0) yield path;
    }
  }
}

async function* entries(folder: string): AsyncIterable<Dirent> {
  try {
    yield* await opendir(folder);
  } catch (thrown) {
    // rclone removes empty folders at any time.
    if (!isErrno(thrown, "ENOENT")) throw storageError(thrown, `reading ${folder}`);
  }
}

async function textOf(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, "utf8");
  } catch (thrown) {
    if (isErrno(thrown, "ENOENT")) return undefined;
    throw storageError(thrown, `reading ${path}`);
  }
}

/** undefined: it is not one; rclone may be writing it just now. */
function readNote(text: string): CacheNote | undefined {
  try {
    const read: unknown = JSON.parse(text);
    if (typeof read !== "object" || read === null) return undefined;
    const all: Record<string, unknown> = { ...read };
    const { Size, Rs, Fingerprint, Dirty } = all;
    return {
      Size: typeof Size === "number" ? Size : 0,
      Rs: Array.isArray(Rs) ? Rs.filter(isRange) : [],
      Fingerprint: typeof Fingerprint === "string" ? Fingerprint : "",
      Dirty: Dirty === true,
      all,
    };
  } catch {
    return undefined;
  }
}

function isRange(value: unknown): value is CachedRange {
  if (typeof value !== "object" || value === null) return false;
  return "Pos" in value && "Size" in value && Number.isInteger(value.Pos);
}

/** What is not on the server yet. A note that is being written counts as a file of its size. */
export async function unsavedIn(cache: string): Promise<Unsaved> {
  let fileCount = 0;
  let bytes = 0;
  for await (const { note, data } of cachedFiles(cache)) {
    if (note?.Dirty === false) continue;
    fileCount++;
    bytes += await sizeOf(data);
  }
  return { fileCount, bytes };
}

/** Whether a next mount has anything to send, or may have: see `unnotedFiles`. */
export async function hasLeft(cache: string): Promise<boolean> {
  if ((await unsavedIn(cache)).fileCount > 0) return true;
  for await (const _ of unnotedFiles(cache)) return true;
  return false;
}

/** 0: it is not there. */
export async function sizeOf(path: string): Promise<number> {
  try {
    return (await stat(path)).size;
  } catch (thrown) {
    if (isErrno(thrown, "ENOENT")) return 0;
    throw storageError(thrown, `looking at ${path}`);
  }
}
