// The engine: its parts, put together once, for the faces that translate to it.
import type { ContainerEngineFinder } from "../core/container-engine.ts";
import type { VolumeDriver } from "../core/driver.ts";
import { EngineError } from "../core/errors.ts";
import type { DataPlaces, ForeignVolumesFinder } from "../core/foreign-volumes.ts";
import type { Host } from "../core/host.ts";
import type { LeaseService } from "../core/lease-service.ts";
import type { Operation } from "../core/operation.ts";
import type { SecretStore } from "../core/secret-store.ts";
import type { RetiredEntry, StateStore, VolumeEntry } from "../core/state-store.ts";
import type { StorageJudge } from "../core/volume-report.ts";
import { Adoptions } from "./adoptions.ts";
import type { ContainerLists } from "./container-lists.ts";
import { Drivers } from "./drivers.ts";
import { EventLog } from "./event-log.ts";
import { Health, type HealthClock } from "./health.ts";
import type { StorageCare } from "./health-care.ts";
import { History, tellingState } from "./history.ts";
import { restoreHolds } from "./hold-restore.ts";
import type { HoldSettler } from "./hold-settler.ts";
import type { HoldGraces } from "./hold-table.ts";
import { Holds, type HoldsParts } from "./holds.ts";
import { LastUse } from "./last-use.ts";
import { LockSight } from "./lock-sight.ts";
import type { Locks } from "./locks.ts";
import { noPlugins, type PluginParts } from "./no-plugins.ts";
import { PluginVolumes } from "./plugin-volumes.ts";
import { Plugins } from "./plugins.ts";
import { PrunePlans } from "./prune-plans.ts";
import { Pruner } from "./pruning.ts";
import { Publishing } from "./publishing.ts";
import { recover } from "./recovery.ts";
import type { RecoveryReport } from "./recovery-stage.ts";
import { Secrets } from "./secrets.ts";
import type { SharedDatabases } from "./shared-databases.ts";
import type { SharingJudge, ViolationPolicy } from "./sharing-judge.ts";
import { fateAnyTime } from "./trash/fate-text.ts";
import { fateOf, isKeptInTrash, isPurgedAtOnce, type TrashDefaults } from "./trash/policy.ts";
import { Purger } from "./trash/purger.ts";
import { Trash, type TrashParts } from "./trash/trash.ts";
import { UnfinishedRemovals } from "./unfinished-removals.ts";
import { UnfinishedRenames } from "./unfinished-renames.ts";
import { UnfitData, type UnfitDataParts } from "./unfit-data.ts";
import { endUnheldStorage } from "./unheld-storage.ts";
import { Upkeep } from "./upkeep.ts";
import { Usage } from "./usage.ts";
import type { UseGuard } from "./use-guard.ts";
import { VolumeDoctor, type VolumeDoctorParts } from "./volume-doctor.ts";
import { VolumeEngine } from "./volumes.ts";
import { watchHolds } from "./watching.ts";
import type { WriteGuard } from "./write-guard.ts";

export interface EngineParts {
  readonly host: Host;
  readonly state: StateStore;
  readonly leases: LeaseService;
  readonly secrets: SecretStore;
  /** Built in. */
  readonly drivers: readonly VolumeDriver[];
  /** Missing: there are none. */
  readonly plugins?: PluginParts | undefined;
  /** A fresh operation on the daemon's own account. */
  readonly systemOperation: () => Operation;
  readonly holding: HoldingParts;
  readonly adopting: AdoptingParts;
  readonly trash: TrashingParts;
  /** Missing: nothing is known of any storage. */
  readonly examining?: ExaminingParts | undefined;
  /** A test's own clock for the health of storage. */
  readonly healthClock?: HealthClock | undefined;
}

/** What looks at storage are judged by, and their times where they are a test's own. */
export interface ExaminingParts
  extends Pick<VolumeDoctorParts, "silenceMsMax">,
    Pick<UnfitDataParts, "afterCreateMs"> {
  readonly judge: StorageJudge;
}

/** What the trash is told, and its timers where they are a test's own. */
export interface TrashingParts extends Pick<TrashParts, "budget" | "startTimer"> {
  readonly defaults: TrashDefaults;
}

/** What adopting volumes of other engines needs. */
export interface AdoptingParts {
  readonly foreign: ForeignVolumesFinder;
  readonly places: DataPlaces;
}

/** What holds of container engines need. */
export interface HoldingParts {
  readonly finder: ContainerEngineFinder;
  /** Absolute; where the holds' mounts are. Exists. */
  readonly directory: string;
  readonly graces: HoldGraces;
  readonly policy: ViolationPolicy;
  /** When a volume with several writers is looked into: a test's own times. */
  readonly lookAfterMs?: readonly number[] | undefined;
}

/** What the API translates to. */
export interface Engine {
  readonly volumes: VolumeEngine;
  readonly upkeep: Upkeep;
  readonly history: History;
  readonly adoptions: Adoptions;
  readonly holds: Holds;
  readonly lists: ContainerLists;
  /** Who calls from inside a container, and with which volumes. */
  readonly lockSight: LockSight;
  readonly lastUse: LastUse;
  readonly pruner: Pruner;
  readonly plans: PrunePlans;
  readonly trash: Trash;
  /** What becomes of the volume when it is removed, in words: see `fateAnyTime`. */
  readonly fateOf: (entry: VolumeEntry) => string;
  /** What the removals of this life have freed. */
  readonly purger: Pick<Purger, "done" | "reasonOf">;
  readonly usage: Usage;
  readonly events: EventLog;
  readonly state: StateStore;
  readonly drivers: Drivers;
  readonly plugins: Plugins;
  readonly pluginVolumes: PluginVolumes;
  readonly secrets: Secrets;
  readonly locks: Locks;
  readonly doctor: VolumeDoctor;
  readonly publishing: Publishing;
  readonly unfitData: UnfitData;
  readonly writeGuard: WriteGuard;
  readonly sharedDatabases: SharedDatabases;
  readonly recovery: RecoveryReport;
  readonly health: Health;
  readonly care: StorageCare;
  /** Ends background work. The state is its owner's to close. */
  stop(): Promise<void>;
}

/** Recovers what the last life left behind, then hands out the engine. */
export async function startEngine(parts: EngineParts): Promise<Engine> {
  const { host, systemOperation: operation } = parts;
  // All parts of the engine write to the one that tells: who follows the history misses nothing.
  const state = tellingState(parts.state, () => history.stored());
  const history: History = new History({ state, host, operation });
  return await makeEngine({ ...parts, state, history });
}

async function makeEngine(parts: EngineParts & { readonly history: History }): Promise<Engine> {
  const { host, state, history, leases, systemOperation } = parts;
  const nowMs = () => host.nowMs();
  const drivers = driversOf(parts);
  const recovering = { state, drivers: drivers.builtIn, host, places: parts.adopting.places };
  const recovery = await recover(recovering, systemOperation());
  const events = new EventLog(nowMs);
  const unfinishedRenames = new UnfinishedRenames();
  const { purger, unfinished, trash } = makeTrash({
    ...{ ...parts, drivers: drivers.builtIn, events, recovery },
    clear: (driver, name, operation) => volumes.clear(driver, name, operation),
  });
  const trashDefaults = parts.trash.defaults;
  const watching = { ...parts, drivers, events, volumes: () => volumes };
  const watched = watchHolds(watching);
  const { lists, judge, settler, guard, locks, care, writeGuard, sharedDatabases } = watched;
  const volumes: VolumeEngine = new VolumeEngine({
    ...{ state, leases, drivers, events, purger, host },
    ...{ unfinished, unfinishedRenames, history, missing: recovery.missing },
    ...{ guard, trashDefaults, makeRoom: (operation) => trash.makeRoom(operation) },
    follow: (entry, operation) => care.follow(entry, operation),
    isUnlisted: (entry) => managing.pluginVolumes.stateOf(entry)?.word === "not listed",
  });
  const later: LaterParts = { ...parts, drivers, volumes, events, guard };
  const health = makeHealth(later, care);
  // Volumes that no row knew: whoever has them is not remembered either.
  if (recovery.adopted.length > 0) await lists.noteRunning(systemOperation());
  const { directory, graces } = parts.holding;
  await restoreHolds({ state, host, settler, directory }, systemOperation());
  const refused = toldRefused(care, health);
  const holds = new Holds({ ...watched, host, drivers, volumes, graces, directory, refused });
  const upkeep = new Upkeep({
    ...{ state, host, leases, drivers, volumes, events, guard, history, unfinishedRenames, care },
  });
  const adoptions = new Adoptions({
    ...{ state, host, volumes, events, guard, unfinished, purger, trashDefaults },
    ...{ ...parts.adopting, drivers: drivers.builtIn },
    operation: systemOperation,
  });
  const stopping = new AbortController();
  // In the background: a server that does not answer must not keep the others from being served.
  const background = { ...systemOperation(), signal: stopping.signal };
  const mountingAgain = mountAgain(later, background);
  const pruning = makePruning(later);
  const managing = makePlugins(later);
  await locks.takeOver(systemOperation());
  const examining = makeDoctor(later, health);
  for (const part of [managing.pluginVolumes, adoptions, trash, health]) part.start();
  return {
    ...{ volumes, upkeep, history, adoptions, holds, lists },
    lockSight: new LockSight({ host, holds: () => settler.all() }),
    fateOf: (entry) =>
      fateAnyTime({ entry, driver: drivers.get(entry.driver), defaults: trashDefaults }),
    lastUse: new LastUse({ state, nowMs }),
    ...{ ...pruning, trash, purger, events },
    secrets: new Secrets({ store: parts.secrets, state, leases, drivers, volumes, events }),
    ...{ state, drivers, recovery, ...managing, health, care, ...examining, writeGuard },
    ...{ locks, sharedDatabases },
    stop: stopOf({
      ...{ stopping, locks, settler, health, adoptions, mountingAgain, judge, trash, purger },
      ...{ ...managing, ...examining, writeGuard, sharedDatabases, operation: systemOperation },
    }),
  };
}

/** What ends with the engine. */
interface Ending
  extends Pick<
    Engine,
    "locks" | "health" | "adoptions" | "pluginVolumes" | "writeGuard" | "sharedDatabases"
  > {
  readonly stopping: AbortController;
  readonly settler: HoldSettler;
  readonly unfitData: UnfitData;
  readonly mountingAgain: Promise<unknown>;
  readonly judge: SharingJudge;
  readonly trash: Trash;
  readonly purger: Purger;
  readonly operation: () => Operation;
}

function stopOf(parts: Ending): () => Promise<void> {
  const { stopping, locks, settler, health, adoptions, judge, trash, purger } = parts;
  return async () => {
    stopping.abort(new EngineError("engine.stopping", "the daemon is shutting down"));
    await locks.endWaits();
    await settler.finish(parts.operation());
    await Promise.all([health.stop(), parts.writeGuard.stop()]);
    await Promise.all([parts.pluginVolumes.stop(), parts.unfitData.stop()]);
    await Promise.all([adoptions.stop(), parts.mountingAgain, judge.settled(), trash.stop()]);
    await parts.sharedDatabases.stop();
    await purger.stop();
  };
}

/** What was mounted for somebody in the last life, and what nobody has any more. */
async function mountAgain(parts: LaterParts, operation: Operation): Promise<void> {
  await Promise.all([parts.volumes.held.tellAll(operation), endUnheldStorage(parts, operation)]);
}

/** What follows when a container engine is refused a volume for what its storage is. */
function toldRefused(care: StorageCare, health: Health): HoldsParts["refused"] {
  return (name) => {
    care.noteRefused(name);
    health.askSoon(name);
  };
}

function driversOf({ drivers: builtIn, plugins, host }: EngineParts): Drivers {
  const { host: found } = plugins ?? noPlugins;
  return new Drivers({ builtIn, plugins: found, startedAtMs: host.nowMs() });
}

/** What parts of the engine are made of that come after the volumes. */
interface LaterParts extends Omit<EngineParts, "drivers"> {
  readonly drivers: Drivers;
  readonly volumes: VolumeEngine;
  readonly events: EventLog;
  readonly guard: UseGuard;
}

/** What looks at storage that may fall silent. */
function makeHealth(parts: LaterParts, care: StorageCare): Health {
  const { state, host, drivers, events, volumes, systemOperation, healthClock } = parts;
  return new Health({
    ...{ state, host, drivers, events, care, held: volumes.held },
    ...{ operation: systemOperation, clock: healthClock },
  });
}

/** What is asked of plugins, and what callers do with them. */
function makePlugins(parts: LaterParts): Pick<Engine, "plugins" | "pluginVolumes"> {
  const { state, leases, host, drivers, volumes, events, guard, systemOperation } = parts;
  const { host: plugins, managed } = parts.plugins ?? noPlugins;
  const pluginVolumes = new PluginVolumes({
    ...{ state, leases, host, drivers, events, volumes, plugins },
    operation: systemOperation,
  });
  const managing = new Plugins({ managed, plugins, drivers, state, leases, events, guard });
  return { pluginVolumes, plugins: managing };
}

const nothingKnown: StorageJudge = { fitness: () => [], known: () => [] };

/** What looks at the storage of volumes, at what is on it, and what replaces trees there. */
function makeDoctor(
  parts: LaterParts,
  health: Health,
): Pick<Engine, "doctor" | "unfitData" | "publishing"> {
  const { state, host, leases, drivers, volumes, events, systemOperation: operation } = parts;
  const examining = parts.examining ?? { judge: nothingKnown };
  const common = { state, host, drivers, volumes, events, operation, health, ...examining };
  const doctor = new VolumeDoctor(common);
  void doctor.endLeftovers();
  const publishing = new Publishing({ ...common, leases });
  void publishing.endLeftovers();
  return { doctor, publishing, unfitData: new UnfitData({ ...common, doctor }) };
}

/** What measures volumes, and removes those that nobody uses. */
function makePruning(parts: LaterParts): Pick<Engine, "usage" | "pruner" | "plans"> {
  const { state, leases, host, drivers, volumes, events, guard } = parts;
  const usage = new Usage({ state, drivers, volumes });
  const trashDefaults = parts.trash.defaults;
  const pruner = new Pruner({
    ...{ state, leases, volumes, usage, events, guard },
    isKept: (entry) =>
      isKeptInTrash(drivers.get(entry.driver), fateOf(entry, trashDefaults, host.nowMs())),
  });
  const plans = new PrunePlans({
    ...{ state, host, drivers, volumes, usage, events, guard, pruner, trashDefaults },
  });
  return { usage, pruner, plans };
}

/** What becomes of removed volumes, and what the last life left of that. */
function makeTrash(
  parts: Omit<EngineParts, "drivers"> & {
    readonly drivers: ReadonlyMap<string, VolumeDriver>;
    readonly events: EventLog;
    readonly recovery: RecoveryReport;
  } & Pick<TrashParts, "history" | "clear">,
) {
  const { state, events, recovery, systemOperation: operation } = parts;
  const purger = new Purger({
    ...{ state, drivers: parts.drivers, operation },
    purged: (entry) => {
      if (isPurgedAtOnce(entry)) return;
      const { name, driver } = entry.volume;
      const bytes = entry.sizeBytes === null ? {} : { bytes: String(entry.sizeBytes) };
      events.volume("purge", name, { driver, trash: entry.id, ...bytes });
    },
  });
  const retired = state.read((view) => [...view.retired()]);
  // What recovery could not look at may not be in the trash yet: purging it would free nothing.
  const isUnfinished = ({ volume }: RetiredEntry): boolean =>
    recovery.unlisted.includes(volume.driver) || recovery.failed.includes(volume.name);
  for (const entry of retired) if (!isUnfinished(entry)) purger.add(entry);
  const unfinished = new UnfinishedRemovals(retired.filter(isUnfinished), purger);
  const { budget, startTimer } = parts.trash;
  const trash = new Trash({ ...parts, purger, unfinished, operation, budget, startTimer });
  return { purger, unfinished, trash };
}
