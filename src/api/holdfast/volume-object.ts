// A volume as Holdfast's own routes show it.
import type { VolumeName } from "../../core/names.ts";
import type { Protection, StateView, VolumeEntry } from "../../core/state-store.ts";
import type { Engine } from "../../engine/engine.ts";
import { fateText } from "../fate-text.ts";
import { instantOf, useObject } from "../holder-objects.ts";

type Aliases = ReadonlyMap<VolumeName, readonly string[]>;

/** Makes the objects of one answer: what all of them need is looked up once. */
export function volumeObjects(engine: Engine, view: StateView): (entry: VolumeEntry) => object {
  const aliases = aliasesByVolume(view);
  return (entry) => {
    const { holders, lastUsedAt, sharing, state } = useObject(engine, entry, view);
    return {
      name: entry.name,
      driver: entry.driver,
      scope: entry.scope,
      state,
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
      sizeBytes: knownSize(engine, entry),
      aliases: aliases.get(entry.name) ?? [],
      trash: fateText(engine.trashDefaults, entry),
      holders,
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

/** What was measured before, and has not been used since; null: that is not known. */
function knownSize({ usage }: Engine, entry: VolumeEntry): number | null {
  const bytes = usage.known(entry);
  return bytes === null || bytes < 0 ? null : bytes;
}

function aliasesByVolume(view: StateView): Aliases {
  const found = new Map<VolumeName, string[]>();
  for (const { alias, volume } of view.aliases()) {
    const known = found.get(volume);
    if (known === undefined) found.set(volume, [alias]);
    else known.push(alias);
  }
  for (const names of found.values()) names.sort();
  return found;
}
