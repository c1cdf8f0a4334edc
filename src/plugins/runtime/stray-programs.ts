// conmon and the runtime of a start that nobody waits for any more: they would go on behind us.
import fs from "node:fs";
import type { Host } from "../../core/host.ts";
import { becomesSo, kill } from "./processes.ts";
import { bundlesDirectory, runtimeDirectory } from "./run-places.ts";

const END_MS_MAX = 1_000;

export interface StrayQuestion {
  readonly runDirectory: string;
  /** Only those of this bundle; undefined: of all bundles. */
  readonly bundle?: string;
  /** conmons of plugins that run. */
  readonly keep?: ReadonlySet<number>;
}

/**
 * Ends every conmon, runc and crun that makes a container in this run directory; their arguments
 * tell which they are. One walk through /proc. Resolves when they are gone, or after a second.
 */
export async function endStrays(
  host: Pick<Host, "monotonicMs" | "processStart">,
  question: StrayQuestion,
): Promise<void> {
  const pids = fs.readdirSync("/proc").map(Number).filter(isStray(question));
  for (const pid of pids) kill(pid);
  const isOver = () => pids.every((pid) => host.processStart(pid) === undefined);
  await becomesSo(host, isOver, END_MS_MAX);
}

function isStray({ runDirectory, bundle, keep }: StrayQuestion): (pid: number) => boolean {
  const root = runtimeDirectory({ runDirectory });
  const bundles = `${bundlesDirectory({ runDirectory })}/`;
  return (pid) => {
    if (!(pid > 1) || pid === process.pid || keep?.has(pid) === true) return false;
    const words = argumentsOf(pid);
    if (!words.includes(root) && !words.includes(`--root=${root}`)) return false;
    return bundle === undefined
      ? words.some((word) => word.startsWith(bundles))
      : words.includes(bundle);
  };
}

function argumentsOf(pid: number): readonly string[] {
  try {
    return fs.readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0");
  } catch {
    return [];
  }
}
