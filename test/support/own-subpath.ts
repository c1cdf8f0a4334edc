// A remote driver whose volumes have a directory each, named as they are: for checks, which make
// many volumes with the same options.
import type { DriverOptions, VolumeDriver, VolumeRecord } from "../../src/core/driver.ts";

/** Nobody sees the `subpath`: options and records are those of the checks. */
export function withOwnSubpath(driver: VolumeDriver): VolumeDriver {
  const { update } = driver;
  return {
    ...driver,
    name: driver.name,
    async create({ name, options }, operation) {
      return shown(await driver.create({ name, options: below(name, options) }, operation));
    },
    async get(name, operation) {
      const presence = await driver.get(name, operation);
      if (presence.state !== "found") return presence;
      return { ...presence, record: shown(presence.record) };
    },
    async *list(operation) {
      for await (const record of driver.list(operation)) yield shown(record);
    },
    update: update && {
      async update({ name, options }, operation) {
        return shown(await update.update({ name, options: below(name, options) }, operation));
      },
    },
  };
}

function below(name: string, options: DriverOptions): DriverOptions {
  // The longest names are too long beside a mark.
  return { ...options, subpath: name.slice(-190) };
}

function shown(record: VolumeRecord): VolumeRecord {
  const { subpath: _, ...options } = record.options;
  return { ...record, options };
}
