// Routes as data, served: finds the route of a request, checks the request, words the answer.
import type { ErrorKind } from "../../core/error-table.ts";
import { EngineError } from "../../core/errors.ts";
import type { AnyResponse, Header, HttpRequest } from "../../http/message.ts";
import type { ApiFace, RouteContext } from "../handler.ts";
import { readBody } from "./body.ts";
import { EventStream, LineStream, type RouteHandler } from "./call.ts";
import { OWN_PREFIX, type RouteContract } from "./route-contract.ts";

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

interface CompiledRoute<Name extends string> {
  readonly name: Name;
  readonly contract: RouteContract;
  readonly segments: readonly Segment[];
}

/** Of a path: this text, or a parameter of this name. */
interface Segment {
  readonly text: string;
  readonly isParameter: boolean;
}

export interface Routing<Name extends string> {
  readonly contract: Readonly<Record<Name, RouteContract>>;
  /** What answers a request; asked once for each. */
  readonly handlers: (context: RouteContext) => Readonly<Record<Name, RouteHandler>>;
  /** Where all routes can be found, for whoever asks for one that there is not. */
  readonly hint: string;
}

/** Read by handlers, and changed by none. */
const noParameters = new URLSearchParams();

const headers: readonly Header[] = [["Content-Type", "application/json"]];
const lineHeaders: readonly Header[] = [["Content-Type", "application/x-ndjson"]];
const eventHeaders: readonly Header[] = [
  ["Content-Type", "text/event-stream"],
  ["Cache-Control", "no-store"],
];

/** Paths are below `OWN_PREFIX`; one outside of it begins with a slash in the contract, too. */
export function routeFace<Name extends string>(routing: Routing<Name>): ApiFace {
  const { contract, handlers, hint } = routing;
  // By the number of segments: most requests are compared with a few of all routes.
  const routes = Map.groupBy(
    Object.entries<RouteContract>(contract).map(([name, route]): CompiledRoute<Name> => {
      // Object.entries widens the key.
      return { name: name as Name, contract: route, segments: segmentsOf(route.path) };
    }),
    ({ segments }) => segments.length,
  );

  return {
    answer(context) {
      const { method, path, query } = context.request;
      const own = path.startsWith(OWN_PREFIX) ? path.slice(OWN_PREFIX.length) : path;
      const given = own.split("/");
      const matching = (routes.get(given.length) ?? []).filter((each) => isMatch(each, given));
      const route = matching.find((each) => each.contract.method === method);
      if (route === undefined) throw noRoute({ method, path }, matching, hint);
      const values = parametersOf(route, given);
      const parameters = query === "" ? noParameters : new URLSearchParams(query);
      refuseUnknown(route.contract, parameters);
      const reply = handlers(context)[route.name]({
        context,
        path: values,
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

function segmentsOf(path: string): readonly Segment[] {
  return path.split("/").map((text) => {
    const parameter = /^\{(\w+)\}$/.exec(text)?.[1];
    return { text: parameter ?? text, isParameter: parameter !== undefined };
  });
}

function isMatch({ segments }: CompiledRoute<string>, given: readonly string[]): boolean {
  return segments.every(({ text, isParameter }, index) =>
    isParameter ? given[index] !== "" : given[index] === text,
  );
}

function parametersOf(
  { segments }: CompiledRoute<string>,
  given: readonly string[],
): Readonly<Record<string, string>> {
  const values: Record<string, string> = {};
  segments.forEach(({ text, isParameter }, index) => {
    if (isParameter) values[text] = decodeSegment(text, given[index] ?? "");
  });
  return values;
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

function noRoute(
  { method, path }: Pick<HttpRequest, "method" | "path">,
  matching: readonly CompiledRoute<string>[],
  hint: string,
): EngineError {
  const allowed = matching.map((each) => each.contract.method);
  return new EngineError(
    allowed.length > 0 ? "request.invalid" : "request.no_route",
    allowed.length > 0
      ? `${path} takes ${allowed.join(" or ")}, not ${method}`
      : `${path}: no such route; ${hint}`,
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
  if (!text.includes("%")) return text;
  try {
    return decodeURIComponent(text);
  } catch {
    throw new EngineError("request.invalid", `${field}: bad percent-encoding in ${text}`, {
      details: { field, value: text },
    });
  }
}
