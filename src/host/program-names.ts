// Which programs processes run, as the kernel names them, without asking it at every request.
import { readFileSync } from "node:fs";

/** How old an answer may be, in milliseconds. */
const AGE_MS_MAX = 1_000;
/** How many answers are kept. */
const KEPT_COUNT_MAX = 256;

interface Answer {
  readonly name: string;
  readonly readAtMs: number;
}

/** `Host.programOf`; `nowMs` is a clock that only goes forward, in milliseconds. */
export function programNames(nowMs = () => performance.now()): (pid: number) => string {
  const answers = new Map<number, Answer>();
  return (pid) => {
    const known = answers.get(pid);
    const readAtMs = nowMs();
    if (known !== undefined && readAtMs - known.readAtMs < AGE_MS_MAX) return known.name;
    const name = nameOf(pid);
    // Those asked for longest ago go first: they are too old by now, or soon will be.
    answers.delete(pid);
    const [oldest] = answers.keys();
    if (oldest !== undefined && answers.size >= KEPT_COUNT_MAX) answers.delete(oldest);
    answers.set(pid, { name, readAtMs });
    return name;
  };
}

function nameOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/comm`, "utf8").replace(/\n$/, "");
  } catch {
    return "";
  }
}
