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
import type { Host, FileSpan as Span } from "../../core/host.ts";
import type { Operation } from "../../core/operation.ts";
import { type CachedFile, type CacheNote, cacheDirectory, cachedFiles, sizeOf } from "./cache.ts";
import { gaps, united } from "./spans.ts";

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

/** What is mended. */
export interface MendPlace {
  readonly keepDirectory: string;
  readonly host: Pick<Host, "dataSpans">;
}

/**
 * Mends the cache in a volume's directory; nothing may be running on it. Resolves with how many
 * files were laid aside, as they were found. Throws `remote.*` when a file needs the server and it
 * does not answer: then that file is as it was. Repeating it is safe.
 */
export async function mendCache(
  { keepDirectory, host }: MendPlace,
  originals: Originals,
  operation: Operation,
): Promise<number> {
  const tools = { work: join(keepDirectory, "mend"), originals, host };
  let asideCount = 0;
  try {
    for await (const file of cachedFiles(cacheDirectory(keepDirectory))) {
      operation.signal.throwIfAborted();
      const size = await sizeOf(file.data);
      if (await isFit({ file, size }, tools, operation)) continue;
      await layAside(keepDirectory, file);
      asideCount++;
      const fields = { file: file.path, aside: asideDirectory(keepDirectory) };
      operation.log.warn("a file that was being written could not be put together", fields);
    }
  } finally {
    await rm(tools.work, { recursive: true, force: true });
  }
  return asideCount;
}

/**
 * Whether all that is not on the server are files that the cache has in part. rclone, which could
 * not fetch the rest when they were closed, gives them up: they are never sent, until they are
 * mended.
 */
export async function isStuck(keepDirectory: string): Promise<boolean> {
  let count = 0;
  for await (const { note, data } of cachedFiles(cacheDirectory(keepDirectory))) {
    if (note?.Dirty !== true) continue;
    if (isWhole(note, await sizeOf(data))) return false;
    count++;
  }
  return count > 0;
}

/** Whether rclone may have it, when it has been mended if need be. */
async function isFit(
  { file, size }: Omit<Patient, "note">,
  tools: Tools,
  operation: Operation,
): Promise<boolean> {
  const { note } = file;
  // Without a note that it understands rclone removes the data.
  if (note === undefined) return size === 0;
  if (!note.Dirty || isWhole(note, size)) return true;
  await mkdir(tools.work, { recursive: true, mode: 0o700 });
  return (await mendFile({ file, note, size }, tools, operation)) === "mended";
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
  readonly host: Pick<Host, "dataSpans">;
}

async function mendFile(
  { file, note, size }: Patient,
  { work, originals, host }: Tools,
  operation: Operation,
): Promise<"mended" | "hopeless"> {
  const began = Number(/^\d+/.exec(note.Fingerprint)?.[0] ?? 0);
  // What it was cut down to when it was opened is all that can be the server's.
  const end = Math.min(began, note.Size, size);
  const handle = await openData(file.data);
  try {
    const have = united([...noted(note.Rs), ...host.dataSpans(file.data)]);
    if (gaps(noted(note.Rs), end).length > 0) {
      const original = join(work, "original");
      await rm(original, { force: true });
      if ((await originals.fetch(file.path, original, operation)) === "gone") return "hopeless";
      // Somebody else has changed it meanwhile: parts of two files make no third.
      if ((await sizeOf(original)) !== began) return "hopeless";
      const source = await open(original, "r");
      try {
        const theirs = [...gaps(have, end), ...(await unwritten(handle, have, noted(note.Rs)))];
        for (const span of theirs) await copySpan(source, handle, span, end, operation);
      } finally {
        await source.close();
      }
    }
    await handle.sync();
  } finally {
    await handle.close();
  }
  await writeNote(file.notePath, { ...note.all, Size: size, Rs: [{ Pos: 0, Size: size }] }, work);
  return "mended";
}

async function openData(path: string): Promise<FileHandle> {
  try {
    return await open(path, "r+");
  } catch (thrown) {
    throw storageError(thrown, `opening ${path}`);
  }
}

/**
 * What a writer may have left out in blocks at the edges of what was written and not noted: the
 * zeros before its first byte that is none, and those behind its last one. A block of nothing but
 * zeros was written as such.
 */
async function unwritten(
  handle: FileHandle,
  have: readonly Span[],
  known: readonly Span[],
): Promise<readonly Span[]> {
  const found: Span[] = [];
  for (const { start, end } of have) {
    const first = { start, end: Math.min(end, blockOf(start) + BLOCK_BYTES) };
    const last = { start: Math.max(start, blockOf(end - 1)), end };
    const leading = await firstByte(handle, first, 1);
    const trailing = await firstByte(handle, last, -1);
    if (leading !== undefined) found.push({ start, end: leading });
    if (trailing !== undefined) found.push({ start: trailing + 1, end });
  }
  return found.flatMap((span) => {
    return gaps(known, span.end).map((gap) => ({ ...gap, start: Math.max(gap.start, span.start) }));
  });
}

function blockOf(at: number): number {
  return Math.floor(at / BLOCK_BYTES) * BLOCK_BYTES;
}

/** Where the first byte is that is not zero, from the front or (-1) from the back. */
async function firstByte(
  handle: FileHandle,
  { start, end }: Span,
  from: 1 | -1,
): Promise<number | undefined> {
  const bytes = Buffer.alloc(end - start);
  await handle.read(bytes, 0, bytes.length, start);
  const isByte = (byte: number) => byte !== 0;
  const at = from === 1 ? bytes.findIndex(isByte) : bytes.findLastIndex(isByte);
  return at < 0 ? undefined : start + at;
}

async function copySpan(
  source: FileHandle,
  into: FileHandle,
  span: Span,
  limit: number,
  operation: Operation,
): Promise<void> {
  const { start } = span;
  const end = Math.min(span.end, limit);
  if (start >= end) return;
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

async function layAside(keepDirectory: string, file: CachedFile): Promise<void> {
  const to = join(asideDirectory(keepDirectory), file.path);
  try {
    await mkdir(dirname(to), { recursive: true, mode: 0o700 });
    await rename(file.data, await free(to));
    await rm(file.notePath, { force: true });
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
