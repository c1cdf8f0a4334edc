// How much memory a process has, read from the kernel's account of it.
import { readdir, readFile } from "node:fs/promises";

/** Memory of one or more processes, in MiB. */
export interface Memory {
  /** Resident: everything mapped and present, shared pages counted in full. */
  readonly rssMib: number;
  /** Proportional: shared pages divided among those who share them. */
  readonly pssMib: number;
}

/** Reads `/proc/<pid>/smaps_rollup`. Throws when a field is missing. */
export function parseSmapsRollup(text: string): Memory {
  return { rssMib: field(text, "Rss"), pssMib: field(text, "Pss") };
}

function field(text: string, name: string): number {
  const match = new RegExp(`^${name}:\\s+(\\d+) kB$`, "m").exec(text);
  if (!match?.[1]) {
    throw new Error(`smaps_rollup has no line ${name}`);
  }
  return Number(match[1]) / 1024;
}

/** The memory of several processes together. */
export async function memoryOf(pids: readonly number[]): Promise<Memory> {
  const parts = await Promise.all(
    pids.map(async (pid) => parseSmapsRollup(await readFile(`/proc/${pid}/smaps_rollup`, "utf8"))),
  );
  return {
    rssMib: parts.reduce((sum, part) => sum + part.rssMib, 0),
    pssMib: parts.reduce((sum, part) => sum + part.pssMib, 0),
  };
}

/** The children of a process that are running now, whichever of its threads started them. */
export async function childrenOf(pid: number): Promise<readonly number[]> {
  const threads = await readdir(`/proc/${pid}/task`);
  const texts = await Promise.all(
    threads.map(async (thread) => {
      try {
        return await readFile(`/proc/${pid}/task/${thread}/children`, "utf8");
      } catch {
        return ""; // The thread has ended since; its children are listed with another.
      }
    }),
  );
  return texts.flatMap((text) => text.split(" ").filter(Boolean).map(Number));
}
