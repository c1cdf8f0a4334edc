// The process of a managed plugin, by what its runtime has written down.
import { existsSync, readdirSync, readFileSync } from "node:fs";

const runDirectory = "/run/holdfast";

/**
 * The plugin's first process on the host; undefined: it does not run. Daemons of all data roots are
 * looked at: ids are random.
 */
export function pluginProcess(id: string): number | undefined {
  for (const daemon of existsSync(runDirectory) ? readdirSync(runDirectory) : []) {
    try {
      const pid = readFileSync(`${runDirectory}/${daemon}/bundles/${id}/pid`, "utf8").trim();
      // Its control group says that it is not another process of the same number.
      if (readFileSync(`/proc/${pid}/cgroup`, "utf8").includes(id.slice(0, 16))) return Number(pid);
    } catch {
      // Another daemon's, or it is not there yet, or not any more.
    }
  }
  return undefined;
}
