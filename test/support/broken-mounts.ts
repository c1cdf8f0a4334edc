// Drivers that break one promise of mount, of names or of every call each; see broken-drivers.ts.
import { mkdirSync } from "node:fs";
import { join, relative } from "node:path";
import type { VolumeRecord } from "../../src/core/driver.ts";
import { EngineError } from "../../src/core/errors.ts";
import { parseVolumeName } from "../../src/core/names.ts";
import { unfired } from "../../src/core/operation.ts";
import { type BrokenDriver, empty, holders, safeToRepeat } from "./broken-drivers.ts";

export const brokenMounts: readonly BrokenDriver[] = [
  {
    fault: "mounts at a relative path",
    promise: "Makes the data reachable at an absolute path until the same holder unmounts.",
    break: ({ driver }) => ({
      ...driver,
      mount: async (...call) => relative(process.cwd(), await driver.mount(...call)),
    }),
  },
  {
    fault: "empties the volume at unmount",
    promise: "What was written is there again at the next mount.",
    also: "many others",
    break: ({ driver }) => ({
      ...driver,
      async unmount(name, holder, operation) {
        await driver.unmount(name, holder, operation);
        await empty(driver, name, operation);
      },
    }),
  },
  {
    fault: "counts the mounts of one holder",
    promise: "Repeating it for the same holder changes nothing.",
    break({ driver }) {
      const counts = new Map<string, number>();
      return {
        ...driver,
        async mount(name, holder, operation) {
          const path = await driver.mount(name, holder, operation);
          counts.set(`${name} ${holder}`, (counts.get(`${name} ${holder}`) ?? 0) + 1);
          return path;
        },
        async unmount(name, holder, operation) {
          const count = counts.get(`${name} ${holder}`) ?? 1;
          counts.set(`${name} ${holder}`, count - 1);
          if (count <= 1) await driver.unmount(name, holder, operation);
        },
      };
    },
  },
  {
    fault: "gives each holder a directory of its own",
    promise: "Two holders see the same data.",
    break: ({ driver }) => ({
      ...driver,
      async mount(name, holder, operation) {
        const path = await driver.mount(name, holder, operation);
        if (holder === holders[0]) return path;
        mkdirSync(join(path, holder), { recursive: true });
        return join(path, holder);
      },
    }),
  },
  {
    fault: "creates what it is to mount",
    promise: "Throws `volume.not_found` for what was never created or is destroyed.",
    also: ["Moves the volume out of sight under `id`.", "Gives a volume another name."],
    break: ({ driver }) => ({
      ...driver,
      async mount(name, holder, operation) {
        await driver.create({ name, options: {} }, operation).catch(() => undefined);
        return await driver.mount(name, holder, operation);
      },
    }),
  },
  {
    fault: "puts an empty directory in the place of lost data",
    promise: "Throws `volume.data_missing` for what has lost its storage.",
    break: ({ driver }) => ({
      ...driver,
      async mount(name, holder, operation) {
        const presence = await driver.get(name, operation);
        if (presence.state === "found") mkdirSync(presence.record.mountpoint, { recursive: true });
        return await driver.mount(name, holder, operation);
      },
    }),
  },
  {
    fault: "unmounts for everybody",
    promise: "Ends one holder's mount and no other's.",
    break: ({ driver }) => ({
      ...driver,
      async unmount(name, _holder, operation) {
        for (const holder of holders) await driver.unmount(name, holder, operation);
      },
    }),
  },
  {
    fault: "cannot unmount what is not mounted",
    promise: "Unmounting what is not mounted succeeds.",
    also: [safeToRepeat],
    break({ driver }) {
      const mounted = new Set<string>();
      return {
        ...driver,
        async mount(name, holder, operation) {
          mounted.add(`${name} ${holder}`);
          return await driver.mount(name, holder, operation);
        },
        async unmount(name, holder, operation) {
          await driver.unmount(name, holder, operation);
          if (!mounted.delete(`${name} ${holder}`)) throw new EngineError("internal.bug", "no");
        },
      };
    },
  },
  {
    fault: "tells the mountpoint only while it is mounted",
    promise: 'Where Docker says the data is, mounted or not; "" when the driver cannot say.',
    break({ driver }) {
      const mounted = new Set<string>();
      return {
        ...driver,
        async get(name, operation) {
          const presence = await driver.get(name, operation);
          if (presence.state !== "found" || !mounted.has(name)) return presence;
          return { state: "found", record: { ...presence.record, mountpoint: "/mnt" } };
        },
        async mount(name, holder, operation) {
          const path = await driver.mount(name, holder, operation);
          mounted.add(name);
          return path;
        },
        async unmount(name, holder, operation) {
          await driver.unmount(name, holder, operation);
          mounted.delete(name);
        },
      };
    },
  },
  {
    fault: "takes the name for the identity",
    promise:
      "What tells this very piece of storage from a later one of the same name (a directory's " +
      'inode and birth time, for example); "" when the driver cannot say.',
    also: [
      "The same as `create`, now rather than later.",
      "The record it returns has the identity of what is there now.",
      "Everything in the trash once.",
      "Undoes `retire`, under any free name; nothing of the description is left in the volume.",
      "Its identity, options and data stay.",
      "Data and identity stay.",
      "Gives a volume other options: another address, another secret.",
    ],
    break: ({ driver }) => ({
      ...driver,
      create: async (...call) => named(await driver.create(...call)),
      async get(name, operation) {
        const presence = await driver.get(name, operation);
        if (presence.state !== "found") return presence;
        return { state: "found", record: named(presence.record) };
      },
      async *list(operation) {
        for await (const record of driver.list(operation)) yield named(record);
      },
    }),
  },
  {
    fault: "has no room for the longest names",
    promise: "Every parsed name works, the longest too, and two names never share storage.",
    break: ({ driver }) => ({
      ...driver,
      async create(spec, operation) {
        if (`${spec.name}.tmp`.length > 255) throw new EngineError("storage.failed", "too long");
        return await driver.create(spec, operation);
      },
    }),
  },
  {
    fault: "keeps names that differ in case in one place",
    promise: "Every parsed name works, the longest too, and two names never share storage.",
    break: ({ driver }) => ({
      ...driver,
      mount: (name, holder, operation) =>
        driver.mount(parseVolumeName(name.toLowerCase()), holder, operation),
      unmount: (name, holder, operation) =>
        driver.unmount(parseVolumeName(name.toLowerCase()), holder, operation),
    }),
  },
  {
    fault: "destroys whatever its signal says",
    promise:
      "A call that would change something rejects when its signal has fired already, and changes " +
      "nothing.",
    break: ({ driver }) => ({
      ...driver,
      destroy: (name, operation) => driver.destroy(name, unfired(operation)),
    }),
  },
  {
    fault: "cannot restore twice",
    promise: safeToRepeat,
    break: ({ driver }) => ({
      ...driver,
      trash: driver.trash && {
        ...driver.trash,
        async restore(id, name, operation) {
          const presence = await driver.get(name, operation);
          if (presence.state === "found") {
            throw new EngineError("volume.exists_differently", "it is there");
          }
          await driver.trash?.restore(id, name, operation);
        },
      },
    }),
  },
];

function named(record: VolumeRecord): VolumeRecord {
  return { ...record, identity: record.name };
}
