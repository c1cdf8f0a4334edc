// JSON of the daemon as Go structs: an unknown field is an error, where a map has no value.
import { fromJson, GoSlice, GoStruct, type GoValue } from "./template/values.ts";

/** Fields whose names are data, so they stay maps. */
const mapFields = new Set(["Details", "Runtimes", "Labels"]);

/** Types that are not called as the field that has them. */
const typeNames: Readonly<Record<string, string>> = { Plugins: "PluginsInfo" };

/** Whole numbers become Go's int. `typeName` is for messages: "system.Info". */
export function jsonStruct(typeName: string, value: Readonly<Record<string, unknown>>): GoStruct {
  const packageName = typeName.replace(/^\*?/, "").split(".")[0] ?? "";
  const fields = Object.entries(value).map(
    ([name, item]) =>
      [name, convert(`${packageName}.${typeNames[name] ?? name}`, name, item)] as const,
  );
  return new GoStruct(typeName, new Map(fields));
}

function convert(typeName: string, name: string, value: unknown): GoValue {
  if (typeof value === "number" && Number.isInteger(value)) return BigInt(value);
  if (Array.isArray(value)) {
    const isText = value.every((item) => typeof item === "string");
    const items = value.map((item: unknown) => convert(typeName, name, item));
    return new GoSlice(isText ? "[]string" : `[]${typeName}`, items);
  }
  if (typeof value !== "object" || value === null || mapFields.has(name)) return fromJson(value);
  // A non-null object that is not an array: a record.
  return jsonStruct(typeName, value as Record<string, unknown>);
}
