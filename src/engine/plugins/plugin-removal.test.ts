// Removal of plugins' volumes: by the plugin, with its words, and by force without it.
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
import { containerWith, memoryEngine } from "../../../test/support/memory-engine.ts";
import { EngineError } from "../../core/errors.ts";
import { parseHolderId } from "../../core/names.ts";

const words = new EngineError("plugin.failed", "volume is busy in the back end");

async function withWiki(isRefusing = false): Promise<EngineBench> {
  const bench = await startedEngine({
    plugins: (all) =>
      void all.install("mp:latest", () =>
        isRefusing ? { destroy: async () => Promise.reject(words) } : {},
      ),
  });
  await create(bench, named("wiki", { driver: "mp", labels: { a: "1" } }));
  return bench;
}

function remove(bench: EngineBench, force = false): Promise<void> {
  return bench.engine.volumes.remove("wiki", bench.operation(), { force });
}

/** What a plugin has, found again. */
async function listed(bench: EngineBench): Promise<void> {
  bench.plugins.become("mp:latest", "ready");
  await eventually(() => (names(bench).includes("wiki") ? true : undefined), {
    timeoutMs: 5_000,
    otherwise: () => JSON.stringify(bench.log),
  });
}

describe("rm", () => {
  test("has the plugin remove it, and keeps nothing in the trash", async () => {
    await using bench = await withWiki();
    await remove(bench);
    expect(names(bench)).toEqual([]);
    expect(bench.state.read((view) => view.retiredCount)).toBe(0);
    expect(bench.events.map(({ action }) => action)).toEqual(["create", "destroy"]);
  });

  test("has the plugin's words where it refuses, and the volume is there as before", async () => {
    await using bench = await withWiki(true);
    const before = bench.engine.volumes.inspect("wiki");
    expect(await failureOf(remove(bench))).toBe(words);
    expect(bench.engine.volumes.inspect("wiki")).toEqual(before);
  });

  test("has Docker's words where the plugin is stopped or not there", async () => {
    await using bench = await withWiki();
    const text =
      'get wiki: error while checking if volume "wiki" exists in driver "mp:latest": error ' +
      "looking up volume plugin mp:latest: plugin ";
    bench.plugins.become("mp:latest", "disabled");
    const disabled = await failureOf(remove(bench));
    expect([disabled.code, disabled.message]).toEqual([
      "plugin.disabled",
      `${text}mp:latest found but disabled`,
    ]);
    bench.plugins.forget("mp:latest");
    const gone = await failureOf(remove(bench));
    expect([gone.code, gone.message]).toEqual(["driver.not_found", `${text}"mp:latest" not found`]);
    expect(names(bench)).toEqual(["wiki"]);
  });
});

describe("rm -f", () => {
  test("frees the name whatever the plugin says; what it still has is listed again", async () => {
    await using bench = await withWiki(true);
    await remove(bench, true);
    expect(names(bench)).toEqual([]);
    expect(bench.events.map(({ action }) => action)).toEqual(["create", "destroy"]);
    expect(bench.log.map(({ message }) => message)).toContain(
      "a volume is forgotten that its plugin has not removed",
    );
    await listed(bench);
    expect(bench.engine.volumes.inspect("wiki").labels).toBeNull();
  });

  for (const state of ["disabled", "unreachable", "restarting", "gone", "not there"] as const) {
    test(`frees the name while the plugin is ${state}`, async () => {
      await using bench = await withWiki();
      if (state === "not there") bench.plugins.forget("mp:latest");
      else bench.plugins.become("mp:latest", state);
      await remove(bench, true);
      expect(names(bench)).toEqual([]);
      await create(bench, named("wiki"));
    });
  }

  test("does not wait for a plugin that is known not to answer", async () => {
    await using bench = await withWiki();
    const plugin = bench.plugins.socket("hung");
    await create(bench, named("other", { driver: "hung" }));
    bench.plugins.become("hung", "unreachable");
    plugin.gate = new Promise(() => undefined);
    const startedMs = bench.host.monotonicMs();
    await bench.engine.volumes.remove("other", bench.operation(), { force: true });
    expect(bench.host.monotonicMs() - startedMs).toBeLessThan(4_000);
    expect(names(bench)).toEqual(["wiki"]);
  });

  test("refuses what is protected, and what somebody has", async () => {
    const engine = memoryEngine();
    await using bench = await startedEngine({
      finder: engine.finder,
      plugins: (all) => void all.install("mp:latest"),
    });
    await create(bench, named("wiki", { driver: "mp" }));
    await bench.engine.upkeep.protect("wiki", "prod", bench.operation());
    expect((await failureOf(remove(bench, true))).code).toBe("volume.protected");
    await bench.engine.upkeep.unprotect("wiki", bench.operation());

    const operation = { ...bench.operation(), caller: engine.caller };
    await bench.engine.lists.noteCaller(operation);
    engine.containers.push(containerWith("wiki", { isRunning: false }));
    expect((await failureOf(remove(bench, true))).code).toBe("volume.in_use");
    engine.containers.pop();

    await bench.engine.volumes.mount("wiki", parseHolderId("c1"), bench.operation());
    bench.plugins.become("mp:latest", "unreachable");
    expect((await failureOf(remove(bench, true))).code).toBe("volume.in_use");
    await bench.engine.volumes.unmount("wiki", parseHolderId("c1"), bench.operation());
    await remove(bench, true);
  });

  for (const state of ["gone", "unreachable"] as const) {
    test(`is not stuck behind a hold that nobody has, of a plugin that is ${state}`, async () => {
      await using bench = await startedEngine();
      const plugin = bench.plugins.install("mp:latest");
      await create(bench, named("wiki", { driver: "mp" }));
      const holder = parseHolderId("c1");
      await bench.engine.holds.mount("wiki", holder, bench.operation());
      bench.plugins.become("mp:latest", state, "no answer");
      // Nothing that is asked of it would ever be answered.
      plugin.gate = new Promise(() => undefined);
      await bench.engine.holds.unmount("wiki", holder, bench.operation());
      expect((await failureOf(remove(bench))).code).toBe("volume.in_use");
      await remove(bench, true);
      expect(names(bench)).toEqual([]);
    }, 15_000);
  }

  test("of a built-in driver's volume is nothing else than rm", async () => {
    await using bench = await startedEngine({
      trash: { defaults: { named: 60_000, anonymous: 60_000, isOn: true } },
    });
    await create(bench, named("wiki"));
    await remove(bench, true);
    expect(bench.state.read((view) => view.retiredCount)).toBe(1);
  });
});

test("the hold of a plugin that is back is ended at the plugin too", async () => {
  await using bench = await withWiki();
  const holder = parseHolderId("c1");
  await bench.engine.holds.mount("wiki", holder, bench.operation());
  bench.plugins.become("mp:latest", "unreachable");
  await bench.engine.holds.unmount("wiki", holder, bench.operation());
  const held = () =>
    bench.state.read((view) => view.holders(bench.engine.volumes.inspect("wiki").name));
  await bench.engine.holds.refresh(bench.operation());
  expect(held()).toHaveLength(1);
  bench.plugins.become("mp:latest", "ready");
  await bench.engine.holds.refresh(bench.operation());
  expect(held()).toEqual([]);
});

test("a client's mount of a plugin that is not here any more ends without it", async () => {
  await using bench = await startedEngine({ plugins: (all) => void all.socket("vp") });
  await create(bench, named("wiki", { driver: "vp" }));
  const holder = parseHolderId("c1");
  await bench.engine.volumes.mount("wiki", holder, bench.operation());
  bench.plugins.forget("vp");
  await bench.engine.volumes.unmount("wiki", holder, bench.operation());
  expect(bench.plugins.released).toEqual(["vp wiki c1"]);
  expect(names(bench)).toEqual(["wiki"]);
});

test("prune plans leave plugins' volumes alone, and say so where they are asked for", async () => {
  await using bench = await withWiki();
  const question = { filter: {}, isAll: true, measure: false };
  const { volumes, kept } = await bench.engine.plans.make(question, bench.operation());
  expect([volumes, kept]).toEqual([[], []]);
  const filter = { drivers: new Set(["mp:latest"]) };
  const plan = await bench.engine.plans.make({ ...question, filter }, bench.operation());
  expect(plan.volumes).toEqual([]);
  expect(plan.kept).toMatchObject([{ why: "a plugin has it: remove it by its name" }]);
});
