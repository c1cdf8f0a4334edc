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
import { fetchOriginal, type ServerFile, type Tools } from "./originals.ts";
import { gaps } from "./spans.ts";

/** What is compared at once. */
const CHUNK_BYTES = 1_048_576;

/** Files of the server that are larger are not fetched to be compared. */
const COMPARED_BYTES_MAX = 256 * 1_048_576;

const HOLES = "it has holes, which may be the server's bytes";

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
  let handle: FileHandle;
  try {
    handle = await open(file.data, "r+");
  } catch (thrown) {
    // A note alone.
    if (isErrno(thrown, "ENOENT")) return undefined;
    throw storageError(thrown, `opening ${file.data}`);
  }
  try {
    const known = await tools.originals.ask(file.path, operation);
    if (known === "foreign") return "it is of another remote, or a directory on the server";
    // Where it is gone nothing is the server's, and holes are zeros that a program has left out.
    const verdict =
      known === "gone" ? "ours" : await judged({ file, handle, known }, tools, operation);
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
  readonly known: ServerFile;
}

type Verdict = "ours" | "theirs" | { readonly doubt: string };

const CHANGED: Verdict = { doubt: "it and the server's file were changed" };

async function judged(
  { file, handle, known }: Pair,
  tools: Tools,
  operation: Operation,
): Promise<Verdict> {
  const { size, mtimeMs } = await handle.stat();
  // It was just made, or cut down to be written anew; a power cut leaves it like this, too.
  if (size === 0) return "theirs";
  const isSameSize = size === known.size;
  const spans = tools.host.dataSpans(file.data);
  const isComplete = gaps(spans, size).length === 0;
  // A mount cannot wait for a fetch of any length.
  const isLarge = known.size > COMPARED_BYTES_MAX;
  if (!isComplete && (!isSameSize || isLarge)) return { doubt: HOLES };
  if (isLarge) {
    if (isSameSize && Math.abs(mtimeMs - known.changedMs) < 1000) return "theirs";
    return mtimeMs >= known.changedMs ? "ours" : CHANGED;
  }
  const original = await fetchOriginal(file.path, tools, operation);
  if (typeof original === "string" || original.size !== known.size) return CHANGED;
  const source = await open(original.path, "r");
  try {
    const files = { handle, source };
    if (!isComplete) {
      return (await isAllTheirs(files, spans, operation)) ? "theirs" : { doubt: HOLES };
    }
    const all = { start: 0, end: Math.min(size, original.size) };
    const first = await difference(files, all, 1, operation);
    if (first === undefined && isSameSize) return "theirs";
    // NaN, too: who is later is not known.
    if (!(mtimeMs >= known.changedMs)) return CHANGED;
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
