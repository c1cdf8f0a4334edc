// The table of routes as an OpenAPI 3.1 document.
import { contract } from "./contract.ts";
import { OWN_PREFIX, type RouteContract, type Schema, text } from "./route-contract.ts";

/** The error body of every own route. */
const failure = {
  type: "object",
  required: ["message", "code", "kind", "recovery"],
  properties: { message: text, code: text, kind: text, recovery: text, details: {} },
} as const satisfies Schema;

export function openApiDocument(version: string): Schema {
  const paths: Record<string, Record<string, unknown>> = {};
  for (const [operationId, route] of Object.entries<RouteContract>(contract)) {
    const path = `${OWN_PREFIX}${route.path}`;
    const operation = { operationId, ...operationOf(route) };
    paths[path] = { ...paths[path], [route.method.toLowerCase()]: operation };
  }
  return { openapi: "3.1.0", info: { title: "Holdfast", version }, paths };
}

function operationOf(route: RouteContract): Schema {
  const { body, upload, reply, summary } = route;
  const inPath = [...route.path.matchAll(/\{(\w+)\}/g)].map((match) => ({
    name: match[1],
    in: "path",
    required: true,
    schema: text,
  }));
  const inQuery = Object.entries(route.query).map(([name, { schema, about }]) => ({
    name,
    in: "query",
    schema,
    description: about,
  }));
  const type = typeOf(route);
  const answer = reply === undefined ? {} : content(reply, type);
  const ofUpload =
    upload === undefined ? {} : { requestBody: { required: true, ...content({}, upload) } };
  const request = body === undefined ? ofUpload : { requestBody: requestBody(body) };
  return {
    summary,
    parameters: [...inPath, ...inQuery],
    ...request,
    responses: {
      [reply === undefined ? "204" : "200"]: { description: "Done.", ...answer },
      default: { description: "Refused or failed.", ...content(failure, "application/json") },
    },
  };
}

function typeOf({ isStream, isEventStream }: RouteContract): string {
  if (isEventStream) return "text/event-stream";
  return isStream ? "application/x-ndjson" : "application/json";
}

/** Where nothing in it is needed, it may be left out. */
function requestBody(body: Schema): Schema {
  // Fields that a route does not name are refused.
  const schema = { ...body, additionalProperties: false };
  return { required: body["required"] !== undefined, ...content(schema, "application/json") };
}

function content(schema: Schema, type: string): Schema {
  return { content: { [type]: { schema } } };
}
