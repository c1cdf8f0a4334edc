// conmon and the runtime of a start that nobody waits for any more: they would go on behind us.
import fs from "node:fs";
import { bundlesDirectory, runtimeDirectory } from "./run-places.ts";

/**
 * Ends every conmon, runc and crun that works in this run directory, but not these: conmons of
 * plugins that run. Only those of one bundle where one is given. Their arguments tell which they
 * are. One walk through /proc.
 */
export function endStrays(
  runDirectory: string,
  keep: ReadonlySet<number>,
  bundle = `${bundlesDirectory({ runDirectory })}/`,
): void {
  const root = runtimeDirectory({ runDirectory });
  for (const name of fs.readdirSync("/proc")) {
    const pid = Number(name);
    if (!(pid > 1) || pid === process.pid || keep.has(pid)) continue;
    const words = argumentsOf(pid);
    const isOurs = words.includes(root) || words.includes(`--root=${root}`);
    if (isOurs && words.some((word) => word.startsWith(bundle))) kill(pid);
  }
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
