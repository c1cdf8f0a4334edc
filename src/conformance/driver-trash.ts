// Checks of the trash facet, where the driver has it.
import { deepEqual, equal, fail, ok } from "node:assert/strict";
import {
  RETIRED_DESCRIPTION_BYTES_MAX,
  type RetiredRecord,
  type TrashCapable,
} from "../core/driver.ts";
import type { TrashId } from "../core/names.ts";
import type { Check } from "./check.ts";
import type { DriverBench } from "./driver-bench.ts";
import {
  collect,
  create,
  fill,
  mount,
  mustBeGone,
  mustFind,
  mustHold,
  rejectsWith,
  retirement,
  sameVolume,
  succeeds,
  unmount,
  writeInto,
} from "./expectations.ts";

/** Whatever the engine may have to say, and what no file format would take. */
const oddDescriptions: readonly string[] = [
  '{"format": "cut off',
  "",
  "two\nlines\r\n",
  "\ufeffé \u{1f40b} \u0000",
];

const hasTrash = ({ driver }: DriverBench) => driver.trash !== undefined;
const canBegin = (bench: DriverBench) => hasTrash(bench) && bench.beginPurge !== undefined;

export const trashChecks: readonly Check<DriverBench>[] = [
  {
    promise:
      "What `retire` or `describe` put beside the data; null: nothing, or it cannot be read.",
    applies: hasTrash,
    async run(bench) {
      const { id } = await retire(bench, "described");
      equal((await mustLieInTrash(bench, id)).description, retirement(id).description);
    },
  },
  {
    promise:
      "Kept beside the data, whatever it says: what is needed to restore the volume when " +
      "everything else is lost.",
    applies: hasTrash,
    async run(bench) {
      for (const [index, description] of oddDescriptions.entries()) {
        const { name } = await create(bench, `described-${index}`);
        const id = bench.trashId();
        await trashOf(bench).retire(name, { id, description }, bench.operation());
        equal((await mustLieInTrash(bench, id)).description, description);
      }
    },
  },
  {
    promise: "At most `RETIRED_DESCRIPTION_BYTES_MAX`.",
    applies: hasTrash,
    async run(bench) {
      const { name } = await create(bench, "described");
      const id = bench.trashId();
      const description = JSON.stringify("x".repeat(RETIRED_DESCRIPTION_BYTES_MAX - 2));
      await trashOf(bench).retire(name, { id, description }, bench.operation());
      const found = (await mustLieInTrash(bench, id)).description;
      ok(found === description, "the longest description is not what it was");
    },
  },
  {
    promise: "Moves the volume out of sight under `id`.",
    applies: hasTrash,
    async run(bench) {
      const { name } = await retire(bench, "retired");
      await mustBeGone(bench, name);
      await rejectsWith("volume.not_found", "mount of what was retired", mount(bench, name));
    },
  },
  {
    promise: "Afterwards the name is free.",
    applies: hasTrash,
    async run(bench) {
      const { name } = await retire(bench, "retired");
      await succeeds("create with the name", create(bench, "retired", bench.optionSets.at(-1)));
      await mustHold(bench, name, undefined);
      const trash = trashOf(bench);
      await succeeds(
        "a second retire",
        trash.retire(name, retirement(bench.trashId()), bench.operation()),
      );
    },
  },
  {
    promise: "Repeating it with the same id succeeds.",
    applies: hasTrash,
    async run(bench) {
      const { name, id } = await retire(bench, "retired");
      const trash = trashOf(bench);
      await succeeds("retire again", trash.retire(name, retirement(id), bench.operation()));
      await trash.restore(id, name, bench.operation());
      await mustHold(bench, name, "retired");
    },
  },
  {
    promise: "Refuses like `destroy`.",
    applies: hasTrash,
    async run(bench) {
      const trash = trashOf(bench);
      const { name } = await create(bench, "in-use");
      await writeInto(bench, name, "in use");
      await mount(bench, name);
      const id = bench.trashId();
      await rejectsWith(
        "volume.in_use",
        "retire",
        trash.retire(name, retirement(id), bench.operation()),
      );
      await unmount(bench, name);
      await mustHold(bench, name, "in use");
    },
  },
  {
    promise: "Leaves what was found rather than made where it is.",
    applies: (bench) => hasTrash(bench) && bench.plant !== undefined,
    async run(bench) {
      const name = bench.name("adopted");
      const file = (await bench.plant?.(name)) ?? fail("nothing was planted");
      await create(bench, "adopted");
      const retiring = trashOf(bench).retire(name, retirement(bench.trashId()), bench.operation());
      await Promise.allSettled([retiring]);
      ok(await bench.files.exists(file), "the data of somebody else has moved");
    },
  },
  {
    promise: "Replaces what lies beside the data of `id`.",
    applies: hasTrash,
    async run(bench) {
      const { id } = await retire(bench, "described");
      const trash = trashOf(bench);
      for (const description of [JSON.stringify("a longer one than before"), JSON.stringify(1)]) {
        await trash.describe(id, description, bench.operation());
        equal((await mustLieInTrash(bench, id)).description, description);
      }
    },
  },
  {
    promise: "Does nothing when there is no such entry.",
    applies: hasTrash,
    async run(bench) {
      const id = bench.trashId();
      await succeeds("describe", trashOf(bench).describe(id, "nothing", bench.operation()));
      const listed = await collect(trashOf(bench).list(bench.operation()));
      ok(!listed.some((retired) => retired.id === id), "describe has made an entry");
    },
  },
  {
    promise:
      "Undoes `retire`, under any free name; nothing of the description is left in the volume.",
    applies: hasTrash,
    async run(bench) {
      const { name, id, record } = await retire(bench, "retired");
      const trash = trashOf(bench);
      await trash.restore(id, name, bench.operation());
      sameVolume(await mustFind(bench, name), record);
      await mustHold(bench, name, "retired");
      const nextId = bench.trashId();
      await trash.retire(name, retirement(nextId), bench.operation());
      const other = bench.name("restored");
      await trash.restore(nextId, other, bench.operation());
      await mustBeGone(bench, name);
      equal((await mustFind(bench, other)).identity, record.identity);
      await mustHold(bench, other, "retired");
      const inTrash = await collect(trash.list(bench.operation()));
      ok(
        !inTrash.some((each) => each.id === id || each.id === nextId),
        "it still lies in the trash",
      );
    },
  },
  {
    promise:
      "Refuses with `volume.exists_differently` when the name is taken, and with `trash.purging` " +
      "what is not whole any more.",
    applies: hasTrash,
    async run(bench) {
      const { name, id } = await retire(bench, "retired");
      await create(bench, "retired");
      await writeInto(bench, name, "the new one");
      const trash = trashOf(bench);
      const restoration = trash.restore(id, name, bench.operation());
      await rejectsWith("volume.exists_differently", "restore", restoration);
      await mustHold(bench, name, "the new one");
      await bench.driver.destroy(name, bench.operation());
      await trash.restore(id, name, bench.operation());
      await mustHold(bench, name, "retired");
      // On a user's own storage nobody can take a purge to its middle.
      if (!canBegin(bench)) return;
      const begun = await beginPurge(bench, "begun");
      const restoring = trash.restore(begun.id, begun.name, bench.operation());
      await rejectsWith("trash.purging", "restore of what is not whole", restoring);
      await mustBeGone(bench, begun.name);
    },
  },
  {
    promise: "Destroys what was retired, for ever, at a low priority.",
    applies: hasTrash,
    async run(bench) {
      const gone = await retire(bench, "purged");
      const kept = await retire(bench, "not-purged");
      const trash = trashOf(bench);
      await trash.purge([gone.id], bench.operation());
      const ids = (await collect(trash.list(bench.operation()))).map((retired) => retired.id);
      ok(!ids.includes(gone.id), "what was purged still lies in the trash");
      ok(ids.includes(kept.id), "purge took what it was not given");
      const [outcome] = await Promise.allSettled([
        trash.restore(gone.id, gone.name, bench.operation()),
      ]);
      equal(outcome.status, "rejected", "restore of what was purged");
      await mustBeGone(bench, gone.name);
    },
  },
  {
    promise: "Purging what is not there succeeds.",
    applies: hasTrash,
    async run(bench) {
      const { id } = await retire(bench, "purged");
      const trash = trashOf(bench);
      const ids = [bench.trashId(), id];
      await succeeds("purge", trash.purge(ids, bench.operation()));
      await succeeds("purge again", trash.purge(ids, bench.operation()));
      await succeeds("purge of nothing", trash.purge([], bench.operation()));
    },
  },
  {
    promise: "It never follows a symbolic link.",
    applies: hasTrash,
    async run(bench) {
      const { files } = bench;
      const outside = await files.outside();
      await files.write(`${outside}/precious`, "precious");
      const { name } = await create(bench, "with-links");
      const path = await mount(bench, name);
      await files.symbolicLink({ target: outside, path: `${path}/directory` });
      await files.symbolicLink({ target: `${outside}/precious`, path: `${path}/file` });
      await files.symbolicLink({ target: "../../../../../../..", path: `${path}/upwards` });
      await unmount(bench, name);
      const id = bench.trashId();
      await trashOf(bench).retire(name, retirement(id), bench.operation());
      await trashOf(bench).purge([id], bench.operation());
      ok(await files.exists(`${outside}/precious`), "purge has followed a symbolic link");
    },
  },
  {
    promise: "From its first effect on `list` says `isPurging`.",
    applies: canBegin,
    async run(bench) {
      const trash = trashOf(bench);
      const whole = await retire(bench, "whole");
      const begun = await beginPurge(bench, "begun");
      equal((await mustLieInTrash(bench, whole.id)).isPurging, false, "what is whole");
      equal((await mustLieInTrash(bench, begun.id)).isPurging, true, "what is not");
      await succeeds("purge again", trash.purge([begun.id], bench.operation()));
      const left = await collect(trash.list(bench.operation()));
      ok(!left.some(({ id }) => id === begun.id), "a purge that was cut short is never ended");
    },
  },
  {
    promise: "Everything in the trash once.",
    applies: hasTrash,
    async run(bench) {
      const first = await retire(bench, "first");
      const second = await retire(bench, "second");
      const listed = await collect(trashOf(bench).list(bench.operation()));
      equal(new Set(listed.map(({ id }) => id)).size, listed.length, "something shows twice");
      for (const { id, record } of [first, second]) {
        const retired = listed.find((candidate) => candidate.id === id);
        equal(retired?.identity, record.identity, `the identity under ${id}`);
      }
    },
  },
  {
    promise: "As `UsageCapable.measure`, for what lies in the trash; null for what is not there.",
    applies: hasTrash,
    async run(bench) {
      const trash = trashOf(bench);
      const { name } = await create(bench, "measured");
      const bytes = await fill(bench, await mount(bench, name));
      await unmount(bench, name);
      const id = bench.trashId();
      await trash.retire(name, retirement(id), bench.operation());
      // What is not measured is not measured in the trash either.
      const usedBytes = bench.driver.usage === undefined ? null : bytes;
      deepEqual(await trash.measure(id, bench.operation()), { usedBytes });
      const nothing = await trash.measure(bench.trashId(), bench.operation());
      deepEqual(nothing, { usedBytes: null });
    },
  },
];

/** Creates a volume whose file `data` holds "retired", and retires it. */
async function retire(bench: DriverBench, label: string) {
  const record = await create(bench, label);
  await writeInto(bench, record.name, "retired");
  const id: TrashId = bench.trashId();
  await trashOf(bench).retire(record.name, retirement(id), bench.operation());
  return { name: record.name, id, record };
}

/** The same, and its purge stops in the middle. */
async function beginPurge(bench: DriverBench, label: string) {
  const retired = await retire(bench, label);
  await (bench.beginPurge?.(retired.id) ?? fail("nothing can begin a purge"));
  return retired;
}

async function mustLieInTrash(bench: DriverBench, id: TrashId): Promise<RetiredRecord> {
  const listed = await collect(trashOf(bench).list(bench.operation()));
  return listed.find((retired) => retired.id === id) ?? fail(`list does not show ${id}`);
}

function trashOf({ driver }: DriverBench): TrashCapable {
  return driver.trash ?? fail("the driver has no trash facet");
}
