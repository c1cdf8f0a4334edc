// Plugins in memory, for tests of the engine: drivers over the scratch driver that keep what a
// plugin can keep, and a host and a manager that do as the test says.
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import type { VolumeDriver, VolumeRecord } from "../../src/core/driver.ts";
import { EngineError } from "../../src/core/errors.ts";
import { parseDriverName, type VolumeName } from "../../src/core/names.ts";
import type {
  ManagedPlugin,
  ManagedPlugins,
  PluginHost,
  PluginState,
  PluginStatus,
  PullRequest,
} from "../../src/core/plugin.ts";
import { canonicalPluginName } from "../../src/core/plugin-reference.ts";
import { scratchDriver } from "../../src/drivers/scratch/driver.ts";
import type { PluginParts } from "../../src/engine/plugins/no-plugins.ts";

/** What a test changes about a plugin's calls. */
export type PluginChange = (driver: VolumeDriver) => Partial<VolumeDriver>;

export class MemoryPlugin {
  readonly driver: VolumeDriver;
  /** Calls that came to it, as `create wiki`. */
  readonly calls: string[] = [];
  /** What List says beside what is there. */
  readonly extra: VolumeRecord[] = [];
  /** Names that List keeps to itself. */
  readonly hidden = new Set<string>();
  status: PluginStatus;
  /** Settled before any of its calls goes on. */
  gate: Promise<void> = Promise.resolve();

  constructor(
    folder: string,
    how: Pick<PluginStatus, "kind"> & { readonly name: string },
    change: PluginChange = () => ({}),
  ) {
    const { kind } = how;
    const name = parseDriverName(how.name);
    mkdirSync(folder, { recursive: true });
    this.status = {
      ...{ name, kind, state: "ready", sinceMs: 1, reason: "", restartCount: 0 },
      address: "unix:///run/test.sock",
    };
    const plain = this.#plain(folder);
    this.driver = this.#guarded({ ...plain, ...change(plain), name });
  }

  /** The scratch driver, with no more than the protocol of plugins can say. */
  #plain(folder: string): VolumeDriver {
    let count = 0;
    const scratch = scratchDriver({
      root: folder,
      nowMs: () => 0,
      randomHex: () => (++count).toString(16).padStart(16, "0"),
    });
    const told = (record: VolumeRecord): VolumeRecord => {
      const { name, mountpoint } = record;
      const status = { of: name };
      return {
        name,
        options: {},
        createdAtMs: 0,
        origin: "made",
        mountpoint,
        identity: "",
        status,
      };
    };
    const { hidden, extra } = this;
    return {
      ...{ name: scratch.name, scope: "local", isPlugin: true, validate() {} },
      create: async ({ name }, operation) =>
        told(await scratch.create({ name, options: {} }, operation)),
      async get(name, operation) {
        const presence = await scratch.get(name, operation);
        return presence.state === "found"
          ? { state: "found", record: told(presence.record) }
          : presence;
      },
      async *list(operation) {
        for await (const record of scratch.list(operation))
          if (!hidden.has(record.name)) yield told(record);
        yield* extra;
      },
      ...{ forget: scratch.forget, destroy: scratch.destroy },
      ...{ mount: scratch.mount, unmount: scratch.unmount },
    };
  }

  /** Refuses as the host's drivers do while the plugin is not there. */
  #guarded(driver: VolumeDriver): VolumeDriver {
    const pass = async (call: string): Promise<void> => {
      this.calls.push(call);
      await this.gate;
      const { state, name } = this.status;
      if (state === "ready") return;
      const code = state === "disabled" ? "plugin.disabled" : "plugin.unreachable";
      throw new EngineError(code, `plugin ${name} is ${state}`);
    };
    const named =
      <Rest extends readonly unknown[], T>(
        call: string,
        work: (name: VolumeName, ...rest: Rest) => Promise<T>,
      ) =>
      async (name: VolumeName, ...rest: Rest): Promise<T> => {
        await pass(`${call} ${name}`);
        return await work(name, ...rest);
      };
    return {
      ...driver,
      async create(spec, operation) {
        await pass(`create ${spec.name}`);
        return await driver.create(spec, operation);
      },
      async *list(operation) {
        await pass("list");
        yield* driver.list(operation);
      },
      get: named("get", driver.get),
      forget: named("forget", driver.forget),
      destroy: named("destroy", driver.destroy),
      mount: named("mount", driver.mount),
      unmount: named("unmount", driver.unmount),
    };
  }
}

/** All plugins of one test; they outlive a restart of its engine. */
export class MemoryPlugins {
  readonly #folder: string;
  readonly #plugins = new Map<string, MemoryPlugin>();
  readonly #installed = new Map<string, ManagedPlugin>();
  readonly #listeners = new Set<(status: PluginStatus) => void>();
  /** What `enable` fails with, once for each. */
  readonly startFailures: EngineError[] = [];
  /** Pulls fail with it while it is there. */
  pullFailure: EngineError | undefined;
  /** What `lookAgain` does. */
  lookAgain: () => void = () => undefined;
  /** What was released of plugins that are gone: `PLUGIN VOLUME HOLDER`. */
  readonly released: string[] = [];

  constructor(folder: string) {
    this.#folder = folder;
  }

  /** A socket plugin that is ready. */
  socket(name: string, change?: PluginChange): MemoryPlugin {
    return this.#add({ name, kind: "socket" }, change);
  }

  /** An installed plugin that runs. */
  install(name: string, change?: PluginChange): MemoryPlugin {
    const id = String(this.#installed.size + 1)
      .repeat(64)
      .slice(0, 64);
    this.#installed.set(id, managedPlugin(id, name));
    return this.#add({ name, kind: "managed" }, change);
  }

  /** Nothing is known of it any more. */
  forget(name: string): void {
    this.#plugins.delete(name);
  }

  become(name: string, state: PluginState, reason = ""): void {
    const plugin = this.#plugins.get(name);
    if (plugin === undefined) throw new Error(`no plugin ${name}`);
    plugin.status = { ...plugin.status, state, reason, sinceMs: plugin.status.sinceMs + 1 };
    for (const listener of this.#listeners) listener(plugin.status);
  }

  get parts(): PluginParts {
    return { host: this.#host(), managed: this.#managed() };
  }

  #add(how: Pick<PluginStatus, "kind"> & { readonly name: string }, change?: PluginChange) {
    const plugin = new MemoryPlugin(join(this.#folder, how.kind, how.name), how, change);
    this.#plugins.set(how.name, plugin);
    for (const listener of this.#listeners) listener(plugin.status);
    return plugin;
  }

  #host(): PluginHost {
    return {
      driver: (name) =>
        this.#plugins.get(canonicalPluginName(name) ?? "")?.driver ??
        this.#plugins.get(name)?.driver,
      statuses: () =>
        [...this.#plugins.values()]
          .map(({ status }) => status)
          .filter(({ state }) => state !== "gone")
          .sort((left, right) => (left.name < right.name ? -1 : 1)),
      status: (name) => this.#plugins.get(name)?.status,
      follow: (listener) => {
        this.#listeners.add(listener);
        return () => void this.#listeners.delete(listener);
      },
      release: async (plugin, volume, holder) => {
        this.released.push(`${plugin} ${volume} ${holder}`);
      },
      lookAgain: async () => this.lookAgain(),
      counted: () => [],
    };
  }

  #managed(): ManagedPlugins {
    const change = (id: string, more: Partial<ManagedPlugin>, state?: PluginState) => {
      const plugin = { ...this.#byId(id), ...more };
      this.#installed.set(id, plugin);
      if (state !== undefined) this.become(plugin.name, state);
      return plugin;
    };
    const pull = async (id: string, { remote, name = remote }: PullRequest) => ({
      name,
      run: async () => {
        if (this.pullFailure !== undefined) throw this.pullFailure;
        return change(id, { reference: remote });
      },
    });
    return {
      list: () => [...this.#installed.values()],
      find: (text) => this.#find(text),
      privileges: async () => [],
      pull: (request) => {
        this.install(request.name ?? request.remote);
        const id = this.#find(request.name ?? request.remote).id;
        change(id, { isEnabled: false }, "disabled");
        return pull(id, request);
      },
      fetch: async () => {
        if (this.pullFailure !== undefined) throw this.pullFailure;
        return { [Symbol.dispose]: () => undefined };
      },
      upgrade: (id, request) => {
        if (this.#byId(id).isEnabled) throw new EngineError("plugin.enabled", "it is enabled");
        return pull(id, { ...request, name: this.#byId(id).name });
      },
      enable: async (id) => {
        const failure = this.startFailures.shift();
        if (failure !== undefined) throw failure;
        this.become(this.#byId(id).name, "starting");
        return change(id, { isEnabled: true }, "ready");
      },
      pause: async (id) => change(id, { isEnabled: false }, "disabled"),
      disable: async (id) => change(id, { isEnabled: false }, "disabled"),
      set: async (id, words) => change(id, { settings: { ...noSettings, env: words } }),
      remove: async (id) => {
        this.forget(this.#byId(id).name);
        this.#installed.delete(id);
      },
      create: async (name) => {
        this.install(name);
        const { id } = this.#find(name);
        return change(id, { isEnabled: false }, "disabled");
      },
      login: async () => ({ identityToken: "" }),
      push: async () => undefined,
      logs: async () => [],
    };
  }

  #byId(id: string): ManagedPlugin {
    const plugin = this.#installed.get(id);
    if (plugin === undefined) throw new EngineError("plugin.not_found", `no plugin ${id}`);
    return plugin;
  }

  #find(text: string): ManagedPlugin {
    const name = canonicalPluginName(text);
    const found = [...this.#installed.values()].find(
      (plugin) => plugin.id.startsWith(text) || plugin.name === name,
    );
    if (found !== undefined) return found;
    throw new EngineError("plugin.not_found", `plugin "${text}" not found`);
  }
}

const noSettings = { mounts: [], env: [], args: [], devices: [] } as const;

function managedPlugin(id: string, name: string): ManagedPlugin {
  return {
    ...{ id, name, isEnabled: true, reference: "", previous: null, digest: "", installedAtMs: 1 },
    settings: noSettings,
    config: {
      ...{ description: "", documentation: "", dockerVersion: "", entrypoint: null, workDir: "" },
      interface: { types: null, socket: "p.sock", protocolScheme: "" },
      network: { type: "" },
      ...{ propagatedMount: "", ipcHost: false, pidHost: false, user: null, mounts: null },
      env: null,
      args: { name: "", description: "", settable: null, value: null },
      linux: { capabilities: null, allowAllDevices: false, devices: null },
      rootfs: null,
    },
  };
}
