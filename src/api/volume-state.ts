// The word for what a volume is doing, the same on every face.
import type { StorageState } from "../core/driver.ts";
import type { VolumeEntry } from "../core/state-store.ts";
import type { Engine } from "../engine/engine.ts";

export const volumeStates = [
  "idle",
  "in use",
  "violated",
  "conflict",
  "shared database",
  "not mounted",
  "data missing",
  "mounting",
  "degraded",
  "unreachable",
  "read-only",
  "stale",
  "disabled",
  "gone",
  "not listed",
] as const;

/** `StorageState` as a list. */
export const storageStates = [
  "ready",
  "degraded",
  "unreachable",
  "read-only",
  "stale",
] as const satisfies readonly StorageState[];

export type VolumeState = (typeof volumeStates)[number];

/**
 * What a volume is doing, and since when and why, where its plugin or its storage is what is wrong
 * with it.
 */
export interface VolumeCondition {
  readonly state: VolumeState;
  /** Milliseconds since the epoch; null: not known. */
  readonly sinceMs: number | null;
  /** One line; null: there is nothing to say. */
  readonly reason: string | null;
}

/**
 * "violated": a container has it against its options. "shared database": several running
 * containers may write to a database in it. "conflict": it is in use, and two of its containers
 * wrote one file at nearly the same time, lately. "not mounted": it is held, and could not be
 * mounted again after a start. "data missing": it was not there when it was last looked for. Of
 * storage that may fall silent: "mounting" for those who had it before a start, and the states of
 * `StorageState` but "ready". Of a plugin's volume: "unreachable": the plugin does not answer;
 * "disabled": it was stopped; "gone": it is not there; "not listed": it answers, and does not list
 * the volume.
 */
export function volumeState(engine: Engine, entry: VolumeEntry, holderCount: number): VolumeState {
  const { name } = entry;
  if (engine.holds.violationsOf(name).length > 0) return "violated";
  const word = engine.pluginVolumes.stateOf(entry)?.word;
  if (word !== undefined) return word;
  const storage = storageWord(engine, name);
  if (storage !== undefined) return storage;
  if (engine.sharedDatabases.of(name)?.isAlarm === true) return "shared database";
  const isUnmounted = engine.volumes.isUnmounted(name);
  if (holderCount > 0 && !isUnmounted) {
    return engine.writeGuard.reports.latestOf(name) === undefined ? "in use" : "conflict";
  }
  if (engine.volumes.missing.has(name)) return "data missing";
  return holderCount > 0 ? "not mounted" : "idle";
}

/** As `volumeState`, with what there is to say of it. */
export function volumeCondition(
  engine: Engine,
  entry: VolumeEntry,
  holderCount: number,
): VolumeCondition {
  const state = volumeState(engine, entry, holderCount);
  const conflict = engine.writeGuard.reports.latestOf(entry.name);
  if (state === "conflict" && conflict !== undefined) {
    const { atMs, writerCount } = conflict;
    return { state, sinceMs: atMs, reason: `${writerCount} writers` };
  }
  const storage = engine.health.of(entry.name);
  if (storage?.state === state) {
    return { state, sinceMs: storage.sinceMs, reason: storage.reason || null };
  }
  const shared = engine.sharedDatabases.of(entry.name);
  if (state === "shared database" && shared !== undefined) {
    const { sinceMs, database, containers } = shared;
    return { state, sinceMs, reason: `${database}: ${containers.join(", ")}` };
  }
  const plugin = engine.pluginVolumes.stateOf(entry);
  if (plugin === undefined || plugin.word !== state) return { state, sinceMs: null, reason: null };
  return { state, sinceMs: plugin.sinceMs, reason: plugin.reason === "" ? null : plugin.reason };
}

function storageWord(engine: Engine, name: string): VolumeState | undefined {
  const storage = engine.health.of(name);
  if (storage === undefined) return undefined;
  if (storage.isMounting) return "mounting";
  return storage.state === "ready" ? undefined : storage.state;
}
