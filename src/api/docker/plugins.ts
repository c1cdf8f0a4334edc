// Docker's routes of plugins.
import { EngineError } from "../../core/errors.ts";
import type { Operation } from "../../core/operation.ts";
import type { TellProgress } from "../../core/plugin.ts";
import type { Engine } from "../../engine/engine.ts";
import type { AnyResponse, Header, HttpRequest, HttpResponse } from "../../http/message.ts";
import type { RouteContext } from "../handler.ts";
import { reportRefusal } from "../refusal-report.ts";
import { type DockerHeaders, dockerStatus, textAnswer } from "./answers.ts";
import { parseFilters } from "./filters.ts";
import { readTexts } from "./go-json.ts";
import { pluginFilter } from "./plugin-filter.ts";
import { pluginJson, privilegesJson } from "./plugin-json.ts";
import { failureLine, progressLine } from "./plugin-progress.ts";
import {
  bodyPieces,
  grantedPrivileges,
  localPluginName,
  registryCall,
  skipBody,
} from "./plugin-requests.ts";
import { first, isTrue, parseQuery, percentDecode } from "./query.ts";

export interface PluginRouteParts {
  readonly engine: Engine;
  readonly headers: DockerHeaders;
}

type Answer = AnyResponse | Promise<AnyResponse>;
type PluginRoute = (parts: PluginRouteParts, context: RouteContext) => Answer;
/** A route about one plugin, by whatever names it: a name has slashes, and may be part of an id. */
type NamedRoute = (parts: PluginRouteParts, context: RouteContext, name: string) => Answer;

const NAME_HEADER = "Docker-Plugin-Name";

const routes: Readonly<Record<string, PluginRoute>> = {
  "GET /plugins": listPlugins,
  "GET /plugins/privileges": pluginPrivileges,
  "POST /plugins/pull": pullPlugin,
  "POST /plugins/create": createPlugin,
};

const namedRoutes: readonly (readonly [RegExp, NamedRoute])[] = [
  [/^GET \/plugins\/(.*)\/json$/, inspectPlugin],
  [/^DELETE \/plugins\/(.*)$/, removePlugin],
  [/^POST \/plugins\/(.*)\/enable$/, enablePlugin],
  [/^POST \/plugins\/(.*)\/disable$/, disablePlugin],
  [/^POST \/plugins\/(.*)\/set$/, setPlugin],
  [/^POST \/plugins\/(.*)\/upgrade$/, upgradePlugin],
  [/^POST \/plugins\/(.*)\/push$/, pushPlugin],
];

/** The answer of a route of plugins; undefined: it is none. `key` is `METHOD /path`, decoded. */
export function answerOfPlugins(
  key: string,
  parts: PluginRouteParts,
  context: RouteContext,
): Answer | undefined {
  if (Object.hasOwn(routes, key)) return routes[key]?.(parts, context);
  for (const [pattern, route] of namedRoutes) {
    const name = pattern.exec(key)?.[1];
    if (name !== undefined) return route(parts, context, name);
  }
  return undefined;
}

/** Whether the body is an upload, which is not kept: see `HttpServerParts.streamsBody`. */
export function isPluginUpload(method: string, path: string): boolean {
  return method === "POST" && /^(?:\/v[0-9][0-9A-Za-z.-]*)?\/plugins\/create$/.test(path);
}

/**
 * What a refused pull or upgrade has beside its message: the name, as soon as it is known, and
 * moby's 400 for a name that is taken. undefined for all other requests.
 */
export function refusalOfPull(
  error: EngineError,
  { method, path, query }: HttpRequest,
): { readonly status: number; headers(json: readonly Header[]): readonly Header[] } | undefined {
  const upgraded = /\/plugins\/(.*)\/upgrade$/.exec(path)?.[1];
  const isPull = /^(?:\/v[^/]+)?\/plugins\/pull$/.test(path);
  if (method !== "POST" || (!isPull && upgraded === undefined)) return undefined;
  if (error.code === "request.invalid") return undefined;
  const parsed = parseQuery(query);
  const given = upgraded === undefined ? first(parsed, "name") : percentDecode(upgraded);
  const name = localPluginName(first(parsed, "remote"), given);
  return {
    status: isPull && error.code === "plugin.exists" ? 400 : dockerStatus(error),
    headers: (json) => (name === undefined ? json : withName(json, name)),
  };
}

/** GET /plugins */
function listPlugins(
  { engine, headers }: PluginRouteParts,
  { request }: RouteContext,
): HttpResponse {
  const filters = parseFilters(first(parseQuery(request.query), "filters"));
  const isWanted = pluginFilter(filters);
  const listed = engine.plugins.list().map(({ plugin }) => plugin);
  return textAnswer(200, headers.json, `[${listed.filter(isWanted).map(pluginJson).join(",")}]`);
}

/** GET /plugins/{name}/json */
function inspectPlugin(
  { engine, headers }: PluginRouteParts,
  _: RouteContext,
  name: string,
): HttpResponse {
  return textAnswer(200, headers.json, pluginJson(engine.plugins.find(name).plugin));
}

/** GET /plugins/privileges: what the plugin at `remote` asks for. */
async function pluginPrivileges(
  { engine, headers }: PluginRouteParts,
  context: RouteContext,
): Promise<HttpResponse> {
  const { request } = context;
  const remote = first(parseQuery(request.query), "remote");
  const call = registryCall(request);
  const asked = await engine.plugins.privileges(remote, call, whileConnected(context));
  return textAnswer(200, headers.json, privilegesJson(asked));
}

/** POST /plugins/pull */
async function pullPlugin(parts: PluginRouteParts, context: RouteContext): Promise<AnyResponse> {
  const { request } = context;
  const query = parseQuery(request.query);
  const operation = whileConnected(context);
  const pull = await parts.engine.plugins.pull(
    {
      ...registryCall(request),
      remote: first(query, "remote"),
      name: first(query, "name"),
      granted: grantedPrivileges(request),
    },
    operation,
  );
  const headers = withName(parts.headers.json, pull.name);
  return streamed(headers, context, async (tell) => void (await pull.run(tell, operation)));
}

/** POST /plugins/{name}/upgrade. dockerd looks for the canonical name here, and nowhere else. */
async function upgradePlugin(
  parts: PluginRouteParts,
  context: RouteContext,
  name: string,
): Promise<AnyResponse> {
  const { request } = context;
  const remote = first(parseQuery(request.query), "remote");
  const granted = grantedPrivileges(request);
  const operation = whileConnected(context);
  const pull = await parts.engine.plugins.upgrade(
    localPluginName("", name) ?? name,
    { ...registryCall(request), remote, granted },
    operation,
  );
  const headers = withName(parts.headers.json, pull.name);
  return streamed(headers, context, async (tell) => void (await pull.run(tell, operation)));
}

/** POST /plugins/{name}/push */
function pushPlugin(parts: PluginRouteParts, context: RouteContext, name: string): AnyResponse {
  const { engine, headers } = parts;
  // Whether there is such a plugin shows in the status.
  engine.plugins.find(name);
  const call = registryCall(context.request);
  const operation = whileConnected(context);
  return streamed(headers.json, context, (tell) =>
    engine.plugins.push(name, call, tell, operation),
  );
}

/** POST /plugins/{name}/enable. `timeout` must be a number, and is no more: calls have theirs. */
async function enablePlugin(
  parts: PluginRouteParts,
  { request, operation }: RouteContext,
  name: string,
): Promise<HttpResponse> {
  const timeout = first(parseQuery(request.query), "timeout");
  if (!/^[+-]?\d{1,18}$/.test(timeout)) {
    const text = JSON.stringify(timeout);
    throw new EngineError("request.invalid", `strconv.Atoi: parsing ${text}: invalid syntax`);
  }
  await parts.engine.plugins.enable(name, operation);
  return emptyAnswer(200, parts);
}

/** POST /plugins/{name}/disable */
async function disablePlugin(
  parts: PluginRouteParts,
  { request, operation }: RouteContext,
  name: string,
): Promise<HttpResponse> {
  const force = isTrue(parseQuery(request.query), "force");
  await parts.engine.plugins.disable(name, { force }, operation);
  return emptyAnswer(200, parts);
}

/** DELETE /plugins/{name} */
async function removePlugin(
  parts: PluginRouteParts,
  { request, operation }: RouteContext,
  name: string,
): Promise<HttpResponse> {
  const force = isTrue(parseQuery(request.query), "force");
  await parts.engine.plugins.remove(name, { force }, operation);
  return emptyAnswer(200, parts);
}

/** POST /plugins/{name}/set */
async function setPlugin(
  parts: PluginRouteParts,
  { request, operation }: RouteContext,
  name: string,
): Promise<HttpResponse> {
  await parts.engine.plugins.set(name, readTexts(request), operation);
  return emptyAnswer(204, parts);
}

/** POST /plugins/create, with a tar as its body. */
async function createPlugin(
  parts: PluginRouteParts,
  { request, operation }: RouteContext,
): Promise<HttpResponse> {
  const name = first(parseQuery(request.query), "name");
  try {
    await parts.engine.plugins.create(name, bodyPieces(request), operation);
  } catch (error) {
    await skipBody(request);
    throw error;
  }
  return emptyAnswer(204, parts);
}

/** A client that goes away ends what it has begun: nobody waits for a download then. */
function whileConnected({ request, operation }: RouteContext): Operation {
  return { ...operation, signal: request.connectionClosed };
}

/** A progress stream: its failures are lines of it, since the status has been sent. */
function streamed(
  headers: readonly Header[],
  context: RouteContext,
  work: (tell: TellProgress) => Promise<void>,
): AnyResponse {
  return {
    status: 200,
    headers,
    endless: false,
    stream(writer) {
      work((progress) => void writer.write(progressLine(progress)))
        .catch((thrown: unknown) => {
          const error = reportRefusal(thrown, context);
          const id = error.kind === "internal" ? ` (report id ${context.operation.id})` : "";
          writer.write(failureLine(`${error.message}${id}`));
        })
        .finally(() => writer.end());
    },
  };
}

function withName(headers: readonly Header[], name: string): readonly Header[] {
  const named: Header = [NAME_HEADER, name];
  return [...headers, named].toSorted(([left], [right]) => (left < right ? -1 : 1));
}

function emptyAnswer(status: 200 | 204, { headers }: PluginRouteParts): HttpResponse {
  return { status, headers: headers.empty, body: status === 200 ? "" : undefined };
}
