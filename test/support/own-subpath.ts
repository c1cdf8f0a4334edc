// A remote driver whose volumes have a new directory each: for checks, which make
// many volumes with the same options.
import { randomUUID } from "node:crypto";
import type { DriverOptions, VolumeDriver, VolumeRecord } from "../../src/core/driver.ts";
import type { VolumeName } from "../../src/core/names.ts";
import type { Operation } from "../../src/core/operation.ts";

/** Nobody sees the `subpath`: options and records are those of the checks. */
export function withOwnSubpath(driver: VolumeDriver): VolumeDriver {
  const { update, trash } = driver;
  const subpaths = new Map<VolumeName, string>();
  // What is made again under a used name is another volume.
  async function below(name: VolumeName, options: DriverOptions, operation: Operation) {
    const known = await driver.get(name, operation);
    const subpath = known.state === "found" ? known.record.options["subpath"] : undefined;
    const chosen = subpath ?? subpaths.get(name) ?? randomUUID();
    subpaths.set(name, chosen);
    return { ...options, subpath: chosen };
  }
  return {
    ...driver,
    name: driver.name,
    async create({ name, options }, operation) {
      const spec = { name, options: await below(name, options, operation) };
      return shown(await driver.create(spec, operation));
    },
    async get(name, operation) {
      const presence = await driver.get(name, operation);
      if (presence.state !== "found") return presence;
      return { ...presence, record: shown(presence.record) };
    },
    async *list(operation) {
      for await (const record of driver.list(operation)) yield shown(record);
    },
    async destroy(name, operation) {
      await driver.destroy(name, operation);
      subpaths.delete(name);
    },
    trash: trash && {
      ...trash,
      async retire(name, retirement, operation) {
        await trash.retire(name, retirement, operation);
        subpaths.delete(name);
      },
    },
    update: update && {
      async update({ name, options }, operation) {
        const spec = { name, options: await below(name, options, operation) };
        return shown(await update.update(spec, operation));
      },
    },
  };
}

function shown(record: VolumeRecord): VolumeRecord {
  const { subpath: _, ...options } = record.options;
  return { ...record, options };
}
