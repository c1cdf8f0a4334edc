// Checks of the facets rebuild, trash, usage, quota and fence, each where the driver has it.
import { deepEqual, equal, fail, ok } from "node:assert/strict";
import type { RebuildCapable, TrashCapable, VolumeDriver } from "../core/driver.ts";
import { EngineError } from "../core/errors.ts";
import type { TrashId } from "../core/names.ts";
import { parseSnapshotName } from "../core/names.ts";
import type { Check } from "./check.ts";
import type { DriverBench } from "./driver-bench.ts";
import {
  collect,
  create,
  mount,
  mustBeGone,
  mustFind,
  mustHold,
  rejectsWith,
  sameVolume,
  succeeds,
  unmount,
  writeInto,
} from "./expectations.ts";

/** The limit that the quota check sets, in bytes, and how much more it tries to write. */
const quotaBytes = 4 * 1024 * 1024;
const quotaExcessBytes = 2 * 1024 * 1024;

const rebuilds = ({ driver }: DriverBench) => driver.rebuild !== undefined;
const hasTrash = ({ driver }: DriverBench) => driver.trash !== undefined;

export const rebuildChecks: readonly Check<DriverBench>[] = [
  {
    promise: 'The record that `create` would return for a new volume, its identity "".',
    applies: rebuilds,
    async run(bench) {
      for (const [index, options] of bench.optionSets.entries()) {
        const name = bench.name(`described-${index}`);
        const described = rebuildOf(bench).describe({ name, options });
        equal(described.identity, "");
        sameVolume(await create(bench, `described-${index}`, options), described);
      }
    },
  },
  {
    promise:
      "Pure: the engine writes it down before it has the volume made, so that a crash leaves no " +
      "volume without a row.",
    applies: rebuilds,
    async run(bench) {
      const name = bench.name("described");
      rebuildOf(bench).describe({ name, options: bench.optionSets[0] });
      await mustBeGone(bench, name);
    },
  },
  {
    promise: "The same as `create`, now rather than later.",
    applies: rebuilds,
    async run(bench) {
      const rebuild = rebuildOf(bench);
      const [options] = bench.optionSets;
      const name = bench.name("made-now");
      const record = rebuild.createNow({ name, options });
      sameVolume(await mustFind(bench, name), record);
      await writeInto(bench, name, "kept");
      sameVolume(rebuild.createNow({ name, options }), record);
      sameVolume(await create(bench, "made-now"), record);
      await mustHold(bench, name, "kept");
    },
  },
  {
    promise: "Throws `volume.exists_differently` where `create` does.",
    applies: (bench) => rebuilds(bench) && bench.optionSets.length > 1,
    async run(bench) {
      const [options, otherOptions = fail("there is one set of options")] = bench.optionSets;
      const name = bench.name("made-now");
      rebuildOf(bench).createNow({ name, options });
      const different = async () => rebuildOf(bench).createNow({ name, options: otherOptions });
      await rejectsWith("volume.exists_differently", "createNow with others", different());
      await mustHold(bench, name, undefined);
    },
  },
  {
    promise:
      "Callable without waiting, because it is one or two directory operations on the data " +
      "root's own file system.",
    applies: rebuilds,
    async run(bench) {
      const name = bench.name("made-now");
      const result: unknown = rebuildOf(bench).createNow({ name, options: bench.optionSets[0] });
      ok(!(result instanceof Promise), "createNow must return a record, not a promise");
      // No turn of the event loop has passed: what createNow made is there in full.
      await mustHold(bench, name, undefined);
    },
  },
  {
    promise: "Makes again what a power cut took before it was ever used, from its record.",
    applies: rebuilds,
    async run(bench) {
      for (const [index, options] of bench.optionSets.entries()) {
        const record = await create(bench, `taken-${index}`, options);
        await bench.driver.destroy(record.name, bench.operation());
        await rebuildOf(bench).rebuild(record, bench.operation());
        const found = await mustFind(bench, record.name);
        deepEqual(found.options, options);
        await mustHold(bench, record.name, undefined);
      }
    },
  },
  {
    promise: "What is there is left alone.",
    applies: rebuilds,
    async run(bench) {
      const record = await create(bench, "still-there");
      await writeInto(bench, record.name, "kept");
      await succeeds("rebuild", rebuildOf(bench).rebuild(record, bench.operation()));
      await mustHold(bench, record.name, "kept");
      equal((await mustFind(bench, record.name)).identity, record.identity);
    },
  },
  {
    promise: "The record it returns has the identity of what is there now.",
    applies: rebuilds,
    async run(bench) {
      const record = await create(bench, "taken");
      await bench.driver.destroy(record.name, bench.operation());
      const rebuilt = await rebuildOf(bench).rebuild(record, bench.operation());
      sameVolume(rebuilt, await mustFind(bench, record.name));
      const again = await rebuildOf(bench).rebuild(rebuilt, bench.operation());
      equal(again.identity, rebuilt.identity);
    },
  },
];

export const trashChecks: readonly Check<DriverBench>[] = [
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
      await succeeds("a second retire", trash.retire(name, bench.trashId(), bench.operation()));
    },
  },
  {
    promise: "Repeating it with the same id succeeds.",
    applies: hasTrash,
    async run(bench) {
      const { name, id } = await retire(bench, "retired");
      const trash = trashOf(bench);
      await succeeds("retire again", trash.retire(name, id, bench.operation()));
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
      await rejectsWith("volume.in_use", "retire", trash.retire(name, id, bench.operation()));
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
      const retirement = trashOf(bench).retire(name, bench.trashId(), bench.operation());
      await Promise.allSettled([retirement]);
      ok(await bench.files.exists(file), "the data of somebody else has moved");
    },
  },
  {
    promise: "Undoes `retire`.",
    applies: hasTrash,
    async run(bench) {
      const { name, id, record } = await retire(bench, "retired");
      const trash = trashOf(bench);
      await trash.restore(id, name, bench.operation());
      sameVolume(await mustFind(bench, name), record);
      await mustHold(bench, name, "retired");
      const inTrash = await collect(trash.list(bench.operation()));
      ok(!inTrash.some((retired) => retired.id === id), "it still lies in the trash");
    },
  },
  {
    promise: "Refuses with `volume.exists_differently` when the name is taken.",
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
    },
  },
  {
    promise: "Destroys what was retired, for ever.",
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
      await trashOf(bench).retire(name, id, bench.operation());
      await trashOf(bench).purge([id], bench.operation());
      ok(await files.exists(`${outside}/precious`), "purge has followed a symbolic link");
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
];

export const storageChecks: readonly Check<DriverBench>[] = [
  {
    promise:
      "Present means that it works, absent that it does not: a facet that is present and throws " +
      'an "unsupported" error fails the conformance checks.',
    async run(bench) {
      const { name } = await create(bench, "facets");
      for (const [facet, call] of facetCalls(bench, name)) {
        const [outcome] = await Promise.allSettled([call()]);
        if (outcome.status === "fulfilled") continue;
        const reason: unknown = outcome.reason;
        if (reason instanceof EngineError && reason.kind !== "unsupported") continue;
        fail(`the facet ${facet} is there and throws ${String(reason)}`);
      }
    },
  },
  {
    promise: "Apparent bytes of all that is no directory, hard links counted once (Docker's sum).",
    applies: ({ driver }) => driver.usage !== undefined,
    async run(bench) {
      const { files } = bench;
      const { name } = await create(bench, "measured");
      equal(await measure(bench, name), 0, "an empty volume");
      const path = await mount(bench, name);
      await files.makeDirectory(`${path}/below`);
      await files.write(`${path}/large`, "x".repeat(100_000));
      await files.write(`${path}/below/small`, "x".repeat(234));
      await files.hardLink({ existing: `${path}/large`, path: `${path}/below/again` });
      // A symbolic link is as large as the path it holds.
      await files.symbolicLink({ target: "large", path: `${path}/symbolic` });
      equal(await measure(bench, name), 100_239, "two files, a hard link, a symbolic link");
      await unmount(bench, name);
      equal(await measure(bench, name), 100_239, "when it is not mounted");
    },
  },
  {
    promise: "From its return on, a write that would bring the volume over the limit fails.",
    applies: ({ driver }) => driver.quota !== undefined,
    async run(bench) {
      const { driver, files } = bench;
      const { name } = await create(bench, "limited");
      await driver.quota?.setLimit(name, quotaBytes, bench.operation());
      const path = await mount(bench, name);
      await succeeds("a write below the limit", files.write(`${path}/small`, "small"));
      const excess = "x".repeat(quotaBytes + quotaExcessBytes);
      const [outcome] = await Promise.allSettled([files.write(`${path}/large`, excess)]);
      equal(outcome.status, "rejected", "a write over the limit");
    },
  },
  {
    promise: "From its return on, the storage refuses writes of every holder of an older fence.",
    applies: ({ driver }) => driver.fence !== undefined,
    async run(bench) {
      const { driver, files } = bench;
      const { name } = await create(bench, "fenced");
      await driver.fence?.raise(name, 1n, bench.operation());
      const path = await mount(bench, name);
      await succeeds("a write before the fence", files.write(`${path}/data`, "before"));
      await driver.fence?.raise(name, 2n, bench.operation());
      const [outcome] = await Promise.allSettled([files.write(`${path}/data`, "after")]);
      equal(outcome.status, "rejected", "a write of a holder of an older fence");
    },
  },
];

/** One harmless call of each facet that the driver has. */
function facetCalls(
  bench: DriverBench,
  name: ReturnType<DriverBench["name"]>,
): readonly (readonly [keyof VolumeDriver, () => Promise<unknown>])[] {
  const { rebuild, trash, usage, quota, snapshots, fence } = bench.driver;
  const calls: (readonly [keyof VolumeDriver, () => Promise<unknown>])[] = [];
  const spec = { name, options: bench.optionSets[0] };
  const ref = { volume: name, snapshot: parseSnapshotName("facets") };
  if (rebuild) calls.push(["rebuild", async () => rebuild.createNow(spec)]);
  if (trash) calls.push(["trash", () => collect(trash.list(bench.operation()))]);
  if (usage) calls.push(["usage", () => usage.measure(name, bench.operation())]);
  if (quota) calls.push(["quota", () => quota.setLimit(name, quotaBytes, bench.operation())]);
  if (snapshots) calls.push(["snapshots", () => snapshots.take(ref, bench.operation())]);
  if (fence) calls.push(["fence", () => fence.raise(name, 1n, bench.operation())]);
  return calls;
}

async function measure(bench: DriverBench, name: ReturnType<DriverBench["name"]>) {
  const usage = bench.driver.usage ?? fail("the driver has no usage facet");
  return (await usage.measure(name, bench.operation())).usedBytes;
}

/** Creates a volume whose file `data` holds "retired", and retires it. */
async function retire(bench: DriverBench, label: string) {
  const record = await create(bench, label);
  await writeInto(bench, record.name, "retired");
  const id: TrashId = bench.trashId();
  await trashOf(bench).retire(record.name, id, bench.operation());
  return { name: record.name, id, record };
}

function rebuildOf({ driver }: DriverBench): RebuildCapable {
  return driver.rebuild ?? fail("the driver has no rebuild facet");
}

function trashOf({ driver }: DriverBench): TrashCapable {
  return driver.trash ?? fail("the driver has no trash facet");
}
