// Volumes of checks on somebody's server: each in a directory of its own, made for it.
//
// Checks make many volumes with the same options. Of a remote driver that would be the same share,
// or the same directory, for all of them. Here each gets a `subpath` that nothing else has; what
// the driver makes there it destroys with the volume, and what is the user's is never touched.
import type { DriverOptions, VolumeDriver, VolumeRecord, VolumeSpec } from "../core/driver.ts";
import type { VolumeName } from "../core/names.ts";
import type { Operation } from "../core/operation.ts";

const OPTION = "subpath";

/**
 * The driver with a directory of its own for each volume, as if its options did not say so. `prefix`
 * is the part of a path that all of them begin with; a number follows.
 */
export function withOwnSubpaths(driver: VolumeDriver, prefix: string): VolumeDriver {
  let count = 0;
  /** What the checks gave; a volume that is made again after a removal has another directory. */
  const given = new Map<string, string | undefined>();

  const inner = async (spec: VolumeSpec, operation: Operation): Promise<VolumeSpec> => {
    const there = await driver.get(spec.name, operation);
    const old = there.state === "found" ? there.record.options[OPTION] : undefined;
    const wanted = spec.options[OPTION];
    if (old !== undefined && given.get(old) === wanted) return withSubpath(spec, old);
    count += 1;
    const subpath = `${wanted === undefined ? "" : `${wanted}/`}${prefix}${count}`;
    given.set(subpath, wanted);
    return withSubpath(spec, subpath);
  };
  const outer = (record: VolumeRecord): VolumeRecord => {
    const { [OPTION]: subpath = "", ...rest } = record.options;
    const wanted = given.get(subpath);
    return { ...record, options: wanted === undefined ? rest : { ...rest, [OPTION]: wanted } };
  };
  const { update } = driver;
  return {
    ...driver,
    create: async (spec, operation) =>
      outer(await driver.create(await inner(spec, operation), operation)),
    async get(name: VolumeName, operation: Operation) {
      const presence = await driver.get(name, operation);
      return presence.state === "found"
        ? { state: "found", record: outer(presence.record) }
        : presence;
    },
    async *list(operation) {
      for await (const record of driver.list(operation)) yield outer(record);
    },
    update: update && {
      update: async (spec, operation) =>
        outer(await update.update(await inner(spec, operation), operation)),
    },
  };
}

function withSubpath(spec: VolumeSpec, subpath: string): VolumeSpec {
  const options: DriverOptions = { ...spec.options, [OPTION]: subpath };
  return { ...spec, options };
}
