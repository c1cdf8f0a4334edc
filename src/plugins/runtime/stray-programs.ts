// conmon and the runtime of a start that nobody waits for any more: they would go on behind us.
import fs from "node:fs";
import { setTimeout as pause } from "node:timers/promises";
import type { Host } from "../../core/host.ts";
import { bundlesDirectory, runtimeDirectory } from "./run-places.ts";

const END_MS_MAX = 1_000;
const LOOK_AGAIN_MS = 2;

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
  const untilMs = host.monotonicMs() + END_MS_MAX;
  while (pids.some((pid) => host.processStart(pid) !== undefined)) {
    if (host.monotonicMs() > untilMs) return;
    await pause(LOOK_AGAIN_MS);
  }
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

function kill(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // It ended in this moment.
  }
}
