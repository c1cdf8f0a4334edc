// Checks of mount and unmount, of names and records, and of what holds for every call.
import { equal, match, notEqual, ok } from "node:assert/strict";
import type { Check } from "./check.ts";
import { type DriverBench, notOfPlugins } from "./driver-bench.ts";
import {
  cancelled,
  collect,
  create,
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

export const mountChecks: readonly Check<DriverBench>[] = [
  {
    promise: "Makes the data reachable at an absolute path until the same holder unmounts.",
    async run(bench) {
      const { name } = await create(bench, "mounted");
      const path = await mount(bench, name);
      match(path, /^\//, "the path must be absolute");
      await bench.files.makeDirectory(`${path}/below`);
      await bench.files.write(`${path}/below/data`, "reachable");
      await mount(bench, name, bench.holders.second);
      await unmount(bench, name, bench.holders.second);
      equal(await bench.files.read(`${path}/below/data`), "reachable");
    },
  },
  {
    promise: "What was written is there again at the next mount.",
    async run(bench) {
      const { name } = await create(bench, "written");
      await writeInto(bench, name, "written");
      await mustHold(bench, name, "written");
    },
  },
  {
    promise: "Repeating it for the same holder changes nothing.",
    async run(bench) {
      const { name } = await create(bench, "mounted-twice");
      const path = await mount(bench, name);
      await bench.files.write(`${path}/data`, "written");
      equal(await succeeds("mount again", mount(bench, name)), path);
      equal(await bench.files.read(`${path}/data`), "written");
      await unmount(bench, name);
      const destruction = bench.driver.destroy(name, bench.operation());
      await succeeds("destroy after two mounts and one unmount of one holder", destruction);
    },
  },
  {
    promise: "Two holders see the same data.",
    async run(bench) {
      const { name } = await create(bench, "shared");
      const first = await mount(bench, name, bench.holders.first);
      const second = await mount(bench, name, bench.holders.second);
      await bench.files.write(`${first}/from-first`, "1");
      await bench.files.write(`${second}/from-second`, "2");
      equal(await bench.files.read(`${second}/from-first`), "1");
      equal(await bench.files.read(`${first}/from-second`), "2");
    },
  },
  {
    promise: "Throws `volume.not_found` for what was never created or is destroyed.",
    async run(bench) {
      const stranger = bench.name("never-created");
      // A plugin has no word for it but its own.
      const isPlugin = bench.driver.isPlugin === true;
      const codes = isPlugin
        ? (["volume.not_found", "plugin.failed"] as const)
        : "volume.not_found";
      await rejectsWith(codes, "mount", mount(bench, stranger));
      await mustBeGone(bench, stranger);
      const { name } = await create(bench, "destroyed");
      await bench.driver.destroy(name, bench.operation());
      await rejectsWith(codes, "mount after destroy", mount(bench, name));
    },
  },
  {
    promise: "Throws `volume.data_missing` for what has lost its storage.",
    applies: ({ breakStorage }) => breakStorage !== undefined,
    async run(bench) {
      const { name } = await create(bench, "broken");
      await writeInto(bench, name, "lost");
      await bench.breakStorage?.(name);
      await rejectsWith("volume.data_missing", "mount", mount(bench, name));
    },
  },
  {
    promise: "Ends one holder's mount and no other's.",
    async run(bench) {
      const { driver, holders } = bench;
      const { name } = await create(bench, "held-twice");
      await mount(bench, name, holders.first);
      const path = await mount(bench, name, holders.second);
      await bench.files.write(`${path}/data`, "held");
      await unmount(bench, name, holders.first);
      equal(await bench.files.read(`${path}/data`), "held");
      await rejectsWith("volume.in_use", "destroy", driver.destroy(name, bench.operation()));
      await unmount(bench, name, holders.second);
      await succeeds("destroy without holders", driver.destroy(name, bench.operation()));
    },
  },
  {
    promise: "Unmounting what is not mounted succeeds.",
    async run(bench) {
      await succeeds("unmount of nothing", unmount(bench, bench.name("never-created")));
      const { name } = await create(bench, "unmounted-twice");
      await succeeds("unmount before any mount", unmount(bench, name));
      await mount(bench, name);
      await unmount(bench, name);
      await succeeds("unmount again", unmount(bench, name));
    },
  },
  {
    promise: 'Where Docker says the data is, mounted or not; "" when the driver cannot say.',
    applies: notOfPlugins,
    async run(bench) {
      const { name, mountpoint } = await create(bench, "mountpoint");
      match(mountpoint, /^(\/.*)?$/, "the mountpoint must be absolute or empty");
      await mount(bench, name);
      equal((await mustFind(bench, name)).mountpoint, mountpoint, "while it is mounted");
      await unmount(bench, name);
      equal((await mustFind(bench, name)).mountpoint, mountpoint, "when it was unmounted");
    },
  },
  {
    promise:
      "What tells this very piece of storage from a later one of the same name (a directory's " +
      'inode and birth time, for example); "" when the driver cannot say.',
    applies: notOfPlugins,
    async run(bench) {
      const first = await create(bench, "identity");
      await writeInto(bench, first.name, "changed");
      equal((await mustFind(bench, first.name)).identity, first.identity, "after a write");
      await bench.driver.destroy(first.name, bench.operation());
      const second = await create(bench, "identity");
      if (first.identity !== "" || second.identity !== "") {
        notEqual(second.identity, first.identity, "a later volume of the same name");
      }
    },
  },
  {
    promise: "Every parsed name works, the longest too, and two names never share storage.",
    // A plugin may refuse a name: a check of its protocol looks at them.
    applies: notOfPlugins,
    async run(bench) {
      const labels = ["case", "CASE", "a.b", "a_b", "a-b", "a", "a.", "a..b", "_data", "opts.json"];
      const longest = [bench.longestName("1"), bench.longestName("2")];
      const names = [...labels.map((label) => bench.name(label)), ...longest];
      const [options] = bench.optionSets;
      for (const name of names) {
        const creation = bench.driver.create({ name, options }, bench.operation());
        await succeeds(`create of ${name}`, creation);
        await mustHold(bench, name, undefined);
        await writeInto(bench, name, name);
      }
      for (const name of names) await mustHold(bench, name, name);
    },
  },
  {
    promise:
      "A call that would change something rejects when its signal has fired already, and changes " +
      "nothing.",
    async run(bench) {
      const record = await create(bench, "untouched");
      await writeInto(bench, record.name, "kept");
      for (const [call, work] of callsWithFiredSignal(bench)) {
        await rejectsWith(["operation.cancelled", "operation.timed_out"], call, work());
      }
      await mustBeGone(bench, bench.name("not-made"));
      const found = await mustFind(bench, record.name);
      if (notOfPlugins(bench)) sameVolume(found, record);
      await mustHold(bench, record.name, "kept");
      await succeeds("destroy", bench.driver.destroy(record.name, bench.operation()));
    },
  },
  {
    promise: "After a crash it may repeat the last call, so every call is safe to repeat.",
    async run(bench) {
      const { driver } = bench;
      const { trash, rename } = driver;
      const name = bench.name("repeated");
      const [options] = bench.optionSets;
      const twice = async (call: string, work: () => Promise<unknown>): Promise<void> => {
        await succeeds(call, work());
        await succeeds(`${call} again`, work());
      };
      await twice("create", () => driver.create({ name, options }, bench.operation()));
      await twice("mount", () => mount(bench, name));
      await twice("unmount", () => unmount(bench, name));
      if (rename !== undefined) {
        const other = bench.name("renamed");
        await twice("rename", () => rename.rename(name, other, bench.operation()));
        await rename.rename(other, name, bench.operation());
      }
      const { health, update } = driver;
      if (health !== undefined) await twice("heal", () => health.heal(name, bench.operation()));
      if (update !== undefined) {
        await twice("update", () => update.update({ name, options }, bench.operation()));
      }
      if (trash !== undefined) {
        const id = bench.trashId();
        await twice("retire", () => trash.retire(name, retirement(id), bench.operation()));
        await twice("describe", () => trash.describe(id, "twice", bench.operation()));
        await twice("restore", () => trash.restore(id, name, bench.operation()));
        await mustFind(bench, name);
        await trash.retire(name, retirement(id), bench.operation());
        await twice("purge", () => trash.purge([id], bench.operation()));
      }
      await twice("destroy", () => driver.destroy(name, bench.operation()));
      await twice("forget", () => driver.forget(name, bench.operation()));
      ok(!(await isListed(bench, name)), "list shows the destroyed volume");
    },
  },
];

async function isListed(bench: DriverBench, name: string): Promise<boolean> {
  const records = await collect(bench.driver.list(bench.operation()));
  return records.some((record) => record.name === name);
}

function callsWithFiredSignal(
  bench: DriverBench,
): readonly (readonly [string, () => Promise<unknown>])[] {
  const { driver, holders } = bench;
  const { trash, rename, update, health } = driver;
  const name = bench.name("untouched");
  const id = bench.trashId();
  const spec = { name: bench.name("not-made"), options: bench.optionSets[0] };
  const fired = () => bench.operation(AbortSignal.abort(cancelled()));
  const calls: (readonly [string, () => Promise<unknown>])[] = [
    ["create", () => driver.create(spec, fired())],
    ["mount", () => driver.mount(name, holders.first, fired())],
    ["unmount", () => driver.unmount(name, holders.first, fired())],
    ["forget", () => driver.forget(name, fired())],
    ["destroy", () => driver.destroy(name, fired())],
  ];
  if (trash !== undefined) {
    calls.push(["retire", () => trash.retire(name, retirement(id), fired())]);
    calls.push(["describe", () => trash.describe(id, "not written", fired())]);
    calls.push(["restore", () => trash.restore(id, name, fired())]);
    calls.push(["purge", () => trash.purge([id], fired())]);
  }
  if (rename !== undefined) {
    calls.push(["rename", () => rename.rename(name, bench.name("not-made"), fired())]);
  }
  if (health !== undefined) calls.push(["heal", () => health.heal(name, fired())]);
  if (update !== undefined) {
    const options = bench.optionSets.at(-1) ?? {};
    calls.push(["update", () => update.update({ name, options }, fired())]);
  }
  return calls;
}
