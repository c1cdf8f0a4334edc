// Which process a script's lock hangs on: the shell that runs the script, seen from one of its
// commands.
import { readFileSync } from "node:fs";

/** Shells in shells in shells: more is not looked at. */
const STEPS_MAX = 16;

/**
 * The shell itself where `pid` is only a part of it: in `$(…)`, in a pipe and in `( … )` shells
 * copy themselves, and a lock that hung on such a copy would end with it. A copy runs the same
 * program with the same words as its parent.
 */
export function whoseLock(pid: number): number {
  let shell = pid;
  for (let step = 0; step < STEPS_MAX; step++) {
    const parent = parentOf(shell);
    if (parent < 2 || !isCopy(shell, parent)) break;
    shell = parent;
  }
  return shell;
}

function isCopy(pid: number, parent: number): boolean {
  const words = read(`/proc/${pid}/cmdline`);
  return words !== "" && words === read(`/proc/${parent}/cmdline`);
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
