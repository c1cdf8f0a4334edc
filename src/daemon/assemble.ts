// Puts the daemon together: the only file that knows everybody. No decisions about storage here.

import { randomBytes, randomUUID } from "node:crypto";
import { mkdirSync } from "node:fs";
import path from "node:path";
import { makeHandler } from "../api/handler.ts";
import { warnings } from "../api/warnings.ts";
import { localLeases } from "../cluster/local-leases.ts";
import { EngineError, storageError } from "../core/errors.ts";
import { builtInDrivers } from "../drivers/all.ts";
import { startEngine } from "../engine/engine.ts";
import { openDatabase } from "../host/database.ts";
import { linuxHost } from "../host/linux.ts";
import type { Logger } from "../host/logs.ts";
import { returnMemory } from "../host/memory.ts";
import { peerOf } from "../host/peer.ts";
import { lockRoot } from "../host/root-lock.ts";
import { groupId } from "../host/service.ts";
import { HttpServer } from "../http/server.ts";
import { type BreakerChange, withBreaker } from "../layers/breaker.ts";
import { type LateCall, withDeadlines } from "../layers/deadline.ts";
import { openState } from "../state/open-state.ts";
import type { DaemonConfig } from "./config.ts";
import { makeDataRoot } from "./data-root.ts";
import { gatherFacts } from "./facts.ts";
import { watchIdle } from "./idle.ts";
import { Operations } from "./operations.ts";

/** How long requests in progress may take at the end, in milliseconds. */
const DRAIN_MS = 10_000;
/** Groups that may use the socket, the first one that exists. */
const SOCKET_GROUPS = ["docker", "holdfast"];

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
  /** Sockets of systemd; when there are any, the configuration's are not opened. */
  readonly inherited: readonly number[];
}

/**
 * Locks the root, opens the state, recovers, listens. What fails throws `EngineError` (or
 * `ListenError`) and leaves nothing locked or listening.
 */
export async function assemble(parts: DaemonParts): Promise<Daemon> {
  const { config, logger } = parts;
  makeDataRoot(config.root);
  await using undo = new AsyncDisposableStack();
  const lock = lockRoot(config.root);
  undo.defer(() => lock.release());

  const host = linuxHost();
  const bootId = randomBytes(4).toString("hex");
  const operations = new Operations(logger, bootId);
  const log = logger.bind({ part: "state" });
  const nowMs = host.nowMs;
  const state = openState({ directory: config.root, openDatabase, nowMs, newId: randomUUID, log });
  undo.defer(() => state.close());

  const clock = { monotonicMs: host.monotonicMs };
  const driverLog = logger.bind({ part: "drivers" });
  const around = {
    ...clock,
    ended: (late: LateCall) => driverLog.warn("a call that was given up has ended", { ...late }),
    changed: (change: BreakerChange) => driverLog.warn("a driver rests or is back", { ...change }),
  };
  // A state that came back from its copy may have been put into a new, empty root.
  const isFirstStart =
    state.origin.kind !== "opened" || state.read((view) => view.volumeCount) === 0;
  const engine = await startEngine({
    host,
    state,
    leases: localLeases(clock),
    drivers: builtInDrivers({ root: config.root, host, isFirstStart }).map((driver) =>
      withBreaker(withDeadlines(driver, around), { ...around, per: "volume" }),
    ),
    systemOperation: () => operations.ofSystem(),
  });
  undo.defer(() => engine.stop());

  const { origin, id } = state;
  const facts = gatherFacts({ root: config.root, id, origin, recovery: engine.recovery });
  const server = new HttpServer({
    handler: makeHandler({ engine, facts, operation: (request) => operations.ofRequest(request) }),
    onHandlerError: (error, request) => {
      const operation = operations.ofRequest(request);
      operation.log.error("a handler failed outside of its own refusals", { error: String(error) });
      const message = `internal error (report id ${operation.id})`;
      return { status: 500, headers: [], body: `${JSON.stringify({ message })}\n` };
    },
    peerOf,
    onMuchDropped: returnMemory,
    onServerError: (error) => log.error("the HTTP server failed", { error: String(error) }),
    clock: host,
  });
  undo.defer(async () => void (await server.close({ drainMs: DRAIN_MS })));
  undo.defer(watchIdle({ requestCount: () => operations.count, onIdle: returnMemory }));
  const addresses = await listen(server, parts);

  const rest = undo.move();
  return {
    addresses,
    volumeCount: state.read((view) => view.volumeCount),
    warnings: warnings({ engine, facts }),
    async stop() {
      const cutOffCount = await server.close({ drainMs: DRAIN_MS });
      await rest.disposeAsync();
      return cutOffCount;
    },
  };
}

function makeSocketDirectory(directory: string): void {
  try {
    mkdirSync(directory, { recursive: true, mode: 0o755 });
  } catch (error) {
    throw storageError(error, `making the directory of the socket ${directory}`);
  }
}

async function listen(server: HttpServer, parts: DaemonParts): Promise<readonly string[]> {
  if (parts.inherited.length > 0) {
    for (const descriptor of parts.inherited) await server.listen({ descriptor });
    return parts.inherited.map((descriptor) => `fd://${descriptor}`);
  }
  const { sockets, group } = parts.config;
  // Another user cannot give his socket to a group that nobody asked him for.
  const usualGroups = process.getuid?.() === 0 ? SOCKET_GROUPS : [];
  const groupNames = group === undefined ? usualGroups : [group];
  const socketGroup = groupNames.map((name) => groupId(name)).find((id) => id !== undefined);
  if (group !== undefined && socketGroup === undefined) {
    throw new EngineError(
      "config.invalid",
      `group ${JSON.stringify(group)}: there is no such group`,
    );
  }
  for (const socket of sockets) {
    makeSocketDirectory(path.dirname(socket));
    await server.listen({
      path: socket,
      ...(socketGroup === undefined ? {} : { groupId: socketGroup }),
    });
  }
  return sockets.map((socket) => `unix://${socket}`);
}
