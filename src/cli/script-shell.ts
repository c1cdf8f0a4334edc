// Which process a script's lock hangs on: the shell that runs the script, seen from one of its
// commands.
import { readFileSync } from "node:fs";

/** Shells in shells in shells: more is not looked at. */
const STEPS_MAX = 16;

/**
 * The shell itself where the parent `pid` of this process is only a part of it, or only runs it:
 * - in `$(…)`, in a pipe and in `( … )` shells copy themselves, and a lock that hung on such a copy
 *   would end with it. A copy runs the same program with the same words as its parent.
 * - `sudo`, `timeout`, `sh -c` and the like end with the command that they run. Their words end
 *   with ours.
 */
export function whoseLock(pid: number): number {
  const own = wordsOf(process.pid).slice(1);
  let shell = pid;
  for (let step = 0; step < STEPS_MAX; step++) {
    const parent = parentOf(shell);
    if (parent < 2 || !(onlyRuns(shell, own) || isCopy(shell, parent))) break;
    shell = parent;
  }
  return shell;
}

/** Compared as text: of `sh -c "…"` our words are a single one. */
function onlyRuns(pid: number, own: readonly string[]): boolean {
  return wordsOf(pid)
    .join(" ")
    .endsWith(` ${own.join(" ")}`);
}

function isCopy(pid: number, parent: number): boolean {
  const words = wordsOf(pid);
  return words.length > 0 && words.join("\0") === wordsOf(parent).join("\0");
}

/** None: it is gone. */
function wordsOf(pid: number): readonly string[] {
  return read(`/proc/${pid}/cmdline`).split("\0").slice(0, -1);
}

/** 0: it is gone. */
function parentOf(pid: number): number {
  const [, parent = "0"] = /^PPid:\s*(\d+)$/m.exec(read(`/proc/${pid}/status`)) ?? [];
  return Number(parent);
}

function read(file: string): string {
  try {
    return readFileSync(file, "latin1");
  } catch {
    return "";
  }
}
