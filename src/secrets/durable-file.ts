// Files that hold secrets or keys: written whole or not at all, for their owner alone.
import fs from "node:fs";
import path from "node:path";
import { EngineError } from "../core/errors.ts";

const FILE_MODE = 0o600;
const { O_DIRECTORY, O_NOFOLLOW, O_NONBLOCK, O_RDONLY } = fs.constants;

/** A new file with this text, on disk when it resolves; its entry is not synced. */
export async function writeNew(file: string, text: string): Promise<void> {
  const handle = await fs.promises.open(file, "wx", FILE_MODE);
  try {
    await handle.writeFile(text);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Puts the entries of a directory on disk. */
export async function syncDirectory(directory: string): Promise<void> {
  const handle = await fs.promises.open(directory, O_RDONLY | O_DIRECTORY);
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Makes a directory and those above it, and puts each entry that was made on disk. */
export async function makeDirectory(directory: string, mode: number): Promise<void> {
  const first = await fs.promises.mkdir(directory, { recursive: true, mode });
  if (first === undefined) return;
  for (let made = directory; made.length >= first.length; made = path.dirname(made)) {
    await syncDirectory(path.dirname(made));
  }
}

/** Reads a small plain file, never through a link; throws for anything else. */
export function readPlain(file: string, bytesMax: number): string {
  const descriptor = fs.openSync(file, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  try {
    const stat = fs.fstatSync(descriptor);
    if (!stat.isFile()) throw new EngineError("storage.failed", `${file} is no plain file`);
    if (stat.size > bytesMax) throw new EngineError("storage.failed", `${file} is too large`);
    return fs.readFileSync(descriptor, "utf8");
  } finally {
    fs.closeSync(descriptor);
  }
}
