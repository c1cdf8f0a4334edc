// The functions of a Go template: Go's own, and those that Docker's CLI adds.
import { printf } from "./printf.ts";
import {
  GoMap,
  GoSlice,
  GoStruct,
  type GoValue,
  isTrue,
  printValue,
  toJson,
  typeNameOf,
} from "./values.ts";

/** What a parameter takes. */
export type ParameterType = "any" | "string" | "int" | "[]string";

export interface TemplateFunction {
  readonly parameters: readonly ParameterType[];
  /** The type of any number of further parameters. */
  readonly rest?: ParameterType;
  call(values: readonly GoValue[]): GoValue;
}

/** A function refused its arguments: `error calling NAME: MESSAGE`. */
export class CallError extends Error {}

type Strings = readonly string[];

/** Builds a function that takes strings (and integers, as text) only; their types were checked. */
function ofStrings(
  parameters: readonly ParameterType[],
  call: (values: Strings) => GoValue,
): TemplateFunction {
  return { parameters, call: (values) => call(values.map((value) => printValue(value))) };
}

function length(value: GoValue): bigint {
  if (typeof value === "string") return BigInt(new TextEncoder().encode(value).length);
  if (value instanceof GoMap) return BigInt(value.entries.size);
  if (value instanceof GoSlice) return BigInt(value.items.length);
  if (value === null) throw new CallError("len of nil pointer");
  throw new CallError(`len of type ${typeNameOf(value)}`);
}

function checkIndex(key: GoValue, size: number): number {
  if (typeof key !== "bigint") {
    if (key === null) throw new CallError("cannot index slice/array with nil");
    throw new CallError(`cannot index slice/array with type ${typeNameOf(key)}`);
  }
  if (key < 0n || key >= BigInt(size)) throw new CallError(`index out of range: ${key}`);
  return Number(key);
}

function index(values: readonly GoValue[]): GoValue {
  let item: GoValue = values[0] ?? null;
  if (item === null) throw new CallError("index of untyped nil");
  for (const key of values.slice(1)) {
    if (item instanceof GoMap) {
      if (typeof key !== "string") {
        throw new CallError(`value has type ${typeNameOf(key)}; should be string`);
      }
      const missing: GoValue = item.typeName === "map[string]string" ? "" : null;
      item = item.entries.get(key) ?? missing;
    } else if (item instanceof GoSlice) {
      item = item.items[checkIndex(key, item.items.length)] ?? null;
    } else if (typeof item === "string") {
      const bytes: Uint8Array = new TextEncoder().encode(item);
      item = BigInt(bytes[checkIndex(key, bytes.length)] ?? 0);
    } else if (item === null) throw new CallError("index of nil pointer");
    else throw new CallError(`can't index item of type ${typeNameOf(item)}`);
  }
  return item;
}

function slice(values: readonly GoValue[]): GoValue {
  const [item, ...bounds] = values;
  if (typeof item !== "string" && !(item instanceof GoSlice)) {
    throw new CallError(`can't slice item of type ${typeNameOf(item ?? null)}`);
  }
  const size = typeof item === "string" ? item.length : item.items.length;
  const [from = 0, to = size] = bounds.map((bound) => checkIndex(bound, size + 1));
  if (from > to) throw new CallError(`invalid slice index: ${from} > ${to}`);
  if (typeof item === "string") return item.slice(from, to);
  return new GoSlice(item.typeName, item.items.slice(from, to));
}

type BasicKind = "bool" | "int" | "float" | "string";

function basicKind(value: GoValue): BasicKind {
  switch (typeof value) {
    case "boolean":
      return "bool";
    case "bigint":
      return "int";
    case "number":
      return "float";
    case "string":
      return "string";
    default:
      throw new CallError("invalid type for comparison");
  }
}

function equals(left: GoValue, right: GoValue): boolean {
  if (left === null || right === null) return left === right;
  for (const value of [left, right]) {
    if (value instanceof GoMap || value instanceof GoSlice) {
      throw new CallError(`non-comparable type ${printValue(value)}: ${value.typeName}`);
    }
  }
  if (left instanceof GoStruct || right instanceof GoStruct) return left === right;
  if (basicKind(left) !== basicKind(right))
    throw new CallError("incompatible types for comparison");
  return left === right;
}

function isLess(left: GoValue, right: GoValue): boolean {
  const kind = basicKind(left);
  if (kind !== basicKind(right)) throw new CallError("incompatible types for comparison");
  if (kind === "bool") throw new CallError("invalid type for comparison");
  // Both are of one kind, and JavaScript orders bigints, numbers and strings.
  return (left as string) < (right as string);
}

function comparison(compare: (left: GoValue, right: GoValue) => boolean): TemplateFunction {
  return {
    parameters: ["any", "any"],
    call: ([left = null, right = null]) => compare(left, right),
  };
}

/** Functions see the pointer where `{{.}}` prints what it points to. */
function printPointer(value: GoValue): string {
  const isPointer = value instanceof GoStruct && value.typeName.startsWith("*");
  return (isPointer ? "&" : "") + printValue(value);
}

/** Go's fmt.Sprint: a space between neighbours of which neither is a string. */
function print(values: readonly GoValue[]): string {
  let text = "";
  values.forEach((value, position) => {
    const before = values[position - 1];
    const isSpaced = position > 0 && typeof value !== "string" && typeof before !== "string";
    text += (isSpaced ? " " : "") + printPointer(value);
  });
  return text;
}

const htmlEscapes: Readonly<Record<string, string>> = {
  '"': "&#34;",
  "'": "&#39;",
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  "\0": "\uFFFD",
};

const scriptEscapes: Readonly<Record<string, string>> = {
  "\\": "\\\\",
  "'": "\\'",
  '"': '\\"',
  "<": "\\u003C",
  ">": "\\u003E",
  "&": "\\u0026",
  "=": "\\u003D",
};

/** Every word's first letter in upper case; only letters, digits and _ and ' make words. */
function title(text: string): string {
  return text.replace(/(^|[^\p{L}\p{Nd}_'])(\p{L})/gu, (_, before: string, letter: string) => {
    return before + letter.toUpperCase();
  });
}

function strings(items: readonly string[]): GoSlice {
  return new GoSlice("[]string", items);
}

const goFunctions: readonly (readonly [string, TemplateFunction])[] = [
  ["and", { parameters: ["any"], rest: "any", call: (values) => values.at(-1) ?? null }],
  ["or", { parameters: ["any"], rest: "any", call: (values) => values.at(-1) ?? null }],
  ["not", { parameters: ["any"], call: ([value = null]) => !isTrue(value) }],
  ["len", { parameters: ["any"], call: ([value = null]) => length(value) }],
  ["index", { parameters: ["any"], rest: "any", call: index }],
  ["slice", { parameters: ["any"], rest: "any", call: slice }],
  ["print", { parameters: [], rest: "any", call: print }],
  [
    "println",
    {
      parameters: [],
      rest: "any",
      call: (values) => `${values.map((value) => printPointer(value)).join(" ")}\n`,
    },
  ],
  [
    "printf",
    {
      parameters: ["string"],
      rest: "any",
      call: ([format = "", ...values]) => printf(printValue(format), values),
    },
  ],
  [
    "eq",
    {
      parameters: ["any"],
      rest: "any",
      call: ([left = null, ...others]) => {
        if (others.length === 0) throw new CallError("missing argument for comparison");
        return others.some((other) => equals(left, other));
      },
    },
  ],
  ["ne", comparison((left, right) => !equals(left, right))],
  ["lt", comparison(isLess)],
  ["le", comparison((left, right) => isLess(left, right) || equals(left, right))],
  ["gt", comparison((left, right) => isLess(right, left))],
  ["ge", comparison((left, right) => isLess(right, left) || equals(left, right))],
  [
    "html",
    {
      parameters: [],
      rest: "any",
      call: (values) => print(values).replace(/["'&<>\0]/g, (found) => htmlEscapes[found] ?? found),
    },
  ],
  [
    "js",
    {
      parameters: [],
      rest: "any",
      call: (values) =>
        print(values).replace(/[\\'"<>&=]/g, (found) => scriptEscapes[found] ?? found),
    },
  ],
  [
    "urlquery",
    {
      parameters: [],
      rest: "any",
      call: (values) => encodeURIComponent(print(values)).replaceAll("%20", "+"),
    },
  ],
  [
    "call",
    {
      parameters: ["any"],
      rest: "any",
      call: ([value = null]) => {
        if (value === null) throw new CallError("call of nil");
        throw new CallError(`non-function of type ${typeNameOf(value)}`);
      },
    },
  ],
];

const dockerFunctions: readonly (readonly [string, TemplateFunction])[] = [
  ["json", { parameters: ["any"], call: ([value = null]) => toJson(value) }],
  ["split", ofStrings(["string", "string"], ([text = "", by = ""]) => strings(text.split(by)))],
  [
    "join",
    {
      parameters: ["[]string", "string"],
      call: ([items = null, by = ""]) =>
        items instanceof GoSlice
          ? items.items.map((item) => printValue(item)).join(printValue(by))
          : "",
    },
  ],
  ["title", ofStrings(["string"], ([text = ""]) => title(text))],
  ["lower", ofStrings(["string"], ([text = ""]) => text.toLowerCase())],
  ["upper", ofStrings(["string"], ([text = ""]) => text.toUpperCase())],
  [
    "pad",
    ofStrings(["string", "int", "int"], ([text = "", before = "0", after = "0"]) =>
      text === "" ? "" : " ".repeat(widthOf(before)) + text + " ".repeat(widthOf(after)),
    ),
  ],
  [
    "truncate",
    ofStrings(["string", "int"], ([text = "", size = "0"]) => text.slice(0, widthOf(size))),
  ],
];

/** Characters of padding, at most. */
const widthMax = 10_000;

function widthOf(digits: string): number {
  return Math.min(widthMax, Math.max(0, Number(digits)));
}

/** The functions of `--format`. */
export const templateFunctions: ReadonlyMap<string, TemplateFunction> = new Map([
  ...goFunctions,
  ...dockerFunctions,
]);

const unchanged: TemplateFunction = { parameters: ["string"], call: ([text = ""]) => text };
const unchangedOfTwo: TemplateFunction = {
  parameters: ["string", "any"],
  call: ([text = ""]) => text,
};

/** For the headers of a table: what changes a cell leaves its header as it is; `pad` pads both. */
export const headerFunctions: ReadonlyMap<string, TemplateFunction> = new Map([
  ...templateFunctions,
  [
    "json",
    {
      parameters: ["any"],
      call: ([text = ""]: readonly GoValue[]) => (typeof text === "string" ? text : ""),
    },
  ],
  ["title", unchanged],
  ["lower", unchanged],
  ["upper", unchanged],
  ["truncate", unchangedOfTwo],
  ["split", unchangedOfTwo],
  ["join", unchangedOfTwo],
]);
