// Rows of plugins' volumes: what a List adds, what it never takes away, and who waits for whom.
import { describe, expect, test } from "bun:test";
import { eventually } from "../../../test/support/child.ts";
import {
  create,
  type EngineBench,
  failureOf,
  named,
  names,
  startedEngine,
} from "../../../test/support/engine-bench.ts";
import type { MemoryPlugin, MemoryPlugins } from "../../../test/support/memory-plugins.ts";
import type { VolumeRecord } from "../../core/driver.ts";
import { parseHolderId, type VolumeName } from "../../core/names.ts";
import type { VolumePhase } from "../../core/state-store.ts";
import { LISTED_COUNT_MAX } from "./plugin-lists.ts";

const found = (name: string, mountpoint = ""): VolumeRecord => ({
  ...{ options: {}, createdAtMs: 0, origin: "made", mountpoint, identity: "" },
  name: name as VolumeName, // Also what is none: a plugin may say anything.
});

async function withPlugin(
  plugins: (plugins: MemoryPlugins) => MemoryPlugin = (all) => all.socket("vp"),
): Promise<{ readonly bench: EngineBench; readonly plugin: MemoryPlugin }> {
  let plugin: MemoryPlugin | undefined;
  const bench = await startedEngine({
    plugins: (all) => {
      plugin ??= plugins(all);
    },
  });
  if (plugin === undefined) throw new Error("there is no plugin");
  return { bench, plugin };
}

/** The plugin is asked now, and its answer followed. */
async function looked(bench: EngineBench, plugin: MemoryPlugin): Promise<void> {
  const before = plugin.calls.filter((call) => call === "list").length;
  bench.plugins.become(plugin.status.name, "ready");
  await eventually(
    () => {
      const count = plugin.calls.filter((call) => call === "list").length;
      return count > before && bench.engine.pluginVolumes.isQuiet ? true : undefined;
    },
    { timeoutMs: 5_000, otherwise: () => JSON.stringify([plugin.calls, bench.log]) },
  );
}

function stateOf(bench: EngineBench, name: string): string | undefined {
  return bench.engine.pluginVolumes.stateOf(bench.engine.volumes.inspect(name))?.word;
}

async function putRow(bench: EngineBench, name: string, phase: VolumePhase): Promise<void> {
  const entry = await create(bench, named(name, { driver: "vp", labels: { a: "1" } }));
  await bench.state.write((transaction) => transaction.putVolume({ ...entry, phase }));
}

describe("what a plugin lists", () => {
  test("is there, in one commit, with an entry of the history and no event", async () => {
    const { bench, plugin } = await withPlugin();
    await using _bench = bench;
    plugin.extra.push(found("one", "/data/one"), found("two"));
    await looked(bench, plugin);
    expect(names(bench)).toEqual(["one", "two"]);
    expect(bench.engine.volumes.inspect("one")).toMatchObject({
      ...{ driver: "vp", mountpoint: "/data/one", origin: "made", phase: "ready" },
      ...{ labels: null, options: null, createdAtMs: bench.nowMs },
    });
    expect(bench.engine.history.all({ countMax: 9 }).entries).toMatchObject([
      { action: "adopt", volume: "two" },
      { action: "adopt", volume: "one" },
    ]);
    expect(bench.events).toEqual([]);
  });

  test("is left alone where the name is another driver's, an alias or none", async () => {
    const { bench, plugin } = await withPlugin();
    await using _bench = bench;
    await create(bench, named("mine"));
    await create(bench, named("old"));
    await bench.engine.upkeep.rename("old", "new", { keepAlias: true }, bench.operation());
    plugin.extra.push(found("mine"), found("old"), found("../etc"), found("x"), found("good"));
    await looked(bench, plugin);
    await looked(bench, plugin);
    expect(names(bench).toSorted()).toEqual(["good", "mine", "new"]);
    expect(bench.engine.volumes.inspect("mine")).toMatchObject({ driver: "local" });
    const told = bench.log.filter(({ message }) => message.includes("whose names are none here"));
    expect(told).toMatchObject([{ level: "warn", fields: { driver: "vp", count: 2 } }]);
    const hidden = bench.log.filter(({ message }) => message.includes("volumes of these names"));
    expect(hidden).toMatchObject([{ level: "warn", fields: { driver: "vp", names: ["mine"] } }]);
  });

  test("and is half made or half removed after a crash is a volume again", async () => {
    const { bench, plugin } = await withPlugin();
    await using _bench = bench;
    for (const phase of ["creating", "removing"] as const) await putRow(bench, phase, phase);
    expect(names(bench)).toEqual(["removing"]);
    await looked(bench, plugin);
    expect(names(bench)).toEqual(["creating", "removing"]);
    for (const name of names(bench)) {
      const { phase, labels } = bench.engine.volumes.inspect(name);
      expect({ phase, labels }).toEqual({ phase: "ready", labels: { a: "1" } });
    }
  });

  test("takes no row away but one that is half made or half removed", async () => {
    const { bench, plugin } = await withPlugin();
    await using _bench = bench;
    for (const phase of ["creating", "removing", "ready"] as const) {
      await putRow(bench, phase, phase);
      plugin.hidden.add(phase);
    }
    await looked(bench, plugin);
    expect(names(bench)).toEqual(["ready"]);
    expect(stateOf(bench, "ready")).toBe("not listed");
    plugin.hidden.clear();
    await looked(bench, plugin);
    expect(stateOf(bench, "ready")).toBeUndefined();
  });

  test("no longer is made there again by a create, with the options that the row has", async () => {
    const made: unknown[] = [];
    const { bench, plugin } = await withPlugin((all) =>
      all.socket("vp", ({ create: make }) => ({
        create: async (spec, operation) => {
          made.push(spec);
          return await make(spec, operation);
        },
      })),
    );
    await using _bench = bench;
    const options = { colour: "blue", sharing: "none" };
    const entry = await create(bench, named("wiki", { driver: "vp", options }));
    plugin.hidden.add("wiki");
    await looked(bench, plugin);
    expect(stateOf(bench, "wiki")).toBe("not listed");
    for (const driver of ["vp", ""]) {
      expect(await create(bench, named("wiki", { driver }))).toEqual(entry);
    }
    const spec = { name: "wiki", options: { colour: "blue" } };
    expect(made).toEqual([spec, spec]);
    expect(stateOf(bench, "wiki")).toBeUndefined();
    bench.plugins.become("vp", "unreachable");
    expect(await create(bench, named("wiki", { driver: "vp" }))).toEqual(entry);
    expect(made).toHaveLength(2);
  });

  test("has its place corrected, and keeps it where the plugin does not say", async () => {
    const { bench, plugin } = await withPlugin();
    await using _bench = bench;
    const { mountpoint } = await create(bench, named("wiki", { driver: "vp" }));
    plugin.hidden.add("wiki");
    plugin.extra.push(found("wiki"));
    await looked(bench, plugin);
    expect(bench.engine.volumes.inspect("wiki").mountpoint).toBe(mountpoint);
    plugin.extra.splice(0, 1, found("wiki", "/elsewhere"));
    await looked(bench, plugin);
    expect(bench.engine.volumes.inspect("wiki").mountpoint).toBe("/elsewhere");
  });

  test("may be 100,000 volumes, and of more is cut with a word in the log", async () => {
    const { bench, plugin } = await withPlugin();
    await using _bench = bench;
    await create(bench, named("last", { driver: "vp" }));
    plugin.hidden.add("last");
    for (let index = 0; index <= LISTED_COUNT_MAX; index++) plugin.extra.push(found(`v-${index}`));
    await looked(bench, plugin);
    expect(names(bench)).toHaveLength(LISTED_COUNT_MAX);
    expect(stateOf(bench, "last")).toBeUndefined();
    // Others each time do not fill the state.
    const others = Array.from({ length: 100 }, (_, index) => found(`w-${index}`));
    plugin.extra.splice(0, plugin.extra.length, ...others);
    await looked(bench, plugin);
    expect(names(bench)).toHaveLength(LISTED_COUNT_MAX);
    const told = bench.log.filter(({ message }) => message.includes("more volumes than"));
    expect(told).toMatchObject([{ level: "warn", fields: { driver: "vp" } }]);
    // What was found at once does not fill the history.
    expect(bench.engine.history.all({ countMax: 9 }).entries).toHaveLength(1);
  }, 60_000);
});

describe("a List that is older than what happened meanwhile", () => {
  test("brings nothing back that was removed, and does not miss what was made", async () => {
    const gate = Promise.withResolvers<void>();
    const begun = Promise.withResolvers<void>();
    let isHeld = false;
    const { bench, plugin } = await withPlugin((all) =>
      all.socket("vp", (driver) => ({
        async *list(operation) {
          const records = await Array.fromAsync(driver.list(operation));
          if (isHeld) {
            begun.resolve();
            await gate.promise;
          }
          yield* records;
        },
      })),
    );
    await using _bench = bench;
    await create(bench, named("old", { driver: "vp" }));
    isHeld = true;
    const done = looked(bench, plugin);
    await begun.promise;
    await bench.engine.volumes.remove("old", bench.operation());
    await create(bench, named("new", { driver: "vp" }));
    gate.resolve();
    await done;
    expect(names(bench)).toEqual(["new"]);
    expect(stateOf(bench, "new")).toBeUndefined();
  });

  test("leaves a volume alone that is just being made", async () => {
    const gate = Promise.withResolvers<void>();
    const begun = Promise.withResolvers<void>();
    const { bench, plugin } = await withPlugin((all) =>
      all.socket("vp", (driver) => ({
        async create(spec, operation) {
          const record = await driver.create(spec, operation);
          begun.resolve();
          await gate.promise;
          return record;
        },
      })),
    );
    await using _bench = bench;
    const making = create(bench, named("wiki", { driver: "vp", labels: { a: "1" } }));
    await begun.promise;
    await looked(bench, plugin);
    expect(bench.state.read((view) => view.volume("wiki"))?.phase).toBe("creating");
    gate.resolve();
    expect((await making).labels).toEqual({ a: "1" });
  });
});

describe("a plugin that does not answer", () => {
  test("leaves its volumes listed, with its state and a warning", async () => {
    const { bench, plugin } = await withPlugin();
    await using _bench = bench;
    await create(bench, named("wiki", { driver: "vp" }));
    for (const [state, word, warning] of [
      ["unreachable", "unreachable", ["list vp: no answer"]],
      ["restarting", "unreachable", ["list vp: no answer"]],
      ["disabled", "disabled", []],
      ["gone", "gone", []],
    ] as const) {
      bench.plugins.become("vp", state, "no answer");
      expect(stateOf(bench, "wiki")).toBe(word);
      expect(bench.engine.pluginVolumes.warnings).toEqual(warning);
      expect(names(bench)).toEqual(["wiki"]);
    }
    const { sinceMs } = plugin.status;
    expect(bench.engine.pluginVolumes.stateOf(bench.engine.volumes.inspect("wiki"))).toEqual({
      ...{ word: "gone", sinceMs, reason: "no answer" },
    });
    bench.plugins.forget("vp");
    expect(stateOf(bench, "wiki")).toBe("gone");
  });

  test("and says so in its List is in the warnings until it lists again", async () => {
    let isFailing = true;
    const { bench, plugin } = await withPlugin((all) =>
      all.socket("vp", (driver) => ({
        async *list(operation) {
          if (isFailing) throw new Error("the back end is away");
          yield* driver.list(operation);
        },
      })),
    );
    await using _bench = bench;
    await looked(bench, plugin);
    expect(bench.engine.pluginVolumes.warnings).toEqual(["list vp: the back end is away"]);
    isFailing = false;
    await looked(bench, plugin);
    expect(bench.engine.pluginVolumes.warnings).toEqual([]);
  });

  test("keeps no list waiting, and is asked once for all of them", async () => {
    const { bench, plugin } = await withPlugin();
    await using _bench = bench;
    const gate = Promise.withResolvers<void>();
    await looked(bench, plugin);
    plugin.gate = gate.promise;
    bench.plugins.become("vp", "ready");
    const startedMs = bench.host.monotonicMs();
    for (let index = 0; index < 20; index++) await bench.engine.pluginVolumes.refresh();
    // The first one, for as long as the plugin took last.
    expect(bench.host.monotonicMs() - startedMs).toBeLessThan(150);
    expect(plugin.calls.filter((call) => call === "list")).toHaveLength(3);
    gate.resolve();
  });

  test("keeps creates of other drivers, and lookups, from nothing", async () => {
    const { bench, plugin } = await withPlugin();
    await using _bench = bench;
    await create(bench, named("wiki", { driver: "vp" }));
    plugin.gate = new Promise(() => undefined);
    const callCount = plugin.calls.length;
    await create(bench, named("other"));
    expect((await create(bench, named("wiki", { driver: "vp" }))).name).toBe("wiki" as VolumeName);
    expect(await bench.engine.usage.all(bench.operation())).toHaveLength(1);
    expect(plugin.calls).toHaveLength(callCount);
    plugin.gate = Promise.resolve();
  });
});

describe("held volumes", () => {
  test("are mounted again when their plugin has another process", async () => {
    const { bench, plugin } = await withPlugin();
    await using _bench = bench;
    await create(bench, named("wiki", { driver: "vp" }));
    await bench.engine.volumes.mount("wiki", parseHolderId("c1"), bench.operation());
    const mounts = () => plugin.calls.filter((call) => call === "mount wiki").length;
    bench.plugins.become("vp", "unreachable");
    await looked(bench, plugin);
    expect(mounts()).toBe(1);
    bench.plugins.become("vp", "starting");
    await looked(bench, plugin);
    expect(mounts()).toBe(2);

    const { driver } = plugin;
    const failing = { ...driver, mount: async () => Promise.reject(new Error("no")) };
    Object.assign(plugin, { driver: failing });
    bench.plugins.become("vp", "restarting");
    await looked(bench, plugin);
    expect(bench.engine.volumes.unmounted).toEqual(["wiki" as VolumeName]);
    Object.assign(plugin, { driver });
    bench.plugins.become("vp", "starting");
    await looked(bench, plugin);
    expect(bench.engine.volumes.unmounted).toEqual([]);
  });

  test("of a plugin that is away fail to be mounted with a word about it", async () => {
    const { bench } = await withPlugin();
    await using _bench = bench;
    await create(bench, named("wiki", { driver: "vp" }));
    const mount = () =>
      failureOf(bench.engine.volumes.mount("wiki", parseHolderId("c1"), bench.operation()));
    bench.plugins.become("vp", "unreachable");
    expect((await mount()).code).toBe("plugin.unreachable");
    bench.plugins.forget("vp");
    const { code, message } = await mount();
    expect(code).toBe("driver.not_found");
    expect(message).toBe('error looking up volume plugin vp: plugin "vp" not found');
  });
});

test("what a plugin says of a volume is remembered, and gone with the volume", async () => {
  const { bench, plugin } = await withPlugin();
  await using _bench = bench;
  await looked(bench, plugin);
  const entry = await create(bench, named("wiki", { driver: "vp" }));
  await bench.engine.pluginVolumes.refreshOne(entry);
  expect(bench.engine.pluginVolumes.words(entry).status).toEqual({ of: "wiki" });
  await bench.engine.volumes.remove("wiki", bench.operation());
  expect(bench.engine.pluginVolumes.words(entry).status).toEqual({});
});

test("a start recovers without asking any plugin, and asks in the background", async () => {
  const { bench, plugin } = await withPlugin();
  await using _bench = bench;
  await create(bench, named("wiki", { driver: "vp" }));
  const gate = Promise.withResolvers<void>();
  await bench.restart(() => {
    plugin.gate = gate.promise;
  });
  expect(names(bench)).toEqual(["wiki"]);
  gate.resolve();
  await looked(bench, plugin);
});
