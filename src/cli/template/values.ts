// Values as Go's text/template sees them, and how Go prints them.
import { escapeHtml } from "../volume-object.ts";

/**
 * Integers are bigint and floating-point numbers are number, because Go refuses to compare the two.
 * `null` is Go's nil without a type.
 */
export type GoValue =
  | string
  | boolean
  | bigint
  | number
  | null
  | GoStruct
  | GoMap
  | GoSlice
  | GoNilPointer;

export interface GoMethod {
  /** All parameters are strings. */
  readonly parameterCount: number;
  call(values: readonly string[]): GoValue;
}

interface StructExtras {
  readonly methods?: ReadonlyMap<string, GoMethod>;
  /** Its own JSON, where it is not simply that of the fields. */
  readonly json?: () => string;
  /** What `{{.}}` prints. */
  readonly printed?: string;
}

/** A struct: only the fields it has can be named. */
export class GoStruct {
  readonly typeName: string;
  readonly fields: ReadonlyMap<string, GoValue>;
  readonly extras: StructExtras;
  constructor(typeName: string, fields: ReadonlyMap<string, GoValue>, extras: StructExtras = {}) {
    this.typeName = typeName;
    this.fields = fields;
    this.extras = extras;
  }
}

/** A map with string keys. */
export class GoMap {
  readonly typeName: string;
  readonly entries: ReadonlyMap<string, GoValue>;
  readonly methods: ReadonlyMap<string, GoMethod> | undefined;
  readonly isNil: boolean;
  constructor(
    typeName: string,
    entries: ReadonlyMap<string, GoValue>,
    extras: { readonly methods?: ReadonlyMap<string, GoMethod>; readonly isNil?: boolean } = {},
  ) {
    this.typeName = typeName;
    this.entries = entries;
    this.methods = extras.methods;
    this.isNil = extras.isNil ?? false;
  }

  sorted(): [string, GoValue][] {
    return [...this.entries].sort(([a], [b]) => (a < b ? -1 : 1));
  }
}

export class GoSlice {
  readonly typeName: string;
  readonly items: readonly GoValue[];
  readonly isNil: boolean;
  constructor(typeName: string, items: readonly GoValue[], isNil = false) {
    this.typeName = typeName;
    this.items = items;
    this.isNil = isNil;
  }
}

/** A pointer to a struct that is not there. */
export class GoNilPointer {
  readonly typeName: string;
  constructor(typeName: string) {
    this.typeName = typeName;
  }
}

/** The value of any JSON, as Go decodes it without knowing its type. */
export function fromJson(value: unknown): GoValue {
  if (value === null || value === undefined) return null;
  if (typeof value === "string" || typeof value === "boolean" || typeof value === "number") {
    return value;
  }
  if (Array.isArray(value)) return new GoSlice("[]interface {}", value.map(fromJson));
  const entries = Object.entries(value).map(([key, item]) => [key, fromJson(item)] as const);
  return new GoMap("map[string]interface {}", new Map(entries));
}

/** A Go `map[string]string`. */
export function stringMap(value: Readonly<Record<string, string>> | null | undefined): GoMap {
  const isNil = value === null || value === undefined;
  return new GoMap("map[string]string", new Map(Object.entries(value ?? {})), { isNil });
}

export function typeNameOf(value: GoValue): string {
  if (value === null) return "nil";
  switch (typeof value) {
    case "string":
      return "string";
    case "boolean":
      return "bool";
    case "bigint":
      return "int";
    case "number":
      return "float64";
    default:
      return value.typeName;
  }
}

/** Go's idea of "empty", for if, with, and, or, not. */
export function isTrue(value: GoValue): boolean {
  if (value === null || value instanceof GoNilPointer) return false;
  if (value instanceof GoStruct) return true;
  if (value instanceof GoMap) return value.entries.size > 0;
  if (value instanceof GoSlice) return value.items.length > 0;
  return Boolean(value);
}

/** A float as `%v` prints it. */
function printFloat(value: number): string {
  if (Number.isNaN(value)) return "NaN";
  if (!Number.isFinite(value)) return value > 0 ? "+Inf" : "-Inf";
  const size = Math.abs(value);
  const text = size !== 0 && size < 1e-4 ? value.toExponential() : String(value);
  return text.replace(/e([+-])([0-9])$/, "e$10$2");
}

/** A value as `%v` prints it; `plus` is `%+v`, which names the fields of structs. */
export function printValue(value: GoValue, plus = false): string {
  if (value === null || value instanceof GoNilPointer) return "<nil>";
  if (typeof value === "number") return printFloat(value);
  if (value instanceof GoSlice) {
    return `[${value.items.map((item) => printValue(item, plus)).join(" ")}]`;
  }
  if (value instanceof GoMap) {
    const pairs = value.sorted().map(([key, item]) => `${key}:${printValue(item, plus)}`);
    return `map[${pairs.join(" ")}]`;
  }
  if (value instanceof GoStruct) {
    if (value.extras.printed !== undefined) return value.extras.printed;
    const fields = [...value.fields].map(
      ([name, item]) => `${plus ? `${name}:` : ""}${printValue(item, plus)}`,
    );
    return `{${fields.join(" ")}}`;
  }
  return String(value);
}

/** A struct all of whose fields are methods that return text: the rows of Docker's tables. */
export function rowStruct(
  typeName: string,
  texts: Readonly<Record<string, string>>,
  extras: StructExtras = {},
): GoStruct {
  const entries = Object.entries(texts);
  const methods = new Map<string, GoMethod>(
    entries.map(([name, text]) => [name, { parameterCount: 0, call: () => text }]),
  );
  for (const [name, method] of extras.methods ?? []) methods.set(name, method);
  return new GoStruct(typeName, new Map(entries), {
    json: () => escapeHtml(JSON.stringify(texts)),
    ...extras,
    methods,
  });
}

/** A value as Go's `json` function of templates writes it: maps sorted, structs in their order. */
export function toJson(value: GoValue): string {
  if (value === null || value instanceof GoNilPointer) return "null";
  if (typeof value === "bigint") return String(value);
  if (value instanceof GoSlice) {
    return value.isNil ? "null" : `[${value.items.map(toJson).join(",")}]`;
  }
  if (value instanceof GoMap) {
    if (value.isNil) return "null";
    const pairs = value.sorted().map(([key, item]) => `${JSON.stringify(key)}:${toJson(item)}`);
    return `{${pairs.join(",")}}`;
  }
  if (value instanceof GoStruct) {
    if (value.extras.json) return value.extras.json();
    const pairs = [...value.fields].map(([key, item]) => `${JSON.stringify(key)}:${toJson(item)}`);
    return `{${pairs.join(",")}}`;
  }
  return JSON.stringify(value).replace(/[\u2028\u2029]/g, (character) =>
    character === "\u2028" ? "\\u2028" : "\\u2029",
  );
}

/** Keys and items in Go's order; undefined for what cannot be ranged over. */
export function itemsOf(value: GoValue): readonly (readonly [GoValue, GoValue])[] | undefined {
  if (value === null) return [];
  if (value instanceof GoMap) return value.sorted();
  if (value instanceof GoSlice) {
    return value.items.map((item, index) => [BigInt(index), item] as const);
  }
  if (typeof value === "bigint") {
    const count = Number(value > 0n ? value : 0n);
    return Array.from({ length: Math.min(count, 1_000_000) }, (_, index) => {
      return [BigInt(index), BigInt(index)] as const;
    });
  }
  return undefined;
}
