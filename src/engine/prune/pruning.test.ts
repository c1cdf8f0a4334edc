// Prune: Docker's rule of what may go, exactly the plan, and nothing that changed since.
import { describe, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import {
  type EngineBench,
  type EngineBenchParts,
  failureOf,
  startedEngine,
} from "../../../test/support/engine-bench.ts";
import { memoryEngine } from "../../../test/support/memory-engine.ts";
import { EngineError } from "../../core/errors.ts";
import { parseHolderId } from "../../core/names.ts";
import type { Labels } from "../../core/state-store.ts";
import { trashDefaults } from "../trash/policy.ts";
import { ANONYMOUS_LABEL, type VolumeFilter } from "../volume-filter.ts";
import type { CreateRequest } from "../volumes.ts";
import type { PruneReport } from "./pruning.ts";

const anonymous: Labels = { [ANONYMOUS_LABEL]: "" };

async function create(
  bench: EngineBench,
  name: string,
  more: Partial<CreateRequest> = {},
): Promise<void> {
  const request = { name, options: null, labels: anonymous, ...more };
  await bench.engine.volumes.create(request, bench.operation());
}

function planned(bench: EngineBench, all: boolean, filter: VolumeFilter = {}): readonly string[] {
  return bench.engine.pruner.plan(filter, { all }).entries.map((entry) => entry.name);
}

function prune(bench: EngineBench, all = false): Promise<PruneReport> {
  const plan = bench.engine.pruner.plan({}, { all });
  return bench.engine.pruner.run(plan, bench.operation());
}

function rows(bench: EngineBench): readonly string[] {
  return bench.engine.volumes.list({}).map((entry) => entry.name);
}

/**
 * The local driver whose removal of one volume fails, and which can be told to do something first.
 */
function resisting(name: string): EngineBenchParts {
  return {
    drivers: (bench) => {
      const driver = bench.local();
      const { trash } = driver;
      return [
        {
          ...driver,
          trash: trash && {
            ...trash,
            retire: (each, id, operation) =>
              each === name
                ? Promise.reject(new EngineError("storage.failed", "it resists"))
                : trash.retire(each, id, operation),
          },
        },
      ];
    },
  };
}

describe("the plan", () => {
  test("anonymous volumes without holders and options, of the local driver only", async () => {
    await using bench = await startedEngine();
    await create(bench, "anonymous");
    await create(bench, "named", { labels: null });
    await create(bench, "labelled", { labels: { a: "1" } });
    await create(bench, "empty-options", { options: {} });
    await create(bench, "with-options", { options: { type: "tmpfs", device: "tmpfs" } });
    await create(bench, "size-only", { options: { size: "0" } });
    await create(bench, "elsewhere", { driver: "scratch" });
    await create(bench, "held");
    await bench.engine.volumes.mount("held", parseHolderId("c1"), bench.operation());
    expect(planned(bench, false)).toEqual(["anonymous", "empty-options"]);
    expect(planned(bench, true)).toEqual(["anonymous", "named", "labelled", "empty-options"]);
    expect(rows(bench)).toHaveLength(8);
  });

  test("takes no volume that is being made or removed", async () => {
    await using bench = await startedEngine();
    await create(bench, "wiki");
    const entry = bench.engine.volumes.inspect("wiki");
    for (const phase of ["creating", "removing"] as const) {
      await bench.state.write((transaction) => transaction.putVolume({ ...entry, phase }));
      expect(planned(bench, true)).toEqual([]);
    }
    await bench.state.write((transaction) => transaction.removeVolume(entry.name));
  });

  test("takes no volume that is protected, or that a service names", async () => {
    const docker = memoryEngine();
    await using bench = await startedEngine({ finder: docker.finder });
    await bench.state.write((transaction) =>
      transaction.putEngine({ key: docker.key, sinceMs: bench.nowMs }),
    );
    for (const name of ["free", "served", "protected"]) await create(bench, name);
    const entry = bench.engine.volumes.inspect("protected");
    const protection = { reason: "prod orders", sinceMs: bench.nowMs, by: "holdfast" };
    await bench.state.write((transaction) => transaction.putVolume({ ...entry, protection }));
    const { pruner } = bench.engine;
    const before = await pruner.prepare(bench.operation());
    docker.services.push({ id: "s1", name: "web", volumes: ["served"] });
    const { services } = await pruner.prepare(bench.operation());
    const wanted = pruner.plan({}, { all: false, services }).entries.map(({ name }) => name);
    expect(wanted as readonly string[]).toEqual(["free"]);
    // The service has come since the plan.
    const early = pruner.plan({}, { all: false, services: before.services });
    expect(early.entries).toHaveLength(2);
    expect((await pruner.run(early, bench.operation())).deleted).toEqual(["free"]);
    docker.knowsServices = false;
    const { code } = await failureOf(pruner.prepare(bench.operation()));
    expect(code).toBe("containers.unreachable");
  });

  test("label selects, label! excludes what has all of them", async () => {
    await using bench = await startedEngine();
    await create(bench, "keep-both", { labels: { keep: "yes", tier: "gold" } });
    await create(bench, "keep-one", { labels: { keep: "yes" } });
    await create(bench, "other", { labels: { tier: "gold" } });
    const keep = { key: "keep", value: undefined };
    const gold = { key: "tier", value: "gold" };
    const withLabels = (filter: VolumeFilter) => planned(bench, true, filter);
    expect(withLabels({ labels: [keep] })).toEqual(["keep-both", "keep-one"]);
    expect(withLabels({ labels: [keep, gold] })).toEqual(["keep-both"]);
    expect(withLabels({ withoutLabels: [keep] })).toEqual(["other"]);
    expect(withLabels({ withoutLabels: [keep, gold] })).toEqual(["keep-one", "other"]);
    expect(withLabels({ labels: [gold], withoutLabels: [keep] })).toEqual(["other"]);
  });
});

describe("the run", () => {
  test("removes the plan, counts its bytes, and tells of each and then of itself", async () => {
    await using bench = await startedEngine();
    for (const name of ["aa", "bb"]) {
      await create(bench, name);
      writeFileSync(join(bench.volumePath(name), "_data", "file"), "x".repeat(1_000));
    }
    await create(bench, "named", { labels: null });
    bench.events.length = 0;
    const report = await prune(bench);
    expect([...report.deleted].sort()).toEqual(["aa", "bb"]);
    expect(report.reclaimedBytes).toBe(2_000);
    expect(rows(bench)).toEqual(["named"]);
    expect(bench.events.map((event) => event.action)).toEqual(["destroy", "destroy", "prune"]);
    expect(bench.events.at(-1)).toMatchObject({ actor: "", attributes: { reclaimed: "2000" } });
    expect(bench.state.history({ order: "newest first", countMax: 1 }).entries).toMatchObject([
      { action: "prune" },
    ]);
    await bench.purged();
  });

  test("of nothing is told as well", async () => {
    await using bench = await startedEngine();
    expect(await prune(bench)).toEqual({ deleted: [], reclaimedBytes: 0 });
    expect(bench.events.map((event) => event.attributes)).toEqual([{ reclaimed: "0" }]);
  });

  test("skips what was removed, made anew, or came into use since the plan", async () => {
    await using bench = await startedEngine();
    for (const name of ["removed", "anew", "used", "left"]) await create(bench, name);
    const plan = bench.engine.pruner.plan({}, { all: true });
    await bench.engine.volumes.remove("removed", bench.operation());
    await bench.engine.volumes.remove("anew", bench.operation());
    bench.nowMs += 1;
    await create(bench, "anew");
    await bench.engine.volumes.mount("used", parseHolderId("c1"), bench.operation());
    const report = await bench.engine.pruner.run(plan, bench.operation());
    expect(report.deleted).toEqual(["left"]);
    expect(rows(bench)).toEqual(["used", "anew"]);
  });

  test("skips what was used and let go of since the plan: it may hold data now", async () => {
    await using bench = await startedEngine();
    await create(bench, "used");
    const plan = bench.engine.pruner.plan({}, { all: true });
    const holder = parseHolderId("c1");
    await bench.engine.volumes.mount("used", holder, bench.operation());
    await bench.engine.volumes.unmount("used", holder, bench.operation());
    expect((await bench.engine.pruner.run(plan, bench.operation())).deleted).toEqual([]);
  });

  test("goes on after a volume that resists, and logs it once", async () => {
    await using bench = await startedEngine(resisting("bb"));
    for (const name of ["aa", "bb", "cc"]) await create(bench, name);
    const report = await prune(bench);
    expect([...report.deleted].sort()).toEqual(["aa", "cc"]);
    expect(rows(bench)).toEqual(["bb"]);
    expect(bench.log).toMatchObject([
      { level: "warn", fields: { volume: "bb", code: "storage.failed", error: "it resists" } },
    ]);
  });

  test("a second one meanwhile is refused, and a third one after it is not", async () => {
    await using bench = await startedEngine();
    await create(bench, "wiki");
    const first = prune(bench);
    const { code, message } = await failureOf(prune(bench));
    expect([code, message]).toEqual(["prune.running", "a prune operation is already running"]);
    expect((await first).deleted).toEqual(["wiki"]);
    expect((await prune(bench)).deleted).toEqual([]);
  });

  test("of 300 volumes removes every one", async () => {
    await using bench = await startedEngine();
    const names = Array.from({ length: 300 }, (_, index) => `volume-${index}`);
    await Promise.all(names.map((name) => create(bench, name)));
    expect((await prune(bench)).deleted).toHaveLength(300);
    expect(rows(bench)).toEqual([]);
    await bench.purged();
  });
});

test("what goes into the trash is not reclaimed, and not measured", async () => {
  let measureCount = 0;
  await using bench = await startedEngine({
    drivers: (it) => {
      const driver = it.local();
      const usage: typeof driver.usage = {
        async measure() {
          measureCount += 1;
          return { usedBytes: 1_000 };
        },
      };
      return [{ ...driver, usage }];
    },
    trash: { defaults: { ...trashDefaults, named: "off" } },
  });
  await create(bench, "kept");
  expect(await prune(bench)).toEqual({ deleted: ["kept"], reclaimedBytes: 0 });
  expect(measureCount).toBe(0);
  expect(bench.engine.trash.list().map(({ phase }) => phase)).toEqual(["kept"]);
  await create(bench, "purged", { labels: null });
  expect(await prune(bench, true)).toEqual({ deleted: ["purged"], reclaimedBytes: 1_000 });
});
