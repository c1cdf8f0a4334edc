// Checks of the facets rebuild, usage, quota and fence, each where the driver has it.
import { deepEqual, equal, fail, ok } from "node:assert/strict";
import type { RebuildCapable, VolumeDriver } from "../core/driver.ts";
import { EngineError } from "../core/errors.ts";
import { parseSnapshotName } from "../core/names.ts";
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
  sameVolume,
  succeeds,
  unmount,
  writeInto,
} from "./expectations.ts";

/** The limit that the quota check sets, in bytes, and how much more it tries to write. */
const quotaBytes = 4 * 1024 * 1024;
const quotaExcessBytes = 2 * 1024 * 1024;

const rebuilds = ({ driver }: DriverBench) => driver.rebuild !== undefined;

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
      const { name } = await create(bench, "measured");
      equal(await measure(bench, name), 0, "an empty volume");
      const path = await mount(bench, name);
      const bytes = await fill(bench, path);
      equal(await measure(bench, name), bytes, "two files, a hard link, a symbolic link");
      await unmount(bench, name);
      equal(await measure(bench, name), bytes, "when it is not mounted");
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
  const { rebuild, trash, rename, usage, quota, snapshots, fence } = bench.driver;
  const calls: (readonly [keyof VolumeDriver, () => Promise<unknown>])[] = [];
  const spec = { name, options: bench.optionSets[0] };
  const ref = { volume: name, snapshot: parseSnapshotName("facets") };
  if (rebuild) calls.push(["rebuild", async () => rebuild.createNow(spec)]);
  if (trash) calls.push(["trash", () => collect(trash.list(bench.operation()))]);
  if (usage) calls.push(["usage", () => usage.measure(name, bench.operation())]);
  if (quota) calls.push(["quota", () => quota.setLimit(name, quotaBytes, bench.operation())]);
  if (snapshots) calls.push(["snapshots", () => snapshots.take(ref, bench.operation())]);
  if (fence) calls.push(["fence", () => fence.raise(name, 1n, bench.operation())]);
  const other = bench.name("facets-renamed");
  if (rename) calls.push(["rename", () => rename.rename(name, other, bench.operation())]);
  return calls;
}

async function measure(bench: DriverBench, name: ReturnType<DriverBench["name"]>) {
  const usage = bench.driver.usage ?? fail("the driver has no usage facet");
  return (await usage.measure(name, bench.operation())).usedBytes;
}

function rebuildOf({ driver }: DriverBench): RebuildCapable {
  return driver.rebuild ?? fail("the driver has no rebuild facet");
}
