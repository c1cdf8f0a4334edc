// Docker's `filters` parameter: `{"key":{"value":true}}` of Go clients, `{"key":["value"]}` of
// others.
import { RE2JS, RE2JSSyntaxException } from "re2js";
import { EngineError } from "../../core/errors.ts";
import type { LabelCondition, VolumeFilter } from "../../engine/volume-filter.ts";

/** Values by key, in the order they came, each once. */
export type Filters = ReadonlyMap<string, readonly string[]>;

/** How many values all filters of a request may have together; each costs a test per volume. */
export const FILTER_VALUES_COUNT_MAX = 1_000;

const none: Filters = new Map();

/** Parses the parameter. `context` is the prefix dockerd puts on its text for this route. */
export function parseFilters(text: string, context = ""): Filters {
  if (text === "") return none;
  const invalid = () => new EngineError("filter.invalid", `${context}invalid filter`);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw invalid();
  }
  if (value === null) return none;
  if (typeof value !== "object" || Array.isArray(value)) throw invalid();
  const filters = new Map<string, readonly string[]>();
  let count = 0;
  for (const [key, given] of Object.entries(value)) {
    const values = filterValues(given);
    if (values === undefined) throw invalid();
    count += values.length;
    if (count > FILTER_VALUES_COUNT_MAX) {
      throw new EngineError(
        "filter.invalid",
        `${context}invalid filter: at most ${FILTER_VALUES_COUNT_MAX} values are allowed`,
      );
    }
    filters.set(key, values);
  }
  return filters;
}

/** The map's boolean is ignored: `{"v":false}` still selects v (moby's rule). */
function filterValues(given: unknown): readonly string[] | undefined {
  if (given === null) return [];
  if (typeof given !== "object") return undefined;
  if (!Array.isArray(given)) {
    const booleans = Object.values(given).every(
      (each) => typeof each === "boolean" || each === null,
    );
    return booleans ? Object.keys(given) : undefined;
  }
  const values: string[] = [];
  for (const each of given) {
    if (each !== null && typeof each !== "string") return undefined;
    values.push(each ?? "");
  }
  return [...new Set(values)];
}

/** Throws `filter.invalid` with dockerd's text when a key is not among the accepted ones. */
export function checkKeys(filters: Filters, accepted: ReadonlySet<string>): void {
  for (const key of filters.keys()) {
    if (!accepted.has(key)) throw new EngineError("filter.invalid", `invalid filter '${key}'`);
  }
}

const listKeys = new Set(["dangling", "driver", "label", "name"]);
const pruneKeys = new Set(["all", "label", "label!"]);

/** The filter of `GET /volumes`. `monotonicMs` is the clock by which patterns are stopped. */
export function listFilter(
  filters: Filters,
  monotonicMs: () => number = () => performance.now(),
): VolumeFilter {
  if (filters.size === 0) return {};
  checkKeys(filters, listKeys);
  const dangling = booleanFilter(filters, "dangling");
  const names = filters.get("name");
  const drivers = filters.get("driver");
  const labels = filters.get("label");
  return {
    ...(names !== undefined && names.length > 0
      ? { names: textMatchers("name", names, monotonicMs) }
      : {}),
    ...(drivers !== undefined && drivers.length > 0 ? { drivers: new Set(drivers) } : {}),
    ...(labels !== undefined && labels.length > 0 ? { labels: labels.map(labelCondition) } : {}),
    ...(dangling === undefined ? {} : { dangling }),
  };
}

/** The filter of `POST /volumes/prune` and whether named volumes go too. */
export function pruneFilter(
  filters: Filters,
  impliesAll: boolean,
): { readonly filter: VolumeFilter; readonly all: boolean } {
  checkKeys(filters, pruneKeys);
  const labels = filters.get("label") ?? [];
  const withoutLabels = filters.get("label!") ?? [];
  return {
    filter: {
      ...(labels.length > 0 ? { labels: labels.map(labelCondition) } : {}),
      ...(withoutLabels.length > 0 ? { withoutLabels: withoutLabels.map(labelCondition) } : {}),
    },
    all: parseAll(filters.get("all"), impliesAll),
  };
}

const goTrue = new Set(["1", "t", "T", "TRUE", "true", "True"]);
const goFalse = new Set(["0", "f", "F", "FALSE", "false", "False"]);

/** `all` is read like Go's ParseBool. Before API 1.42 it is implied. */
function parseAll(values: readonly string[] | undefined, impliesAll: boolean): boolean {
  if (values === undefined || values.length === 0) return impliesAll;
  if (values.length > 1) {
    const listed = [...values].sort().join(" ");
    throw new EngineError(
      "filter.invalid",
      `invalid filter 'all=[${listed}]': only one value is expected`,
    );
  }
  const value = values[0] ?? "";
  if (goTrue.has(value)) return true;
  if (goFalse.has(value)) return impliesAll;
  throw new EngineError(
    "filter.invalid",
    `invalid filter 'all': strconv.ParseBool: parsing ${JSON.stringify(value)}: invalid syntax`,
  );
}

/** Exactly `0|false|1|true`, one of the two meanings (moby's GetBoolOrDefault). */
export function booleanFilter(filters: Filters, key: string): boolean | undefined {
  const values = filters.get(key);
  if (values === undefined) return undefined;
  if (values.length === 0) throw new EngineError("filter.invalid", `invalid filter '${key}'`);
  const isYes = values.includes("1") || values.includes("true");
  const isNo = values.includes("0") || values.includes("false");
  if (isYes === isNo) {
    const listed = [...values].sort().join(" ");
    throw new EngineError("filter.invalid", `invalid filter '${key}=[${listed}]'`);
  }
  return isYes;
}

export function labelCondition(text: string): LabelCondition {
  const equals = text.indexOf("=");
  if (equals < 0) return { key: text, value: undefined };
  return { key: text.slice(0, equals), value: text.slice(equals + 1) };
}

/** Longest pattern that is compiled, in characters. */
const PATTERN_LENGTH_MAX = 1_024;
/**
 * How long the patterns of one request may take for all volumes together, in milliseconds. Linear
 * in the name is not enough: `(?:a?){300}a{300}` takes a millisecond for each.
 */
const PATTERN_TIME_MS_MAX = 1_000;
const literal = /^[a-zA-Z0-9_-]*$/;

export type Matcher = (text: string) => boolean;

/** One for each value of a filter that takes names or Go's regular expressions. */
export function textMatchers(
  key: string,
  texts: readonly string[],
  monotonicMs: () => number,
): readonly Matcher[] {
  const stopAtMs = monotonicMs() + PATTERN_TIME_MS_MAX;
  const checkTime = (): void => {
    if (monotonicMs() <= stopAtMs) return;
    throw new EngineError("filter.invalid", `invalid filter '${key}': the pattern takes too long`);
  };
  return texts.map((text) => {
    if (literal.test(text)) return (name) => name.includes(text);
    checkTime();
    const matches = patternMatcher(key, text);
    return (name) => {
      checkTime();
      return matches(name);
    };
  });
}

/**
 * Exact, or an unanchored Go regular expression. RE2's own syntax and linear time: a pattern from
 * outside must not be able to stop the daemon. What does not compile matches nothing (moby's rule).
 */
function patternMatcher(key: string, text: string): Matcher {
  if (text.length > PATTERN_LENGTH_MAX) {
    throw new EngineError(
      "filter.invalid",
      `invalid filter '${key}': at most ${PATTERN_LENGTH_MAX} characters are allowed`,
    );
  }
  try {
    const pattern = RE2JS.compile(text);
    return (name) => name === text || pattern.matcher(name).find();
  } catch (error) {
    if (error instanceof RE2JSSyntaxException) return (name) => name === text;
    throw error;
  }
}
