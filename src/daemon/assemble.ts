// Puts the daemon together: the only file that knows everybody. No decisions about storage here.

import { randomBytes, randomUUID } from "node:crypto";
import path from "node:path";
import { warnings } from "../api/warnings.ts";
import { dockerVolumes } from "../containers/docker-volumes.ts";
import { findContainerEngines } from "../containers/finder.ts";
import type { VolumeDriver } from "../core/driver.ts";
import type { Host } from "../core/host.ts";
import type { DriverName } from "../core/names.ts";
import type { Log, Operation } from "../core/operation.ts";
import type { SecretStore } from "../core/secret-store.ts";
import { storageJudge } from "../doctor/volume/judge.ts";
import { builtInDrivers } from "../drivers/all.ts";
import { settleNames } from "../engine/driver-names.ts";
import { type Engine, startEngine } from "../engine/engine.ts";
import type { HoldingParts } from "../engine/engine-parts.ts";
import { holdGraces } from "../engine/holds/hold-table.ts";
import { dataPlaces } from "../host/data-places.ts";
import { openDatabase } from "../host/database.ts";
import { linuxHost } from "../host/linux.ts";
import type { Logger } from "../host/logs.ts";
import { returnMemory } from "../host/memory.ts";
import { lockRoot } from "../host/root-lock.ts";
import type { InheritedListener } from "../host/service.ts";
import { type BreakerChange, withBreaker } from "../layers/breaker.ts";
import { type LateCall, withDeadlines } from "../layers/deadline.ts";
import { openState } from "../state/open-state.ts";
import type { DaemonConfig } from "./config.ts";
import { makeDataRoot } from "./data-root.ts";
import { gatherFacts } from "./facts.ts";
import { makeHoldsDirectory } from "./holds-directory.ts";
import { watchIdle } from "./idle.ts";
import { openDaemonLeases } from "./leases.ts";
import { splitListeners } from "./listeners.ts";
import { refuseMovedMounts } from "./moved-mounts.ts";
import { Operations } from "./operations.ts";
import { type DaemonPlugins, makeDaemonPlugins } from "./plugins.ts";
import { makeRunDirectory, runDirectoryOf } from "./run-directory.ts";
import { makeDaemonSecrets } from "./secrets.ts";
import { makeServers, type Servers } from "./servers.ts";

/** How container engines call the driver where no socket says it. */
const DRIVER_NAME = "holdfast.sock";

export interface Daemon {
  /** Where it listens, as `unix://…` or `fd://…`. */
  readonly addresses: readonly string[];
  readonly volumeCount: number;
  readonly warnings: readonly string[];
  /** Drains, then lets go of everything. Resolves with how many connections were cut off. */
  stop(): Promise<number>;
}

export interface DaemonParts {
  readonly config: DaemonConfig;
  readonly logger: Logger;
  /**
   * Sockets of systemd, told apart by `splitListeners`: where there is one for a purpose, those of
   * the configuration are not opened.
   */
  readonly inherited: readonly InheritedListener[];
}

/**
 * Locks the root, opens the state, recovers, listens. What fails throws `EngineError` (or
 * `ListenError`) and leaves nothing locked or listening.
 */
export async function assemble(given: DaemonParts): Promise<Daemon> {
  const config = { ...given.config, root: makeDataRoot(given.config.root) };
  const parts = { ...given, config };
  const { logger } = parts;
  await using undo = new AsyncDisposableStack();
  const lock = lockRoot(config.root);
  undo.defer(() => lock.release());
  makeRunDirectory(config.root);

  const host = linuxHost();
  const bootId = randomBytes(4).toString("hex");
  const operations = new Operations(logger, bootId);
  const state = stateOf(parts, host);
  undo.defer(() => state.close());
  refuseMovedMounts({ state, mounts: host.mounts() }, config.root);

  const care = careOf(logger.bind({ part: "drivers" }), host);
  // A state that came back from its copy may have been put into a new, empty root.
  const isFirstStart =
    state.origin.kind !== "opened" || state.read((view) => view.volumeCount) === 0;
  const plugins = await makeDaemonPlugins({
    ...{ config, host },
    log: logger.bind({ part: "plugins" }),
    operation: () => operations.ofSystem(),
    wrap: care("driver"),
  });
  let inUse = (): ReadonlySet<DriverName> => new Set();
  undo.defer(() => plugins.stop(inUse()));
  const secrets = makeDaemonSecrets({ config, host, log: logger.bind({ part: "secrets" }) });
  const { drivers, ofPlugins } = await settleNames(
    driversOf({ config, host, secrets, isFirstStart, care: care("volume") }),
    { state, plugins: plugins.parts.host },
    operations.ofSystem(),
  );
  const leases = undo.use(await openDaemonLeases({ config, host, logger }));
  const engine = await startEngine({
    ...{ host, state, secrets, leases: leases.service },
    plugins: plugins.parts,
    drivers,
    systemOperation: () => operations.ofSystem(),
    holding: await holdingOf(parts, host, operations.ofSystem()),
    adopting: { foreign: dockerVolumes, places: dataPlaces },
    trash: config.trash,
    examining: { judge: storageJudge },
  });
  inUse = () => engine.plugins.held();
  undo.defer(() => engine.stop());
  plugins.start();

  const found = { recovery: engine.recovery, ofPlugins };
  const facts = gatherFacts({ root: config.root, id: state.id, origin: state.origin, ...found });
  const servers = makeServers({ engine, facts, operations, logger, host });
  undo.defer(async () => void (await servers.close()));
  const workCount = () => operations.count + servers.endedCount;
  undo.defer(watchIdle({ workCount, onIdle: returnMemory }));
  const addresses = await servers.listen(parts);

  const rest = undo.move();
  return {
    addresses,
    volumeCount: state.read((view) => view.volumeCount),
    warnings: warnings({ engine, facts }),
    stop: stopOf({ plugins, engine, servers, rest }),
  };
}

function stopOf(parts: {
  readonly plugins: Pick<DaemonPlugins, "endTransfers">;
  readonly engine: Pick<Engine, "locks">;
  readonly servers: Servers;
  readonly rest: AsyncDisposableStack;
}): Daemon["stop"] {
  const { plugins, engine, servers, rest } = parts;
  return async () => {
    plugins.endTransfers();
    await engine.locks.endWaits();
    const cutOffCount = await servers.close();
    await rest.disposeAsync();
    return cutOffCount;
  };
}

function stateOf({ config: { root: directory }, logger }: DaemonParts, host: Host) {
  const log = logger.bind({ part: "state" });
  return openState({ directory, openDatabase, nowMs: host.nowMs, newId: randomUUID, log });
}

/** Puts deadlines and a breaker around a driver; `per` is what fails together. */
function careOf(log: Log, clock: Pick<Host, "monotonicMs">) {
  const around = {
    monotonicMs: clock.monotonicMs,
    ended: (late: LateCall) => log.warn("a call that was given up has ended", { ...late }),
    changed: (change: BreakerChange) => log.warn("a driver rests or is back", { ...change }),
  };
  return (per: "driver" | "volume") =>
    (driver: VolumeDriver): VolumeDriver =>
      withBreaker(withDeadlines(driver, around), { ...around, per });
}

/** The built-in drivers, with care around them. */
function driversOf(parts: {
  readonly config: DaemonConfig;
  readonly host: Host;
  readonly secrets: SecretStore;
  readonly isFirstStart: boolean;
  readonly care: (driver: VolumeDriver) => VolumeDriver;
}): readonly VolumeDriver[] {
  const { root } = parts.config;
  const runDirectory = runDirectoryOf(root);
  return builtInDrivers({ ...parts, root, runDirectory }).map(parts.care);
}

/** What the engine needs for holds of container engines. */
async function holdingOf(
  { config, inherited }: DaemonParts,
  host: Host,
  operation: Operation,
): Promise<HoldingParts> {
  const { root, pluginSocket, holdGraceMs, violationPolicy: policy } = config;
  const isForEngines = pluginSocket !== undefined || splitListeners(inherited).plugin.length > 0;
  const socketFolder = pluginSocket === undefined ? undefined : path.dirname(pluginSocket);
  const driver = path.basename(pluginSocket ?? DRIVER_NAME, ".sock");
  return {
    finder: findContainerEngines({ host, driver, socketFolder }),
    graces: holdGraces(holdGraceMs),
    directory: await makeHoldsDirectory({ root, isForEngines }, host, operation),
    policy,
  };
}
