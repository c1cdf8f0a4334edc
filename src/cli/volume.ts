// A volume as Docker's API describes it, and the questions that several commands ask about it.
import type { ApiRequest } from "./client.ts";
import { CliFailure } from "./failure.ts";

/** Docker's Volume object. Fields that a daemon leaves out are undefined. */
export interface ApiVolume {
  readonly Name: string;
  readonly Driver: string;
  readonly Mountpoint: string;
  readonly Scope: string;
  readonly CreatedAt?: string;
  readonly Labels: Readonly<Record<string, string>> | null;
  readonly Options: Readonly<Record<string, string>> | null;
  readonly Status?: Readonly<Record<string, unknown>> | null;
  readonly UsageData?: { readonly Size: number; readonly RefCount: number } | null;
  readonly ClusterVolume?: unknown;
}

export interface VolumeList {
  readonly Volumes: readonly ApiVolume[] | null;
  readonly Warnings: readonly string[] | null;
}

/** `/volumes/NAME`; a slash in the name stays a slash, as in Docker's client. */
export function volumePath(name: string): string {
  if (name.trim() === "") throw new CliFailure("invalid volume name or ID: value is empty");
  return `/volumes/${encodeURIComponent(name).replaceAll("%2F", "/")}`;
}

/** The query of `--filter key=value` options: Docker's JSON of sets, with sorted keys. */
export function filterQuery(filters: readonly string[]): string {
  const sets = parseFilters(filters);
  if (sets.size === 0) return "";
  const object: Record<string, Record<string, true>> = {};
  for (const key of [...sets.keys()].sort()) {
    const values: Record<string, true> = {};
    for (const value of [...(sets.get(key) ?? [])].sort()) values[value] = true;
    object[key] = values;
  }
  return `filters=${encodeURIComponent(JSON.stringify(object))}`;
}

/** Keys are lower-cased and everything is trimmed, as Docker's CLI does it. */
export function parseFilters(filters: readonly string[]): Map<string, Set<string>> {
  const sets = new Map<string, Set<string>>();
  for (const text of filters) {
    if (text === "") continue;
    const equals = text.indexOf("=");
    const key = text.slice(0, equals).trim().toLowerCase();
    const values = sets.get(key) ?? new Set<string>();
    values.add(text.slice(equals + 1).trim());
    sets.set(key, values);
  }
  return sets;
}

export function listRequest(filters: readonly string[]): ApiRequest {
  const query = filterQuery(filters);
  return { method: "GET", path: query === "" ? "/volumes" : `/volumes?${query}` };
}

/** `key=value` words as an object with sorted keys; a word without `=` has the value "". */
export function keyValues(words: readonly string[]): Record<string, string> | undefined {
  if (words.length === 0) return undefined;
  const pairs = new Map<string, string>();
  for (const word of words) {
    const equals = word.indexOf("=");
    if (equals < 0) pairs.set(word, "");
    else pairs.set(word.slice(0, equals), word.slice(equals + 1));
  }
  const keys = [...pairs.keys()].sort();
  return Object.fromEntries(keys.map((key) => [key, pairs.get(key) ?? ""]));
}
