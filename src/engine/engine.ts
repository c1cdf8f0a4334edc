// The engine: its parts, put together once, for the faces that translate to it.
import type { VolumeDriver } from "../core/driver.ts";
import { EngineError } from "../core/errors.ts";
import type { Host } from "../core/host.ts";
import type { LeaseService } from "../core/lease-service.ts";
import type { Operation } from "../core/operation.ts";
import type { RetiredEntry, StateStore } from "../core/state-store.ts";
import { EventLog } from "./event-log.ts";
import { Pruner } from "./pruning.ts";
import { Purger } from "./purger.ts";
import { type RecoveryReport, recover } from "./recovery.ts";
import { UnfinishedRemovals } from "./unfinished-removals.ts";
import { Usage } from "./usage.ts";
import { VolumeEngine } from "./volumes.ts";

export interface EngineParts {
  readonly host: Host;
  readonly state: StateStore;
  readonly leases: LeaseService;
  readonly drivers: readonly VolumeDriver[];
  /** A fresh operation on the daemon's own account. */
  readonly systemOperation: () => Operation;
}

/** What the API translates to. */
export interface Engine {
  readonly volumes: VolumeEngine;
  readonly pruner: Pruner;
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
  const recovery = await recover({ state, drivers, nowMs }, systemOperation());
  const events = new EventLog(nowMs);
  const purger = new Purger({ state, drivers, operation: systemOperation });
  const retired = state.read((view) => [...view.retired()]);
  // What recovery could not look at may not be in the trash yet: purging it would free nothing.
  const isUnfinished = ({ volume }: RetiredEntry): boolean =>
    recovery.unlisted.includes(volume.driver) || recovery.failed.includes(volume.name);
  for (const entry of retired) if (!isUnfinished(entry)) purger.add(entry);
  const unfinished = new UnfinishedRemovals(retired.filter(isUnfinished), purger);
  const volumes = new VolumeEngine({
    ...{ state, leases, drivers, events, purger, host },
    ...{ unfinished, missing: recovery.missing },
  });
  const stopping = new AbortController();
  // In the background: a server that does not answer must not keep the others from being served.
  const mountingAgain = volumes.mountAgain({ ...systemOperation(), signal: stopping.signal });
  const usage = new Usage({ state, drivers });
  const pruner = new Pruner({ state, leases, volumes, usage, events });
  return {
    volumes,
    pruner,
    usage,
    events,
    state,
    driverNames: [...drivers.keys()].sort(),
    recovery,
    async stop() {
      stopping.abort(new EngineError("engine.stopping", "the daemon is shutting down"));
      await Promise.all([mountingAgain, purger.stop()]);
    },
  };
}
