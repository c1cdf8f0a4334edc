// A reader in a tight loop, as a process of its own: what it sees of a tree that is replaced.
//
// It prints a line when it begins, and at the end of its input a JSON object.
import { closeSync, constants, openSync, readFileSync } from "node:fs";

const [directory = ""] = process.argv.slice(2);
const faults: string[] = [];
const versions = new Set<string>();
let loops = 0;
let isOver = false;

process.stdin.on("end", () => {
  isOver = true;
});
process.stdin.resume();

/** The version that a file names, in each of its lines. */
function versionOf(text: string, file: string): string {
  const [first = "", ...rest] = text.split("\n").slice(0, -1);
  const isWhole = rest.length === 499 && rest.every((line) => line === first);
  if (!isWhole) faults.push(`${file} is a mix: ${first}, ${rest.length} more`);
  return first;
}

function round(): void {
  // One look-up of the directory: what is read through it is of one tree, though it is replaced.
  const tree = openSync(directory, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    const a = versionOf(readFileSync(`/proc/self/fd/${tree}/a`, "utf8"), "a");
    const b = versionOf(readFileSync(`/proc/self/fd/${tree}/sub/b`, "utf8"), "b");
    if (a !== b) faults.push(`one tree of ${a} and ${b}`);
    versions.add(a);
  } finally {
    closeSync(tree);
  }
  // One look-up of a path: a whole file, of whichever tree.
  versionOf(readFileSync(`${directory}/sub/b`, "utf8"), "sub/b");
}

console.log("reading");
while (!isOver && faults.length < 10) {
  try {
    round();
  } catch (thrown) {
    faults.push(String(thrown));
  }
  loops += 1;
  // The input ends only when others may work.
  if (loops % 16 === 0) await new Promise((resolve) => setImmediate(resolve));
}
console.log(JSON.stringify({ loops, faults, versions: [...versions] }));
