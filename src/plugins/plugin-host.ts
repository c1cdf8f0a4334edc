// All plugins that are volume drivers, by name: managed ones first, then those with a socket.
import type { VolumeDriver } from "../core/driver.ts";
import type { Host } from "../core/host.ts";
import type { DriverName, HolderId, VolumeName } from "../core/names.ts";
import type { Log, Operation } from "../core/operation.ts";
import type {
  CountedMount,
  ManagedEndpoint,
  ManagedEndpoints,
  PluginHost,
  PluginStatus,
} from "../core/plugin.ts";
import { canonicalPluginName } from "../core/plugin-reference.ts";
import { pluginDriver } from "./plugin-driver.ts";
import { PluginLife, type PluginSight } from "./plugin-life.ts";
import { PluginMounts } from "./plugin-mounts.ts";
import type { PluginMethod } from "./protocol/methods.ts";
import { SocketDiscovery } from "./sockets/discovery.ts";
import type { FoundPlugin, PluginDirectories } from "./sockets/find-plugins.ts";

/** What `lookAgain` may take, in milliseconds. */
const LOOK_MS_MAX = 90;
/** Names of plugins that are gone are remembered, up to this many. */
const GONE_COUNT_MAX = 1_000;

export interface PluginHostParts {
  readonly directories: PluginDirectories;
  /** Where we listen ourselves, by whatever path. */
  readonly ownSockets: readonly string[];
  readonly managed: ManagedEndpoints | undefined;
  /** Absolute: where our mounts of plugins' volumes are. Made when it is first needed. */
  readonly mountsDirectory: string;
  readonly host: Host;
  /** Puts deadlines and a breaker of its own around a driver. */
  readonly wrap: (driver: VolumeDriver) => VolumeDriver;
  /** For what is asked on our own account. */
  readonly operation: () => Operation;
  readonly log: Log;
  /** Replaces times of `pluginMethods`, in milliseconds: for tests. */
  readonly timeoutsMs?: Readonly<Partial<Record<PluginMethod, number>>> | undefined;
}

/** `PluginHost` with a beginning and an end; before `start` it knows no plugin. */
export interface RunningPluginHost extends PluginHost {
  start(): void;
  stop(): Promise<void>;
}

/** See core/plugin.ts for what each member promises. */
export function makePluginHost(parts: PluginHostParts): RunningPluginHost {
  const host = new Plugins(parts);
  return {
    driver: (name) => host.driver(name),
    statuses: () => host.statuses(),
    status: (name) => host.status(name),
    follow: (listener) => host.follow(listener),
    lookAgain: () => host.lookAgain(),
    release: (...what) => host.release(...what),
    counted: (plugin) => host.counted(plugin),
    start: () => host.start(),
    stop: () => host.stop(),
  };
}

type Lives = Map<string, PluginLife>;

class Plugins implements RunningPluginHost {
  readonly #parts: PluginHostParts;
  readonly #managed: Lives = new Map();
  readonly #sockets: Lives = new Map();
  readonly #listeners = new Set<(status: PluginStatus) => void>();
  readonly #discovery: SocketDiscovery;
  #unfollow: (() => void) | undefined;

  constructor(parts: PluginHostParts) {
    this.#parts = parts;
    const { directories, ownSockets, log } = parts;
    const found = (plugins: ReadonlyMap<string, FoundPlugin>) => this.#seeSockets(plugins);
    this.#discovery = new SocketDiscovery({ directories, ownSockets, found, log });
  }

  start(): void {
    const { managed } = this.#parts;
    this.#unfollow = managed?.followEndpoints(() => this.#seeManaged(managed));
    if (managed !== undefined) this.#seeManaged(managed);
    this.#discovery.start();
  }

  async stop(): Promise<void> {
    this.#unfollow?.();
    this.#discovery.stop();
    this.#listeners.clear();
    for (const life of this.#all()) life.stop();
  }

  driver(name: string): VolumeDriver | undefined {
    const life = this.#life(name);
    if (life === undefined || life.isGone) return undefined;
    life.driver ??= this.#makeDriver(life);
    return life.driver;
  }

  statuses(): readonly PluginStatus[] {
    const shown = new Map<string, PluginStatus>();
    for (const life of this.#all()) {
      const { status } = life;
      if (!life.isGone && !shown.has(status.name)) shown.set(status.name, status);
    }
    return [...shown.values()].sort((left, right) => (left.name < right.name ? -1 : 1));
  }

  status(name: string): PluginStatus | undefined {
    const life = this.#life(name);
    return life === undefined || (life.isOther && life.isGone) ? undefined : life.status;
  }

  follow(listener: (status: PluginStatus) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async lookAgain(): Promise<void> {
    const { promise: late, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, LOOK_MS_MAX);
    await Promise.race([this.#discovery.look(), late]);
    clearTimeout(timer);
  }

  async release(
    plugin: DriverName,
    volume: VolumeName,
    holder: HolderId,
    operation: Operation,
  ): Promise<void> {
    const mounts = this.#mountsOf(plugin);
    const place = mounts.place(volume, holder);
    if (!mounts.isKnown(place)) return;
    await mounts.unbind(place, operation);
    mounts.removePlace(place);
  }

  counted(plugin: DriverName): readonly CountedMount[] {
    return this.#mountsOf(plugin).counted();
  }

  *#all(): Iterable<PluginLife> {
    yield* this.#managed.values();
    yield* this.#sockets.values();
  }

  /** Docker's order; a managed plugin that is disabled hides a socket of its name, as there. */
  #life(name: string): PluginLife | undefined {
    const managed = this.#managed.get(name) ?? this.#managed.get(canonicalPluginName(name) ?? "");
    const socket = this.#sockets.get(name);
    return managed === undefined || (managed.isGone && socket?.isGone === false) ? socket : managed;
  }

  #makeDriver(life: PluginLife): VolumeDriver {
    const { host, wrap } = this.#parts;
    const { name } = life.status;
    const { scope, holders, doubtful } = life;
    const mounts = this.#mountsOf(name);
    return wrap(pluginDriver({ name, scope, access: life, mounts, holders, doubtful, host }));
  }

  #mountsOf(plugin: DriverName): PluginMounts {
    const { host, mountsDirectory: directory } = this.#parts;
    return new PluginMounts({ directory, plugin, host });
  }

  #seeManaged(managed: ManagedEndpoints): void {
    const seen = new Map<DriverName, PluginSight>();
    for (const endpoint of managed.endpoints()) seen.set(endpoint.name, sightOf(endpoint));
    this.#seeAll("managed", this.#managed, seen);
  }

  #seeSockets(plugins: ReadonlyMap<string, FoundPlugin>): void {
    const seen = new Map<DriverName, PluginSight>();
    for (const { name, address, reason, life } of plugins.values()) {
      const state = address === undefined ? "unreadable" : "listening";
      const about = { root: undefined, restartCount: 0, sinceMs: undefined };
      seen.set(name, { state, life, address, reason, ...about });
    }
    this.#seeAll("socket", this.#sockets, seen);
  }

  #seeAll(
    kind: PluginStatus["kind"],
    lives: Lives,
    seen: ReadonlyMap<DriverName, PluginSight>,
  ): void {
    for (const [name, life] of lives) {
      if (!seen.has(life.status.name)) life.leave();
      if (life.isGone && !life.isOther && lives.size > seen.size + GONE_COUNT_MAX) {
        lives.delete(name);
      }
    }
    const { host, operation, timeoutsMs } = this.#parts;
    for (const [name, sight] of seen) {
      let life = lives.get(name);
      if (life === undefined) {
        const changed = (status: PluginStatus) => this.#tell(status);
        life = new PluginLife({ name, kind, host, operation, changed, timeoutsMs });
        lives.set(name, life);
      }
      life.see(sight);
    }
  }

  #tell(status: PluginStatus): void {
    const { log } = this.#parts;
    const { name, state, reason } = status;
    if (state === "unreachable") log.warn("a plugin does not answer", { plugin: name, reason });
    else log.info("a plugin has another state", { plugin: name, state, reason });
    for (const listener of [...this.#listeners]) listener(status);
  }
}

function sightOf(endpoint: ManagedEndpoint): PluginSight {
  const { state, life, rootfs, propagated, reason, restartCount, sinceMs, socketPath } = endpoint;
  const isRunning = state === "running" && socketPath !== "";
  return {
    state: isRunning ? "listening" : state === "running" ? "starting" : state,
    life,
    address: isRunning ? { kind: "unix", path: socketPath, isPlain: true } : undefined,
    root: { rootfs, propagated },
    reason,
    restartCount,
    sinceMs: isRunning ? undefined : sinceMs,
  };
}
