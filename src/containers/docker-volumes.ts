// The `local` volumes of a Docker Engine, asked over the Unix socket of its API.
import { dirname } from "node:path";
import type { DriverOptions } from "../core/driver.ts";
import { EngineError } from "../core/errors.ts";
import type {
  ForeignUser,
  ForeignVolume,
  ForeignVolumes,
  ForeignVolumesFinder,
} from "../core/foreign-volumes.ts";
import type { Operation } from "../core/operation.ts";
import type { Labels } from "../core/state-store.ts";
import { type DockerAnswer, type DockerRequest, exchange } from "./docker-http.ts";
import { dockerdsAt } from "./finder.ts";
import { field, fields, list } from "./json-values.ts";
import { identityOf, pathThrough } from "./processes.ts";
import { inTime } from "./unreachable.ts";

/** How long dockerd may take for each request, in milliseconds: it asks its plugins, too. */
const ANSWER_MS_MAX = 30_000;

/** Some 0.5 KiB for each volume and 2 KiB for each container. */
const ANSWER_BYTES_MAX = 64 * 1024 * 1024;

const LOCAL = "local";
const composeProject = "com.docker.compose.project";
const running: ReadonlySet<unknown> = new Set(["running", "paused", "restarting"]);

/** A dockerd with a root directory of its own (`docker:/path@8:12`) is none of them. */
const dockerKey = /^docker:(\/[^@]*)$/;

/** See core/foreign-volumes.ts. Keys are those of container engines: `docker:/run/docker.sock`. */
export const dockerVolumes: ForeignVolumesFinder = {
  of(key) {
    // /var/run is /run by another name, and keys have the latter.
    const socketPath = dockerKey.exec(key)?.[1]?.replace(/^\/var\/run\//, "/run/");
    if (socketPath === undefined) return undefined;
    return volumesOf({ key: `docker:${socketPath}`, socketPath });
  },
};

interface Dockerd {
  readonly key: string;
  readonly socketPath: string;
}

function volumesOf(dockerd: Dockerd): ForeignVolumes {
  const ask = (request: Asked, operation: Operation) => send(dockerd, request, operation);

  return {
    key: dockerd.key,

    async list(operation) {
      const filter = encodeURIComponent(JSON.stringify({ driver: [LOCAL] }));
      const path = `/volumes?filters=${filter}`;
      const answer = await ask({ method: "GET", path }, operation);
      const containers = await listContainers(dockerd, operation);
      return list(fields(answer.json)["Volumes"])
        .filter((one) => fields(one)["Driver"] === LOCAL)
        .map((one) => volumeOf(one, { dockerd, containers }));
    },

    async find(name, operation) {
      const wanted = { method: "GET", path: `/volumes/${name}`, allows: [404] } as const;
      const answer = await ask(wanted, operation);
      if (answer.status === 404 || fields(answer.json)["Driver"] !== LOCAL) return undefined;
      const containers = await listContainers(dockerd, operation);
      return volumeOf(answer.json, { dockerd, containers });
    },

    async create({ name, options, labels }, operation) {
      const body = { Name: name, Driver: LOCAL, DriverOpts: options, Labels: labels };
      const answer = await ask({ method: "POST", path: "/volumes/create", body }, operation);
      return volumeOf(answer.json, { dockerd, containers: [] });
    },

    async forget(name, operation) {
      const wanted = { method: "DELETE", path: `/volumes/${name}`, allows: [404, 409] } as const;
      return (await ask(wanted, operation)).status === 409 ? "in use" : "forgotten";
    },
  };
}

interface Asked extends Pick<DockerRequest, "method" | "path" | "body"> {
  /** Statuses from 400 on that are answers like any other. */
  readonly allows?: readonly number[];
}

interface Answered extends DockerAnswer {
  readonly json: unknown;
}

/** An answer of 4xx is a refusal; of 5xx nobody knows what was done. */
async function send(
  { key, socketPath }: Dockerd,
  { allows = [], ...asked }: Asked,
  operation: Operation,
): Promise<Answered> {
  const answer = await inTime({ key, deadlineMs: ANSWER_MS_MAX }, operation, async (signal) => {
    const sent = { ...asked, socketPath, signal, bodyBytesMax: ANSWER_BYTES_MAX };
    const got = await exchange(sent).catch(explain);
    if (got.status >= 500) throw new Error(`it answered ${got.status}: ${messageOf(got)}`);
    return { ...got, json: got.body === "" ? undefined : JSON.parse(got.body) };
  });
  if (answer.status < 400 || allows.includes(answer.status)) return answer;
  throw new EngineError("adoption.refused", `${key} refuses: ${messageOf(answer)}`, {
    details: { engine: key, status: answer.status },
  });
}

function explain(thrown: unknown): never {
  const code = fields(thrown)["code"];
  if (code !== "ENOENT" && code !== "ECONNREFUSED" && code !== "ENOTDIR") throw thrown;
  throw new Error("nobody listens on its socket; start dockerd", { cause: thrown });
}

function messageOf({ body }: DockerAnswer): string {
  try {
    return field(JSON.parse(body), "message");
  } catch {
    return body.slice(0, 500);
  }
}

async function listContainers(dockerd: Dockerd, operation: Operation): Promise<readonly unknown[]> {
  const asked = { method: "GET", path: "/containers/json?all=1" } as const;
  return list((await send(dockerd, asked, operation)).json);
}

interface Around {
  readonly dockerd: Dockerd;
  readonly containers: readonly unknown[];
}

function volumeOf(one: unknown, { dockerd, containers }: Around): ForeignVolume {
  const name = field(one, "Name");
  const mountpoint = field(one, "Mountpoint");
  const createdAt = fields(one)["CreatedAt"];
  return {
    name,
    mountpoint,
    labels: textsOf(fields(one)["Labels"]),
    options: textsOf(fields(one)["Options"]),
    createdAtMs: (typeof createdAt === "string" && Date.parse(createdAt)) || 0,
    isHere: isHere(dockerd, name, mountpoint),
    users: containers.flatMap((container) => usersOf(container, name, mountpoint)),
  };
}

/** null stays null, as Docker's answers keep it apart from `{}`. */
function textsOf(value: unknown): (Labels & DriverOptions) | null {
  if (value === null || value === undefined) return null;
  return Object.fromEntries(
    Object.entries(fields(value)).map(([key, text]) => [key, String(text)]),
  );
}

/**
 * Whether a dockerd that listens there has the same directory at that path as we have. Only a path
 * of the form that dockerd makes is looked at: a program that pretends could name any other.
 */
function isHere({ socketPath }: Dockerd, name: string, mountpoint: string): boolean {
  if (!mountpoint.startsWith("/") || !mountpoint.endsWith(`/volumes/${name}/_data`)) return false;
  const here = identityOf(dirname(mountpoint));
  if (here === undefined) return false;
  const pids = [...dockerdsAt(socketPath)];
  return (
    pids.length > 0 &&
    pids.every((pid) => identityOf(pathThrough(pid, dirname(mountpoint))) === here)
  );
}

function usersOf(container: unknown, name: string, mountpoint: string): readonly ForeignUser[] {
  const kinds = list(fields(container)["Mounts"]).flatMap((mount) => {
    const { Type: type, Name: of, Source: source } = fields(mount);
    if (type === "volume") return of === name ? ["volume"] : [];
    const isInside =
      typeof source === "string" && `${source}/`.startsWith(`${dirname(mountpoint)}/`);
    return isInside ? ["path"] : [];
  });
  if (kinds.length === 0) return [];
  const names = list(fields(container)["Names"]);
  const own = names.find((each) => typeof each === "string" && /^\/[^/]+$/.test(each));
  const project = fields(fields(container)["Labels"])[composeProject];
  return [
    {
      name: typeof own === "string" ? own.slice(1) : field(container, "Id"),
      project: typeof project === "string" ? project : null,
      isRunning: running.has(fields(container)["State"]),
      isByPath: !kinds.includes("volume"),
    },
  ];
}
