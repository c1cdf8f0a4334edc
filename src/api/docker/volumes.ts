// Docker's routes of volumes.
import { EngineError, toEngineError } from "../../core/errors.ts";
import { parseVolumeName } from "../../core/names.ts";
import type { VolumeEntry } from "../../core/state-store.ts";
import type { Engine } from "../../engine/engine.ts";
import type { VolumeFilter } from "../../engine/volume-filter.ts";
import { notFound } from "../../engine/volumes.ts";
import type { HttpResponse } from "../../http/message.ts";
import type { RouteContext } from "../handler.ts";
import { useObject } from "../holder-objects.ts";
import { careObject } from "../volume-care.ts";
import { type DockerHeaders, goJson, jsonAnswer, textAnswer } from "./answers.ts";
import { listFilter, parseFilters, pruneFilter } from "./filters.ts";
import { type GoStruct, mapField, readBody, textField } from "./go-json.ts";
import { noSwarm } from "./other-engine.ts";
import { first, isTrue, parseQuery } from "./query.ts";
import { type ApiVersion, atLeast } from "./version.ts";
import { volumeJson, volumeStatusJson } from "./wire.ts";

export interface VolumeRouteParts {
  readonly engine: Engine;
  readonly headers: DockerHeaders;
}

const createOptions: GoStruct = {
  name: "CreateOptions",
  typeName: "volume.CreateOptions",
  fields: {
    ClusterVolumeSpec: "object",
    Driver: "string",
    DriverOpts: "map[string]string",
    Labels: "map[string]string",
    Name: "string",
  },
};

/** From this version on prune takes anonymous volumes only, and cluster volumes exist. */
const CLUSTER_VERSION: ApiVersion = [1, 42];

/** POST /volumes/create */
export async function createVolume(
  parts: VolumeRouteParts,
  context: RouteContext,
  version: ApiVersion,
): Promise<HttpResponse> {
  parseQuery(context.request.query);
  const body = readBody(context.request, createOptions);
  if (body["ClusterVolumeSpec"] !== undefined && atLeast(version, CLUSTER_VERSION)) {
    throw noSwarm();
  }
  const name = textField(body["Name"]);
  const request = {
    name,
    driver: textField(body["Driver"]),
    options: mapField(body["DriverOpts"]),
    labels: mapField(body["Labels"]),
  };
  try {
    const entry = await parts.engine.volumes.create(request, context.operation);
    return textAnswer(201, parts.headers.json, volumeJson(underName(entry, name)));
  } catch (error) {
    throw withPrefix(name === "" ? "create: " : `create ${name}: `, toEngineError(error));
  }
}

/**
 * GET /volumes. Container engines are asked, where any is known, when the list depends on who has
 * the volumes; whoever does not answer within a moment is not waited for. Of plugins that do not
 * answer the volumes are listed as they were, and `Warnings` says so.
 */
export function listVolumes(
  parts: VolumeRouteParts,
  context: RouteContext,
): HttpResponse | Promise<HttpResponse> {
  const query = parseQuery(context.request.query);
  const filters = parseFilters(first(query, "filters"), "error reading volume filters: ");
  const filter = listFilter(filters);
  const { lists, holds, pluginVolumes } = parts.engine;
  const isAsking = filter.dangling !== undefined && lists.keys.length > 0;
  const asking = isAsking ? holds.refresh(context.operation) : undefined;
  return after([asking, pluginVolumes.refresh()], () => listed(parts, filter));
}

/** At once, where there is nothing to wait for: most answers need no other turn of the loop. */
function after(
  waits: readonly (Promise<void> | undefined)[],
  answer: () => HttpResponse,
): HttpResponse | Promise<HttpResponse> {
  return waits.every((wait) => wait === undefined) ? answer() : Promise.all(waits).then(answer);
}

function listed({ engine, headers }: VolumeRouteParts, filter: VolumeFilter): HttpResponse {
  const { pluginVolumes, drivers } = engine;
  let builtIn: string | undefined;
  let volumes = "";
  for (const entry of engine.volumes.list(filter)) {
    // Most have the same driver as the one before them: asking for each is a tenth of the time.
    if (entry.driver !== builtIn && !drivers.isOfPlugin(entry.driver)) builtIn = entry.driver;
    const shown = entry.driver === builtIn ? entry : pluginVolumes.described(entry);
    volumes += volumes === "" ? volumeJson(shown) : `,${volumeJson(shown)}`;
  }
  const { warnings } = pluginVolumes;
  const sentences = warnings.length > 0 ? goJson(warnings) : "null";
  return textAnswer(200, headers.json, `{"Volumes":[${volumes}],"Warnings":${sentences}}`);
}

/** As it was asked for: by an alias it has that name. */
function underName(entry: VolumeEntry, asked: string): VolumeEntry {
  if (asked === "" || asked === entry.name) return entry;
  return { ...entry, name: parseVolumeName(asked) };
}

/**
 * GET /volumes/{name}. A volume that is not idle says who has it, in `Status`, one with a note, a
 * protection or another name says that, and one on storage that may fall silent how that is.
 * Container engines are asked who has it, where any is known; whoever does not answer within a
 * moment is not waited for. Of a plugin's volume it says what the plugin said last.
 */
export function inspectVolume(
  parts: VolumeRouteParts,
  context: RouteContext,
  name: string,
): HttpResponse | Promise<HttpResponse> {
  const { volumes, lists, holds, pluginVolumes } = parts.engine;
  const entry = volumes.inspect(name);
  const asking = lists.keys.length > 0 ? holds.refresh(context.operation) : undefined;
  const waits = [asking, pluginVolumes.refreshOne(entry)];
  return after(waits, () => inspected(parts, volumes.inspect(name), name));
}

function inspected(
  { engine, headers }: VolumeRouteParts,
  entry: VolumeEntry,
  asked: string,
): HttpResponse {
  const [use, care] = engine.state.read((view) => [
    useObject(engine, entry, view),
    careObject(engine, { entry, asked }, view),
  ]);
  const { entry: described, status } = engine.pluginVolumes.words(entry);
  const named = underName(described, asked);
  const isUntold = use.state === "idle" && use.storage === undefined;
  const isPlain = isUntold && Object.keys(care).length === 0;
  const own = isPlain ? {} : { ...use, ...care };
  const isSilent = isPlain && Object.keys(status).length === 0;
  const json = isSilent ? volumeJson(named) : volumeStatusJson(named, { ...status, ...own });
  return textAnswer(200, headers.json, json);
}

/** DELETE /volumes/{name} */
export async function removeVolume(
  parts: VolumeRouteParts,
  context: RouteContext,
  name: string,
): Promise<HttpResponse> {
  const isForced = isTrue(parseQuery(context.request.query), "force");
  try {
    await parts.engine.volumes.remove(name, context.operation, { force: isForced });
  } catch (error) {
    const failure = toEngineError(error);
    // An empty name is not found even with force: recorded for DELETE /volumes/ without it.
    if (!(isForced && name !== "" && failure.code === "volume.not_found")) {
      throw prefixedRemoval(name, failure);
    }
  }
  return { status: 204, headers: parts.headers.empty, body: undefined };
}

/** PUT /volumes/{name}: only cluster volumes can be updated, and there is no swarm. */
export function updateVolume(context: RouteContext): never {
  const version = first(parseQuery(context.request.query), "version");
  if (!/^\d+$/.test(version)) {
    throw new EngineError(
      "request.invalid",
      `invalid swarm object version '${version}': strconv.ParseUint: parsing ` +
        `${JSON.stringify(version)}: invalid syntax`,
    );
  }
  throw new EngineError(
    "engine.no_swarm",
    "volume update only valid for cluster volumes, but swarm is unavailable",
  );
}

/** POST /volumes/prune */
export async function pruneVolumes(
  parts: VolumeRouteParts,
  context: RouteContext,
  version: ApiVersion,
): Promise<HttpResponse> {
  const filters = parseFilters(first(parseQuery(context.request.query), "filters"));
  const { filter, all } = pruneFilter(filters, !atLeast(version, CLUSTER_VERSION));
  const { pruner } = parts.engine;
  const { services } = await pruner.prepare(context.operation);
  const plan = pruner.plan(filter, { all, services });
  const report = await pruner.run(plan, context.operation);
  return jsonAnswer(200, parts.headers.json, {
    VolumesDeleted: report.deleted,
    SpaceReclaimed: report.reclaimedBytes,
  });
}

/** dockerd puts the operation and the name in front of what the volume service answers. */
function withPrefix(prefix: string, error: EngineError): EngineError {
  return new EngineError(error.code, `${prefix}${error.message}`, {
    cause: error,
    details: error.details,
  });
}

function prefixedRemoval(name: string, error: EngineError): EngineError {
  if (error.code === "volume.not_found") return notFound(name);
  // What is wrong with a driver is Docker's text as it is.
  if (/^(?:remove|get) \S+: /.test(error.message)) return error;
  return withPrefix(`remove ${name}: `, error);
}
