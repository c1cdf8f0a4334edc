// A dockerd that has both kinds of volumes on one file system: its own, and Holdfast's.
import { join } from "node:path";
import { type RunningDockerd, startDockerd } from "../test/support/dockerd.ts";
import { loadTestImage, testImage } from "../test/support/test-image.ts";
import { type PluginDaemon, startPluginDaemon } from "./plugin-daemon.ts";
import type { Ground, Workbench } from "./workbench.ts";

/** The two drivers that are compared, the candidate first. */
export const volumeDrivers = ["holdfast", "local"] as const;

export type VolumeDriverName = (typeof volumeDrivers)[number];

/** Where a container has its volume. */
export const VOLUME_PLACE = "/volume";

/** What a container of the bench is. */
export interface BenchContainer {
  readonly name: string;
  /** By the places they are mounted at. */
  readonly volumes: Readonly<Record<string, string>>;
  /** Further `host path:place:ro`. */
  readonly binds?: readonly string[];
}

export interface ContainerBench extends AsyncDisposable {
  /** The Holdfast that the dockerd uses. */
  readonly holdfast: PluginDaemon;
  createVolume(name: string, driver: VolumeDriverName): Promise<void>;
  /** Creates and starts it; it sleeps. */
  start(container: BenchContainer): Promise<void>;
  remove(name: string): Promise<void>;
  /** Runs a program in it and returns what it printed. Throws unless it ends with 0. */
  execute(name: string, ...command: readonly string[]): Promise<string>;
}

/** Starts Holdfast, then a dockerd that sees its socket and its holds, with an image of busybox. */
export async function startContainerBench(
  workbench: Workbench,
  ground: Ground,
): Promise<ContainerBench> {
  await using cleanUp = new AsyncDisposableStack();
  const holdfast = cleanUp.use(await startPluginDaemon(workbench, ground));
  const dockerd = cleanUp.use(
    await startDockerd({
      dataRoot: join(ground.disk, "docker"),
      storageDriver: "overlay2",
      pluginFolder: holdfast.pluginFolder,
    }),
  );
  await loadTestImage((...parameters) => dockerd.docker(...parameters));
  const held = cleanUp.move();
  return { holdfast, ...containerCalls(dockerd), [Symbol.asyncDispose]: () => held.disposeAsync() };
}

function containerCalls(
  dockerd: RunningDockerd,
): Omit<ContainerBench, "holdfast" | typeof Symbol.asyncDispose> {
  const call = async (method: string, path: string, body?: object): Promise<void> => {
    const reply = await fetch(`http://docker/v1.41${path}`, {
      unix: dockerd.socketPath,
      method,
      headers: { "Content-Type": "application/json" },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await reply.text();
    if (!reply.ok) throw new Error(`${method} ${path}: ${reply.status} ${text}`);
  };
  return {
    createVolume: (Name, Driver) => call("POST", "/volumes/create", { Name, Driver }),
    async start({ name, volumes, binds = [] }) {
      const own = Object.entries(volumes).map(([place, volume]) => `${volume}:${place}`);
      await call("POST", `/containers/create?name=${name}`, {
        Image: testImage,
        Cmd: ["sleep", "1000"],
        HostConfig: { NetworkMode: "none", Binds: [...own, ...binds] },
      });
      await call("POST", `/containers/${name}/start`);
    },
    remove: (name) => call("DELETE", `/containers/${name}?force=1`),
    async execute(name, ...command) {
      const ended = await dockerd.docker("exec", name, ...command);
      if (ended.exit === 0) return ended.stdout;
      throw new Error(`${command.join(" ")} ended with ${ended.exit}: ${ended.stderr}`);
    },
  };
}
