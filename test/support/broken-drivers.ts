// Drivers that break one promise each: a suite that cannot fail proves nothing.
//
// Each takes a healthy bench, with every facet, and breaks its driver. Some promises hang together,
// so that breaking one breaks others: `also` names those, and the test wants exactly all of them.
// Where "many others" cannot hold either, it wants at least the one.
import { mkdirSync, renameSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import type { DriverOptions, VolumeDriver, VolumeRecord } from "../../src/core/driver.ts";
import { EngineError } from "../../src/core/errors.ts";
import { type HolderId, parseHolderId } from "../../src/core/names.ts";
import { unfired } from "../../src/core/operation.ts";
import { randomHex } from "./driver-benches.ts";
import type { facetParts } from "./scratch-facets.ts";

export interface BrokenDriver {
  /** What it does wrong. */
  readonly fault: string;
  /** The promise it breaks. */
  readonly promise: string;
  /** Promises that cannot be kept without the other. */
  readonly also?: readonly string[] | "many others";
  readonly break: (healthy: ReturnType<typeof facetParts>) => VolumeDriver;
}

/** What cannot be kept by a driver that fails at the second time. */
export const safeToRepeat =
  "After a crash it may repeat the last call, so every call is safe to repeat.";

/** The holders that the checks use. */
export const holders: readonly HolderId[] = ["verify-first", "verify-second"].map(parseHolderId);

export const brokenVolumes: readonly BrokenDriver[] = [
  {
    fault: "ignores options it does not know",
    promise: "A driver refuses what it does not know, by name.",
    break: ({ driver }) => ({
      ...driver,
      create: ({ name, options }, operation) =>
        driver.create({ name, options: onlyNote(options) }, operation),
    }),
  },
  {
    fault: "validates nothing",
    promise:
      "Throws `volume.option_invalid` when `create` could never accept these options, naming the " +
      "option.",
    break: ({ driver }) => ({ ...driver, validate() {} }),
  },
  {
    fault: "cannot say when it made the volume",
    promise: "Creates the volume.",
    break: ({ driver }) =>
      withCreated(driver, (record) => ({ ...record, createdAtMs: Number.NaN })),
  },
  {
    fault: "makes a new identity at each further create",
    promise: "Repeating it with an equal spec returns a record with the same identity.",
    break({ driver }) {
      const made = new Set<string>();
      return withCreated(driver, (record) => {
        if (made.has(record.name)) return { ...record, identity: randomHex(8) };
        made.add(record.name);
        return record;
      });
    },
  },
  {
    fault: "takes other options for the same volume",
    promise: "With other options it throws `volume.exists_differently`.",
    break: ({ driver }) => ({
      ...driver,
      async create(spec, operation) {
        const presence = await driver.get(spec.name, operation);
        return presence.state === "found" ? presence.record : await driver.create(spec, operation);
      },
    }),
  },
  {
    fault: "looks at the signal only when it has made the volume",
    promise: "When it throws, nothing of the volume is left behind.",
    break: ({ driver }) => ({
      ...driver,
      async create(spec, operation) {
        operation.signal.throwIfAborted();
        await Promise.resolve();
        const record = await driver.create(spec, unfired(operation));
        operation.signal.throwIfAborted();
        return record;
      },
    }),
  },
  {
    fault: "says absent of what is there",
    promise: '"absent" is said only by a driver that is sure.',
    also: "many others",
    break: ({ driver }) => ({ ...driver, get: async () => ({ state: "absent" }) }),
  },
  {
    fault: "says absent when it cannot tell",
    promise: 'One that cannot tell says "unknown".',
    break: ({ driver }) => ({
      ...driver,
      async get(name, operation) {
        const presence = await driver.get(name, operation);
        return presence.state === "unknown" ? { state: "absent" } : presence;
      },
    }),
  },
  {
    fault: "lists volumes twice",
    promise: "Every volume once, in no particular order.",
    break: ({ driver }) => ({
      ...driver,
      async *list(operation) {
        yield* driver.list(operation);
        yield* driver.list(operation);
      },
    }),
  },
  {
    fault: "destroys when it is to forget",
    promise: "Ends the driver's part in the volume and leaves its data alone.",
    break: ({ driver }) => ({ ...driver, forget: driver.destroy }),
  },
  {
    fault: "cannot forget what is not there",
    promise: "Forgetting what is not there succeeds.",
    also: [safeToRepeat],
    break: ({ driver }) => ({
      ...driver,
      async forget(name, operation) {
        await mustExist(driver, name, operation);
        await driver.forget(name, operation);
      },
    }),
  },
  {
    fault: "forgets when it is to destroy",
    promise: "Destroys the volume and its data.",
    also: [
      "Makes again what a power cut took before it was ever used, from its record.",
      "Refuses with `volume.exists_differently` when the name is taken, and with " +
        "`trash.purging` what is not whole any more.",
    ],
    break: ({ driver }) => ({
      ...driver,
      async destroy(name, operation) {
        const presence = await driver.get(name, operation);
        await driver.destroy(name, operation);
        if (presence.state !== "found" || presence.record.origin === "adopted") return;
        mkdirSync(presence.record.mountpoint, { recursive: true });
        await Bun.write(join(presence.record.mountpoint, "data"), "left");
      },
    }),
  },
  {
    fault: "destroys somebody else's data",
    promise: "What `create` found rather than made is left where it is, as `forget` leaves it.",
    break: ({ driver, root }) => ({
      ...driver,
      async destroy(name, operation) {
        await driver.destroy(name, operation);
        rmSync(join(root, "volumes", name), { recursive: true, force: true });
      },
    }),
  },
  {
    fault: "destroys what is mounted",
    promise: "Refuses with `volume.in_use` while a holder has it mounted.",
    also: ["Ends one holder's mount and no other's."],
    break: ({ driver }) => ({
      ...driver,
      async destroy(name, operation) {
        for (const holder of holders) await driver.unmount(name, holder, operation);
        await driver.destroy(name, operation);
      },
    }),
  },
  {
    fault: "cannot destroy what is not there",
    promise: "Destroying what is not there succeeds.",
    also: [safeToRepeat],
    break: ({ driver }) => ({
      ...driver,
      async destroy(name, operation) {
        operation.signal.throwIfAborted();
        await mustExist(driver, name, operation);
        await driver.destroy(name, operation);
      },
    }),
  },
];

function onlyNote({ note }: DriverOptions): DriverOptions {
  return note === undefined ? {} : { note };
}

function withCreated(
  driver: VolumeDriver,
  change: (record: VolumeRecord) => VolumeRecord,
): VolumeDriver {
  return { ...driver, create: async (...call) => change(await driver.create(...call)) };
}

/** Removes the data of a volume behind its driver's back. */
export async function empty(
  driver: VolumeDriver,
  ...[name, operation]: Parameters<VolumeDriver["get"]>
): Promise<void> {
  const presence = await driver.get(name, operation);
  if (presence.state !== "found") return;
  const { mountpoint } = presence.record;
  renameSync(mountpoint, join(dirname(mountpoint), "emptied"));
  mkdirSync(mountpoint);
  rmSync(join(dirname(mountpoint), "emptied"), { recursive: true });
}

async function mustExist(
  driver: VolumeDriver,
  ...[name, operation]: Parameters<VolumeDriver["get"]>
): Promise<void> {
  const presence = await driver.get(name, operation);
  if (presence.state !== "found") throw new EngineError("volume.not_found", `no ${name}`);
}
