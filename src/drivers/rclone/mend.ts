// Makes rclone's cache fit to be uploaded after rclone died while files were open for writing.
//
// rclone notes which parts of a file it has when it opens and closes it, not as it writes. What it
// finds unnoted at its next start it fetches from the server over what was written; when the server
// does not answer just then, it uploads holes in its place. (1.60.1 does both; docs/drivers/
// rclone.md has the measurements.) So each file that is not whole by its note is made whole before
// rclone sees it: its holes are filled from the server's file, and the note says that all is there.
// What has lost its note is a matter of its own (unnoted.ts).
import { type FileHandle, mkdir, open, rename, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { EngineError, storageError } from "../../core/errors.ts";
import type { Host, FileSpan as Span } from "../../core/host.ts";
import type { Operation } from "../../core/operation.ts";
import {
  type CachedFile,
  type CacheNote,
  cacheDirectory,
  cachedFiles,
  sizeOf,
  unnotedFiles,
} from "./cache.ts";
import { unwritten } from "./edges.ts";
import { writeNote } from "./notes.ts";
import { fetchOriginal, type Originals, type Tools } from "./originals.ts";
import { gaps, united } from "./spans.ts";
import { type Doubt, mendUnnoted } from "./unnoted.ts";

/** What is copied at once. */
const CHUNK_BYTES = 1_048_576;

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
  const cache = cacheDirectory(keepDirectory);
  let asideCount = 0;
  try {
    for (const files of [cachedFiles(cache), unnotedFiles(cache)]) {
      for await (const file of files) {
        operation.signal.throwIfAborted();
        const reason = await mended(file, tools, operation);
        if (reason === undefined) continue;
        await layAside(keepDirectory, file);
        asideCount++;
        const fields = { file: file.path, reason, aside: asideDirectory(keepDirectory) };
        operation.log.warn("a file that was being written could not be put together", fields);
      }
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

/** Makes a file fit for rclone, if need be. Resolves with why it cannot be. */
async function mended(file: CachedFile, tools: Tools, operation: Operation): Promise<Doubt> {
  const { note } = file;
  const size = await sizeOf(file.data);
  if (note !== undefined && (!note.Dirty || isWhole(note, size))) return undefined;
  await mkdir(tools.work, { recursive: true, mode: 0o700 });
  if (note === undefined) return mendUnnoted(file, tools, operation);
  return mendFile({ file, note, size }, tools, operation);
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

async function mendFile(
  { file, note, size }: Patient,
  tools: Tools,
  operation: Operation,
): Promise<Doubt> {
  const began = Number(/^\d+/.exec(note.Fingerprint)?.[0] ?? 0);
  // What it was cut down to when it was opened is all that can be the server's.
  const end = Math.min(began, note.Size, size);
  const handle = await openData(file.data);
  try {
    const have = united([...noted(note.Rs), ...tools.host.dataSpans(file.data)]);
    if (gaps(noted(note.Rs), end).length > 0) {
      const original = await fetchOriginal(file.path, tools, operation);
      if (original === "gone" || original === "foreign") return "the server's file is gone";
      // Parts of two files make no third.
      if (original.size !== began) return "somebody else has changed the server's file";
      const source = await open(original.path, "r");
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
  const fresh = { ...note.all, Size: size, Rs: [{ Pos: 0, Size: size }] };
  await writeNote(file.notePath, fresh, tools.work);
  return undefined;
}

async function openData(path: string): Promise<FileHandle> {
  try {
    return await open(path, "r+");
  } catch (thrown) {
    throw storageError(thrown, `opening ${path}`);
  }
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
