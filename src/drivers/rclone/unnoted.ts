// Mends files of the cache whose note is empty, cut short or missing: rclone would remove them.
//
// rclone writes its notes in place, when a file is opened, written for the first time, closed and
// sent. Whoever kills it in that moment leaves no word of which bytes are whole, nor of whether
// they are on the server. What is certain without it is given to rclone with a new note.
import { type FileHandle, open, rm } from "node:fs/promises";
import { isErrno, storageError } from "../../core/errors.ts";
import type { FileSpan as Span } from "../../core/host.ts";
import type { Operation } from "../../core/operation.ts";
import type { CachedFile } from "./cache.ts";
import { unwritten } from "./edges.ts";
import { writeNote } from "./notes.ts";
import { fetchOriginal, type Original, type Tools } from "./originals.ts";
import { gaps } from "./spans.ts";

/** What is compared at once. */
const CHUNK_BYTES = 1_048_576;

/** What is to become of a file: undefined: it is fit; else why nobody can tell what it is. */
export type Doubt = string | undefined;

/**
 * Writes the note that a file has lost, or takes the file out of the cache where the server has
 * all of it. Throws `remote.*` when the server does not answer, `storage.*`.
 */
export async function mendUnnoted(
  file: CachedFile,
  tools: Tools,
  operation: Operation,
): Promise<Doubt> {
  const original = await fetchOriginal(file.path, tools, operation);
  if (original === "foreign") return "it is of another remote";
  let handle: FileHandle;
  try {
    handle = await open(file.data, "r+");
  } catch (thrown) {
    // A note alone.
    if (isErrno(thrown, "ENOENT")) return undefined;
    throw storageError(thrown, `opening ${file.data}`);
  }
  try {
    // Nothing of it is the server's, holes are zeros that a program has left out.
    const verdict =
      original === "gone" ? "ours" : await compared({ file, handle, original }, tools, operation);
    if (verdict === "theirs") await drop(file);
    else if (verdict === "ours") await note(file, handle, tools);
    else return verdict.doubt;
    return undefined;
  } finally {
    await handle.close();
  }
}

async function note(file: CachedFile, handle: FileHandle, { work }: Tools): Promise<void> {
  await handle.sync();
  const { size, mtime } = await handle.stat();
  // rclone gives the file this time, and takes the rest from the server and the file itself.
  const time = mtime.toISOString();
  const Rs = size === 0 ? null : [{ Pos: 0, Size: size }];
  const fields = { ModTime: time, ATime: time, Size: size, Rs, Fingerprint: "", Dirty: true };
  await writeNote(file.notePath, fields, work);
}

/** The data first: without it rclone removes the note, and not the other way round. */
async function drop({ data, notePath }: CachedFile): Promise<void> {
  try {
    await rm(data, { force: true });
    await rm(notePath, { force: true });
  } catch (thrown) {
    throw storageError(thrown, `removing ${data}`);
  }
}

interface Pair {
  readonly file: CachedFile;
  readonly handle: FileHandle;
  readonly original: Original;
}

async function compared(
  { file, handle, original }: Pair,
  { host }: Tools,
  operation: Operation,
): Promise<"ours" | "theirs" | { readonly doubt: string }> {
  const { size, mtimeMs } = await handle.stat();
  // It was just made, or cut down to be written anew; a power cut leaves it like this, too.
  if (size === 0) return "theirs";
  const source = await open(original.path, "r");
  try {
    const files = { handle, source };
    const spans = host.dataSpans(file.data);
    const isComplete = gaps(spans, size).length === 0;
    const isSameSize = size === original.size;
    if (!isComplete) {
      const isRead = isSameSize && (await isAllTheirs(files, spans, operation));
      return isRead ? "theirs" : { doubt: "it has holes, which may be the server's bytes" };
    }
    const all = { start: 0, end: Math.min(size, original.size) };
    const first = await difference(files, all, 1, operation);
    if (first === undefined && isSameSize) return "theirs";
    if (mtimeMs < original.changedMs) return { doubt: "the server's file is newer, and another" };
    // Blocks of which a program wrote a part have zeros where the rest was not fetched.
    const last = size > original.size ? undefined : await difference(files, all, -1, operation);
    const isZero = first?.ours === 0 || last?.ours === 0;
    return isZero ? { doubt: "it has zeros which may be the server's bytes" } : "ours";
  } finally {
    await source.close();
  }
}

interface Files {
  readonly handle: FileHandle;
  readonly source: FileHandle;
}

/** Whether what was read from the server is all that there is. */
async function isAllTheirs(
  files: Files,
  spans: readonly Span[],
  operation: Operation,
): Promise<boolean> {
  const edges = await unwritten(files.handle, spans, []);
  for (const span of spans) {
    let { start, end } = span;
    for (const edge of edges) {
      if (edge.start === span.start) start = edge.end;
      else if (edge.end === span.end) end = edge.start;
    }
    if ((await difference(files, { start, end }, 1, operation)) !== undefined) return false;
  }
  return true;
}

/** The first (1) or last (-1) byte in a span that is not the server's. */
async function difference(
  { handle, source }: Files,
  { start, end }: Span,
  from: 1 | -1,
  operation: Operation,
): Promise<{ readonly ours: number } | undefined> {
  const ours = Buffer.alloc(Math.min(CHUNK_BYTES, Math.max(0, end - start)));
  const theirs = Buffer.alloc(ours.length);
  for (let done = 0; done < end - start; done += ours.length) {
    operation.signal.throwIfAborted();
    const length = Math.min(ours.length, end - start - done);
    const at = from === 1 ? start + done : end - done - length;
    const [one, other] = [ours.subarray(0, length), theirs.subarray(0, length)];
    await handle.read(one, 0, length, at);
    await source.read(other, 0, length, at);
    if (one.equals(other)) continue;
    const isOther = (byte: number, index: number) => byte !== other[index];
    const byte = from === 1 ? one.find(isOther) : one.findLast(isOther);
    if (byte !== undefined) return { ours: byte };
  }
  return undefined;
}
