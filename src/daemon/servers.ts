// The daemon's three HTTP servers: for clients, for container engines (the volume driver's), and
// for what runs inside of containers (locks, and nothing else).
import { mkdirSync } from "node:fs";
import path from "node:path";
import { Counts } from "../api/counts.ts";
import { isPluginUpload } from "../api/docker/plugins.ts";
import type { DaemonFacts } from "../api/facts.ts";
import { makeHandler } from "../api/handler.ts";
import { isPublishUpload } from "../api/holdfast/publish.ts";
import { LOCK_BODY_BYTES_MAX, makeLocksFace } from "../api/locks/router.ts";
import { CONNECTIONS_MAX } from "../api/locks/shares.ts";
import { makePluginHandler } from "../api/plugin/router.ts";
import { EngineError, storageError } from "../core/errors.ts";
import type { Host } from "../core/host.ts";
import type { Log, Operation } from "../core/operation.ts";
import type { Engine } from "../engine/engine.ts";
import { descriptorCountMax } from "../host/descriptors.ts";
import type { Logger } from "../host/logs.ts";
import { returnMemory } from "../host/memory.ts";
import { peerOf, startOfPeer } from "../host/peer.ts";
import { groupId, type InheritedListener } from "../host/service.ts";
import { userNames } from "../host/user-names.ts";
import type { HttpRequest, HttpResponse } from "../http/message.ts";
import { HttpServer, type HttpServerParts } from "../http/server.ts";
import { ListenError, type UnixSocketPlace } from "../http/unix-listener.ts";
import type { DaemonConfig } from "./config.ts";
import { splitListeners } from "./listeners.ts";
import { LOCK_SOCKET_MODE, LOCK_SOCKET_NAME, makeLockDirectory } from "./lock-directory.ts";
import type { Operations } from "./operations.ts";

/** How long requests in progress may take at the end, in milliseconds. */
const DRAIN_MS = 10_000;
/** Connections of clients, where the process may have several times as many descriptors. */
const CLIENTS_MAX = 4_096;
const DESCRIPTORS_PER_CLIENT = 4;
/** The part of them that locks may keep busy. */
const LOCKS_PART = 3 / 4;
/** Whoever may mount is root. */
const PLUGIN_SOCKET_MODE = 0o600;
/** Shorter than elsewhere: whoever is slow inside of a container costs others. Milliseconds. */
const INSIDE_TIMEOUTS = { idleMs: 60_000, headMs: 10_000, bodyMs: 10_000, stallMs: 10_000 };
/** Groups that may use the clients' sockets, the first one that exists. */
const SOCKET_GROUPS = ["docker", "holdfast"];

export interface ServersParts {
  readonly engine: Engine;
  readonly facts: DaemonFacts;
  readonly operations: Operations;
  readonly logger: Logger;
  readonly host: Host;
}

/** Where to listen. */
export interface ListenParts {
  readonly config: DaemonConfig;
  /** Sockets of systemd: where there is one for a purpose, the configuration's are not opened. */
  readonly inherited: readonly InheritedListener[];
}

export interface Servers {
  /** How many connections have ended so far, of all servers. */
  readonly endedCount: number;
  /** Resolves with where they listen, as `unix://…` or `fd://…`. Throws `ListenError`. */
  listen(parts: ListenParts): Promise<readonly string[]>;
  /** Drains all. Resolves with how many connections were cut off. Repeatable. */
  close(): Promise<number>;
}

export function makeServers(parts: ServersParts): Servers {
  const { engine, facts, operations, logger, host } = parts;
  const log = logger.bind({ part: "http" });
  const operation = (request: HttpRequest) => operations.ofRequest(request);
  const counts = new Counts(engine);
  const userName = userNames(host.monotonicMs);
  const common = {
    peerOf,
    onMuchDropped: returnMemory,
    onServerError: (error: unknown) =>
      log.error("the HTTP server failed", { error: String(error) }),
    clock: host,
  };
  const connectionCountMax = clientsMax();
  const lockConnectionsMax = Math.floor(connectionCountMax * LOCKS_PART);
  const clients = new HttpServer({
    ...common,
    limits: { connectionCountMax },
    handler: makeHandler({ engine, facts, operation, userName, counts, lockConnectionsMax }),
    streamsBody: (method, path) => isPluginUpload(method, path) || isPublishUpload(method, path),
    onHandlerError: handlerFailure(operation, (message) => ({ message })),
  });
  const inside = makeInsideServer(common, { engine, operations, counts, host });
  const engines = new HttpServer({
    ...common,
    handler: makePluginHandler({ engine, holds: engine.holds, operation, counts }),
    onHandlerError: handlerFailure(operation, (Err) => ({ Err })),
  });
  const servers = [clients, engines, inside];
  return {
    get endedCount() {
      return servers.reduce((sum, each) => sum + each.endedCount, 0);
    },
    async listen(where) {
      const forClients = await listenForClients(clients, where);
      const forEngines = await listenForEngines(engines, where);
      return [...forClients, ...forEngines, ...(await listenInside(inside, where.config, log))];
    },
    async close() {
      const drained = servers.map((server) => server.close({ drainMs: DRAIN_MS }));
      return (await Promise.all(drained)).reduce((sum, count) => sum + count, 0);
    },
  };
}

function clientsMax(): number {
  return Math.min(CLIENTS_MAX, Math.floor(descriptorCountMax() / DESCRIPTORS_PER_CLIENT));
}

/** Who calls from a container is told from all others, and none of them may take too much. */
function makeInsideServer(
  common: Omit<HttpServerParts, "handler" | "onHandlerError">,
  { engine, operations, counts, host }: Omit<ServersParts, "facts" | "logger"> & { counts: Counts },
): HttpServer {
  const operation = (request: HttpRequest) => operations.ofRequest(request);
  const { handler, admit } = makeLocksFace({ engine, operation, counts, host, startOfPeer });
  return new HttpServer({
    ...common,
    ...{ handler, admit },
    limits: { connectionCountMax: CONNECTIONS_MAX, bodyBytesMax: LOCK_BODY_BYTES_MAX },
    timeouts: INSIDE_TIMEOUTS,
    onHandlerError: handlerFailure(operation, (message) => ({ message })),
  });
}

/** What is answered for a handler that threw: a bug, with the id to report it by. */
function handlerFailure(
  ofRequest: (request: HttpRequest) => Operation,
  bodyOf: (message: string) => object,
): (error: unknown, request: HttpRequest) => HttpResponse {
  return (error, request) => {
    const { id, log } = ofRequest(request);
    log.error("a handler failed outside of its own refusals", { error: String(error) });
    const body = `${JSON.stringify(bodyOf(`internal error (report id ${id})`))}\n`;
    return { status: 500, headers: [], body };
  };
}

/** The volume driver's socket, for root alone: whoever may mount is root. */
async function listenForEngines(
  server: HttpServer,
  { config, inherited }: ListenParts,
): Promise<readonly string[]> {
  const { plugin } = splitListeners(inherited);
  if (plugin.length > 0) {
    for (const descriptor of plugin) await server.listen({ descriptor });
    return plugin.map((descriptor) => `fd://${descriptor}`);
  }
  const { pluginSocket } = config;
  if (pluginSocket === undefined) return [];
  makeSocketDirectory(path.dirname(pluginSocket));
  await listenAt(server, "plugin-socket", { path: pluginSocket, mode: PLUGIN_SOCKET_MODE });
  return [`unix://${pluginSocket}`];
}

/** The containers' socket, in a directory of its own: that is what containers are given. */
async function listenInside(
  server: HttpServer,
  { lockDirectory }: DaemonConfig,
  log: Log,
): Promise<readonly string[]> {
  if (lockDirectory === undefined) return [];
  const writable = makeLockDirectory(lockDirectory, log);
  const socket = path.join(writable, LOCK_SOCKET_NAME);
  await listenAt(server, "lock-directory", { path: socket, mode: LOCK_SOCKET_MODE });
  return [`unix://${path.join(lockDirectory, LOCK_SOCKET_NAME)}`];
}

/** Throws `ListenError`; where it is in use, with the setting that would have it elsewhere. */
async function listenAt(
  server: HttpServer,
  setting: "host" | "lock-directory" | "plugin-socket",
  place: UnixSocketPlace,
): Promise<void> {
  try {
    await server.listen(place);
  } catch (error) {
    if (!(error instanceof ListenError) || error.reason !== "in_use") throw error;
    const others = setting === "host" ? `--host unix://PATH` : `--${setting} PATH, or none`;
    const way = `Stop the daemon that has it, or give this one a place of its own: ${others}`;
    throw new ListenError(error.reason, `${error.message}\n${way}`, { cause: error });
  }
}

function makeSocketDirectory(directory: string): void {
  try {
    mkdirSync(directory, { recursive: true, mode: 0o755 });
  } catch (error) {
    throw storageError(error, `making the directory of the socket ${directory}`);
  }
}

async function listenForClients(
  server: HttpServer,
  parts: ListenParts,
): Promise<readonly string[]> {
  const { api } = splitListeners(parts.inherited);
  if (api.length > 0) {
    for (const descriptor of api) await server.listen({ descriptor });
    return api.map((descriptor) => `fd://${descriptor}`);
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
    await listenAt(server, "host", {
      path: socket,
      ...(socketGroup === undefined ? {} : { groupId: socketGroup }),
    });
  }
  return sockets.map((socket) => `unix://${socket}`);
}
