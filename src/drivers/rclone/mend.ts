// Makes rclone's cache fit to be uploaded after rclone died while files were open for writing.
//
// rclone notes which parts of a file it has when it opens and closes it, not as it writes. What it
// finds unnoted at its next start it fetches from the server over what was written; when the server
// does not answer just then, it uploads holes in its place. (1.60.1 does both; docs/drivers/
// rclone.md has the measurements.) So each file that is not whole by its note is made whole before
// rclone sees it: its holes are filled from the server's file, and the note says that all is there.
import { closeSync, fsyncSync, openSync } from "node:fs";
import { type FileHandle, mkdir, open, rename, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { EngineError, storageError } from "../../core/errors.ts";
import type { Operation } from "../../core/operation.ts";
import { type CachedFile, type CacheNote, cacheDirectory, cachedFiles, sizeOf } from "./cache.ts";
import { dataSpans, gaps, type Span, united } from "./holes.ts";

/** What is copied at once. */
const CHUNK_BYTES = 1_048_576;

/** Of file systems and of the kernel's pages: what is written in part shows zeros beside it. */
const BLOCK_BYTES = 4096;

/** How the server's files are come by. */
export interface Originals {
  /**
   * Copies what is at a path of the cache (the remote's name first) into a file. "gone": it is not
   * on the server, or cannot be asked for. Throws `remote.*` when the server does not answer.
   */
  fetch(path: string, into: string, operation: Operation): Promise<"fetched" | "gone">;
}

/** Where files lie that could not be put together for certain. */
export function asideDirectory(keepDirectory: string): string {
  return join(keepDirectory, "aside");
}

/**
 * Mends the cache in a volume's directory; nothing may be running on it. Resolves with how many
 * files were laid aside, as they were found. Throws `remote.*` when a file needs the server and it
 * does not answer: then the cache is as it was. Repeating it is safe.
 */
export async function mendCache(
  keepDirectory: string,
  originals: Originals,
  operation: Operation,
): Promise<number> {
  const work = join(keepDirectory, "mend");
  let asideCount = 0;
  for await (const file of cachedFiles(cacheDirectory(keepDirectory))) {
    operation.signal.throwIfAborted();
    const size = await sizeOf(file.data);
    if (file.note === undefined) {
      if (size > 0 && (await layAside(keepDirectory, file))) asideCount++;
      continue;
    }
    if (!file.note.Dirty || isWhole(file.note, size)) continue;
    await mkdir(work, { recursive: true, mode: 0o700 });
    const outcome = await mendFile({ file, note: file.note, size }, { work, originals }, operation);
    if (outcome === "certain") continue;
    asideCount++;
    const fields = { file: file.path, aside: asideDirectory(keepDirectory) };
    operation.log.warn("a file that was being written could not be put together", fields);
    if (outcome === "hopeless") await layAside(keepDirectory, file);
  }
  await rm(work, { recursive: true, force: true });
  return asideCount;
}

function isWhole({ Rs }: CacheNote, size: number): boolean {
  return gaps(noted(Rs), size).length === 0;
}

function noted(ranges: CacheNote["Rs"]): readonly Span[] {
  return united(ranges.map(({ Pos, Size }) => ({ start: Pos, end: Pos + Size })));
}

interface Patient {
  readonly file: CachedFile;
  readonly note: CacheNote;
  readonly size: number;
}

interface Tools {
  /** A directory of the same file system, for files that nobody else knows. */
  readonly work: string;
  readonly originals: Originals;
}

async function mendFile(
  { file, note, size }: Patient,
  { work, originals }: Tools,
  operation: Operation,
): Promise<"certain" | "hopeless"> {
  const began = Number(/^\d+/.exec(note.Fingerprint)?.[0] ?? 0);
  // What it was cut down to when it was opened is all that can be the server's.
  const end = Math.min(began, note.Size, size);
  const handle = await openData(file.data);
  try {
    const have = united([...noted(note.Rs), ...dataSpans(handle.fd, size)]);
    const missing = gaps(have, end);
    const unsure = gaps(noted(note.Rs), end);
    if (unsure.length > 0) {
      const original = join(work, "original");
      await rm(original, { force: true });
      if ((await originals.fetch(file.path, original, operation)) === "gone") return "hopeless";
      // Somebody else has changed it meanwhile: parts of two files make no third.
      if ((await sizeOf(original)) !== began) return "hopeless";
      const source = await open(original, "r");
      try {
        for (const span of missing) await copySpan(source, handle, span, operation);
        for (const span of edges(have, noted(note.Rs), end)) await fillEdges(source, handle, span);
      } finally {
        await source.close();
      }
    }
    await handle.sync();
  } finally {
    await handle.close();
  }
  await writeNote(file.notePath, { ...note.all, Size: size, Rs: [{ Pos: 0, Size: size }] }, work);
  return "certain";
}

async function openData(path: string): Promise<FileHandle> {
  try {
    return await open(path, "r+");
  } catch (thrown) {
    throw storageError(thrown, `opening ${path}`);
  }
}

interface Edge {
  readonly block: Span;
  readonly side: "first" | "last";
}

/** Blocks at the edges of what was written and not noted: a writer may have filled them in part. */
function edges(have: readonly Span[], known: readonly Span[], end: number): readonly Edge[] {
  return have.flatMap((span) => {
    const last = Math.floor((span.end - 1) / BLOCK_BYTES) * BLOCK_BYTES;
    const first = Math.floor(span.start / BLOCK_BYTES) * BLOCK_BYTES;
    const sides = [
      { block: { start: first, end: first + BLOCK_BYTES }, side: "first" as const },
      { block: { start: last, end: last + BLOCK_BYTES }, side: "last" as const },
    ];
    return sides
      .map(({ block, side }) => ({
        block: { start: block.start, end: Math.min(block.end, span.end, end) },
        side,
      }))
      .filter(({ block }) => block.end > block.start && !covers(known, block));
  });
}

function covers(spans: readonly Span[], { start, end }: Span): boolean {
  return spans.some((span) => span.start <= start && span.end >= end);
}

/** Zeros before the first byte that is none, or behind the last one, are the server's bytes. */
async function fillEdges(
  source: FileHandle,
  into: FileHandle,
  { block, side }: Edge,
): Promise<void> {
  const length = block.end - block.start;
  const ours = Buffer.alloc(length);
  const theirs = Buffer.alloc(length);
  await into.read(ours, 0, length, block.start);
  await source.read(theirs, 0, length, block.start);
  const first = ours.findIndex((byte) => byte !== 0);
  const last = ours.findLastIndex((byte) => byte !== 0);
  // Zeros throughout were written as such.
  if (first < 0) return;
  const [from, to] = side === "first" ? [0, first] : [last + 1, length];
  if (to > from) await into.write(theirs, from, to - from, block.start + from);
}

async function copySpan(
  source: FileHandle,
  into: FileHandle,
  { start, end }: Span,
  operation: Operation,
): Promise<void> {
  const buffer = Buffer.alloc(Math.min(CHUNK_BYTES, end - start));
  for (let at = start; at < end; ) {
    operation.signal.throwIfAborted();
    const length = Math.min(buffer.length, end - at);
    const { bytesRead } = await source.read(buffer, 0, length, at);
    if (bytesRead === 0) throw new EngineError("storage.failed", "a copy from the server is short");
    await into.write(buffer, 0, bytesRead, at);
    at += bytesRead;
  }
}

/** Whole or as it was, also after a power cut. */
async function writeNote(
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

/** False: there was nothing. */
async function layAside(keepDirectory: string, file: CachedFile): Promise<boolean> {
  const to = join(asideDirectory(keepDirectory), file.path);
  try {
    await mkdir(dirname(to), { recursive: true, mode: 0o700 });
    await rename(file.data, await free(to));
    await rm(file.notePath, { force: true });
    return true;
  } catch (thrown) {
    throw storageError(thrown, `laying aside ${file.data}`);
  }
}

/** A name that nothing has. */
async function free(path: string): Promise<string> {
  for (let number = 0; ; number++) {
    const name = number === 0 ? path : `${path}.${number}`;
    if ((await sizeOf(name)) === 0) return name;
  }
}
