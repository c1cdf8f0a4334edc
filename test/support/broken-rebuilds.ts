// Drivers that break one promise of the rebuild facet each; see broken-drivers.ts.
import type { VolumeRecord } from "../../src/core/driver.ts";
import { type BrokenDriver, empty } from "./broken-drivers.ts";
import { breakerOf } from "./facet-breaker.ts";

const rebuild = breakerOf("rebuild");

export const brokenRebuilds: readonly BrokenDriver[] = [
  rebuild(
    'The record that `create` would return for a new volume, its identity "".',
    "describes another mountpoint",
    ({ describe }) => ({ describe: (spec) => ({ ...describe(spec), mountpoint: "" }) }),
  ),
  rebuild(
    "Pure: the engine writes it down before it has the volume made, so that a crash leaves no " +
      "volume without a row.",
    "makes what it is to describe",
    ({ createNow }) => ({ describe: (spec) => ({ ...createNow(spec), identity: "" }) }),
  ),
  rebuild(
    "The same as `create`, now rather than later.",
    "says that what it makes now is elsewhere",
    ({ createNow }) => ({ createNow: (spec) => ({ ...createNow(spec), mountpoint: "" }) }),
  ),
  rebuild(
    "Throws `volume.exists_differently` where `create` does.",
    "takes other options for the same volume, now",
    ({ createNow, describe }) => ({
      createNow(spec) {
        try {
          return createNow(spec);
        } catch {
          return describe(spec);
        }
      },
    }),
  ),
  rebuild(
    "Callable without waiting, because it is one or two directory operations on the data root's " +
      "own file system.",
    "returns a promise",
    ({ createNow }) => ({
      // The lie is the point.
      createNow: (spec) => Promise.resolve(createNow(spec)) as unknown as VolumeRecord,
    }),
    ["The same as `create`, now rather than later."],
  ),
  rebuild(
    "Makes again what a power cut took before it was ever used, from its record.",
    "makes nothing again",
    () => ({ rebuild: async (record) => record }),
    ["The record it returns has the identity of what is there now."],
  ),
  rebuild("What is there is left alone.", "makes again what is there", (facet, { driver }) => ({
    async rebuild(record, operation) {
      const rebuilt = await facet.rebuild(record, operation);
      await empty(driver, record.name, operation);
      return rebuilt;
    },
  })),
  rebuild(
    "The record it returns has the identity of what is there now.",
    "returns the old identity",
    (facet) => ({
      async rebuild(record, operation) {
        return { ...(await facet.rebuild(record, operation)), identity: record.identity };
      },
    }),
  ),
];
