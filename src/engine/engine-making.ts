// Makes the parts of the engine that belong together, each group with what it is told.
import type { VolumeDriver } from "../core/driver.ts";
import type { RetiredEntry } from "../core/state-store.ts";
import type { StorageJudge } from "../core/volume-report.ts";
import { UnfitData } from "./databases/unfit-data.ts";
import { Drivers } from "./drivers.ts";
import type { Engine } from "./engine.ts";
import type { EngineParts, LaterParts } from "./engine-parts.ts";
import type { EventLog } from "./event-log.ts";
import { Health } from "./health/health.ts";
import type { StorageCare } from "./health/health-care.ts";
import { noPlugins } from "./plugins/no-plugins.ts";
import { PluginVolumes } from "./plugins/plugin-volumes.ts";
import { Plugins } from "./plugins/plugins.ts";
import { PrunePlans } from "./prune/prune-plans.ts";
import { Pruner } from "./prune/pruning.ts";
import { Publishing } from "./publish/publishing.ts";
import type { RecoveryReport } from "./recovery/recovery-stage.ts";
import { UnfinishedRemovals } from "./recovery/unfinished-removals.ts";
import { fateOf, isKeptInTrash, isPurgedAtOnce } from "./trash/policy.ts";
import { Purger } from "./trash/purger.ts";
import { Trash, type TrashParts } from "./trash/trash.ts";
import { Usage } from "./usage.ts";
import { VolumeDoctor } from "./volume-doctor.ts";

/** Those of this build, and those that plugins are. */
export function driversOf({ drivers: builtIn, plugins, host }: EngineParts): Drivers {
  const { host: found } = plugins ?? noPlugins;
  return new Drivers({ builtIn, plugins: found, startedAtMs: host.nowMs() });
}

/** What looks at storage that may fall silent. */
export function makeHealth(parts: LaterParts, care: StorageCare): Health {
  const { state, host, drivers, events, volumes, systemOperation, healthClock } = parts;
  return new Health({
    ...{ state, host, drivers, events, care, held: volumes.held },
    ...{ operation: systemOperation, clock: healthClock },
  });
}

/** What is asked of plugins, and what callers do with them. */
export function makePlugins(parts: LaterParts): Pick<Engine, "plugins" | "pluginVolumes"> {
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

/** What looks at the storage of volumes, and at what is on it. */
export function makeDoctor(
  parts: LaterParts,
  health: Health,
): Pick<Engine, "doctor" | "unfitData"> {
  const { state, host, drivers, volumes, events, systemOperation: operation } = parts;
  const examining = parts.examining ?? { judge: nothingKnown };
  const common = { state, host, drivers, volumes, events, operation, health, ...examining };
  const doctor = new VolumeDoctor(common);
  void doctor.endLeftovers();
  return { doctor, unfitData: new UnfitData({ ...common, doctor }) };
}

/** What replaces trees in volumes. */
export function makePublishing(parts: LaterParts, health: Health): Publishing {
  const { state, host, leases, drivers, volumes, events, systemOperation: operation } = parts;
  const publishing = new Publishing({
    ...{ state, host, leases, drivers, volumes, events, operation, health },
  });
  void publishing.endLeftovers();
  return publishing;
}

/** What measures volumes, and removes those that nobody uses. */
export function makePruning(parts: LaterParts): Pick<Engine, "usage" | "pruner" | "plans"> {
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
export function makeTrash(
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
