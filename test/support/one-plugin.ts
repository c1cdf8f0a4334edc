// A managed plugin that is only remembered, with one newer image that it can be upgraded to.
import { EngineError } from "../../src/core/errors.ts";
import type {
  ManagedPlugin,
  ManagedPlugins,
  PluginConfig,
  PullRequest,
  TellProgress,
} from "../../src/core/plugin.ts";
import { noPlugins } from "../../src/engine/plugins/no-plugins.ts";

/** What it can be upgraded to, with one privilege granted. */
export const newerImage = "127.0.0.1:5000/vp:v2";

const config: PluginConfig = {
  ...{ description: "research volume plugin", documentation: "", dockerVersion: "" },
  ...{ entrypoint: null, workDir: "", network: { type: "" }, propagatedMount: "" },
  interface: { types: null, socket: "", protocolScheme: "" },
  ...{ ipcHost: false, pidHost: false, user: null, mounts: null, env: null, rootfs: null },
  args: { name: "", description: "", settable: null, value: null },
  linux: { capabilities: null, allowAllDevices: false, devices: null },
};

const installed: Omit<ManagedPlugin, "name"> = {
  id: "ab".repeat(32),
  isEnabled: true,
  reference: "127.0.0.1:5000/vp:v1",
  config,
  settings: { mounts: [], env: [], args: [], devices: [] },
  previous: null,
  digest: `sha256:${"cd".repeat(32)}`,
  installedAtMs: 0,
};

/** One plugin, whose upgrades are called well or refused. */
export class OnePlugin {
  readonly requests: PullRequest[] = [];
  plugin: ManagedPlugin;

  constructor(name: string) {
    this.plugin = { ...installed, name: `${name}:latest` };
  }

  readonly managed: ManagedPlugins = {
    ...noPlugins.managed,
    list: () => [this.plugin],
    find: (text) => {
      const { id, name } = this.plugin;
      if (id.startsWith(text) || name === `${text}:latest` || name === text) return this.plugin;
      throw new EngineError("plugin.not_found", `plugin "${text}" not found`);
    },
    enable: async () => this.#put({ isEnabled: true }),
    disable: async () => this.#put({ isEnabled: false }),
    pause: async () => this.#put({ isEnabled: false }),
    fetch: async (request, tell) => {
      this.requests.push(request);
      if (request.remote !== newerImage) throw new EngineError("registry.not_found", "not found");
      tell({ status: "Pulling from vp", id: "v2" });
      await Promise.resolve();
      checkGranted(request);
      return { [Symbol.dispose]: () => undefined };
    },
    upgrade: async (_, request) => {
      if (request.remote !== newerImage) throw new EngineError("registry.not_found", "not found");
      return { name: this.plugin.name, run: (tell) => this.#run(request, tell) };
    },
    logs: async (_, countMax) =>
      [1, 2, 3].slice(-countMax).map((at) => ({ atMs: at, stream: "stderr", text: `line ${at}` })),
  };

  async #run(request: PullRequest, tell: TellProgress): Promise<ManagedPlugin> {
    tell({ status: "Pulling from vp", id: "v2" });
    await Promise.resolve();
    checkGranted(request);
    return this.#put({ reference: newerImage });
  }

  #put(change: Partial<ManagedPlugin>): ManagedPlugin {
    this.plugin = { ...this.plugin, ...change };
    return this.plugin;
  }
}

function checkGranted({ granted }: PullRequest): void {
  if (granted.length !== 1) throw new EngineError("plugin.privileges", "incorrect privileges");
}
