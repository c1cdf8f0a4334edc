// The process of a managed plugin, by what its runtime has written down.
import { readdirSync, readFileSync } from "node:fs";

const runDirectory = "/run/holdfast";

/**
 * The process id on the host, while the plugin itself (`/bin/plugin` of plugin-rootfs.ts) runs.
 * Daemons of all data roots are looked at: ids are random.
 */
export function pluginProcess(id: string): number | undefined {
  for (const daemon of readdirSync(runDirectory)) {
    try {
      const pid = readFileSync(`${runDirectory}/${daemon}/bundles/${id}/pid`, "utf8").trim();
      if (readFileSync(`/proc/${pid}/comm`, "utf8") === "plugin\n") return Number(pid);
    } catch {
      // Another daemon's, or it is not there yet, or not any more.
    }
  }
  return undefined;
}
