// Which Docker route a request means, for every API version.
import type { EngineError } from "../../core/errors.ts";
import type { AnyResponse, HttpResponse } from "../../http/message.ts";
import { API_VERSION, API_VERSION_MIN } from "../facts.ts";
import type { ApiFace, ApiParts, RouteContext } from "../handler.ts";
import { dockerHeaders, dockerStatus, messageAnswer } from "./answers.ts";
import { followEvents } from "./events.ts";
import { otherEngine } from "./other-engine.ts";
import { answerOfPlugins, refusalOfPull } from "./plugins.ts";
import { percentDecode } from "./query.ts";
import { auth, diskUsage, info, ping, pingHead, version } from "./system.ts";
import { type ApiVersion, splitVersion } from "./version.ts";
import {
  createVolume,
  inspectVolume,
  listVolumes,
  pruneVolumes,
  removeVolume,
  updateVolume,
} from "./volumes.ts";

type Answer = AnyResponse | Promise<AnyResponse>;
type Route = (context: RouteContext, apiVersion: ApiVersion) => Answer;
/**
 * A route that ends in a volume's name, which may hold anything, slashes too (moby's `{name:.*}`).
 */
type NamedRoute = (context: RouteContext, name: string) => Answer;

const NAMED_PREFIX = "/volumes/";
const PLUGINS = "/plugins";

export function makeDockerApi(api: ApiParts): ApiFace {
  const { facts } = api;
  const headers = dockerHeaders(facts);
  const parts = { engine: api.engine, headers, facts };
  const routes: Readonly<Record<string, Route>> = {
    "GET /_ping": () => ping(parts),
    "HEAD /_ping": () => pingHead(parts),
    "GET /version": () => version(parts),
    "GET /info": () => info(parts),
    "POST /auth": (context) => auth(parts, context),
    "GET /events": (context) => followEvents(parts, context),
    "GET /system/df": (context, apiVersion) => diskUsage(parts, context, apiVersion),
    "GET /volumes": (context) => listVolumes(parts, context),
    "POST /volumes/create": (context, apiVersion) => createVolume(parts, context, apiVersion),
    "POST /volumes/prune": (context, apiVersion) => pruneVolumes(parts, context, apiVersion),
  };
  const named: Readonly<Record<string, NamedRoute>> = {
    GET: (context, name) => inspectVolume(parts, context, name),
    DELETE: (context, name) => removeVolume(parts, context, name),
    PUT: (context) => updateVolume(context),
  };
  const pageNotFound: HttpResponse = messageAnswer(404, headers.notFound, "page not found");

  return {
    answer(context) {
      const { method, path: given } = context.request;
      const split = splitVersion(given);
      if (split.kind !== "path") {
        const text = wrongVersion(split.kind, split.text);
        if (split.kind === "too_new") return messageAnswer(400, headers.refusedVersion, text);
        return { status: 400, headers: headers.tooOld, body: `${text}\n` };
      }
      const path = percentDecode(split.path);
      const key = `${method} ${path}`;
      if (Object.hasOwn(routes, key)) {
        const route = routes[key];
        if (route !== undefined) return route(context, split.version);
      }
      if (path.startsWith(NAMED_PREFIX) && Object.hasOwn(named, method)) {
        const route = named[method];
        if (route !== undefined) return route(context, path.slice(NAMED_PREFIX.length));
      }
      const ofPlugins = path.startsWith(PLUGINS) ? answerOfPlugins(key, parts, context) : undefined;
      return ofPlugins ?? otherEngine(method, path, headers) ?? pageNotFound;
    },

    refuse(error: EngineError, context) {
      const suffix = error.kind === "internal" ? ` (report id ${context.operation.id})` : "";
      const text = `${error.message}${suffix}`;
      const ofPull = refusalOfPull(error, context.request);
      if (ofPull === undefined) return messageAnswer(dockerStatus(error), headers.json, text);
      return messageAnswer(ofPull.status, ofPull.headers(headers.json), text);
    },
  };
}

function wrongVersion(kind: "too_old" | "too_new", given: string): string {
  return kind === "too_new"
    ? `client version ${given} is too new. Maximum supported API version is ${API_VERSION}`
    : `client version ${given} is too old. Minimum supported API version is ${API_VERSION_MIN}, ` +
        "please upgrade your client to a newer version";
}
