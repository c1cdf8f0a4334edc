// How much a volume holds: Docker's sum, walked in slices so that the daemon stays responsive, and
// by descriptors so that nobody leads the walk out of the volume.
//
// Containers change what lies in a volume while it is measured, and may mean harm: a directory
// becomes a link to elsewhere between one look and the next. Every directory is therefore opened
// relative to its parent's descriptor, without following a link, and looked into by its own.

import fs from "node:fs";
import { isErrno, storageError } from "../../core/errors.ts";
import type { Host } from "../../core/host.ts";
import type { Operation } from "../../core/operation.ts";
import type { Turns } from "../../core/turns.ts";

/** Levels of directories that are walked, the top included. Each keeps a descriptor open. */
const DEPTH_MAX = 128;

/** How old a mount table may be, in milliseconds: reading one costs as much as an empty volume. */
const MOUNT_TABLE_AGE_MS_MAX = 100;

/** `name` in a directory whose path is the daemon's alone: only its last part is not trusted. */
export interface TreePlace {
  readonly directory: string;
  readonly name: string;
}

/** What a file counts: its length (moby's rule), or what of it is stored. */
export type FileSize = "apparent" | "stored";

/**
 * Bytes of everything below a place that is not a directory, hard links counted once
 * (moby's rule). Follows no link. null: deeper than 128 levels, or no directory is in that place or
 * in its parent's. What vanishes meanwhile counts nothing, and a place where nothing is neither.
 * Synchronous calls in slices: measured at a sixth of the time of asynchronous ones.
 */
export async function measureTree(
  { fileSize = "apparent", ...place }: TreePlace & { readonly fileSize?: FileSize },
  turns: Turns,
  operation: Operation,
): Promise<number | null> {
  const open: OpenDirectory[] = [];
  try {
    const top = openTop(place);
    if (typeof top !== "object" || top === null) return top;
    open.push(top);
    return await sumOf(open, { turns, fileSize }, operation);
  } finally {
    for (const { descriptor } of open) fs.closeSync(descriptor);
  }
}

/** Depth first: `open` is the way from the top to where the walk is. */
async function sumOf(
  open: OpenDirectory[],
  { turns, fileSize }: { readonly turns: Turns; readonly fileSize: FileSize },
  operation: Operation,
): Promise<number | null> {
  const seen = new Set<string>();
  let usedBytes = 0;
  for (let directory = open.at(-1); directory !== undefined; directory = open.at(-1)) {
    while (turns.isOver()) {
      await turns.next();
      operation.signal.throwIfAborted();
    }
    const name = directory.names.pop();
    if (name === undefined) {
      open.pop();
      fs.closeSync(directory.descriptor);
      continue;
    }
    const path = join(directory.path, name);
    const stat = statOrGone(path);
    if (stat === undefined) continue;
    if (stat.isDirectory()) {
      if (open.length === DEPTH_MAX) return null;
      const child = openDirectory(path);
      if (typeof child === "object") open.push(child);
      continue;
    }
    if (stat.nlink > 1) {
      const file = `${stat.dev}-${stat.ino}`;
      if (seen.has(file)) continue;
      seen.add(file);
    }
    usedBytes += fileSize === "apparent" ? stat.size : storedBytes(stat);
  }
  return usedBytes;
}

/** Holes take nothing; what the last block of a file has left over is not counted. */
function storedBytes(stat: fs.Stats): number {
  return stat.isFile() ? Math.min(stat.size, stat.blocks * STAT_BLOCK_BYTES) : stat.size;
}

/**
 * Says whether something is mounted on a directory of this folder or below it. Such a volume is not
 * looked at: a dead server's mount blocks whoever touches it, and a container may move the place
 * where it is mounted. The table may be 100 ms old: the driver itself mounts nothing below a volume
 * that is measured, and a server that somebody else has mounted from since has just answered.
 */
export function mountedBelow(folder: string, host: Host): (name: string) => boolean {
  const prefix = `${folder}/`;
  let names: ReadonlySet<string | undefined> = new Set();
  let readAtMs = Number.NEGATIVE_INFINITY;
  return (name) => {
    const nowMs = host.monotonicMs();
    if (nowMs - readAtMs >= MOUNT_TABLE_AGE_MS_MAX) {
      readAtMs = nowMs;
      const below = host.mounts().filter(({ target }) => target.startsWith(prefix));
      names = new Set(below.map(({ target }) => target.slice(prefix.length).split("/", 1)[0]));
    }
    return names.has(name);
  };
}

/** What `st_blocks` counts, on every Linux file system. */
const STAT_BLOCK_BYTES = 512;

/** Bytes where a name is no UTF-8: as text it would not lead to its file. */
type Path = string | Buffer;

interface OpenDirectory {
  readonly descriptor: number;
  /** Leads to this very directory for as long as it is open, wherever it has been moved. */
  readonly path: string;
  /** Those that are still to be looked at. */
  readonly names: Path[];
}

/** What stands where a directory was expected. */
type NoDirectory = "gone" | "foreign";

/** 0: nothing is there; null: something is that is no directory. */
function openTop({ directory, name }: TreePlace): OpenDirectory | 0 | null {
  const parent = openDescriptor(directory);
  if (typeof parent !== "number") return parent === "gone" ? 0 : null;
  try {
    const top = openDirectory(join(pathOf(parent), name));
    if (typeof top === "object") return top;
    return top === "gone" ? 0 : null;
  } finally {
    fs.closeSync(parent);
  }
}

function openDirectory(place: Path): OpenDirectory | NoDirectory {
  const descriptor = openDescriptor(place);
  if (typeof descriptor !== "number") return descriptor;
  const path = pathOf(descriptor);
  try {
    return { descriptor, path, names: namesIn(path) };
  } catch (error) {
    fs.closeSync(descriptor);
    throw storageError(error, `measuring ${place}`);
  }
}

const { O_RDONLY, O_DIRECTORY, O_NOFOLLOW } = fs.constants;

function openDescriptor(place: Path): number | NoDirectory {
  try {
    return fs.openSync(place, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  } catch (error) {
    if (isErrno(error, "ENOENT")) return "gone";
    // For a link the kernel says one or the other.
    if (isErrno(error, "ENOTDIR") || isErrno(error, "ELOOP")) return "foreign";
    throw storageError(error, `measuring ${place}`);
  }
}

function pathOf(descriptor: number): string {
  return `/proc/self/fd/${descriptor}`;
}

const SLASH = Buffer.from("/");
/** What undecodable bytes are read as. */
const REPLACEMENT = "\ufffd";

function join(directory: string, name: Path): Path {
  if (typeof name === "string") return `${directory}/${name}`;
  return Buffer.concat([Buffer.from(directory), SLASH, name]);
}

function namesIn(directory: string): Path[] {
  const names = fs.readdirSync(directory);
  if (!names.some((name) => name.includes(REPLACEMENT))) return names;
  return fs.readdirSync(directory, { encoding: "buffer" });
}

function statOrGone(path: Path): fs.Stats | undefined {
  try {
    return fs.lstatSync(path, { throwIfNoEntry: false });
  } catch (error) {
    throw storageError(error, `measuring ${path}`);
  }
}
