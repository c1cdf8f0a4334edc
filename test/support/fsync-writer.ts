// A child process of a test: writes numbered files, each with fsync(2), and says which are safe.
//
// Arguments: the directory, the number to begin with. What fails is tried again under the same
// number, as a program that was told of an error does.
import { closeSync, fsyncSync, mkdirSync, openSync, writeSync } from "node:fs";
import { dirname } from "node:path";

/** A pause after a failure and between files, in milliseconds: a server has a limit, too. */
const pauseMs = 20;

/** rclone's WebDAV server looks at all of a directory's files for each of them: no large ones. */
const directorySize = 50;

/** Where a file is, below the writer's directory. */
export function numberedFile(number: number): string {
  return `files-${Math.floor(number / directorySize)}/file-${number}`;
}

/** Never the same, of several blocks. */
export function numberedContent(number: number): string {
  return `${number} `.repeat(3_000 + (number % 500));
}

function write(file: string, text: string): void {
  mkdirSync(dirname(file), { recursive: true });
  const descriptor = openSync(file, "w");
  try {
    const written = writeSync(descriptor, text);
    if (written !== Buffer.byteLength(text)) throw new Error("written in part");
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

if (import.meta.main) {
  const [directory = "", first = "0"] = process.argv.slice(2);
  for (let number = Number(first); ; ) {
    try {
      write(`${directory}/${numberedFile(number)}`, numberedContent(number));
      // Not buffered: what the parent has read was safe before.
      writeSync(1, `${number}\n`);
      number += 1;
    } catch {
      // A dead mount, or a server that is away.
    }
    Bun.sleepSync(pauseMs);
  }
}
