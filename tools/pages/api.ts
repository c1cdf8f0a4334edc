// docs/reference/api.md: Holdfast's own routes, from their contract.
import { contract } from "../../src/api/holdfast/contract.ts";
import {
  OWN_PREFIX,
  type RouteContract,
  type Schema,
} from "../../src/api/holdfast/route-contract.ts";
import { statusOfKind } from "../../src/api/holdfast/routing.ts";

export function renderApi(): string {
  const routes = Object.values<RouteContract>(contract);
  return [
    "# Holdfast's own routes",
    "",
    "Generated from `src/api/holdfast/contract.ts` by `npm run generate`. `openapi.json` says the",
    "same to programs. They are served on the same socket as Docker's routes, which",
    "[differences from Docker](../deviations.md) is about.",
    "",
    "A refusal is a JSON object with `message`, `code`, `kind`, `recovery` and `details`;",
    "[errors](errors.md) lists the codes. Its status follows the kind:",
    `${Object.entries(statusOfKind)
      .map(([kind, status]) => `${status} ${kind}`)
      .join(", ")}.`,
    "A query parameter or a field of a body that a route does not name is refused. Times are RFC",
    "3339, in UTC. `/metrics` on the same socket is for Prometheus.",
    "",
    ...routes.flatMap(renderRoute),
  ].join("\n");
}

function renderRoute(route: RouteContract): readonly string[] {
  const query = Object.entries(route.query).map(
    ([name, { schema, about }]) => `| \`${name}\` | ${typeOf(schema)} | ${about} |`,
  );
  const table = ["| query | is | |", "|---|---|---|", ...query, ""];
  return [
    `## ${route.method} ${OWN_PREFIX}${route.path}`,
    "",
    route.summary,
    "",
    ...(query.length === 0 ? [] : table),
    ...renderBody(route.body),
    ...renderReply(route),
    "",
  ];
}

function renderBody(body: Schema | undefined): readonly string[] {
  if (body === undefined) return [];
  const needed: readonly unknown[] = [body["required"] ?? []].flat();
  const words = needed.length > 0 ? `; needed: ${needed.map((name) => `\`${name}\``)}` : "";
  const fields = fieldsOf(body, "");
  return [`Takes a JSON object${words}.`, "", "| field | is |", "|---|---|", ...fields, ""];
}

function renderReply({ reply, isStream, isEventStream }: RouteContract): readonly string[] {
  if (reply === undefined) return ["Answers 204, without a body."];
  const fields = fieldsOf(reply, "");
  if (fields.length === 0) return ["Answers 200 and a JSON object."];
  const words = isEventStream ? "Answers 200 and events, each with some of" : "Answers 200 and";
  const start = isStream ? `${words} one JSON object a line:` : `${words}:`;
  return [start, "", "| field | is |", "|---|---|", ...fields];
}

/** One row for each field, those of inner objects with the path to them. */
function fieldsOf(schema: Schema, above: string): readonly string[] {
  const properties = schemaOf(schema["properties"]);
  return Object.entries(properties).flatMap(([name, value]) => {
    const field = schemaOf(value);
    const path = `${above}${name}`;
    const row = `| \`${path}\` | ${typeOf(field)} |`;
    const inner = field["type"] === "array" ? schemaOf(field["items"]) : field;
    const step = field["type"] === "array" ? "[]." : ".";
    return [row, ...fieldsOf(inner, `${path}${step}`)];
  });
}

function typeOf(schema: Schema): string {
  if ("const" in schema) return `\`${JSON.stringify(schema["const"])}\``;
  const values = schema["enum"];
  if (Array.isArray(values)) return values.map((each) => `\`${JSON.stringify(each)}\``).join(", ");
  const types = [schema["type"]].flat().map(String);
  const words = types.map((each) =>
    schema["format"] === "date-time" && each === "string" ? "time" : each,
  );
  const bounds = ["minimum", "maximum"].flatMap((name) =>
    name in schema ? String(schema[name]) : [],
  );
  return `${words.join(" or ")}${bounds.length === 2 ? `, ${bounds.join(" to ")}` : ""}`;
}

/** The contract's schemas are plain objects; what is none has nothing to show. */
function schemaOf(value: unknown): Schema {
  return typeof value === "object" && value !== null ? { ...value } : {};
}
