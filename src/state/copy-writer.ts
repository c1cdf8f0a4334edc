// Writes the automatic copy beside, proves it, and puts it in place, without blocking the loop.
import { createHash } from "node:crypto";
import { linkSync, renameSync, rmSync } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { type CopyContent, copyLines, sumLine } from "./copy-format.ts";
import { syncDirectory, whatIsAt } from "./files.ts";

/** How many bytes of text are made before the event loop gets its turn; about a millisecond. */
const SLICE_BYTES = 128 * 1024;

/** The names of the newest copy and the one before, below the root. */
export const copyFileName = "state.copy";
export const olderCopyFileName = "state.copy.1";

/** When it rejects, both older copies are as they were. */
export async function writeCopy(directory: string, content: CopyContent): Promise<void> {
  const path = `${directory}/${copyFileName}`;
  const unfinished = `${path}.new`;
  try {
    const sha256 = await writeLines(unfinished, content);
    await proveWritten(unfinished, sha256);
    keepOlder(path, `${directory}/${olderCopyFileName}`);
    renameSync(unfinished, path);
    syncDirectory(directory);
  } catch (error) {
    rmSync(unfinished, { force: true });
    throw error;
  }
}

async function writeLines(path: string, content: CopyContent): Promise<string> {
  const hash = createHash("sha256");
  await using file = await open(path, "w", 0o600);
  let slice = "";
  for (const line of copyLines(content)) {
    slice += line;
    if (slice.length < SLICE_BYTES) continue;
    await writeSlice(file, hash, slice);
    slice = "";
  }
  await writeSlice(file, hash, slice);
  const sha256 = hash.digest("hex");
  await file.writeFile(sumLine(sha256));
  await file.sync();
  return sha256;
}

async function writeSlice(
  file: FileHandle,
  hash: ReturnType<typeof createHash>,
  slice: string,
): Promise<void> {
  const bytes = Buffer.from(slice);
  hash.update(bytes);
  await file.writeFile(bytes);
}

/** Reads it again: what cannot be read back must not take the place of an older copy. */
async function proveWritten(path: string, sha256: string): Promise<void> {
  const hash = createHash("sha256");
  await using file = await open(path, "r");
  const { size } = await file.stat();
  const sumBytes = Buffer.byteLength(sumLine(sha256));
  const buffer = Buffer.alloc(SLICE_BYTES);
  for (let left = size - sumBytes; left > 0; ) {
    const { bytesRead } = await file.read(buffer, 0, Math.min(left, buffer.length), null);
    if (bytesRead === 0) break;
    hash.update(buffer.subarray(0, bytesRead));
    left -= bytesRead;
  }
  if (hash.digest("hex") !== sha256) throw new Error(`${path} does not read as it was written`);
}

/** A second name for the newest copy, so that there is one at every moment. */
function keepOlder(path: string, older: string): void {
  if (whatIsAt(path) !== "file") return;
  rmSync(older, { recursive: true, force: true });
  linkSync(path, older);
}
