// Docker's managed plugins: installed, enabled, set, upgraded, removed, each whole or not at all.
//
// What a crash leaves, and what the next start makes of it:
// install  before the rename a staging directory, which goes; after it the plugin is there
// enable   the process is started first, then the record says so: a process that no record asks
//          for is ended, and the plugin is disabled as before
// disable  the record says so first, then the process is ended, or else by the next start
// remove   the record goes first, then the process, then the files: the next start goes on
// upgrade  see upgrades.ts and resume.ts
import { EngineError, toEngineError } from "../../core/errors.ts";
import type { Operation } from "../../core/operation.ts";
import type {
  LoginRequest,
  ManagedEndpoint,
  ManagedEndpoints,
  ManagedPlugin,
  ManagedPlugins,
  PluginId,
  PluginLogLine,
  PluginPrivilege,
  PluginPull,
  PullRequest,
  RegistryCall,
  RegistryLogin,
  TellProgress,
} from "../../core/plugin.ts";
import { parsePluginReference } from "../../core/plugin-reference.ts";
import { endpointOf, isVolumeDriver, runRequestOf } from "./endpoints.ts";
import { PluginFiles } from "./files.ts";
import {
  askedPrivileges,
  beginInstall,
  collectBlobs,
  createPlugin,
  fetchAhead,
} from "./installs.ts";
import { Leftovers } from "./leftovers.ts";
import type { ManagedParts, Workshop } from "./parts.ts";
import { type PluginRecord, pluginOf } from "./record.ts";
import { resumePaused } from "./resume.ts";
import { applySettings } from "./settings.ts";
import { PluginTable } from "./table.ts";
import { beginUpgrade, startFailure, tidyVersions } from "./upgrades.ts";

/**
 * All that is made of them: the engine's calls, the driver's endpoints, the daemon's two moments.
 */
export interface RunningPlugins extends ManagedPlugins, ManagedEndpoints {
  /**
   * Runs what is enabled, takes over what still runs, ends what is not wanted, and removes what
   * crashes have left. Plugins that do not start are tried again by the runtime.
   */
  start(operation: Operation): Promise<void>;
  /** Ends what waits for registries and uploads, and each such call that comes from now on. */
  endTransfers(): void;
  /** Ends all plugins but these; what is called afterwards is refused. */
  stop(keep: ReadonlySet<PluginId>): Promise<void>;
}

/**
 * Reads what is installed. Nothing runs before `start`. Throws `storage.*` and `config.invalid`
 * when the directory cannot be read; one damaged plugin is no reason.
 */
export async function makeManagedPlugins(parts: ManagedParts): Promise<RunningPlugins> {
  const { directory, host, log } = parts;
  const files = new PluginFiles(directory);
  files.make();
  const { nowMs, randomHex } = host;
  const table = new PluginTable({ files, log, nowMs, randomHex });
  table.load();
  const leftovers = new Leftovers({ host, operation: parts.operation });
  return new InstalledPlugins({ ...parts, files, table, leftovers });
}

class InstalledPlugins implements RunningPlugins {
  readonly #shop: Workshop;
  readonly #unfollow: () => void;
  readonly #stopping = new AbortController();
  /** Ends what waits for registries and uploads. */
  readonly #closing = new AbortController();
  /** Resolves when what the last life left has been taken over. */
  #adopted: Promise<unknown> = Promise.resolve();

  constructor(shop: Workshop) {
    this.#shop = shop;
    this.#unfollow = shop.runtime.follow(() => shop.table.tell());
  }

  async start(operation: Operation): Promise<void> {
    const { runtime, table, files, leftovers, store } = this.#shop;
    store.clearPartial();
    // What is built from here on is no leftover.
    const left = files.look().leftovers;
    const enabled = table.records().filter(({ isEnabled }) => isEnabled);
    const requests = enabled.map((record) => runRequestOf(record, files));
    const adopting = runtime.adopt(requests, operation);
    this.#adopted = adopting.catch(() => undefined);
    await adopting;
    // What a removed plugin has left may have been in use by its process until now.
    await leftovers.destroy(left);
    await resumePaused(this.#shop, operation);
    for (const { id } of table.records()) {
      await table.locked(id, operation, () => tidyVersions(this.#shop, id));
    }
    collectBlobs(this.#shop);
  }

  endTransfers(): void {
    this.#closing.abort(new EngineError("engine.stopping", "the daemon is shutting down"));
  }

  async stop(keep: ReadonlySet<PluginId>): Promise<void> {
    this.#stopping.abort(new EngineError("engine.stopping", "the daemon is shutting down"));
    this.#unfollow();
    await this.#shop.leftovers.stop();
    await this.#shop.runtime.stopAll(keep, this.#shop.operation());
  }

  list(): readonly ManagedPlugin[] {
    return this.#shop.table.records().map(pluginOf);
  }

  find(text: string): ManagedPlugin {
    return pluginOf(this.#shop.table.find(text));
  }

  async privileges(
    remote: string,
    call: RegistryCall,
    operation: Operation,
  ): Promise<readonly PluginPrivilege[]> {
    return await askedPrivileges(this.#shop, remote, call, this.#endable(operation));
  }

  async pull(request: PullRequest, operation: Operation): Promise<PluginPull> {
    this.#refuseStopping();
    const { name, run } = await beginInstall(this.#shop, request, this.#endable(operation));
    return { name, run: (tell, runOperation) => run(tell, this.#endable(runOperation)) };
  }

  async fetch(request: PullRequest, tell: TellProgress, operation: Operation): Promise<Disposable> {
    this.#refuseStopping();
    return await fetchAhead(this.#shop, request, tell, this.#endable(operation));
  }

  async upgrade(id: PluginId, request: PullRequest, operation: Operation): Promise<PluginPull> {
    this.#refuseStopping();
    const { name, run } = await beginUpgrade(this.#shop, id, request, this.#endable(operation));
    return { name, run: (tell, runOperation) => run(tell, this.#endable(runOperation)) };
  }

  async create(
    name: string,
    context: AsyncIterable<Uint8Array>,
    operation: Operation,
  ): Promise<ManagedPlugin> {
    this.#refuseStopping();
    return await createPlugin(this.#shop, name, context, this.#endable(operation));
  }

  enable(id: PluginId, operation: Operation): Promise<ManagedPlugin> {
    return this.#change(id, operation, async (record) => {
      if (record.isEnabled) {
        const text = `plugin already enabled: plugin ${record.name} is enabled`;
        throw new EngineError("plugin.enabled", text);
      }
      const { runtime, files, table } = this.#shop;
      try {
        await runtime.start(runRequestOf(record, files), operation);
      } catch (thrown) {
        throw await startFailure(this.#shop, record, thrown);
      }
      const enabled = { ...record, isEnabled: true, isPaused: false, previous: null };
      try {
        await table.put(enabled);
      } catch (error) {
        await this.#end(record);
        throw error;
      }
      if (record.previous !== null) await tidyVersions(this.#shop, id);
      return pluginOf(enabled);
    });
  }

  disable(id: PluginId, operation: Operation): Promise<ManagedPlugin> {
    return this.#stop(id, operation, { isPaused: false });
  }

  pause(id: PluginId, operation: Operation): Promise<ManagedPlugin> {
    return this.#stop(id, operation, { isPaused: true });
  }

  #stop(
    id: PluginId,
    operation: Operation,
    how: { readonly isPaused: boolean },
  ): Promise<ManagedPlugin> {
    return this.#change(id, operation, async (record) => {
      // Whoever disables what an upgrade has paused wants it to stay so.
      if (!record.isEnabled && (how.isPaused || !record.isPaused)) {
        const text = `plugin is already disabled: plugin ${record.name} found but disabled`;
        throw new EngineError("plugin.disabled", text);
      }
      const disabled = { ...record, isEnabled: false, ...how };
      await this.#shop.table.put(disabled);
      // From here on it is done, whoever gives up waiting: a process that does not end is told of.
      await this.#end(record);
      return pluginOf(disabled);
    });
  }

  set(id: PluginId, words: readonly string[], operation: Operation): Promise<ManagedPlugin> {
    return this.#change(id, operation, async (record) => {
      if (record.isEnabled) {
        throw new EngineError(
          "plugin.enabled",
          "cannot set on an active plugin, disable plugin before setting",
        );
      }
      const { version, settings } = record;
      const set = applySettings({ config: version.config, settings }, words);
      const changed: PluginRecord = {
        ...record,
        version: { ...version, config: set.config },
        settings: set.settings,
      };
      await this.#shop.table.put(changed);
      return pluginOf(changed);
    });
  }

  remove(id: PluginId, how: { readonly force: boolean }, operation: Operation): Promise<void> {
    return this.#change(id, operation, async (record) => {
      if (record.isEnabled && !how.force) {
        throw new EngineError("plugin.enabled", `plugin ${record.name} is enabled`);
      }
      const { table, files, leftovers, runtime } = this.#shop;
      await table.remove(id);
      await this.#end(record);
      await leftovers.destroy([files.of(id)]);
      collectBlobs(this.#shop);
      await runtime.forget(id);
    });
  }

  login(request: LoginRequest, operation: Operation): Promise<RegistryLogin> {
    return this.#shop.images.login(request, this.#endable(operation));
  }

  async push(
    id: PluginId,
    call: RegistryCall,
    tell: TellProgress,
    operation: Operation,
  ): Promise<void> {
    const { images, store, table } = this.#shop;
    const { name, version } = table.get(id);
    const image = { ...version, manifest: await store.read(version.digest) };
    const reference = parsePluginReference(name);
    await images.push(reference, image, call, tell, this.#endable(operation));
  }

  async logs(id: PluginId, countMax: number): Promise<readonly PluginLogLine[]> {
    this.#shop.table.get(id);
    return await this.#shop.runtime.logs(id, countMax);
  }

  endpoints(): readonly ManagedEndpoint[] {
    const { table, runtime, files } = this.#shop;
    return table
      .records()
      .filter(isVolumeDriver)
      .map((record) => {
        const { id } = record;
        return endpointOf(record, { files, state: runtime.state(id), sinceMs: table.sinceMs(id) });
      });
  }

  followEndpoints(listener: () => void): () => void {
    return this.#shop.table.follow(listener);
  }

  /** Calls of one plugin wait for each other, and see what the one before has left. */
  #change<T>(
    id: PluginId,
    operation: Operation,
    work: (record: PluginRecord) => Promise<T>,
  ): Promise<T> {
    return this.#shop.table.locked(id, operation, async () => {
      // Otherwise what is stopped here would be started there.
      await this.#adopted;
      this.#refuseStopping();
      return await work(this.#shop.table.get(id));
    });
  }

  /** Ends the process. Never throws: the record says already that nothing is to run. */
  async #end({ id, name }: PluginRecord): Promise<void> {
    const { runtime, operation, log } = this.#shop;
    try {
      await runtime.stop(id, operation());
    } catch (thrown) {
      const { code, message } = toEngineError(thrown);
      log.warn("the process of a plugin has not ended", { plugin: name, code, error: message });
    }
  }

  /** Of a transfer, which is not waited for at the end: nobody is told that it was done. */
  #endable(operation: Operation): Operation {
    const signal = AbortSignal.any([operation.signal, this.#closing.signal]);
    return { ...operation, signal };
  }

  #refuseStopping(): void {
    this.#stopping.signal.throwIfAborted();
  }
}
