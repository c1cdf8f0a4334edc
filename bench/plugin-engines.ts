// Holdfast and a dockerd that see the same socket plugins, with their data on one file system.
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { startDaemon } from "../test/support/daemon.ts";
import { type RunningDockerd, startDockerd } from "../test/support/dockerd.ts";
import { loadTestImage } from "../test/support/test-image.ts";
import { type PluginServers, pluginServers } from "./plugin-servers.ts";
import type { Ground, Workbench } from "./workbench.ts";

export interface PluginEngines extends AsyncDisposable {
  readonly plugins: PluginServers;
  readonly holdfast: { readonly name: string; readonly socket: string };
  /** It has an image of busybox. */
  readonly dockerd: { readonly name: string; readonly socket: string };
}

/**
 * Starts both. dockerd has a mount namespace of its own and sees the plugins' folder in Docker's
 * place; Holdfast is told where it is.
 */
export async function startPluginEngines(
  workbench: Workbench,
  ground: Ground,
): Promise<PluginEngines> {
  const { executable, candidate, reference } = workbench;
  if (executable === undefined) throw new Error("these rows need Holdfast as the candidate");
  await using cleanUp = new AsyncDisposableStack();
  const folder = join(ground.directory, "p");
  await mkdir(folder);
  const plugins = cleanUp.use(await pluginServers(workbench, ground, folder));
  const holdfast = cleanUp.use(
    await startDaemon({
      root: join(ground.disk, "holdfast"),
      socketPath: join(ground.directory, "own"),
      pluginSockets: folder,
      command: [executable],
    }),
  );
  const dockerd: RunningDockerd = await startDockerd({
    dataRoot: join(ground.disk, "docker"),
    storageDriver: "overlay2",
    pluginFolder: folder,
  });
  // A dockerd that asks plugins which do not answer does not end in any time.
  cleanUp.defer(() => dockerd.kill());
  await loadTestImage((...parameters) => dockerd.docker(...parameters));
  const held = cleanUp.move();
  return {
    plugins,
    holdfast: { name: candidate.name, socket: holdfast.socketPath },
    dockerd: { name: reference.name, socket: dockerd.socketPath },
    [Symbol.asyncDispose]: () => held.disposeAsync(),
  };
}
