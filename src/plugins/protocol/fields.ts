// Fields of a plugin's answer, as Go decodes them: case does not matter, and null is left out.
import { badAnswer } from "./answer-reader.ts";

export type JsonObject = Readonly<Record<string, unknown>>;

/** The answer as an object. Throws `plugin.failed` for anything else. */
export function parseObject(text: string): JsonObject {
  return asObject(parseJson(text), "the answer");
}

/** Throws `plugin.failed`. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    const words = error instanceof Error ? error.message : String(error);
    throw badAnswer(`the answer is no JSON: ${words}`);
  }
}

/** null counts as an object without fields. Throws `plugin.failed`. */
export function asObject(value: unknown, what: string): JsonObject {
  if (value === null || value === undefined) return {};
  if (typeof value === "object" && !Array.isArray(value)) {
    return value as JsonObject; // An object that is no array has string keys.
  }
  throw badAnswer(`${what} is no JSON object`);
}

/** undefined where it is missing or null. */
export function field(object: JsonObject, name: string): unknown {
  const exact = Object.hasOwn(object, name) ? object[name] : undefined;
  if (exact !== undefined) return exact ?? undefined;
  const wanted = name.toLowerCase();
  for (const [key, value] of Object.entries(object)) {
    if (key.toLowerCase() === wanted) return value ?? undefined;
  }
  return undefined;
}

/** "" where it is missing or null. Throws `plugin.failed` when it is no string. */
export function textField(object: JsonObject, name: string): string {
  const value = field(object, name);
  if (value === undefined) return "";
  if (typeof value === "string") return value;
  throw badAnswer(`${name} in the answer is no string`);
}
