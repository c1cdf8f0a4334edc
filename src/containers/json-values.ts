// Reading the JSON of container engines: what is not of the expected shape is an error.

/** Any value's members; none of what is no object. */
export function fields(value: unknown): Readonly<Record<string, unknown>> {
  return isObject(value) ? value : {};
}

/** A member that must be a text. Throws an Error that names it. */
export function field(value: unknown, name: string): string {
  const found = fields(value)[name];
  if (typeof found !== "string") throw new Error(`it answered with a wrong ${name}`);
  return found;
}

/** A list, or null as Go writes an empty one. Throws an Error for all else. */
export function list(value: unknown): readonly unknown[] {
  if (Array.isArray(value)) return value;
  if (value === null || value === undefined) return [];
  throw new Error("it answered with something that is no list");
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null;
}
