// Docker Engine: dockerd, asked over the Unix socket of its API.
//
// Measured with 20.10: a list takes some 3 ms, during a driver call too. While dockerd starts it is
// different: it mounts the volumes of containers that restart with it, its socket takes
// connections, and nothing is answered until all of them have started.
import {
  type ContainerEngine,
  type ContainerVolume,
  type EngineContainer,
  type EngineService,
  RESTART_SECONDS,
  STOP_SECONDS,
} from "../core/container-engine.ts";
import type { Operation } from "../core/operation.ts";
import { printableLine } from "../core/printable.ts";
import { type DockerAnswer, exchange } from "./docker-http.ts";
import { field, fields, list } from "./json-values.ts";
import { inTime } from "./unreachable.ts";

/** How long dockerd may take to list its containers or services, in milliseconds. */
const LIST_MS_MAX = 3_000;

/**
 * With `STOP_SECONDS` or `RESTART_SECONDS`: killing a container that is in the kernel's hands takes
 * time.
 */
const STOP_MS_MAX = 30_000;

/**
 * dockerd tells of a container in a millisecond or two, but of one that it is starting, stopping or
 * copying from only when that is done. Long, for a machine that is busy itself.
 */
const BUSY_MS = 1_000;

/** Some 2 KiB for each container, and 3 KiB for each service. */
const LIST_BYTES_MAX = 64 * 1024 * 1024;

/** One container in all detail; its labels and variables may be long. */
const INSPECT_BYTES_MAX = 4 * 1024 * 1024;

/** An error in JSON. */
const MESSAGE_BYTES_MAX = 64 * 1024;

const composeProject = "com.docker.compose.project";
const running: ReadonlySet<unknown> = new Set(["running", "paused", "restarting"]);

/** What a node says that is none of a Swarm's managers. */
const noManager = /not a swarm manager|not part of a swarm/;

/** What Swarm fills in for each task, in the names of volumes too. */
const template = /\{\{.*?\}\}/gs;

/**
 * Where dockerd (20.10) names the driver that it could not reach, or that has not answered. A
 * Mount that was refused names none: `error while mounting volume 'PATH': VolumeDriver.Mount: …`.
 */
const namedDrivers: readonly RegExp[] = [
  / exists in driver "([^"]*)": /,
  / looking up volume plugin ([^:\s]+): /,
  /%2F([^%/"]+)\.sock\/VolumeDriver\./,
];

/** A mount of dockerd's own driver that failed. */
const ofLocal = "failed to mount local volume";

export interface DockerEngineParts {
  readonly key: string;
  /** The name by which the engine knows our driver. */
  readonly driver: string;
  /** Where its API may be listening now, best first. Looked for anew when nobody listens there. */
  readonly socketPaths: () => Iterable<string>;
}

export function dockerEngine(parts: DockerEngineParts): ContainerEngine {
  const { key, driver } = parts;
  return {
    kind: "docker",
    key,
    isAskableInCalls: true,
    mountsOnceForAll: false,

    containers: (operation) =>
      inTime({ key, deadlineMs: LIST_MS_MAX }, operation, async (signal) => {
        const answer = await send(parts, (socketPath) =>
          exchange({
            socketPath,
            method: "GET",
            path: "/containers/json?all=1",
            signal,
            bodyBytesMax: LIST_BYTES_MAX,
          }),
        );
        if (answer.status !== 200) throw new Error(complaint(answer));
        return list(JSON.parse(answer.body)).flatMap((one) => containerOf(one, driver));
      }),

    services: (operation) =>
      inTime({ key, deadlineMs: LIST_MS_MAX }, operation, async (signal) => {
        const answer = await send(parts, (socketPath) =>
          exchange({
            socketPath,
            method: "GET",
            path: "/services",
            signal,
            bodyBytesMax: LIST_BYTES_MAX,
          }),
        );
        if (managesNoSwarm(answer)) return [];
        if (answer.status !== 200) throw new Error(complaint(answer));
        return list(JSON.parse(answer.body)).flatMap((one) => serviceOf(one, driver));
      }),

    isBusyWith: (container, operation) =>
      inTime({ key, deadlineMs: BUSY_MS }, operation, async (signal) => {
        const answer = await inspect(parts, container, signal);
        return ![200, 404].includes(answer.status);
      }).catch(() => true),

    stop: (container, operation) =>
      command(parts, { container, words: `stop?t=${STOP_SECONDS}` }, operation),

    restart: (container, operation) =>
      command(parts, { container, words: `restart?t=${RESTART_SECONDS}` }, operation),

    async startAgain(container, isWanted, operation) {
      const failure = await inTime({ key, deadlineMs: BUSY_MS }, operation, async (signal) => {
        const answer = await inspect(parts, container, signal);
        return answer.status === 200 ? failureAtDriver(JSON.parse(answer.body), driver) : undefined;
      });
      if (failure === undefined || !isWanted(failure)) return false;
      await command(parts, { container, words: "start" }, operation);
      return true;
    },
  };
}

function inspect(
  parts: DockerEngineParts,
  container: string,
  signal: AbortSignal,
): Promise<DockerAnswer> {
  const path = `/containers/${encodeURIComponent(container)}/json`;
  return send(parts, (socketPath) =>
    exchange({ socketPath, method: "GET", path, signal, bodyBytesMax: INSPECT_BYTES_MAX }),
  );
}

/**
 * See `startAgain`. dockerd keeps why the last start failed until another one succeeds; a container
 * that has ended, or was stopped, has no such words. Undefined: it is none of ours.
 */
function failureAtDriver(container: unknown, driver: string): string | undefined {
  const {
    Running: isRunning,
    Error: why,
    StartedAt: startedAt,
  } = fields(fields(container)["State"]);
  const { Name: policy } = fields(fields(fields(container)["HostConfig"])["RestartPolicy"]);
  if (isRunning === true || policy === undefined || policy === "" || policy === "no") return;
  const hasRun = typeof startedAt === "string" && !startedAt.startsWith("0001-");
  if (!hasRun || typeof why !== "string") return;
  const named = namedDrivers.flatMap((pattern) => pattern.exec(why)?.[1] ?? []);
  if (named.length > 0) return named[0] === driver ? why : undefined;
  return why.startsWith("error while mounting volume ") && !why.includes(ofLocal) ? why : undefined;
}

function command(
  parts: DockerEngineParts,
  { container, words }: { readonly container: string; readonly words: string },
  operation: Operation,
): Promise<void> {
  return inTime({ key: parts.key, deadlineMs: STOP_MS_MAX }, operation, async (signal) => {
    const path = `/containers/${encodeURIComponent(container)}/${words}`;
    const bodyBytesMax = MESSAGE_BYTES_MAX;
    const answer = await send(parts, (socketPath) =>
      exchange({ socketPath, method: "POST", path, signal, bodyBytesMax }),
    );
    // 304: it was stopped already. 404: it is gone.
    if (![204, 304, 404].includes(answer.status)) throw new Error(complaint(answer));
  });
}

/** Tries the places in turn while nobody listens; what an engine answered is never asked twice. */
async function send(
  parts: DockerEngineParts,
  attempt: (socketPath: string) => Promise<DockerAnswer>,
): Promise<DockerAnswer> {
  let cause: unknown;
  for (const socketPath of parts.socketPaths()) {
    try {
      return await attempt(socketPath);
    } catch (thrown) {
      if (!meansNobodyListens(thrown)) throw thrown;
      cause ??= thrown;
    }
  }
  throw new Error("dockerd does not run: nobody listens on its socket", { cause });
}

function meansNobodyListens(thrown: unknown): boolean {
  const code = fields(thrown)["code"];
  return code === "ENOENT" || code === "ECONNREFUSED" || code === "ENOTDIR";
}

function complaint({ status, body }: DockerAnswer): string {
  return `it answered ${status} ${JSON.stringify(body.slice(0, 500))}`;
}

/**
 * A manager that is starting, or whose Swarm is locked, answers 503 too: what it would say is not
 * known. 404 is of engines that are built without Swarm.
 */
function managesNoSwarm({ status, body }: DockerAnswer): boolean {
  if (status === 404) return true;
  return status === 503 && noManager.test(body) && !body.includes("being prepared");
}

/** Nothing for a service that names no volume which may be ours. */
function serviceOf(one: unknown, driver: string): readonly EngineService[] {
  const spec = fields(fields(one)["Spec"]);
  const container = fields(fields(spec["TaskTemplate"])["ContainerSpec"]);
  const volumes = list(container["Mounts"]).flatMap((mount) => namedVolume(mount, driver));
  if (volumes.length === 0) return [];
  return [{ id: field(one, "ID"), name: field(spec, "Name"), volumes: [...new Set(volumes)] }];
}

/** Who says no driver gets the volume of that name, whosever it is. */
function namedVolume(mount: unknown, driver: string): readonly string[] {
  const { Type: type, Source: source, VolumeOptions: options } = fields(mount);
  if (type !== "volume" || source === undefined || source === "") return [];
  const { Name: of } = fields(fields(options)["DriverConfig"]);
  if (of !== undefined && of !== "" && of !== driver) return [];
  return [field(mount, "Source").replace(template, "*")];
}

/** Nothing for a container without a volume of ours. */
function containerOf(one: unknown, driver: string): readonly EngineContainer[] {
  const volumes = list(fields(one)["Mounts"]).flatMap((mount) => volumeOf(mount, driver));
  if (volumes.length === 0) return [];
  const labels = fields(fields(one)["Labels"]);
  const project = labels[composeProject];
  return [
    {
      id: field(one, "Id"),
      name: nameOf(list(fields(one)["Names"])),
      project: typeof project === "string" ? printableLine(project) : null,
      isRunning: running.has(fields(one)["State"]),
      volumes,
    },
  ];
}

/** The others are links: `/proxy/wiki` is what a container `proxy` calls this one. */
function nameOf(names: readonly unknown[]): string {
  const own = names.find((name) => typeof name === "string" && /^\/[^/]+$/.test(name));
  return typeof own === "string" ? printableLine(own.slice(1)) : "";
}

function volumeOf(mount: unknown, driver: string): readonly ContainerVolume[] {
  const { Type: type, Driver: of, RW: isWritable } = fields(mount);
  if (type !== "volume" || of !== driver) return [];
  return [
    {
      volume: field(mount, "Name"),
      destination: field(mount, "Destination"),
      isReadOnly: isWritable === false,
    },
  ];
}
