// The volume driver socket: the calls of Docker's volume plugin protocol, for dockerd and Podman.
//
// docs: https://docs.docker.com/engine/extend/plugins_volume/. dockerd sends no Content-Type, any
// Host, and for `Plugin.Activate` no body; a call that it repeats after a broken connection may
// have lost its body. It checks no names.
import { type EngineError, toEngineError } from "../../core/errors.ts";
import {
  type HolderId,
  parseHolderId,
  parseVolumeName,
  type VolumeName,
} from "../../core/names.ts";
import type { Operation } from "../../core/operation.ts";
import type { AliasEntry, VolumeEntry } from "../../core/state-store.ts";
import { isMoving } from "../../engine/adoption/moving.ts";
import type { Engine } from "../../engine/engine.ts";
import { engineOptions } from "../../engine/engine-options.ts";
import { notFound } from "../../engine/volumes.ts";
import type { Handler, Header, HttpResponse } from "../../http/message.ts";
import type { Counts } from "../counts.ts";
import { jsonAnswer } from "../docker/answers.ts";
import { type GoFields, type GoStruct, mapField, readJson, textField } from "../docker/go-json.ts";
import { rfc3339 } from "../docker/wire.ts";
import { type ApiFace, type ApiParts, handlerOf } from "../handler.ts";
import { storageObject } from "../holder-objects.ts";
import { careObject } from "../volume-care.ts";
import { volumeState } from "../volume-state.ts";
import { createRequest, refuseDifferent, shortened } from "./create-options.ts";
import { refusalText } from "./refusal.ts";

/** What this face needs of the engine's holds. */
export interface HoldsPort {
  /** The absolute path that this holder gets. Repeating it for the same holder is safe. */
  mount(name: string, holder: HolderId, operation: Operation): Promise<string>;
  /** A hint that the holder has ended. */
  unmount(name: string, holder: HolderId, operation: Operation): Promise<void>;
  /** Remembers which container engine calls, durably: before it is told of a volume. */
  noteCaller(operation: Operation): Promise<void>;
  /** An engine makes contact: it may start a container without a Mount. */
  noteContact(operation: Operation): void;
}

export interface PluginParts {
  readonly engine: Engine;
  readonly holds: HoldsPort;
  /** The operation of a request: its caller, its id, its log. */
  readonly operation: ApiParts["operation"];
  readonly counts?: Counts;
}

/** What one call gets. */
interface Call {
  readonly name: string;
  /** The holder's id; "" when it was not given. */
  readonly id: string;
  readonly options: Readonly<Record<string, string>>;
  readonly operation: Operation;
}

type CallHandler = (call: Call) => object | Promise<object>;

const headers: readonly Header[] = [["Content-Type", "application/vnd.docker.plugins.v1.2+json"]];

/** The requests of all calls: none has a field that means something else in another. */
const requestFields: GoStruct = {
  name: "Request",
  typeName: "volume.Request",
  fields: { ID: "string", Name: "string", Opts: "map[string]string" },
};

/**
 * What this is answered, unless it is a volume, dockerd takes for "no such volume", whatever it
 * says: a create then makes a `local` volume of that name beside ours (measured with 20.10). Where
 * it cannot be told, the connection breaks: dockerd then refuses, after some 15 seconds.
 */
const GET = "/VolumeDriver.Get";

/** Calls without a request: whatever they bring is not read. */
const withoutRequest: ReadonlySet<string> = new Set([
  "/Plugin.Activate",
  "/VolumeDriver.Capabilities",
  "/VolumeDriver.List",
]);

/**
 * The handler of the volume driver socket. What failed is in `Err`, with status 200, which makes
 * dockerd show it as it is; Podman reads it with another status only, and otherwise goes on as if
 * nothing had happened: it has then "created" a volume, or starts a container without its data
 * (measured with 4.3). Any other request is a 404 with `Err`.
 */
export function makePluginHandler(parts: PluginParts): Handler {
  const calls = makeCalls(parts);
  const known = Object.keys(calls).join(", ");
  const face: ApiFace = {
    answer({ request, operation }) {
      const { method, path } = request;
      const handle = Object.hasOwn(calls, path) ? calls[path] : undefined;
      if (handle === undefined || method !== "POST") {
        const Err = `${method} ${shortened(path)}: no such call; known are POST of ${known}`;
        return jsonAnswer(404, headers, { Err });
      }
      if (request.body.length === 0 && !withoutRequest.has(path)) return lostRequest(path);
      const fields = withoutRequest.has(path) ? {} : readJson(request.body, requestFields);
      const reply = handle({ ...callOf(fields), operation });
      return reply instanceof Promise ? reply.then(answerOf) : answerOf(reply);
    },

    refuse: (error: EngineError, { operation, request }) => {
      const isPodman = parts.engine.lists.callerOf(operation)?.kind === "podman";
      const Err = refusalText(error, operation.id);
      const answer = jsonAnswer(isPodman ? 500 : 200, headers, { Err });
      const isAnswer =
        isPodman || request.path !== GET || ["not_found", "invalid"].includes(error.kind);
      return isAnswer ? answer : { ...answer, hangsUp: true };
    },
  };
  return handlerOf(() => face, parts);
}

function makeCalls(parts: PluginParts): Readonly<Record<string, CallHandler>> {
  const { engine, holds } = parts;
  const { volumes } = engine;
  return {
    "/Plugin.Activate": ({ operation }) => {
      holds.noteContact(operation);
      return { Implements: ["VolumeDriver"] };
    },
    "/VolumeDriver.Create": async ({ name, options, operation }) => {
      await holds.noteCaller(operation);
      await createVolume(engine, { name, options, operation });
      return done;
    },
    "/VolumeDriver.Remove": async ({ name, operation }) => {
      known(engine, name);
      // Of an alias only the alias goes.
      await volumes.remove(name, operation);
      return done;
    },
    "/VolumeDriver.Mount": async ({ name, id, operation }) => {
      await holds.noteCaller(operation);
      known(engine, name);
      const path = await holds.mount(name, parseHolderId(id), operation);
      return { Mountpoint: path, Err: "" };
    },
    "/VolumeDriver.Unmount": async ({ name, id, operation }) => {
      await unmountVolume(parts, { name, id, operation });
      return done;
    },
    "/VolumeDriver.Path": ({ name }) => ({ Mountpoint: known(engine, name).mountpoint, Err: "" }),
    [GET]: async ({ name, operation }) => {
      await holds.noteCaller(operation);
      return { Volume: volumeObject(engine, known(engine, name), name), Err: "" };
    },
    "/VolumeDriver.List": () => {
      const entries = volumes.list({}).filter((entry) => !isMoving(entry));
      const rows = engine.state.read((view) => [...view.aliases()]);
      const aliases = Map.groupBy(rows, ({ volume }) => volume);
      return { Volumes: entries.flatMap((entry) => listed(entry, aliases)), Err: "" };
    },
    "/VolumeDriver.Capabilities": () => ({ Capabilities: { Scope: "local" } }),
  };
}

const done = { Err: "" };

/**
 * The volume, unless it is being adopted or released: a dockerd that asks all drivers whose the
 * name is must find its own then, and delete its own.
 */
function known(engine: Engine, name: string): VolumeEntry {
  const entry = engine.volumes.inspect(name);
  if (isMoving(entry)) throw notFound(name);
  return entry;
}

/**
 * A volume under each of its names: an engine that knows it by an alias goes on with it only while
 * the alias is listed.
 */
function listed(
  { name, mountpoint }: VolumeEntry,
  aliases: ReadonlyMap<VolumeName, readonly AliasEntry[]>,
): readonly object[] {
  const names = [name, ...(aliases.get(name) ?? []).map(({ alias }) => alias)];
  return names.map((each) => ({ Name: each, Mountpoint: mountpoint }));
}

/** As `docker volume create` means it; a volume that is there already must be the same. */
async function createVolume(
  engine: Engine,
  { name, options, operation }: Pick<Call, "name" | "options" | "operation">,
): Promise<void> {
  // The engine makes up a name where there is none. Here it was lost on the way, or never given.
  parseVolumeName(name);
  const request = createRequest(name, options, engine.drivers);
  const entry = await engine.volumes.create(request, operation);
  refuseDifferent(entry, request);
}

/** A hint only: of a volume that is gone there is nothing left to end. */
async function unmountVolume(
  { engine, holds }: PluginParts,
  { name, id, operation }: Pick<Call, "name" | "id" | "operation">,
): Promise<void> {
  try {
    engine.volumes.inspect(name);
    await holds.unmount(name, parseHolderId(id), operation);
  } catch (error) {
    if (toEngineError(error).code !== "volume.not_found") throw error;
  }
}

/** Under the name that was asked for: dockerd keeps what it is told, and asks by it again. */
function volumeObject(engine: Engine, entry: VolumeEntry, asked: string): object {
  const { mountpoint, createdAtMs } = entry;
  const Status = statusOf(engine, entry, asked);
  return { Name: asked, Mountpoint: mountpoint, CreatedAt: rfc3339(createdAtMs), Status };
}

/** What `docker volume inspect` shows of a volume beside Docker's own words. No secrets. */
function statusOf(engine: Engine, entry: VolumeEntry, asked: string): object {
  const [holders, care] = engine.state.read((view) => [
    engine.holds.holdersOf(entry.name, view),
    careObject(engine, { entry, asked }, view),
  ]);
  const labels = Object.entries(entry.labels ?? {});
  return {
    driver: entry.driver,
    sharing: engineOptions(entry.options).sharing,
    state: volumeState(engine, entry, holders.length),
    holders: holders.map(({ id, name, state }) => `${name ?? id} (${state})`),
    ...storageObject(engine, entry),
    ...(labels.length > 0 ? { labels: labels.map(([key, value]) => `${key}=${value}`) } : {}),
    ...care,
  };
}

/** To a call that dockerd repeats after its connection broke. An Unmount is a hint, and was one. */
function lostRequest(path: string): HttpResponse {
  if (path === "/VolumeDriver.Unmount") return answerOf(done);
  const Err = "the request was lost when the connection to Holdfast broke; try again";
  const answer = answerOf({ Err });
  return path === GET ? { ...answer, hangsUp: true } : answer;
}

function callOf(fields: GoFields): Omit<Call, "operation"> {
  const { Name, ID, Opts } = fields;
  return { name: textField(Name), id: textField(ID), options: mapField(Opts) ?? {} };
}

function answerOf(reply: object): HttpResponse {
  return jsonAnswer(200, headers, reply);
}
