// Managed plugins that are only remembered: nothing is downloaded, unpacked or run.
//
// For tests of the faces. What they say is Docker's; what a pull tells is scripted.
import { EngineError } from "../../src/core/errors.ts";
import type { Operation } from "../../src/core/operation.ts";
import type {
  LoginRequest,
  ManagedPlugin,
  ManagedPlugins,
  PluginConfig,
  PluginPrivilege,
  PluginProgress,
  PluginPull,
  PullRequest,
  RegistryCall,
  RegistryLogin,
} from "../../src/core/plugin.ts";
import { canonicalPluginName, parsePluginReference } from "../../src/core/plugin-reference.ts";

/** A plugin's config as the recordings have it: everything is there. */
export const fullConfig: PluginConfig = {
  description: "research volume plugin",
  documentation: "none",
  dockerVersion: "20.10.24+dfsg1",
  entrypoint: ["/bin/volplug"],
  workDir: "",
  interface: { types: ["docker.volumedriver/1.0"], socket: "vp.sock", protocolScheme: "" },
  network: { type: "host" },
  propagatedMount: "/mnt/volumes",
  ipcHost: false,
  pidHost: false,
  user: null,
  mounts: [
    {
      name: "state",
      description: "",
      settable: ["source"],
      source: "/srv/plug/state",
      destination: "/mnt/state",
      type: "bind",
      options: ["rbind", "rw"],
    },
  ],
  env: [
    { name: "DEBUG", description: "debug", settable: ["value"], value: "0" },
    { name: "FIXED", description: "x", settable: null, value: "1" },
  ],
  args: {
    name: "args",
    description: "cli args",
    settable: ["value"],
    value: ["-scope", "local"],
  },
  linux: {
    capabilities: ["CAP_SYS_ADMIN"],
    allowAllDevices: false,
    devices: [{ name: "fuse", description: "", settable: ["path"], path: "/dev/fuse" }],
  },
  rootfs: { type: "layers", diffIds: [`sha256:${"d9".repeat(32)}`] },
};

/** As little as a config may say. */
export const emptyConfig: PluginConfig = {
  description: "minimal",
  documentation: "",
  dockerVersion: "",
  entrypoint: null,
  workDir: "",
  interface: { types: null, socket: "", protocolScheme: "" },
  network: { type: "null" },
  propagatedMount: "",
  ipcHost: false,
  pidHost: false,
  user: null,
  mounts: null,
  env: null,
  args: { name: "", description: "", settable: null, value: null },
  linux: { capabilities: null, allowAllDevices: false, devices: null },
  rootfs: null,
};

/** What the registry of the test has. */
export interface ScriptedImage {
  readonly config: PluginConfig;
  readonly privileges: readonly PluginPrivilege[];
  /** Told by a pull, line by line. */
  readonly progress: readonly PluginProgress[];
  /** A pull waits for it before its end; fails when the operation is given up. */
  readonly until?: Promise<void>;
}

export class ScriptedPlugins implements ManagedPlugins {
  /** By canonical reference. */
  readonly images = new Map<string, ScriptedImage>();
  /** What callers said for the registry, in order. */
  readonly calls: RegistryCall[] = [];
  /** What callers wanted to log in with, in order; only the password "right" is. */
  readonly logins: LoginRequest[] = [];
  /** How many bytes the uploads had, in order. */
  readonly uploads: number[] = [];
  readonly #plugins = new Map<string, ManagedPlugin>();
  #count = 0;

  list(): readonly ManagedPlugin[] {
    return [...this.#plugins.values()].sort((one, two) => (one.name < two.name ? -1 : 1));
  }

  find(text: string): ManagedPlugin {
    const name = canonicalPluginName(text);
    const all = this.list();
    const exact = all.find((one) => one.id === text || one.name === name);
    if (exact !== undefined) return exact;
    const begun = text === "" ? [] : all.filter(({ id }) => id.startsWith(text));
    const [only, ...others] = begun;
    if (others.length > 0) {
      throw new EngineError("plugin.ambiguous", `multiple plugins found for "${text}"`);
    }
    if (only !== undefined) return only;
    throw new EngineError("plugin.not_found", `plugin "${text}" not found`);
  }

  /** Of the tests' registry, which believes one password. */
  async privileges(remote: string, call: RegistryCall): Promise<readonly PluginPrivilege[]> {
    this.calls.push({ auth: call.auth, metaHeaders: call.metaHeaders });
    return this.#image(remote).privileges;
  }

  async pull(request: PullRequest): Promise<PluginPull> {
    this.calls.push({ auth: request.auth, metaHeaders: request.metaHeaders });
    const given = request.name ?? "";
    const name = parsePluginReference(given === "" ? request.remote : given).familiar;
    this.#refuseTaken(name);
    const image = this.#image(request.remote);
    const reference = parsePluginReference(request.remote).familiar;
    return this.#pullOf(image, request, name, () => this.#add(name, reference, image.config));
  }

  async fetch(request: PullRequest): Promise<Disposable> {
    this.#image(request.remote);
    return { [Symbol.dispose]: () => undefined };
  }

  async upgrade(id: string, request: PullRequest): Promise<PluginPull> {
    const before = this.find(id);
    if (before.isEnabled) {
      throw new EngineError(
        "plugin.enabled",
        `plugin must be disabled before upgrading: plugin ${before.name} is enabled`,
      );
    }
    const image = this.#image(request.remote);
    const reference = parsePluginReference(request.remote).familiar;
    return this.#pullOf(image, request, before.name, () =>
      this.#put({ ...before, reference, config: image.config }),
    );
  }

  async enable(id: string): Promise<ManagedPlugin> {
    const before = this.find(id);
    if (before.isEnabled) {
      throw new EngineError(
        "plugin.enabled",
        `plugin already enabled: plugin ${before.name} is enabled`,
      );
    }
    return this.#put({ ...before, isEnabled: true });
  }

  pause(id: string): Promise<ManagedPlugin> {
    return this.disable(id);
  }

  async disable(id: string): Promise<ManagedPlugin> {
    const before = this.find(id);
    if (!before.isEnabled) {
      throw new EngineError(
        "plugin.disabled",
        `plugin is already disabled: plugin ${before.name} found but disabled`,
      );
    }
    return this.#put({ ...before, isEnabled: false });
  }

  /** Knows of `KEY=VALUE` alone. */
  async set(id: string, words: readonly string[]): Promise<ManagedPlugin> {
    const before = this.find(id);
    const given = new Map(words.map((word) => [word.split("=")[0] ?? "", word]));
    for (const key of given.keys()) {
      if (before.settings.env.some((one) => one.startsWith(`${key}=`))) continue;
      const text = `setting "${key}" not found in the plugin configuration`;
      throw new EngineError("plugin.setting_invalid", text);
    }
    const env = before.settings.env.map((one) => given.get(one.split("=")[0] ?? "") ?? one);
    return this.#put({ ...before, settings: { ...before.settings, env } });
  }

  async remove(id: string, { force }: { readonly force: boolean }): Promise<void> {
    const before = this.find(id);
    if (before.isEnabled && !force) {
      throw new EngineError("plugin.enabled", `plugin ${before.name} is enabled`);
    }
    this.#plugins.delete(before.id);
  }

  async create(name: string, context: AsyncIterable<Uint8Array>): Promise<ManagedPlugin> {
    const canonical = parsePluginReference(name).familiar;
    this.#refuseTaken(canonical);
    let bytes = 0;
    for await (const piece of context) bytes += piece.length;
    if (bytes === 0) throw new EngineError("plugin.image_invalid", "no rootfs found: EOF");
    this.uploads.push(bytes);
    return this.#add(canonical, "", fullConfig);
  }

  async login(request: LoginRequest): Promise<RegistryLogin> {
    this.logins.push(request);
    if (request.auth?.password === "right") return { identityToken: "a token" };
    throw new EngineError("registry.denied", "unauthorized: no");
  }

  async push(
    id: string,
    call: RegistryCall,
    tell: (progress: PluginProgress) => void,
  ): Promise<void> {
    this.calls.push({ auth: call.auth, metaHeaders: call.metaHeaders });
    const { name, digest, config } = this.find(id);
    const { host, path, tag } = parsePluginReference(name);
    const repository = `${host}/${path}`;
    tell({ status: `The push refers to repository [${repository}]` });
    if (host !== "127.0.0.1:5000") {
      throw new EngineError("registry.unreachable", `no registry at ${host}`);
    }
    tell({ status: "", aux: { tag: tag ?? "", digest, size: 418 }, isOfLayer: true });
    this.images.set(name, { config, privileges: [], progress: [] });
  }

  async logs(): Promise<readonly []> {
    return [];
  }

  #image(remote: string): ScriptedImage {
    const reference = parsePluginReference(remote).familiar;
    const image = this.images.get(reference);
    if (image !== undefined) return image;
    throw new EngineError("registry.not_found", `${reference}: not found`);
  }

  #pullOf(
    image: ScriptedImage,
    request: PullRequest,
    name: string,
    finish: () => ManagedPlugin,
  ): PluginPull {
    return {
      name,
      run: async (tell, operation) => {
        for (const progress of image.progress) tell(progress);
        await orGivenUp(image.until, operation);
        if (request.granted.length !== image.privileges.length) {
          throw new EngineError("plugin.privileges", "incorrect privileges");
        }
        return finish();
      },
    };
  }

  #refuseTaken(name: string): void {
    if (this.list().some((one) => one.name === name)) {
      throw new EngineError("plugin.exists", `plugin ${name} already exists`);
    }
  }

  #add(name: string, reference: string, config: PluginConfig): ManagedPlugin {
    this.#refuseTaken(name);
    this.#count += 1;
    return this.#put({
      id: this.#count.toString(16).padStart(4, "0").repeat(16),
      name,
      isEnabled: false,
      reference,
      config,
      settings: {
        mounts: config.mounts ?? [],
        env: (config.env ?? []).map((one) => `${one.name}=${one.value}`),
        args: config.args.value ?? [],
        devices: config.linux.devices ?? [],
      },
      previous: null,
      digest: `sha256:${"ab".repeat(32)}`,
      installedAtMs: 0,
    });
  }

  #put(plugin: ManagedPlugin): ManagedPlugin {
    this.#plugins.set(plugin.id, plugin);
    return plugin;
  }
}

async function orGivenUp(until: Promise<void> | undefined, operation: Operation): Promise<void> {
  if (until === undefined) return;
  const { signal } = operation;
  const givenUp = new Promise<never>((_, reject) => {
    const give = () => reject(new EngineError("operation.cancelled", "the pull was given up"));
    if (signal.aborted) give();
    signal.addEventListener("abort", give, { once: true });
  });
  await Promise.race([until, givenUp]);
}
