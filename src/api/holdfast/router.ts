// Holdfast's own routes: what Docker has no word for.
import type { ErrorKind } from "../../core/error-table.ts";
import { EngineError } from "../../core/errors.ts";
import type { AnyResponse, Header } from "../../http/message.ts";
import type { ApiFace, ApiParts } from "../handler.ts";
import { warnings } from "../warnings.ts";
import { adoptionHandlers } from "./adoptions.ts";
import { readBody } from "./body.ts";
import { EventStream, LineStream, type RouteHandler } from "./call.ts";
import { contract, type RouteName } from "./contract.ts";
import { doctorHandlers } from "./doctor.ts";
import { driverHandlers } from "./drivers.ts";
import { engineHandlers } from "./engines.ts";
import { historyHandlers } from "./history.ts";
import { lockHandlers } from "./locks.ts";
import { openApiDocument } from "./open-api.ts";
import { pluginHandlers } from "./plugins.ts";
import { prunePlanHandlers } from "./prune-plans.ts";
import { OWN_PREFIX, type RouteContract } from "./route-contract.ts";
import { secretHandlers } from "./secrets.ts";
import { trashHandlers } from "./trash.ts";
import { upkeepHandlers } from "./upkeep.ts";
import { oneVolume } from "./volume-object.ts";
import { volumeHandlers } from "./volumes.ts";

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

interface CompiledRoute {
  readonly contract: RouteContract;
  readonly pattern: RegExp;
  readonly handle: RouteHandler;
}

const headers: readonly Header[] = [["Content-Type", "application/json"]];
const lineHeaders: readonly Header[] = [["Content-Type", "application/x-ndjson"]];
const eventHeaders: readonly Header[] = [
  ["Content-Type", "text/event-stream"],
  ["Cache-Control", "no-store"],
];

export function makeHoldfastApi(api: ApiParts): ApiFace {
  const handlers = makeHandlers(api);
  const routes = Object.entries<RouteContract>(contract).map(([name, route]): CompiledRoute => {
    const source = route.path.replaceAll(".", "\\.").replace(/\{(\w+)\}/g, "(?<$1>[^/]+)");
    // Object.entries widens the key; the table's keys are exactly the handlers' (checked below).
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
        body: readBody(context.request, route.contract.body),
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
  const { engine, facts, userName = () => undefined } = api;
  const words = { userName };
  return {
    health: () => ({
      status: "ok",
      volumes: engine.state.read((view) => view.volumeCount),
      warnings: warnings(api),
    }),
    ...volumeHandlers(engine, words),
    ...upkeepHandlers(engine),
    ...doctorHandlers(engine),
    ...trashHandlers(engine),
    ...prunePlanHandlers(engine),
    ...historyHandlers(engine, words),
    ...engineHandlers(engine),
    ...driverHandlers(engine, facts.driverManuals),
    ...adoptionHandlers(engine, (name) => oneVolume(engine, name)),
    ...pluginHandlers(engine, facts.root),
    ...secretHandlers(engine),
    ...lockHandlers(engine),
    openapi: () => openApiDocument(facts.version),
  };
}

function answerOf(reply: unknown): AnyResponse {
  if (reply === undefined) return { status: 204, headers: [], body: undefined };
  if (reply instanceof LineStream) {
    return { status: 200, headers: lineHeaders, endless: true, stream: reply.start };
  }
  if (reply instanceof EventStream) {
    return { status: 200, headers: eventHeaders, endless: true, stream: reply.start };
  }
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
