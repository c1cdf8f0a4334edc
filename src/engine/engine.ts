// The engine: its parts, put together once, for the faces that translate to it.
import { EngineError } from "../core/errors.ts";
import type { Operation } from "../core/operation.ts";
import type { StateStore, VolumeEntry } from "../core/state-store.ts";
import { Adoptions } from "./adoption/adoptions.ts";
import type { ContainerLists } from "./container-lists.ts";
import type { SharedDatabases } from "./databases/shared-databases.ts";
import type { UnfitData } from "./databases/unfit-data.ts";
import type { Drivers } from "./drivers.ts";
import {
  driversOf,
  makeDoctor,
  makeHealth,
  makePlugins,
  makePruning,
  makePublishing,
  makeTrash,
} from "./engine-making.ts";
import type { EngineParts, LaterParts } from "./engine-parts.ts";
import { watchHolds } from "./engine-watching.ts";
import { EventLog } from "./event-log.ts";
import type { WriteGuard } from "./guard/write-guard.ts";
import type { Health } from "./health/health.ts";
import type { StorageCare } from "./health/health-care.ts";
import { History, tellingState } from "./history.ts";
import { restoreHolds } from "./holds/hold-restore.ts";
import type { HoldSettler } from "./holds/hold-settler.ts";
import { Holds, type HoldsParts } from "./holds/holds.ts";
import { endUnheldStorage } from "./holds/unheld-storage.ts";
import { LastUse } from "./last-use.ts";
import { LockSight } from "./locks/lock-sight.ts";
import type { Locks } from "./locks/locks.ts";
import type { PluginVolumes } from "./plugins/plugin-volumes.ts";
import type { Plugins } from "./plugins/plugins.ts";
import type { PrunePlans } from "./prune/prune-plans.ts";
import type { Pruner } from "./prune/pruning.ts";
import type { Publishing } from "./publish/publishing.ts";
import { recover } from "./recovery/recovery.ts";
import type { RecoveryReport } from "./recovery/recovery-stage.ts";
import { UnfinishedRenames } from "./recovery/unfinished-renames.ts";
import { Secrets } from "./secrets.ts";
import type { SharingJudge } from "./sharing/sharing-judge.ts";
import { fateAnyTime } from "./trash/fate-text.ts";
import type { Purger } from "./trash/purger.ts";
import type { Trash } from "./trash/trash.ts";
import { Upkeep } from "./upkeep.ts";
import type { Usage } from "./usage.ts";
import type { VolumeDoctor } from "./volume-doctor.ts";
import { VolumeEngine } from "./volumes.ts";

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
    lockSight: new LockSight({ host, holds: () => settler.all(), index: settler.index }),
    fateOf: (entry) =>
      fateAnyTime({ entry, driver: drivers.get(entry.driver), defaults: trashDefaults }),
    lastUse: new LastUse({ state, nowMs }),
    ...{ ...pruning, trash, purger, events },
    secrets: new Secrets({ store: parts.secrets, state, leases, drivers, volumes, events, care }),
    ...{ state, drivers, recovery, ...managing, health, care, ...examining, writeGuard },
    ...{ locks, sharedDatabases, publishing: makePublishing(later, health) },
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
