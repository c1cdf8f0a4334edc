// The engine: its parts, put together once, for the faces that translate to it.
import type { ContainerEngineFinder } from "../core/container-engine.ts";
import type { VolumeDriver } from "../core/driver.ts";
import { EngineError } from "../core/errors.ts";
import type { DataPlaces, ForeignVolumesFinder } from "../core/foreign-volumes.ts";
import type { Host } from "../core/host.ts";
import type { LeaseService } from "../core/lease-service.ts";
import type { Operation } from "../core/operation.ts";
import type { RetiredEntry, StateStore } from "../core/state-store.ts";
import { Adoptions } from "./adoptions.ts";
import { ContainerLists } from "./container-lists.ts";
import { EventLog } from "./event-log.ts";
import { restoreHolds } from "./hold-restore.ts";
import { HoldSettler } from "./hold-settler.ts";
import type { HoldGraces } from "./hold-table.ts";
import { Holds } from "./holds.ts";
import { LastUse } from "./last-use.ts";
import { PrunePlans } from "./prune-plans.ts";
import { Pruner } from "./pruning.ts";
import { Purger } from "./purger.ts";
import { type RecoveryReport, recover } from "./recovery.ts";
import { SharingJudge, type ViolationPolicy } from "./sharing-judge.ts";
import { UnfinishedRemovals } from "./unfinished-removals.ts";
import { Usage } from "./usage.ts";
import { useGuard } from "./use-guard.ts";
import { VolumeEngine } from "./volumes.ts";

export interface EngineParts {
  readonly host: Host;
  readonly state: StateStore;
  readonly leases: LeaseService;
  readonly drivers: readonly VolumeDriver[];
  /** A fresh operation on the daemon's own account. */
  readonly systemOperation: () => Operation;
  readonly holding: HoldingParts;
  readonly adopting: AdoptingParts;
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
}

/** What the API translates to. */
export interface Engine {
  readonly volumes: VolumeEngine;
  readonly adoptions: Adoptions;
  readonly holds: Holds;
  readonly lists: ContainerLists;
  readonly lastUse: LastUse;
  readonly pruner: Pruner;
  readonly plans: PrunePlans;
  readonly usage: Usage;
  readonly events: EventLog;
  readonly state: StateStore;
  /** Sorted. */
  readonly driverNames: readonly string[];
  readonly recovery: RecoveryReport;
  /** Ends background work. The state is its owner's to close. */
  stop(): Promise<void>;
}

/** Recovers what the last life left behind, then hands out the engine. */
export async function startEngine(parts: EngineParts): Promise<Engine> {
  const { host, state, leases, systemOperation } = parts;
  const drivers = new Map(parts.drivers.map((driver) => [driver.name as string, driver]));
  const nowMs = () => host.nowMs();
  const randomHex = (bytes: number) => host.randomHex(bytes);
  const { places } = parts.adopting;
  const looked = { state, drivers, nowMs, places, randomHex };
  const recovery = await recover(looked, systemOperation());
  const events = new EventLog(nowMs);
  const purger = new Purger({ state, drivers, operation: systemOperation });
  const retired = state.read((view) => [...view.retired()]);
  // What recovery could not look at may not be in the trash yet: purging it would free nothing.
  const isUnfinished = ({ volume }: RetiredEntry): boolean =>
    recovery.unlisted.includes(volume.driver) || recovery.failed.includes(volume.name);
  for (const entry of retired) if (!isUnfinished(entry)) purger.add(entry);
  const unfinished = new UnfinishedRemovals(retired.filter(isUnfinished), purger);
  const { lists, judge, settler, guard } = watchHolds({ ...parts, events, volumes: () => volumes });
  const volumes: VolumeEngine = new VolumeEngine({
    ...{ state, leases, drivers, events, purger, host },
    ...{ unfinished, missing: recovery.missing },
    guard,
  });
  // Volumes that no row knew: whoever has them is not remembered either.
  if (recovery.adopted.length > 0) await lists.noteRunning(systemOperation());
  const { directory, graces } = parts.holding;
  await restoreHolds({ state, host, settler, directory }, systemOperation());
  const holds = new Holds({ host, volumes, lists, settler, judge, graces, directory });
  const adoptions = new Adoptions({
    ...{ state, host, drivers, volumes, events, guard, unfinished, purger },
    ...parts.adopting,
    operation: systemOperation,
  });
  const stopping = new AbortController();
  // In the background: a server that does not answer must not keep the others from being served.
  const mountingAgain = volumes.mountAgain({ ...systemOperation(), signal: stopping.signal });
  const usage = new Usage({ state, drivers, volumes });
  const pruner = new Pruner({ state, leases, volumes, usage, events, guard });
  const plans = new PrunePlans({
    ...{ state, host, drivers, volumes, usage, events, guard, pruner },
    fateOf: (entry, atMs) => fateOf(entry, trashDefaults, atMs),
  });
  adoptions.start();
  return {
    volumes,
    adoptions,
    holds,
    lists,
    lastUse: new LastUse({ state, nowMs }),
    pruner,
    plans,
    usage,
    events,
    state,
    driverNames: [...drivers.keys()].sort(),
    recovery,
    async stop() {
      stopping.abort(new EngineError("engine.stopping", "the daemon is shutting down"));
      await settler.finish(systemOperation());
      await Promise.all([adoptions.stop(), mountingAgain, judge.settled(), purger.stop()]);
    },
  };
}

/** What looks at holds, and what asks it. The volumes know the guard, and the settler them. */
function watchHolds(
  parts: EngineParts & { readonly events: EventLog; readonly volumes: () => VolumeEngine },
) {
  const { host, state, events, volumes, systemOperation } = parts;
  const { finder, graces, policy } = parts.holding;
  const lists = new ContainerLists({ state, finder, host });
  const judge = new SharingJudge({ state, events, lists, policy, holds: () => settler });
  const settler: HoldSettler = new HoldSettler({
    ...{ state, host, lists, graces, volumes },
    operation: systemOperation,
    looked: (names, operation) => judge.judge(names, operation),
  });
  const settle = (names: readonly string[], operation: Operation) =>
    settler.settleVolumes(names, operation);
  return { lists, judge, settler, guard: useGuard({ state, lists, settle }) };
}
