// Plugins as callers know them: what is installed, whether its volumes are in use, and what is told
// of each change.
//
// Installing and running is done behind `ManagedPlugins`, which counts nothing. Here is decided
// whether a plugin may be stopped: one is in use while a volume of it is known.
import { EngineError, toEngineError } from "../../core/errors.ts";
import type { LeaseService } from "../../core/lease-service.ts";
import type { DriverName } from "../../core/names.ts";
import { type Operation, unfired } from "../../core/operation.ts";
import type {
  LoginRequest,
  ManagedPlugin,
  ManagedPlugins,
  PluginHost,
  PluginLogLine,
  PluginPrivilege,
  PluginPull,
  PluginStatus,
  PullRequest,
  RegistryCall,
  RegistryLogin,
  TellProgress,
} from "../../core/plugin.ts";
import type { StateStore } from "../../core/state-store.ts";
import type { Drivers } from "../drivers.ts";
import type { EventLog } from "../event-log.ts";
import type { UseGuard } from "../use-guard.ts";

/** A managed plugin with what is known of it now. */
export interface PluginView {
  readonly plugin: ManagedPlugin;
  /** undefined: it is no volume driver. */
  readonly status: PluginStatus | undefined;
  /** How many volumes of it are known. */
  readonly volumeCount: number;
}

/** A plugin that is a volume driver. */
export interface DriverPluginView {
  readonly status: PluginStatus;
  readonly volumeCount: number;
}

export interface PluginsParts {
  readonly managed: ManagedPlugins;
  readonly plugins: PluginHost;
  readonly state: StateStore;
  readonly leases: LeaseService;
  readonly events: EventLog;
  readonly guard: Pick<UseGuard, "settle">;
  readonly drivers: Pick<Drivers, "isOfPlugin" | "pluginStatus">;
}

/**
 * Plugins go by what the caller calls them: a full id, a name with or without the tag `latest`, or
 * the unique beginning of an id. Each call about one throws `plugin.not_found`, `plugin.ambiguous`,
 * and what `ManagedPlugins` throws.
 */
export class Plugins {
  readonly #parts: PluginsParts;

  constructor(parts: PluginsParts) {
    this.#parts = parts;
  }

  /** Managed plugins, sorted by name. O(volumes). */
  list(): readonly PluginView[] {
    const counts = this.#volumeCounts();
    return this.#parts.managed.list().map((plugin) => this.#view(plugin, counts));
  }

  /**
   * Plugins that run by themselves, sorted by name: those that are found, and those that are not
   * and whose volumes are known. O(volumes).
   */
  sockets(): readonly DriverPluginView[] {
    const { plugins, managed, drivers } = this.#parts;
    const counts = this.#volumeCounts();
    const found = plugins.statuses().filter(({ kind }) => kind === "socket");
    const known = new Set<string>([
      ...plugins.statuses().map(({ name }) => name),
      ...managed.list().map(({ name }) => name),
    ]);
    const absent = [...counts.keys()].filter(
      (name) => drivers.isOfPlugin(name) && !known.has(name),
    );
    return [...found, ...absent.map((name) => drivers.pluginStatus(name))]
      .map((status) => ({ status, volumeCount: counts.get(status.name) ?? 0 }))
      .sort((left, right) => (left.status.name < right.status.name ? -1 : 1));
  }

  /** All that are volume drivers: managed ones, then `sockets`. O(volumes). */
  ofVolumes(): readonly DriverPluginView[] {
    const managed = this.list().flatMap(({ status, volumeCount }) =>
      status === undefined ? [] : [{ status, volumeCount }],
    );
    return [...managed, ...this.sockets()];
  }

  find(text: string): PluginView {
    return this.#view(this.#find(text), this.#volumeCounts());
  }

  /** What the plugin at `remote` asks for. */
  privileges(
    remote: string,
    call: RegistryCall,
    operation: Operation,
  ): Promise<readonly PluginPrivilege[]> {
    return this.#parts.managed.privileges(remote, call, operation);
  }

  /** Begins an installation; Docker's event `pull` is told when the rest begins. */
  async pull(request: PullRequest, operation: Operation): Promise<PluginPull> {
    const pull = await this.#parts.managed.pull(request, operation);
    // A second one of this name is refused at once, and does not wait for all that the first pulls.
    return this.#told(pull, request, (run) => run());
  }

  /** Begins an upgrade of a plugin that is stopped. Throws `plugin.enabled`. */
  async upgrade(text: string, request: PullRequest, operation: Operation): Promise<PluginPull> {
    const { managed } = this.#parts;
    const { id } = this.#find(text);
    const upgrade = await managed.upgrade(id, request, operation);
    return this.#told(upgrade, request, (run, own) => this.#alone(upgrade.name, own, run));
  }

  /**
   * Brings the new version here, stops the plugin, upgrades it and starts it again; its volumes
   * stay listed. A registry that is slow, refuses or wants more privileges stops nothing. One that
   * was stopped stays so. When it throws, everything is as it was, or the message says what is not.
   * Throws `plugin.in_use` while somebody has a volume of it: their data would go away under their
   * feet.
   */
  async upgradeInPlace(
    text: string,
    request: PullRequest,
    tell: TellProgress,
    operation: Operation,
  ): Promise<PluginView> {
    const { managed, events } = this.#parts;
    const { id, name, isEnabled } = this.#find(text);
    using stack = new DisposableStack();
    if (isEnabled) {
      await this.#refuseHeld(name, operation);
      stack.use(await managed.fetch(request, tell, operation));
      // It took a while.
      await this.#refuseHeld(name, operation);
      // A daemon that dies before the end has it running again after its next start.
      await this.#alone(name, operation, () => managed.pause(id, operation));
      events.plugin("disable", id, text);
    }
    try {
      const pull = await this.upgrade(text, request, operation);
      await pull.run(isEnabled ? fromUnpacking(tell) : tell, operation);
      if (isEnabled) await this.enable(text, operation);
    } catch (error) {
      throw isEnabled ? await this.#broughtBack(name, error, operation) : error;
    }
    return this.find(text);
  }

  /** Starts it, and resolves when its socket answers. */
  async enable(text: string, operation: Operation): Promise<PluginView> {
    const { managed, events } = this.#parts;
    const { id, name } = this.#find(text);
    await this.#alone(name, operation, () => managed.enable(id, operation));
    events.plugin("enable", id, text);
    return this.find(id);
  }

  /** Stops it. Throws `plugin.in_use` while it has volumes, unless forced: they stay listed. */
  async disable(
    text: string,
    { force }: { readonly force: boolean },
    operation: Operation,
  ): Promise<PluginView> {
    const { managed, events } = this.#parts;
    const { id, name } = this.#find(text);
    await this.#alone(name, operation, async () => {
      if (!force) this.#refuseInUse(name);
      await managed.disable(id, operation);
    });
    events.plugin("disable", id, text);
    return this.find(id);
  }

  async set(text: string, words: readonly string[], operation: Operation): Promise<PluginView> {
    const { managed } = this.#parts;
    const { id, name } = this.#find(text);
    await this.#alone(name, operation, () => managed.set(id, words, operation));
    return this.find(id);
  }

  /** Removes it. Throws `plugin.in_use` while it has volumes, unless forced: they stay listed. */
  async remove(
    text: string,
    { force }: { readonly force: boolean },
    operation: Operation,
  ): Promise<void> {
    const { managed, events } = this.#parts;
    const { id, name, isEnabled } = this.#find(text);
    await this.#alone(name, operation, async () => {
      if (!force) this.#refuseInUse(name);
      await managed.remove(id, { force }, operation);
    });
    if (force && isEnabled) events.plugin("disable", id, text);
    events.plugin("remove", id, text);
  }

  /** Makes a plugin of a tar: see `ManagedPlugins.create`. */
  async create(
    name: string,
    context: AsyncIterable<Uint8Array>,
    operation: Operation,
  ): Promise<PluginView> {
    const { managed, events } = this.#parts;
    const plugin = await managed.create(name, context, operation);
    events.plugin("create", plugin.id, plugin.name);
    return this.find(plugin.id);
  }

  /** Whether a registry accepts a login: see `ManagedPlugins.login`. */
  login(request: LoginRequest, operation: Operation): Promise<RegistryLogin> {
    return this.#parts.managed.login(request, operation);
  }

  async push(
    text: string,
    call: RegistryCall,
    tell: TellProgress,
    operation: Operation,
  ): Promise<void> {
    const { managed } = this.#parts;
    await managed.push(this.#find(text).id, call, tell, operation);
  }

  /** The last lines that it wrote, oldest first. */
  logs(text: string, countMax: number): Promise<readonly PluginLogLine[]> {
    const { managed } = this.#parts;
    return managed.logs(this.#find(text).id, countMax);
  }

  /**
   * Plugins with a volume that somebody has: stopping them would take its data away, and a clean
   * stop leaves them running.
   */
  held(): ReadonlySet<DriverName> {
    const { state, drivers } = this.#parts;
    return state.read((view) => {
      const names = new Set<DriverName>();
      for (const { name, driver } of view.volumes()) {
        if (names.has(driver) || !drivers.isOfPlugin(driver)) continue;
        if (view.holders(name).length > 0) names.add(driver);
      }
      return names;
    });
  }

  /** As `ManagedPlugins.find`; who means a plugin that runs by itself is told so. */
  #find(text: string): ManagedPlugin {
    const { managed, plugins } = this.#parts;
    try {
      return managed.find(text);
    } catch (error) {
      const isUnknown = error instanceof EngineError && error.code === "plugin.not_found";
      const status = isUnknown ? plugins.status(text) : undefined;
      if (status?.kind !== "socket" || status.state === "gone") throw error;
      const where = status.address === "" ? "" : ` at ${status.address}`;
      throw new EngineError(
        "plugin.not_found",
        `plugin ${JSON.stringify(text)} not found: what has this name runs by itself${where}, ` +
          "and is started, stopped and upgraded there",
        { cause: error },
      );
    }
  }

  #view(plugin: ManagedPlugin, counts: ReadonlyMap<DriverName, number>): PluginView {
    const status = this.#parts.plugins.status(plugin.name);
    const volumeCount = counts.get(nameOf(plugin)) ?? 0;
    return { plugin, status: status?.kind === "managed" ? status : undefined, volumeCount };
  }

  #volumeCounts(): ReadonlyMap<DriverName, number> {
    return this.#parts.state.read((view) => {
      const counts = new Map<DriverName, number>();
      for (const { driver } of view.volumes()) counts.set(driver, (counts.get(driver) ?? 0) + 1);
      return counts;
    });
  }

  /** Docker tells of a pull when it begins, also of one that is refused in the end. */
  #told(
    pull: PluginPull,
    { remote }: PullRequest,
    around: (run: () => Promise<ManagedPlugin>, operation: Operation) => Promise<ManagedPlugin>,
  ): PluginPull {
    const { events } = this.#parts;
    return {
      name: pull.name,
      run: (tell, operation) => {
        events.plugin("pull", remote, pull.name);
        return around(() => pull.run(tell, operation), operation);
      },
    };
  }

  async #alone<T>(name: string, operation: Operation, work: () => Promise<T>): Promise<T> {
    const { leases } = this.#parts;
    await using _lease = await leases.acquire(`plugin:${name}`, "exclusive", operation);
    return await work();
  }

  #refuseInUse(name: string): void {
    const isUsed = this.#parts.state.read((view) =>
      [...view.volumes()].some(({ driver }) => driver === name),
    );
    if (!isUsed) return;
    throw new EngineError("plugin.in_use", `plugin ${name} is in use`, { details: { name } });
  }

  async #refuseHeld(plugin: string, operation: Operation): Promise<void> {
    const { state, guard } = this.#parts;
    const held = () =>
      state.read((view) =>
        [...view.volumes()]
          .filter(({ name, driver }) => driver === plugin && view.holders(name).length > 0)
          .map(({ name }) => name),
      );
    await guard.settle(held(), operation);
    const volumes = held();
    if (volumes.length === 0) return;
    throw new EngineError(
      "plugin.in_use",
      `plugin ${plugin} is in use: somebody has its volumes ${shortList(volumes)}; stop those ` +
        "containers first",
      { details: { name: plugin, volumes } },
    );
  }

  /** Has the version before run again, and the error say so; or say why it does not. */
  async #broughtBack(name: string, thrown: unknown, operation: Operation): Promise<EngineError> {
    const error = toEngineError(thrown);
    let what = `plugin ${name} runs again`;
    try {
      if (!this.#find(name).isEnabled) {
        // Also for a caller who has gone: the plugin ran before.
        const own = unfired(operation);
        await this.enable(name, own);
      }
    } catch (failure) {
      what = `plugin ${name} could not be started again: ${toEngineError(failure).message}`;
    }
    return new EngineError(error.code, `${error.message}; ${what}`, {
      cause: error,
      details: error.details,
    });
  }
}

function nameOf({ name }: ManagedPlugin): DriverName {
  return name as DriverName; // A canonical name, as it stands in rows.
}

/** The first three names, and how many more there are. */
function shortList(names: readonly string[]): string {
  const more = names.length - 3;
  return names.slice(0, 3).join(", ") + (more > 0 ? ` and ${more} more` : "");
}

/** Leaves out what was told of the download already. */
function fromUnpacking(tell: TellProgress): TellProgress {
  let isUnpacking = false;
  return (progress) => {
    isUnpacking ||= progress.status === "Extracting";
    if (isUnpacking) tell(progress);
  };
}
