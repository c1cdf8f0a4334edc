// JSON values as Go's decoder puts them into structs: names without regard to case, null as
// nothing, its texts about what does not fit.
import { EngineError } from "../../core/errors.ts";

/** The Go struct that is filled: its name, and where its fields are from the outermost one. */
export interface GoPlace {
  readonly struct: string;
  /** `Linux.` of what is in the field Linux; "" at the outermost. */
  readonly path: string;
}

/** The fields of one JSON object. Each call throws `plugin.config_invalid` with Go's text. */
export class GoFields {
  readonly #values = new Map<string, unknown>();
  readonly #place: GoPlace;

  /** undefined and null have no fields. */
  constructor(value: unknown, place: GoPlace) {
    this.#place = place;
    if (value === undefined || value === null) return;
    if (typeof value !== "object" || Array.isArray(value)) {
      throw mistyped(value, `value of type types.${place.struct}`);
    }
    for (const [key, field] of Object.entries(value)) {
      // Of one field in two spellings the last counts; null leaves a field as it is.
      if (field !== null) this.#values.set(key.toLowerCase(), field);
    }
  }

  /** undefined: there is none, or null. */
  get(name: string): unknown {
    return this.#values.get(name.toLowerCase());
  }

  text(name: string): string {
    return this.textOrNull(name) ?? "";
  }

  textOrNull(name: string): string | null {
    const value = this.get(name);
    if (value === undefined) return null;
    if (typeof value !== "string") throw this.#mistyped(value, name, "string");
    return value.toWellFormed();
  }

  flag(name: string): boolean {
    const value = this.get(name) ?? false;
    if (typeof value !== "boolean") throw this.#mistyped(value, name, "bool");
    return value;
  }

  /** A number of 32 bits without a sign. */
  count(name: string): number {
    const value = this.get(name) ?? 0;
    if (typeof value !== "number") throw this.#mistyped(value, name, "uint32");
    if (!Number.isInteger(value) || value < 0 || value > 0xffff_ffff) {
      throw this.#mistyped(value, name, "uint32", `number ${value}`);
    }
    return value;
  }

  texts(name: string): readonly string[] | null {
    return this.#list(name, "[]string", (value) => {
      if (value === null) return "";
      if (typeof value !== "string") throw this.#mistyped(value, name, "string");
      return value.toWellFormed();
    });
  }

  /** A list of objects, each with the fields of `struct`. */
  objects<T>(name: string, struct: string, read: (fields: GoFields) => T): readonly T[] | null {
    const place = { struct, path: `${this.#place.path}${name}.` };
    return this.#list(name, `[]types.${struct}`, (value) => {
      if (!isObject(value)) throw this.#mistyped(value, name, `types.${struct}`);
      return read(new GoFields(value, place));
    });
  }

  /** What is in a field that is an object itself. */
  object(name: string, struct: string): GoFields {
    const value = this.get(name);
    if (!isObject(value)) throw this.#mistyped(value, name, `types.${struct}`);
    return new GoFields(value, { struct, path: `${this.#place.path}${name}.` });
  }

  /** The same read; null: there is none. */
  objectOrNull<T>(name: string, struct: string, read: (fields: GoFields) => T): T | null {
    return this.get(name) === undefined ? null : read(this.object(name, struct));
  }

  #list<T>(name: string, type: string, read: (value: unknown) => T): readonly T[] | null {
    const value = this.get(name);
    if (value === undefined) return null;
    if (!Array.isArray(value)) throw this.#mistyped(value, name, type);
    return value.map(read);
  }

  #mistyped(value: unknown, name: string, type: string, shown?: string): EngineError {
    const { struct, path } = this.#place;
    return mistyped(value, `struct field ${struct}.${path}${name} of type ${type}`, shown);
  }
}

/** What Go decodes into a struct: null leaves it empty. */
function isObject(value: unknown): boolean {
  return value === undefined || (typeof value === "object" && !Array.isArray(value));
}

function mistyped(value: unknown, into: string, shown = goKind(value)): EngineError {
  return new EngineError(
    "plugin.config_invalid",
    `json: cannot unmarshal ${shown} into Go ${into}`,
  );
}

function goKind(value: unknown): string {
  if (Array.isArray(value)) return "array";
  return typeof value === "boolean" ? "bool" : typeof value;
}
