// A volume as Holdfast's own routes show it.
import type { Protection, StateView, VolumeEntry } from "../../core/state-store.ts";
import { aliasesByVolume } from "../../engine/aliases.ts";
import type { Engine } from "../../engine/engine.ts";
import { instantOf, useObject } from "../holder-objects.ts";
import { volumeWarnings } from "../volume-care.ts";

/** Makes the objects of one answer: what all of them need is looked up once. */
export function volumeObjects(engine: Engine, view: StateView): (entry: VolumeEntry) => object {
  const aliases = aliasesByVolume(view.aliases());
  return (entry) => {
    const use = useObject(engine, entry, view);
    const { holders, lastUsedAt, sharing, state } = use;
    const { stateSince = null, stateReason = null, storage = null } = use;
    return {
      name: entry.name,
      driver: entry.driver,
      origin: entry.origin,
      scope: entry.scope,
      ...{ state, stateSince, stateReason, storage },
      createdAt: instantOf(entry.createdAtMs),
      firstUsedAt: instantOf(entry.usedAtMs),
      lastUsedAt,
      lastHolder: engine.lastUse.holderOf(entry.name),
      mountpoint: entry.mountpoint,
      labels: entry.labels,
      options: entry.options,
      sharing,
      note: entry.note,
      protection: protectionObject(entry.protection),
      sizeBytes: engine.usage.known(entry),
      aliases: aliases.get(entry.name) ?? [],
      trash: engine.fateOf(entry),
      holders,
      warnings: volumeWarnings(engine, entry.name),
    };
  };
}

/** The volume of this name, or of this alias. Throws `volume.not_found`. */
export function oneVolume(engine: Engine, name: string): object {
  const entry = engine.volumes.inspect(name);
  return engine.state.read((view) => volumeObjects(engine, view)(entry));
}

export function protectionObject(protection: Protection | null): object | null {
  if (protection === null) return null;
  const { reason, sinceMs, by } = protection;
  return { reason, since: instantOf(sinceMs), by };
}
