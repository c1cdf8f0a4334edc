// JSON bodies of own routes: read once, and held against the contract field by field.
import { EngineError } from "../../core/errors.ts";
import type { HttpRequest } from "../../http/message.ts";
import type { Schema } from "./route-contract.ts";

/** Keeps nothing between two bodies. */
const decoder = new TextDecoder("utf-8", { fatal: true });

/** How many texts a list or a map may have. */
export const BODY_ITEMS_COUNT_MAX = 1_000;

/** The fields of a body that has the shape its route asks for. */
export class Body {
  readonly #fields: Readonly<Record<string, unknown>>;

  constructor(fields: Readonly<Record<string, unknown>>) {
    this.#fields = fields;
  }

  has(name: string): boolean {
    return this.#fields[name] !== undefined;
  }

  /** undefined: it was not given, or is null. */
  text(name: string): string | undefined {
    const value = this.#fields[name];
    return typeof value === "string" ? value : undefined;
  }

  flag(name: string): boolean {
    return this.#fields[name] === true;
  }

  count(name: string): number | undefined {
    const value = this.#fields[name];
    return typeof value === "number" ? value : undefined;
  }

  /** Empty when it was not given. */
  texts(name: string): readonly string[] {
    const value = this.#fields[name];
    return Array.isArray(value) ? value.map(String) : [];
  }

  /** Objects of a list; empty when it was not given. */
  records(name: string): readonly Readonly<Record<string, unknown>>[] {
    const value = this.#fields[name];
    // Checked against the contract, as all fields are: a list of objects.
    return Array.isArray(value) ? value.map((each) => ({ ...(each as object) })) : [];
  }

  /** Empty when it was not given. */
  map(name: string): Readonly<Record<string, string>> {
    const value = this.#fields[name];
    if (typeof value !== "object" || value === null) return {};
    return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, String(each)]));
  }
}

/**
 * The request's body. Throws `request.invalid` for what is no JSON, and for a field that is unknown
 * or of another kind, naming it, its value and the rule. Where nothing is needed it may be missing.
 */
export function readBody({ body, headers }: HttpRequest, schema: Schema | undefined): Body {
  if (schema === undefined) {
    if (body.length > 0) throw refusal("body", "this route takes none");
    return new Body({});
  }
  const type = headers.get("content-type")?.split(";")[0]?.trim().toLowerCase();
  if (body.length > 0 && type !== undefined && type !== "application/json") {
    throw refusal(`Content-Type ${JSON.stringify(type)}`, "application/json is needed");
  }
  const value = body.length === 0 ? {} : parse(body);
  const wrong = mistake(schema, value, "");
  if (wrong !== undefined) throw wrong;
  // Checked just now: an object with the fields of the schema.
  return new Body(value as Readonly<Record<string, unknown>>);
}

function parse(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(decoder.decode(bytes));
  } catch {
    throw refusal("body", "a JSON object in UTF-8 is needed");
  }
}

function mistake(schema: Schema, value: unknown, field: string): EngineError | undefined {
  const isFit = isOfSome(schema["type"], value);
  if (value === null && isFit) return undefined;
  if (!isFit || !isWithin(schema, value)) {
    const name = field === "" ? "body" : field;
    const rule = `${ruleOf(schema)} is needed`;
    if (isSecret(schema)) return refusal(name, rule, { field: name });
    const shown = (JSON.stringify(value) ?? "nothing").slice(0, 100);
    return refusal(`${name} ${shown}`, rule, { field: name, value });
  }
  if (Array.isArray(value)) return listMistake(schema, value, field);
  if (typeof value === "object" && value !== null) return fieldMistake(schema, value, field);
  return undefined;
}

/** What must not be repeated in a refusal: the field, and whatever should have had it in it. */
function isSecret(schema: Schema): boolean {
  const fields = Object.values(schemaOf(schema["properties"]));
  return schema["writeOnly"] === true || fields.some((each) => isSecret(schemaOf(each)));
}

/** Of the type, or of one of several. */
function isOfSome(type: unknown, value: unknown): boolean {
  return Array.isArray(type) ? type.some((each) => isOfType(each, value)) : isOfType(type, value);
}

function isOfType(type: unknown, value: unknown): boolean {
  switch (type) {
    case "integer":
      return Number.isSafeInteger(value);
    case "array":
      return Array.isArray(value);
    case "object":
      return typeof value === "object" && value !== null && !Array.isArray(value);
    case "null":
      return value === null;
    default:
      return typeof value === type;
  }
}

function isWithin(schema: Schema, value: unknown): boolean {
  const size = typeof value === "number" ? value : typeof value === "string" ? value.length : 0;
  const [min, max] = boundsOf(schema);
  return (min === undefined || size >= min) && (max === undefined || size <= max);
}

function boundsOf(schema: Schema): readonly [min: number | undefined, max: number | undefined] {
  const min = schema["minimum"] ?? schema["minLength"];
  const max = schema["maximum"] ?? schema["maxLength"];
  return [typeof min === "number" ? min : undefined, typeof max === "number" ? max : undefined];
}

function listMistake(schema: Schema, list: readonly unknown[], field: string) {
  if (list.length > BODY_ITEMS_COUNT_MAX) return tooMany(field);
  const items = schemaOf(schema["items"]);
  for (const [index, item] of list.entries()) {
    const wrong = mistake(items, item, `${field}[${index}]`);
    if (wrong !== undefined) return wrong;
  }
  return undefined;
}

function fieldMistake(schema: Schema, value: object, field: string): EngineError | undefined {
  const properties = schemaOf(schema["properties"]);
  const rest = schema["additionalProperties"];
  const prefix = field === "" ? "" : `${field}.`;
  const entries = Object.entries(value);
  if (entries.length > BODY_ITEMS_COUNT_MAX) return tooMany(field);
  for (const [name, each] of entries) {
    const known = Object.hasOwn(properties, name) ? properties[name] : rest;
    if (known === undefined) return unknownField(`${prefix}${name}`, Object.keys(properties));
    const wrong = mistake(schemaOf(known), each, `${prefix}${name}`);
    if (wrong !== undefined) return wrong;
  }
  const { required } = schema;
  if (!Array.isArray(required)) return undefined;
  const missing: unknown = required.find((name) => !Object.hasOwn(value, String(name)));
  if (missing === undefined) return undefined;
  const rule = ruleOf(schemaOf(properties[String(missing)]));
  return refusal(`${prefix}${missing} is missing`, `${rule} is needed`, { field: missing });
}

function unknownField(field: string, known: readonly string[]): EngineError {
  return refusal(`unknown field ${field.slice(0, 100)}`, `the body takes ${known.join(", ")}`, {
    field,
  });
}

function tooMany(field: string): EngineError {
  const rule = `at most ${BODY_ITEMS_COUNT_MAX} are allowed`;
  return refusal(field === "" ? "body" : field, rule, { field });
}

/** A type in words. */
function ruleOf(schema: Schema): string {
  const [min, max] = boundsOf(schema);
  const words = [schema["type"]].flat().map((type) => {
    switch (type) {
      case "string":
        return max === undefined ? "text" : `text of ${min ?? 0} to ${max} characters`;
      case "integer":
        return `a whole number from ${min ?? 0} on`;
      case "number":
        return `a number from ${min ?? 0} to ${max ?? "any"}`;
      case "boolean":
        return "true or false";
      case "array":
        return schemaOf(schema["items"])["type"] === "object"
          ? "a list of objects"
          : "a list of texts";
      case "object":
        return schema["additionalProperties"] === undefined ? "an object" : "an object of texts";
      default:
        return String(type);
    }
  });
  return words.join(" or ");
}

/** The contract's schemas are plain objects. */
function schemaOf(value: unknown): Schema {
  return isObject(value) ? value : {};
}

function isObject(value: unknown): value is Schema {
  return typeof value === "object" && value !== null;
}

function refusal(what: string, rule: string, details: object = {}): EngineError {
  return new EngineError("request.invalid", `${what}: ${rule}`, { details: { ...details } });
}
