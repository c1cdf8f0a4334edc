// Holdfast's own routes: what Docker has no word for.
import { EngineError, type ErrorKind } from "../../core/errors.ts";
import { parseHolderId, parseVolumeName } from "../../core/names.ts";
import type { Operation } from "../../core/operation.ts";
import type { HistoryEntry, StateView, VolumeEntry } from "../../core/state-store.ts";
import type { ContainerList, ContainerLists } from "../../engine/container-lists.ts";
import type { Engine } from "../../engine/engine.ts";
import type { AnyResponse, Header, HttpResponse } from "../../http/message.ts";
import type { ApiFace, ApiParts, RouteContext } from "../handler.ts";
import { instantOf, useObject } from "../holder-objects.ts";
import { warnings } from "../warnings.ts";
import { adoptionHandlers } from "./adoptions.ts";
import {
  contract,
  HISTORY_ANSWER_COUNT_MAX,
  OWN_PREFIX,
  openApiDocument,
  type RouteContract,
  type RouteName,
  VOLUMES_PAGE_COUNT_MAX,
} from "./contract.ts";

/** STYLE's table: one status per kind. */
export const statusOfKind: Readonly<Record<ErrorKind, number>> = {
  invalid: 400,
  not_found: 404,
  conflict: 409,
  denied: 403,
  unsupported: 501,
  exhausted: 507,
  unavailable: 503,
  cancelled: 500,
  corrupt: 500,
  internal: 500,
};

/** What a handler gets: the segments of the path and the parameters of the query, both decoded. */
interface Call {
  readonly context: RouteContext;
  readonly path: Readonly<Record<string, string>>;
  readonly query: URLSearchParams;
}

type RouteHandler = (call: Call) => unknown;

interface CompiledRoute {
  readonly contract: RouteContract;
  readonly pattern: RegExp;
  readonly handle: RouteHandler;
}

const headers: readonly Header[] = [["Content-Type", "application/json"]];

export function makeHoldfastApi(api: ApiParts): ApiFace {
  const handlers = makeHandlers(api);
  const routes = Object.entries<RouteContract>(contract).map(([name, route]): CompiledRoute => {
    const source = route.path.replaceAll(".", "\\.").replace(/\{(\w+)\}/g, "(?<$1>[^/]+)");
    // Object.entries widens the key; the table's keys are exactly the handlers' (checked above).
    const handle = handlers[name as RouteName];
    return { contract: route, pattern: new RegExp(`^${source}$`), handle };
  });

  return {
    answer(context) {
      const { method, path, query } = context.request;
      const own = path.slice(OWN_PREFIX.length);
      const matching = routes.filter((route) => route.pattern.test(own));
      const route = matching.find((each) => each.contract.method === method);
      if (route === undefined) throw noRoute(method, path, matching);
      const segments = route.pattern.exec(own)?.groups ?? {};
      const decoded = Object.entries(segments).map(([key, text]) => [
        key,
        decodeSegment(key, text),
      ]);
      const parameters = new URLSearchParams(query);
      refuseUnknown(route.contract, parameters);
      const reply = route.handle({
        context,
        path: Object.fromEntries(decoded),
        query: parameters,
      });
      return reply instanceof Promise ? reply.then(answerOf) : answerOf(reply);
    },

    refuse(error, context): AnyResponse {
      const { code, kind, message, recovery, details } = error;
      const report = kind === "internal" ? { report: context.operation.id } : {};
      const body = { message, code, kind, recovery, details, ...report };
      return { status: statusOfKind[kind], headers, body: `${JSON.stringify(body)}\n` };
    },
  };
}

function makeHandlers(api: ApiParts): Readonly<Record<RouteName, RouteHandler>> {
  const { engine, facts } = api;
  return {
    health: () => ({
      status: "ok",
      volumes: engine.state.read((view) => view.volumeCount),
      warnings: warnings(api),
    }),
    volumes: async ({ query, context }) => {
      const countMax = parseCount(query.get("count"), VOLUMES_PAGE_COUNT_MAX);
      await engine.holds.refresh(context.operation);
      const { entries, next } = engine.volumes.page(query.get("after") ?? "", countMax);
      return engine.state.read((view) => ({
        volumes: entries.map((entry) => volumeObject(engine, entry, view)),
        next,
      }));
    },
    volume: async ({ path, context }) => {
      engine.volumes.inspect(path["name"] ?? "");
      await engine.holds.refresh(context.operation);
      const entry = engine.volumes.inspect(path["name"] ?? "");
      return engine.state.read((view) => volumeObject(engine, entry, view));
    },
    engines: async ({ context }) => {
      const list = await engine.lists.ask(context.operation);
      return { engines: engine.state.read((view) => engineObjects(view, list)) };
    },
    forgetEngine: async ({ path, query, context }) => {
      const key = path["key"] ?? "";
      if (!parseFlag("force", query)) await refuseLiving(engine.lists, key, context.operation);
      if (await engine.lists.forget(key)) {
        context.operation.log.info("a container engine was forgotten", { engine: key });
        return;
      }
      throw new EngineError("engine.unknown", `no engine ${JSON.stringify(key)} is known`, {
        details: { engine: key },
      });
    },
    mount: async ({ path, context }) => {
      const holder = parseHolderId(path["holder"] ?? "");
      const name = path["name"] ?? "";
      return { path: await engine.volumes.mount(name, holder, context.operation) };
    },
    unmount: async ({ path, context }) => {
      const holder = parseHolderId(path["holder"] ?? "");
      const name = path["name"] ?? "";
      // A container engine's own hold is ended by its rules, whoever asks.
      if (engine.holds.has(name, holder)) {
        await engine.holds.unmount(name, holder, context.operation);
      } else await engine.volumes.unmount(name, holder, context.operation);
    },
    ...adoptionHandlers(engine, (name) =>
      engine.state.read((view) => volumeObject(engine, engine.volumes.inspect(name), view)),
    ),
    history: ({ query }) => {
      const volume = query.get("volume");
      const changes = engine.state.history({
        ...(volume === null ? {} : { volume: parseVolumeName(volume) }),
        countMax: parseCount(query.get("count"), HISTORY_ANSWER_COUNT_MAX),
      });
      return { changes: changes.map(changeObject) };
    },
    openapi: () => openApiDocument(facts.version),
  };
}

function volumeObject(engine: Engine, entry: VolumeEntry, view: StateView): unknown {
  const { holders, lastUsedAt, sharing, state } = useObject(engine, entry, view);
  return {
    name: entry.name,
    driver: entry.driver,
    scope: entry.scope,
    state,
    createdAt: instantOf(entry.createdAtMs),
    firstUsedAt: instantOf(entry.usedAtMs),
    lastUsedAt,
    mountpoint: entry.mountpoint,
    labels: entry.labels,
    options: entry.options,
    sharing,
    holders,
  };
}

function engineObjects(view: StateView, list: ContainerList): readonly unknown[] {
  return [...view.engines()].map(({ key, sinceMs }) => {
    const silent = list.unreachable.find((each) => each.key === key);
    const containers = list.containers.filter(({ engine }) => engine.key === key);
    return {
      key,
      since: instantOf(sinceMs),
      containers: silent === undefined ? containers.length : null,
      error: silent?.reason ?? null,
    };
  });
}

/** Forgetting it would let the volumes of its stopped containers be removed. */
async function refuseLiving(
  lists: ContainerLists,
  key: string,
  operation: Operation,
): Promise<void> {
  const { containers } = await lists.ask(operation);
  const own = containers.filter(({ engine }) => engine.key === key);
  if (own.length === 0) return;
  const names = own.slice(0, 3).map(({ name }) => name);
  const more = own.length > names.length ? ` and ${own.length - names.length} more` : "";
  throw new EngineError(
    "engine.in_use",
    `${key} answers, and has containers with volumes: ${names.join(", ")}${more}`,
    { details: { engine: key, containers: own.map(({ id }) => id) } },
  );
}

function changeObject(entry: HistoryEntry): unknown {
  const { atMs, action, volume, driver, caller, operation } = entry;
  return { at: new Date(atMs).toISOString(), action, volume, driver, caller, operation };
}

function answerOf(reply: unknown): HttpResponse {
  if (reply === undefined) return { status: 204, headers: [], body: undefined };
  return { status: 200, headers, body: `${JSON.stringify(reply)}\n` };
}

function noRoute(method: string, path: string, matching: readonly CompiledRoute[]): EngineError {
  const allowed = matching.map((each) => each.contract.method);
  return new EngineError(
    allowed.length > 0 ? "request.invalid" : "request.no_route",
    allowed.length > 0
      ? `${path} takes ${allowed.join(" or ")}, not ${method}`
      : `${path}: no such route; ${OWN_PREFIX}openapi.json lists all`,
  );
}

function refuseUnknown(route: RouteContract, query: URLSearchParams): void {
  for (const name of query.keys()) {
    if (Object.hasOwn(route.query, name)) continue;
    const known = Object.keys(route.query);
    const rule = known.length > 0 ? `it takes ${known.join(", ")}` : "it takes none";
    throw new EngineError("request.invalid", `unknown query parameter ${name}: ${rule}`, {
      details: { field: name },
    });
  }
}

function decodeSegment(field: string, text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw new EngineError("request.invalid", `${field}: bad percent-encoding in ${text}`, {
      details: { field, value: text },
    });
  }
}

function parseFlag(name: string, query: URLSearchParams): boolean {
  const text = query.get(name) ?? "false";
  if (text === "true" || text === "false") return text === "true";
  throw new EngineError(
    "request.invalid",
    `${name} ${JSON.stringify(text)}: true or false is needed`,
    { details: { field: name, value: text } },
  );
}

function parseCount(text: string | null, countMax: number): number {
  if (text === null) return countMax;
  const count = /^\d{1,6}$/.test(text) ? Number(text) : 0;
  if (count >= 1 && count <= countMax) return count;
  throw new EngineError(
    "request.invalid",
    `count ${JSON.stringify(text)}: a whole number from 1 to ${countMax} is needed`,
    { details: { field: "count", value: text } },
  );
}
