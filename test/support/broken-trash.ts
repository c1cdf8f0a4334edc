// Drivers that break one promise of the trash facet each; see broken-drivers.ts.
import { cpSync, existsSync, readdirSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { EngineError } from "../../src/core/errors.ts";
import type { TrashId } from "../../src/core/names.ts";
import { type BrokenDriver, empty, holders, safeToRepeat } from "./broken-drivers.ts";
import { breakerOf, present } from "./facet-breaker.ts";

const trash = breakerOf("trash");

const undoes =
  "Undoes `retire`, under any free name; nothing of the description is left in the volume.";
const refusesToRestore =
  "Refuses with `volume.exists_differently` when the name is taken, and with `trash.purging` " +
  "what is not whole any more.";
const destroys = "Destroys what was retired, for ever, at a low priority.";
const replaces = "Replaces what lies beside the data of `id`.";
const says =
  "What `retire` or `describe` put beside the data; null: nothing, or it cannot be read.";
const keeps =
  "Kept beside the data, whatever it says: what is needed to restore the volume when everything " +
  "else is lost.";
const saysPurging = "From its first effect on `list` says `isPurging`.";
const atMost = "At most `RETIRED_DESCRIPTION_BYTES_MAX`.";

/** Where a driver that cuts descriptions does so, in characters. */
const cutLength = 65_536;

export const brokenTrash: readonly BrokenDriver[] = [
  trash(
    "Moves the volume out of sight under `id`.",
    "leaves a copy in sight",
    (facet, { root }) => ({
      async retire(name, { id, ...more }, operation) {
        await facet.retire(name, { id, ...more }, operation);
        cpSync(join(root, "trash", id), join(root, "volumes", name), { recursive: true });
      },
    }),
    [
      safeToRepeat,
      "Afterwards the name is free.",
      "Repeating it with the same id succeeds.",
      undoes,
      refusesToRestore,
      destroys,
    ],
  ),
  {
    fault: "keeps the name of what was retired",
    promise: "Afterwards the name is free.",
    also: [refusesToRestore],
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
          async retire(name, retirement, operation) {
            await facet.retire(name, retirement, operation);
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
        async retire(name, retirement, operation) {
          const { id } = retirement;
          if (used.has(id)) throw new EngineError("volume.not_found", `no ${name}`);
          await facet.retire(name, retirement, operation);
          used.add(id);
        },
      };
    },
    [safeToRepeat],
  ),
  trash("Refuses like `destroy`.", "retires what is mounted", (facet, { driver }) => ({
    async retire(name, retirement, operation) {
      for (const holder of holders) await driver.unmount(name, holder, operation);
      await facet.retire(name, retirement, operation);
    },
  })),
  trash(
    "Leaves what was found rather than made where it is.",
    "retires somebody else's data",
    (facet, { driver, root }) => ({
      async retire(name, retirement, operation) {
        const { id } = retirement;
        const presence = await driver.get(name, operation);
        await facet.retire(name, retirement, operation);
        if (presence.state !== "found" || presence.record.origin === "made") return;
        renameSync(join(root, "volumes", name), join(root, "trash", id));
      },
    }),
  ),
  trash(
    undoes,
    "brings back an empty volume",
    (facet, { driver }) => ({
      async restore(id, name, operation) {
        await facet.restore(id, name, operation);
        await empty(driver, name, operation);
      },
    }),
    ["Repeating it with the same id succeeds.", refusesToRestore],
  ),
  trash(refusesToRestore, "restores over a new volume", (facet, { driver }) => ({
    async restore(id, name, operation) {
      await facet.restore(id, name, operation).catch(async () => {
        await driver.destroy(name, operation);
        await facet.restore(id, name, operation);
      });
    },
  })),
  trash(
    destroys,
    "purges nothing",
    (facet) => ({
      async purge(ids, operation) {
        if (operation.signal.aborted) await facet.purge(ids, operation);
      },
    }),
    [saysPurging],
  ),
  trash(destroys, "purges everything", (facet) => ({
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
  trash(
    says,
    "tells of no descriptions",
    (facet) => ({
      async *list(operation) {
        for await (const retired of facet.list(operation)) yield { ...retired, description: null };
      },
    }),
    [keeps, atMost, replaces],
  ),
  trash(keeps, "keeps what is JSON only", (facet) => ({
    async retire(name, { id, description }, operation) {
      const kept = isJson(description) ? description : "{}";
      await facet.retire(name, { id, description: kept }, operation);
    },
  })),
  trash(atMost, "cuts what is long", (facet) => ({
    async retire(name, { id, description }, operation) {
      await facet.retire(name, { id, description: description.slice(0, cutLength) }, operation);
    },
  })),
  trash(replaces, "describes nothing", () => ({
    async describe(_id, _description, operation) {
      operation.signal.throwIfAborted();
    },
  })),
  trash("Does nothing when there is no such entry.", "cannot describe nothing", (facet) => ({
    async describe(id, description, operation) {
      for await (const retired of facet.list(operation)) {
        if (retired.id === id) return await facet.describe(id, description, operation);
      }
      throw new EngineError("trash.not_found", `no ${id}`);
    },
  })),
  trash(refusesToRestore, "restores half a volume", (facet, { root }) => ({
    async restore(id, name, operation) {
      const place = join(root, "trash", id);
      if (existsSync(`${place}.purging`)) renameSync(`${place}.purging`, place);
      await facet.restore(id, name, operation);
    },
  })),
  trash(saysPurging, "takes half for whole", (facet) => ({
    async *list(operation) {
      for await (const retired of facet.list(operation)) yield { ...retired, isPurging: false };
    },
  })),
  trash(
    "As `UsageCapable.measure`, for what lies in the trash; null for what is not there.",
    "measures nothing in the trash",
    () => ({ measure: async () => ({ usedBytes: null }) }),
  ),
];

/** What a careless removal does: it looks through links, here through the check's own only. */
function emptyBehindLinks(folder: string): void {
  const path = join(folder, "directory");
  if (!existsSync(path)) return;
  for (const name of readdirSync(path)) rmSync(join(path, name), { recursive: true });
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
