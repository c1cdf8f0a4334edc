// A driver whose options say where the data is, with a place of its own for each volume: the checks
// make many volumes with the same options, which would all be one.
//
// Each gets a `subpath` that nobody sees: it is not in the records. A volume that is moved away
// takes its place along, and the next one of its name gets another.
import type { DriverOptions, VolumeDriver, VolumeRecord } from "../core/driver.ts";
import type { VolumeName } from "../core/names.ts";
import type { Operation } from "../core/operation.ts";

export interface OwnPlaces {
  readonly driver: VolumeDriver;
  /** The `subpath` that the next volume of this name gets. */
  placeOf(name: VolumeName): string;
}

/**
 * `prefix` is what all their paths begin with; a number follows. Nobody else's data is there. What
 * the driver makes there it destroys with the volume.
 */
export function ownPlaces(driver: VolumeDriver, prefix: string): OwnPlaces {
  const places = new Map<VolumeName, string>();
  let count = 0;
  const placeOf = (name: VolumeName): string => {
    const known = places.get(name);
    if (known !== undefined) return known;
    count += 1;
    const place = `${prefix}${count}`;
    places.set(name, place);
    return place;
  };
  /** Of a volume that is there its own, which may have come from a name before. */
  const withPlace = async (
    name: VolumeName,
    options: DriverOptions,
    operation: Operation,
  ): Promise<DriverOptions> => {
    const presence = await driver.get(name, operation);
    const subpath = presence.state === "found" ? presence.record.options["subpath"] : undefined;
    return { ...options, subpath: subpath ?? placeOf(name) };
  };
  const { trash, rename, update } = driver;
  return {
    placeOf,
    driver: {
      ...driver,
      async create({ name, options }, operation) {
        operation.signal.throwIfAborted();
        const spec = { name, options: await withPlace(name, options, operation) };
        return withoutPlace(await driver.create(spec, operation));
      },
      async get(name, operation) {
        const presence = await driver.get(name, operation);
        if (presence.state !== "found") return presence;
        return { ...presence, record: withoutPlace(presence.record) };
      },
      async *list(operation) {
        for await (const record of driver.list(operation)) yield withoutPlace(record);
      },
      trash: trash && {
        ...trash,
        async retire(name, retirement, operation) {
          await trash.retire(name, retirement, operation);
          places.delete(name);
        },
      },
      rename: rename && {
        async rename(from, to, operation) {
          await rename.rename(from, to, operation);
          places.delete(from);
        },
      },
      update: update && {
        async update({ name, options }, operation) {
          const spec = { name, options: await withPlace(name, options, operation) };
          return withoutPlace(await update.update(spec, operation));
        },
      },
    },
  };
}

function withoutPlace(record: VolumeRecord): VolumeRecord {
  const { subpath: _, ...options } = record.options;
  return { ...record, options };
}
