// An engine for one test: a real state in memory, drivers of the test's choice, a clock it moves.
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { localLeases } from "../../src/cluster/local-leases.ts";
import type { ContainerEngineFinder } from "../../src/core/container-engine.ts";
import type { TrashCapable, VolumeDriver } from "../../src/core/driver.ts";
import { EngineError } from "../../src/core/errors.ts";
import type { DataPlaces, ForeignVolumesFinder } from "../../src/core/foreign-volumes.ts";
import type { Host } from "../../src/core/host.ts";
import type { LeaseService } from "../../src/core/lease-service.ts";
import { makeOperationId } from "../../src/core/names.ts";
import { type Log, type Operation, systemCaller } from "../../src/core/operation.ts";
import type { SecretStore } from "../../src/core/secret-store.ts";
import type { StateStore, VolumeEntry } from "../../src/core/state-store.ts";
import { localDriver } from "../../src/drivers/local/driver.ts";
import { scratchDriver } from "../../src/drivers/scratch/driver.ts";
import { type Engine, startEngine } from "../../src/engine/engine.ts";
import type { ExaminingParts, TrashingParts } from "../../src/engine/engine-parts.ts";
import type { EngineEvent } from "../../src/engine/event-log.ts";
import type { HealthClock } from "../../src/engine/health/health.ts";
import type { PluginParts } from "../../src/engine/plugins/no-plugins.ts";
import { trashDefaults } from "../../src/engine/trash/policy.ts";
import type { CreateRequest } from "../../src/engine/volumes.ts";
import { dataPlaces } from "../../src/host/data-places.ts";
import { linuxHost } from "../../src/host/linux.ts";
import { openSecrets } from "../../src/secrets/disk-secrets.ts";
import { eventually } from "./child.ts";
import { memoryBinds } from "./memory-binds.ts";
import { MemoryPlugins } from "./memory-plugins.ts";
import { openIn, temporaryDirectory } from "./state-bench.ts";

/** How long background work of a test may take, in milliseconds. */
const BACKGROUND_MS_MAX = 5_000;

/** One line of the log. */
export interface LogLine {
  readonly level: keyof Log;
  readonly message: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

export interface EngineBenchParts {
  /** Drivers over the test's own folder; by default the real `local` and the scratch driver. */
  readonly drivers?: (bench: EngineBench) => readonly VolumeDriver[];
  /** Something around the state, such as one that fails. */
  readonly state?: (state: StateStore) => StateStore;
  readonly host?: (host: Host) => Host;
  /** Leases that outlive a restart; those in memory, by default. */
  readonly leases?: () => Promise<LeaseService>;
  /** The container engines that there are; nobody, by default. */
  readonly finder?: ContainerEngineFinder;
  /** When a volume with several writers is looked into. */
  readonly lookAfterMs?: readonly number[];
  /** Engines whose volumes can be adopted; none, by default. */
  readonly foreign?: (bench: EngineBench) => ForeignVolumesFinder;
  /** Directory operations, such as ones that fail. */
  readonly places?: DataPlaces;
  /** By default nothing stays in the trash, and it may take all the room. */
  readonly trash?: Partial<TrashingParts>;
  /** By which storage is judged; by nothing, by default. */
  /** Another store around the real one. */
  readonly secrets?: ((own: SecretStore) => SecretStore) | undefined;
  readonly examining?: ExaminingParts;
  /** Plugins in the test's own folder; none, by default. */
  readonly plugins?: (plugins: MemoryPlugins) => void;
  /** The clock of the looks at storage; the machine's, by default. */
  readonly healthClock?: HealthClock;
  /** Plugins of the test's own, instead of those. */
  readonly pluginParts?: PluginParts;
}

const nobodysVolumes: ForeignVolumesFinder = { of: () => undefined };

const trashOff: TrashingParts = {
  defaults: { ...trashDefaults, isOn: false },
  budget: { kind: "none" },
};

const nobodyFinder: ContainerEngineFinder = {
  ofCaller: () => undefined,
  ofKey: () => undefined,
  running: () => [],
};

/** The engine with its surroundings; `restart` is a new life over the same storage. */
export class EngineBench implements AsyncDisposable {
  readonly #folder = temporaryDirectory();
  readonly #parts: EngineBenchParts;
  readonly log: LogLine[] = [];
  readonly events: EngineEvent[] = [];
  readonly host: Host;
  /** Instead of real mounts; they outlive a restart, as those do. */
  readonly binds = memoryBinds();
  /** They outlive a restart too. */
  readonly plugins: MemoryPlugins;
  /** Wall clock in milliseconds since the epoch. */
  nowMs = Date.UTC(2026, 9, 15, 20);
  #state: StateStore;
  #engine: Engine | undefined;

  constructor(parts: EngineBenchParts) {
    this.#parts = parts;
    const host = { ...linuxHost(), ...this.binds.host, nowMs: () => this.nowMs };
    this.host = parts.host?.(host) ?? host;
    this.plugins = new MemoryPlugins(join(this.#folder.path, "plugins"));
    parts.plugins?.(this.plugins);
    this.#state = this.#openState();
  }

  /** The data root of all drivers. */
  get root(): string {
    return join(this.#folder.path, "root");
  }

  get state(): StateStore {
    return this.#state;
  }

  get engine(): Engine {
    if (this.#engine === undefined) throw new Error("the engine has not been started");
    return this.#engine;
  }

  operation(signal = new AbortController().signal): Operation {
    const line =
      (level: keyof Log) =>
      (message: string, fields: LogLine["fields"] = {}) =>
        void this.log.push({ level, message, fields });
    return {
      id: makeOperationId("test"),
      caller: systemCaller,
      signal,
      log: { debug: line("debug"), info: line("info"), warn: line("warn"), error: line("error") },
    };
  }

  /** Where the key of the secrets is, once there is one. */
  get secretKey(): string {
    return join(this.#folder.path, "etc", "secret.key");
  }

  /** Where holds are mounted. */
  get holdsDirectory(): string {
    const directory = join(this.root, "holds");
    mkdirSync(directory, { recursive: true });
    return directory;
  }

  #openSecrets(): SecretStore {
    const { root, secretKey, host } = this;
    return openSecrets({ root, keyPath: secretKey, host, log: this.operation().log });
  }

  async start(): Promise<void> {
    const drivers = this.#parts.drivers?.(this) ?? [this.local(), this.scratch()];
    mkdirSync(this.root, { recursive: true });
    this.#engine = await startEngine({
      host: this.host,
      state: this.#state,
      leases: (await this.#parts.leases?.()) ?? localLeases(this.host),
      secrets: this.#parts.secrets?.(this.#openSecrets()) ?? this.#openSecrets(),
      drivers,
      plugins: this.#parts.pluginParts ?? this.plugins.parts,
      systemOperation: () => this.operation(),
      holding: {
        finder: this.#parts.finder ?? nobodyFinder,
        directory: this.holdsDirectory,
        graces: { startMs: 1_000, copyMs: 20_000 },
        policy: "stop",
        lookAfterMs: this.#parts.lookAfterMs,
      },
      adopting: {
        foreign: this.#parts.foreign?.(this) ?? nobodysVolumes,
        places: this.#parts.places ?? dataPlaces,
      },
      trash: { ...trashOff, ...this.#parts.trash },
      healthClock: this.#parts.healthClock,
      examining: this.#parts.examining,
    });
    this.#engine.events.follow((event) => this.events.push(event));
  }

  /**
   * Ends this life and begins the next one with the same drivers. `between`: what a crash left
   * undone, or somebody did meanwhile.
   */
  async restart(between: () => void = () => undefined): Promise<void> {
    await this.stop();
    between();
    this.#state = this.#openState();
    await this.start();
  }

  async stop(): Promise<void> {
    await this.#engine?.stop();
    await this.#state.close();
    this.#engine = undefined;
  }

  local(): VolumeDriver {
    return localDriver({ root: this.root, host: this.host });
  }

  scratch(): VolumeDriver {
    return scratchDriver({ ...this.host, root: this.scratchRoot });
  }

  /** Where the scratch driver keeps its volumes: it must not share a folder with `local`. */
  get scratchRoot(): string {
    return this.#folder.path;
  }

  /** What a volume's directory is in, below the data root. */
  volumePath(name: string): string {
    return join(this.root, "volumes", name);
  }

  /** Resolves when nothing that was removed takes space any more. */
  async purged(): Promise<void> {
    const left = () => this.#state.read((view) => [...view.retired()].length);
    await eventually(() => (left() === 0 ? true : undefined), {
      timeoutMs: BACKGROUND_MS_MAX,
      otherwise: () => `${left()} removed volumes were not purged: ${JSON.stringify(this.log)}`,
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
    this.#folder[Symbol.dispose]();
  }

  #openState(): StateStore {
    const state = openIn(this.#folder.path);
    return this.#parts.state?.(state) ?? state;
  }
}

/** A bench whose engine runs. */
export async function startedEngine(parts: EngineBenchParts = {}): Promise<EngineBench> {
  const bench = new EngineBench(parts);
  await bench.start();
  return bench;
}

/** What a piece of work fails with; a work that succeeds fails the test. */
export async function failureOf(work: Promise<unknown> | (() => unknown)): Promise<EngineError> {
  let value: unknown;
  try {
    value = await (typeof work === "function" ? work() : work);
  } catch (error) {
    if (error instanceof EngineError) return error;
    throw error;
  }
  throw new Error(`it should have failed, and gave ${JSON.stringify(value)}`);
}

/** A create of this name with nothing else said. */
export function named(name: string, more: Partial<CreateRequest> = {}): CreateRequest {
  return { name, options: null, labels: null, ...more };
}

export function create(bench: EngineBench, request: CreateRequest): Promise<VolumeEntry> {
  return bench.engine.volumes.create(request, bench.operation());
}

/** The names of all volumes, in the engine's order. */
export function names(bench: EngineBench): readonly string[] {
  return bench.engine.volumes.list({}).map((entry) => entry.name);
}

/** Some members of a driver, to replace its own. */
type DriverChange = (driver: VolumeDriver, bench: EngineBench) => Partial<VolumeDriver>;

/** The local driver with some of its members replaced. */
export function changedLocal(change: DriverChange): EngineBenchParts {
  return { drivers: (bench) => [changed(bench.local(), change, bench)] };
}

/** The scratch driver with some of its members replaced. */
export function changedScratch(change: DriverChange): EngineBenchParts {
  return { drivers: (bench) => [changed(bench.scratch(), change, bench)] };
}

function changed(driver: VolumeDriver, change: DriverChange, bench: EngineBench): VolumeDriver {
  return { ...driver, ...change(driver, bench) };
}

/** The local driver with another trash. */
export function changedTrash(
  change: (trash: TrashCapable, bench: EngineBench) => Partial<TrashCapable>,
): EngineBenchParts {
  return changedLocal(({ trash }, bench) => {
    if (trash === undefined) throw new Error("local has a trash");
    return { trash: { ...trash, ...change(trash, bench) } };
  });
}
