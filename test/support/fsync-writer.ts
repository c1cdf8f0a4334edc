// A child process of a test: writes numbered files, each with fsync(2), and says which are safe.
//
// Arguments: the directory, the number to begin with. What fails is tried again under the same
// number, as a program that was told of an error does.
import { closeSync, fsyncSync, openSync, writeSync } from "node:fs";

/** A pause after a failure and between files, in milliseconds: a server has a limit, too. */
const pauseMs = 20;

/** Never the same, of several blocks. */
export function numberedContent(number: number): string {
  return `${number} `.repeat(3_000 + (number % 500));
}

function write(file: string, text: string): void {
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
      write(`${directory}/file-${number}`, numberedContent(number));
      // Not buffered: what the parent has read was safe before.
      writeSync(1, `${number}\n`);
      number += 1;
    } catch {
      // A dead mount, or a server that is away.
    }
    Bun.sleepSync(pauseMs);
  }
}
