// A Holdfast that container engines use: in the machine's own mount namespace, with its socket.
import { mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { type RunningDaemon, startDaemon } from "../test/support/daemon.ts";
import { runAnyway } from "./processes.ts";
import type { Ground, Workbench } from "./workbench.ts";

/** A running one. Disposing of it ends it, and the mounts that it leaves for its next start. */
export interface PluginDaemon extends AsyncDisposable {
  readonly pid: number;
  /** Its data root. */
  readonly root: string;
  /** Of Docker's API and Holdfast's own. */
  readonly socket: string;
  /** Of the volume driver. */
  readonly pluginSocket: string;
  /** Where that is: what a dockerd must see as /run/docker/plugins. */
  readonly pluginFolder: string;
}

/** Starts it with its data on the ground. Its holds are ended by their users, not by a grace. */
export async function startPluginDaemon(
  workbench: Workbench,
  ground: Ground,
  parameters: readonly string[] = [],
): Promise<PluginDaemon> {
  const { executable } = workbench;
  if (executable === undefined) throw new Error("these rows need Holdfast as the candidate");
  const root = join(ground.disk, "holdfast");
  const pluginFolder = join(ground.directory, "plugins");
  await mkdir(pluginFolder, { recursive: true });
  const pluginSocketPath = join(pluginFolder, "holdfast.sock");
  const daemon: RunningDaemon = await startDaemon({
    ...{ root, pluginSocketPath, parameters },
    socketPath: join(ground.directory, "own"),
    command: [executable],
  });
  return {
    pid: daemon.pid,
    root,
    socket: daemon.socketPath,
    pluginSocket: pluginSocketPath,
    pluginFolder,
    async [Symbol.asyncDispose]() {
      await daemon.stop();
      await endMountsBelow(join(root, "holds"));
    },
  };
}

/** Takes away what a daemon leaves mounted there for its next start. */
export async function endMountsBelow(directory: string): Promise<void> {
  const lines = (await readFile("/proc/self/mountinfo", "utf8")).split("\n");
  const targets = lines.map((line) => line.split(" ")[4] ?? "");
  const own = targets.filter((target) => `${target}/`.startsWith(`${directory}/`));
  for (const target of own.toReversed()) await runAnyway({ command: ["umount", "-l", target] });
}
