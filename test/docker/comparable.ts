// Brings a recorded answer and one of today into one form, so that a difference means something.
//
// Set aside: Date, times of creation (their form is kept), the root directory, generated names
// (bound to the recorded ones), the order of lists, the way the end of a body is told, the name in
// `Server` and the number in `Api-Version` (their form is kept), and of progress streams what
// progress-form.ts says. Everything else is compared.
import { progressForm, progressLines } from "./progress-form.ts";
import type { Framing } from "./wire.ts";

/** What is compared, as text. */
export interface Comparable {
  readonly status: string;
  readonly headers: readonly string[];
  /** "sized" with a length or in chunks, "none" without both. */
  readonly framing: string;
  readonly body: string;
}

/** The parts of an answer that both a recording and the wire have. */
export interface Answer {
  readonly status: number;
  readonly reason: string;
  readonly headers: ReadonlyMap<string, string>;
  readonly body: string;
  /** Missing in recordings: read from the headers. */
  readonly framing?: Framing;
}

/** How an answer of today is to be read. Recordings need nothing. */
export interface Reading {
  /** What stands where the recording has `/var/lib/docker`. */
  readonly root: string;
  /** Our generated names and the recorded ones that they stand for. */
  readonly names: ReadonlyMap<string, string>;
}

export const recordedRoot = "/var/lib/docker";

/** Headers that say nothing about the answer, or are checked elsewhere. */
const headersAside: ReadonlySet<string> = new Set([
  "date",
  "connection",
  "keep-alive",
  "content-length",
  "transfer-encoding",
]);

/** Fields of `/system/df` that speak of images and of what is built from them. */
const imageFields: ReadonlySet<string> = new Set(["LayersSize", "Images", "BuildCache"]);

const timeForm = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(Z|[+-]\d\d:\d\d)$/;
const serverForm = /^[A-Za-z]+\/\S+ \(linux\)$/;
const versionForm = /^1\.\d+$/;

/** One form for both sides. `path` decides about `/version`, whose values are the engine's own. */
export function comparable(answer: Answer, path: string, reading?: Reading): Comparable {
  const version = answer.headers.get("api-version");
  return {
    status: `${answer.status} ${answer.reason}`,
    headers: [...answer.headers]
      .filter(([name]) => !headersAside.has(name))
      .map(([name, value]) => `${name}: ${headerValue(name, renamed(value, reading))}`)
      .sort(),
    framing: framing(answer),
    body: bodyForm(renamed(answer.body, reading), path, version),
  };
}

/** Every field in which the two differ, each as one line for a person; empty when they agree. */
export function differences(expected: Comparable, actual: Comparable): readonly string[] {
  const fields = ["status", "framing", "body"] as const;
  const found = fields
    .filter((field) => expected[field] !== actual[field])
    .map((field) => `${field}: expected ${expected[field]} but got ${actual[field]}`);
  const missing = expected.headers.filter((line) => !actual.headers.includes(line));
  const added = actual.headers.filter((line) => !expected.headers.includes(line));
  return [
    ...found,
    ...missing.map((line) => `header missing: ${line}`),
    ...added.map((line) => `header not expected: ${line}`),
  ];
}

/** What only an answer of today can get wrong: JSON is on one line and ends with a line feed. */
export function formErrors(answer: Answer): readonly string[] {
  if (answer.headers.get("content-type") !== "application/json" || answer.body === "") return [];
  if (progressLines(answer.body) !== undefined) return [];
  const parsed = parseJson(answer.body);
  if (parsed === undefined) return [`body is not JSON: ${answer.body}`];
  return answer.body === `${JSON.stringify(parsed.value)}\n`
    ? []
    : [`body is not compact JSON with one line feed at its end: ${answer.body}`];
}

/** The text with our root and our generated names replaced by the recorded ones. */
export function renamed(text: string, reading: Reading | undefined): string {
  if (reading === undefined) return text;
  let result = text
    .replaceAll(`${reading.root}/volumes`, `${recordedRoot}/volumes`)
    .replaceAll(`${reading.root}/plugins`, `${recordedRoot}/plugins`);
  // A short form is the beginning of a longer one.
  const longestFirst = [...reading.names].sort(([one], [other]) => other.length - one.length);
  for (const [ours, recorded] of longestFirst) result = result.replaceAll(ours, recorded);
  return result;
}

function headerValue(name: string, value: string): string {
  if (name === "server" && serverForm.test(value)) return "<product>/<version> (linux)";
  if (name === "api-version" && versionForm.test(value)) return "<newest>";
  return value;
}

function framing(answer: Answer): string {
  if (answer.framing !== undefined) {
    return answer.framing === "length" || answer.framing === "chunked" ? "sized" : answer.framing;
  }
  const sized = answer.headers.has("content-length") || answer.headers.has("transfer-encoding");
  return sized ? "sized" : "none";
}

function bodyForm(body: string, path: string, version: string | undefined): string {
  const progress = progressForm(body);
  if (progress !== undefined) return progress;
  const parsed = parseJson(body);
  if (parsed === undefined || body === "") return body;
  if (/^(\/v[\d.]+)?\/version$/.test(path)) return shape(parsed.value);
  const key = /^(\/v[\d.]+)?\/plugins(\?|$)/.test(path) ? "Plugins" : "";
  const text = JSON.stringify(normalised(key, parsed.value));
  return version === undefined
    ? text
    : text.replace(`version is ${version}"`, 'version is <newest>"');
}

/** Lists that come in any order. */
const unordered: ReadonlySet<string> = new Set(["Plugins", "Volumes", "VolumesDeleted"]);

/** Keys keep their order: Docker writes structs in a fixed order and maps sorted. */
function normalised(key: string, value: unknown): unknown {
  if (key === "CreatedAt" && typeof value === "string" && timeForm.test(value)) return "<time>";
  if (Array.isArray(value)) {
    const items = value.map((item) => normalised("", item));
    return unordered.has(key) ? items.sort(byText) : items;
  }
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value);
  const hasImages = entries.some(([name, item]) => name === "Images" && item !== null);
  return Object.fromEntries(
    entries.map(([name, item]) => [
      name,
      hasImages && imageFields.has(name) ? "<of images>" : normalised(name, item),
    ]),
  );
}

function byText(one: unknown, other: unknown): number {
  const [left, right] = [nameOf(one), nameOf(other)];
  if (left === right) return 0;
  return left < right ? -1 : 1;
}

function nameOf(item: unknown): string {
  if (typeof item === "object" && item !== null && "Name" in item) return String(item.Name);
  return String(item);
}

/** `/version`: the names at the top, and those of the first component, without their values. */
function shape(value: unknown): string {
  if (typeof value !== "object" || value === null) return typeof value;
  const components = "Components" in value ? value.Components : undefined;
  const first: unknown = Array.isArray(components) ? components[0] : undefined;
  const details =
    typeof first === "object" && first !== null && "Details" in first ? first.Details : undefined;
  return JSON.stringify({
    version: Object.keys(value),
    component: Object.keys(first ?? {}),
    details: Object.keys(details ?? {}),
  });
}

function parseJson(text: string): { readonly value: unknown } | undefined {
  try {
    return { value: JSON.parse(text) };
  } catch {
    return undefined;
  }
}
