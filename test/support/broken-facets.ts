// Drivers that break one promise of a facet each; see broken-drivers.ts.
import { cpSync, existsSync, readdirSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { VolumeRecord } from "../../src/core/driver.ts";
import { EngineError } from "../../src/core/errors.ts";
import type { TrashId } from "../../src/core/names.ts";
import { type BrokenDriver, empty, holders, safeToRepeat } from "./broken-drivers.ts";
import { breakerOf, present } from "./facet-breaker.ts";

const rebuild = breakerOf("rebuild");
const trash = breakerOf("trash");

export const brokenFacets: readonly BrokenDriver[] = [
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
  trash(
    "Moves the volume out of sight under `id`.",
    "leaves a copy in sight",
    (facet, { root }) => ({
      async retire(name, id, operation) {
        await facet.retire(name, id, operation);
        cpSync(join(root, "trash", id), join(root, "volumes", name), { recursive: true });
      },
    }),
    [
      safeToRepeat,
      "Afterwards the name is free.",
      "Repeating it with the same id succeeds.",
      "Undoes `retire`.",
      "Destroys what was retired, for ever.",
    ],
  ),
  {
    fault: "keeps the name of what was retired",
    promise: "Afterwards the name is free.",
    also: ["Refuses with `volume.exists_differently` when the name is taken."],
    break({ driver }) {
      const taken = new Set<string>();
      const facet = present(driver.trash);
      return {
        ...driver,
        async create(spec, operation) {
          if (taken.has(spec.name)) throw new EngineError("volume.in_use", "it lies in the trash");
          return await driver.create(spec, operation);
        },
        trash: {
          ...facet,
          async retire(name, id, operation) {
            await facet.retire(name, id, operation);
            taken.add(name);
          },
        },
      };
    },
  },
  trash(
    "Repeating it with the same id succeeds.",
    "cannot retire twice",
    (facet) => {
      const used = new Set<TrashId>();
      return {
        async retire(name, id, operation) {
          if (used.has(id)) throw new EngineError("volume.not_found", `no ${name}`);
          await facet.retire(name, id, operation);
          used.add(id);
        },
      };
    },
    [safeToRepeat],
  ),
  trash("Refuses like `destroy`.", "retires what is mounted", (facet, { driver }) => ({
    async retire(name, id, operation) {
      for (const holder of holders) await driver.unmount(name, holder, operation);
      await facet.retire(name, id, operation);
    },
  })),
  trash(
    "Leaves what was found rather than made where it is.",
    "retires somebody else's data",
    (facet, { driver, root }) => ({
      async retire(name, id, operation) {
        const presence = await driver.get(name, operation);
        await facet.retire(name, id, operation);
        if (presence.state !== "found" || presence.record.origin === "made") return;
        renameSync(join(root, "volumes", name), join(root, "trash", id));
      },
    }),
  ),
  trash(
    "Undoes `retire`.",
    "brings back an empty volume",
    (facet, { driver }) => ({
      async restore(id, name, operation) {
        await facet.restore(id, name, operation);
        await empty(driver, name, operation);
      },
    }),
    [
      "Repeating it with the same id succeeds.",
      "Refuses with `volume.exists_differently` when the name is taken.",
    ],
  ),
  trash(
    "Refuses with `volume.exists_differently` when the name is taken.",
    "restores over a new volume",
    (facet, { driver }) => ({
      async restore(id, name, operation) {
        await facet.restore(id, name, operation).catch(async () => {
          await driver.destroy(name, operation);
          await facet.restore(id, name, operation);
        });
      },
    }),
  ),
  trash("Destroys what was retired, for ever.", "purges nothing", (facet) => ({
    async purge(ids, operation) {
      if (operation.signal.aborted) await facet.purge(ids, operation);
    },
  })),
  trash("Destroys what was retired, for ever.", "purges everything", (facet) => ({
    async purge(ids, operation) {
      const all: TrashId[] = [...ids];
      for await (const { id } of facet.list(operation)) all.push(id);
      await facet.purge(all, operation);
    },
  })),
  trash(
    "Purging what is not there succeeds.",
    "cannot purge what is not there",
    (facet) => ({
      async purge(ids, operation) {
        const there = new Set<TrashId>();
        for await (const { id } of facet.list(operation)) there.add(id);
        if (!ids.every((id) => there.has(id)))
          throw new EngineError("volume.not_found", "not there");
        await facet.purge(ids, operation);
      },
    }),
    [safeToRepeat],
  ),
  trash("It never follows a symbolic link.", "follows symbolic links", (facet, { root }) => ({
    async purge(ids, operation) {
      for (const id of ids) emptyBehindLinks(join(root, "trash", id, "_data"));
      await facet.purge(ids, operation);
    },
  })),
  trash("Everything in the trash once.", "lists the trash twice", (facet) => ({
    async *list(operation) {
      yield* facet.list(operation);
      yield* facet.list(operation);
    },
  })),
];

/** What a careless removal does: it looks through links, here through the check's own only. */
function emptyBehindLinks(folder: string): void {
  const path = join(folder, "directory");
  if (!existsSync(path)) return;
  for (const name of readdirSync(path)) rmSync(join(path, name), { recursive: true });
}
