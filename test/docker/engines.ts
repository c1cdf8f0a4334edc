// The engines that the tests of Docker's API run against: Holdfast, and dockerd as its measure.
import { rmSync } from "node:fs";
import { join } from "node:path";
import { startDaemon, temporaryDirectory } from "../support/daemon.ts";
import { startDockerd } from "../support/dockerd.ts";
import type { Requirement } from "../support/needs.ts";
import { startRegistry } from "../support/registry.ts";
import type { Pair } from "./plugin-bindings.ts";
import { makeStandIns, recordedPluginFolder } from "./plugin-stand-in.ts";
import type { Target } from "./replay.ts";

/** An engine without any volume. Disposing of it stops it and removes its root. */
export interface Engine extends Target, AsyncDisposable {}

export interface EngineKind {
  readonly name: "Holdfast" | "dockerd 20.10";
  readonly requirements: readonly Requirement[];
  start(): Promise<Engine>;
}

export const holdfast: EngineKind = {
  name: "Holdfast",
  requirements: [],
  start: () => startEngine(startHoldfast),
};

/** As Docker is: what is removed is destroyed, and its space counted at once. */
export const holdfastWithoutTrash: EngineKind = {
  ...holdfast,
  start: () =>
    startEngine((root, folder) => startHoldfast(root, folder, { HOLDFAST_TRASH: "off" })),
};

/** With a registry, a directory for the plugin's state, and stand-ins for recorded archives. */
export const holdfastWithPlugins: EngineKind = {
  ...holdfast,
  requirements: ["root", "plugin-runtime", "docker-registry"],
  start: () => startWithPlugins(holdfast),
};

/** Debian's dockerd: what passes against it too is Docker's behaviour, no opinion of ours. */
export const dockerd: EngineKind = {
  name: "dockerd 20.10",
  requirements: ["root", "dockerd", "unshare"],
  start: () => startEngine(startThrowaway),
};

export const dockerdWithPlugins: EngineKind = {
  ...dockerd,
  requirements: [...dockerd.requirements, "plugin-compiler", "docker-registry"],
  start: () => startWithPlugins(dockerd),
};

export const engineKinds: readonly EngineKind[] = [holdfast, dockerd];

interface Started extends AsyncDisposable {
  readonly socketPath: string;
}

/** The plugin socket of the machine is not for a test: it gets one of its own. */
function startHoldfast(
  root: string,
  folder: string,
  more: Readonly<Record<string, string>> = {},
): Promise<Started> {
  const environment = { HOLDFAST_PLUGIN_SOCKET: join(folder, "plugin.sock"), ...more };
  return startDaemon({ root, environment });
}

async function startWithPlugins(kind: EngineKind): Promise<Engine> {
  const folder = temporaryDirectory();
  await using stack = new AsyncDisposableStack();
  stack.defer(() => rmSync(folder, { recursive: true, force: true }));
  const standIns = await makeStandIns(join(folder, "plug"));
  const registry = stack.use(await startRegistry());
  const engine = stack.use(await kind.start());
  const encoded = encodeURIComponent(registry.host);
  const places: readonly Pair[] = [
    [registry.host, "127.0.0.1:5000"],
    [encoded, "127.0.0.1%3A5000"],
    [standIns.folder, recordedPluginFolder],
  ];
  const all = stack.move();
  return {
    socketPath: engine.socketPath,
    root: engine.root,
    plugins: { places, uploadOf: (name) => standIns.uploadOf(name) },
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  };
}

/** A graceful stop of dockerd takes a second, which nobody needs here. */
async function startThrowaway(root: string): Promise<Started> {
  const { socketPath, kill } = await startDockerd({ dataRoot: root });
  return { socketPath, [Symbol.asyncDispose]: kill };
}

async function startEngine(
  start: (root: string, folder: string) => Promise<Started>,
): Promise<Engine> {
  const folder = temporaryDirectory();
  const root = join(folder, "root");
  const clean = () => rmSync(folder, { recursive: true, force: true });
  try {
    const started = await start(root, folder);
    return {
      socketPath: started.socketPath,
      root,
      async [Symbol.asyncDispose]() {
        await started[Symbol.asyncDispose]();
        clean();
      },
    };
  } catch (error) {
    clean();
    throw error;
  }
}
