// What only a container engine has: empty where clients merely look, a clear refusal elsewhere.
import { EngineError } from "../../core/errors.ts";
import type { HttpResponse } from "../../http/message.ts";
import { type DockerHeaders, textAnswer } from "./answers.ts";

/** Routes whose true answer is "none", with dockerd's own form of it. */
const empties: Readonly<Record<string, string>> = {
  "GET /containers/json": "[]",
  "GET /containers/ps": "[]",
  "GET /images/json": "[]",
  "GET /networks": "[]",
  "POST /containers/prune": '{"ContainersDeleted":null,"SpaceReclaimed":0}',
  "POST /images/prune": '{"ImagesDeleted":null,"SpaceReclaimed":0}',
  "POST /networks/prune": '{"NetworksDeleted":null}',
  "POST /build/prune": '{"CachesDeleted":null,"SpaceReclaimed":0}',
};

/** Looking for one of them: dockerd's "no such" text, which `docker inspect` relies on. */
const lookups: readonly (readonly [RegExp, (name: string) => string])[] = [
  [/^GET \/containers\/([^/]+)\/json$/, (name) => `No such container: ${name}`],
  [/^GET \/images\/(.+)\/json$/, (name) => `No such image: ${withTag(name)}`],
  [/^GET \/networks\/([^/]+)$/, (name) => `network ${name} not found`],
];

/** moby's default tag, for a reference that has neither tag nor digest. */
function withTag(reference: string): string {
  const last = reference.slice(reference.lastIndexOf("/") + 1);
  return /[:@]/.test(last) ? reference : `${reference}:latest`;
}

const SWARM = /^(?:swarm|nodes|services|tasks|secrets|configs)(?:\/|$)/;
const CONTAINERS =
  /^(?:containers|images|networks|build|commit|exec|distribution|session|grpc)(?:\/|$)/;

/**
 * The answer to a route of a container engine; undefined when dockerd has no such route either.
 * `path` is without a version and decoded.
 */
export function otherEngine(
  method: string,
  path: string,
  headers: DockerHeaders,
): HttpResponse | undefined {
  const route = `${method} ${path}`;
  const empty = empties[route];
  if (empty !== undefined) return textAnswer(200, headers.json, empty);
  for (const [pattern, text] of lookups) {
    const name = pattern.exec(route)?.[1];
    if (name !== undefined) {
      throw new EngineError("engine.no_such_object", text(name), { details: { name } });
    }
  }
  const rest = path.slice(1);
  if (SWARM.test(rest)) {
    throw noSwarm();
  }
  if (CONTAINERS.test(rest)) {
    throw new EngineError(
      "engine.not_a_container_engine",
      `${method} ${path}: Holdfast keeps volumes; it runs no containers and has no images or ` +
        "networks. Send this to a container engine.",
    );
  }
  return undefined;
}

/** dockerd's answer to what only a swarm manager can do. */
export function noSwarm(): EngineError {
  return new EngineError(
    "engine.no_swarm",
    'This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" to ' +
      "connect this node to swarm and try again.",
  );
}
