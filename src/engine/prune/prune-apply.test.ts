// Applying a prune plan: exactly its volumes, and each that changed since is named with the reason.
import { describe, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import {
  create,
  type EngineBench,
  type EngineBenchParts,
  failureOf,
  named,
  names,
  startedEngine,
} from "../../../test/support/engine-bench.ts";
import { containerWith, memoryEngine } from "../../../test/support/memory-engine.ts";
import { EngineError } from "../../core/errors.ts";
import { parseHolderId } from "../../core/names.ts";
import type { VolumeEntry } from "../../core/state-store.ts";
import { trashDefaults } from "../trash/policy.ts";
import type { PlanResult } from "./prune-apply.ts";
import type { PruneQuestion } from "./prune-eligibility.ts";
import type { PrunePlan } from "./prune-plans.ts";

const all: PruneQuestion = { filter: {}, isAll: true, measure: false };
const holder = parseHolderId("job");

function plan(bench: EngineBench, question: Partial<PruneQuestion> = {}): Promise<PrunePlan> {
  return bench.engine.plans.make({ ...all, ...question }, bench.operation());
}

function apply(bench: EngineBench, { id }: PrunePlan): Promise<PlanResult> {
  return bench.engine.plans.apply(id, bench.operation());
}

/** Names of what was removed, and the reasons of what was not, by name. */
function told({ removed, skipped }: PlanResult) {
  return {
    removed: removed.map(({ name }) => name as string).sort(),
    skipped: Object.fromEntries(skipped.map(({ name, why }) => [name, why])),
  };
}

async function change(
  bench: EngineBench,
  name: string,
  changed: Partial<VolumeEntry>,
): Promise<void> {
  const entry = bench.engine.volumes.inspect(name);
  await bench.state.write((transaction) => transaction.putVolume({ ...entry, ...changed }));
}

/** Volumes of a driver that destroys them, unless one resists. */
function destroying(resists = ""): EngineBenchParts {
  const failed = new EngineError("storage.failed", "it resists");
  return {
    drivers: (it) => {
      const driver = it.scratch();
      return [
        it.local(),
        {
          ...driver,
          trash: undefined,
          destroy: (name, operation) =>
            name === resists ? Promise.reject(failed) : driver.destroy(name, operation),
        },
      ];
    },
  };
}

async function createAll(bench: EngineBench, ...wanted: readonly string[]): Promise<void> {
  for (const name of wanted) await create(bench, named(name, { driver: "scratch" }));
}

describe("apply", () => {
  test("removes the plan and nothing else, and tells of it", async () => {
    await using bench = await startedEngine({ trash: { defaults: trashDefaults } });
    for (const name of ["aa", "bb", "kept"]) await create(bench, named(name));
    writeFileSync(join(bench.volumePath("aa"), "_data", "file"), "12345");
    const filter = { names: [(name: string) => name !== "kept"] };
    const made = await plan(bench, { filter, measure: true });
    await create(bench, named("later"));
    const { removed, skipped } = await apply(bench, made);
    const ids = bench.state.read((view) => [...view.retired()]);
    const idOf = (name: string) => ids.find(({ volume }) => volume.name === name)?.id;
    const rows = removed.map(({ name, trashId, sizeBytes }) => [name, trashId, sizeBytes]);
    expect(rows.sort() as unknown).toEqual([
      ["aa", idOf("aa"), 5],
      ["bb", idOf("bb"), 0],
    ]);
    expect(idOf("aa")).toMatch(/^t-/);
    expect(skipped).toEqual([]);
    expect(names(bench)).toEqual(["kept", "later"]);
    const page = bench.state.history({ countMax: 2, order: "newest first" });
    expect(page.entries.map(({ action }) => action)).toEqual(["prune", "prune"]);
    expect(bench.events.at(-1)).toMatchObject({ action: "prune", attributes: { reclaimed: "0" } });
  });

  test("says what cannot be restored, and counts its bytes", async () => {
    await using bench = await startedEngine({
      drivers: (it) => [
        it.local(),
        { ...it.scratch(), trash: undefined, usage: { measure: async () => ({ usedBytes: 7 }) } },
      ],
    });
    await createAll(bench, "aa", "bb");
    const { removed } = await apply(bench, await plan(bench, { measure: true }));
    expect(removed.map(({ trashId, sizeBytes }) => [trashId, sizeBytes])).toEqual([
      [null, 7],
      [null, 7],
    ]);
    expect(bench.events.at(-1)).toMatchObject({ action: "prune", attributes: { reclaimed: "14" } });
  });

  test("skips what changed since, and names each kind of change", async () => {
    await using bench = await startedEngine(destroying());
    await createAll(bench, "free", "removed", "anew", "used", "mounted", "returned");
    await createAll(bench, "protected", "labelled", "moving");
    const { volumes } = bench.engine;
    await volumes.mount("returned", holder, bench.operation());
    await volumes.unmount("returned", holder, bench.operation());
    const made = await plan(bench);
    expect(made.volumes).toHaveLength(9);
    bench.nowMs += 1_000;
    await volumes.remove("removed", bench.operation());
    await volumes.remove("anew", bench.operation());
    await createAll(bench, "anew");
    await volumes.mount("used", holder, bench.operation());
    await volumes.unmount("used", holder, bench.operation());
    await volumes.mount("mounted", holder, bench.operation());
    await volumes.mount("returned", holder, bench.operation());
    const protection = { reason: "prod orders", sinceMs: bench.nowMs, by: "holdfast" };
    await change(bench, "protected", { protection });
    await change(bench, "labelled", { labels: { owner: "kim" } });
    await change(bench, "moving", { phase: "releasing" });
    expect(told(await apply(bench, made))).toEqual({
      removed: ["free"],
      skipped: {
        removed: "gone",
        anew: "gone: another volume has its name",
        used: "used since: job",
        mounted: "used since: job",
        returned: "used since: job",
        protected: "protected since: prod orders",
        labelled: "changed since",
        moving: "changed since: releasing",
      },
    });
    expect(names(bench)).toHaveLength(7);
  });

  test("skips what a container has or a service names since", async () => {
    const docker = memoryEngine();
    await using bench = await startedEngine({ ...destroying(), finder: docker.finder });
    await bench.state.write((transaction) =>
      transaction.putEngine({ key: docker.key, sinceMs: bench.nowMs }),
    );
    await createAll(bench, "free", "taken", "served");
    const made = await plan(bench);
    docker.containers.push(containerWith("taken", { name: "db", isRunning: false }));
    docker.services.push({ id: "s1", name: "web", volumes: ["served"] });
    expect(told(await apply(bench, made))).toEqual({
      removed: ["free"],
      skipped: {
        taken: "used since: db (docker, stopped)",
        served: "used since: service web",
      },
    });
  });

  test("goes on after a volume that resists, says why, and logs it once", async () => {
    await using bench = await startedEngine(destroying("bb"));
    await createAll(bench, "aa", "bb", "cc");
    expect(told(await apply(bench, await plan(bench)))).toEqual({
      removed: ["aa", "cc"],
      skipped: { bb: "it resists" },
    });
    expect(bench.log).toMatchObject([
      { level: "warn", fields: { volume: "bb", code: "storage.failed" } },
    ]);
  });
});

describe("a plan", () => {
  test("can be applied once, within its hour", async () => {
    await using bench = await startedEngine(destroying());
    await createAll(bench, "aa");
    const [made, late] = [await plan(bench), await plan(bench)];
    expect(told(await apply(bench, made)).removed).toEqual(["aa"]);
    expect((await failureOf(apply(bench, made))).code).toBe("prune.plan_not_found");
    bench.nowMs = late.expiresAtMs;
    expect((await failureOf(apply(bench, late))).code).toBe("prune.plan_not_found");
  });

  test("can be applied later when another prune runs or an engine is silent", async () => {
    const docker = memoryEngine();
    await using bench = await startedEngine({ ...destroying(), finder: docker.finder });
    await bench.state.write((transaction) =>
      transaction.putEngine({ key: docker.key, sinceMs: bench.nowMs }),
    );
    await createAll(bench, "aa", "bb");
    const filter = { names: [(name: string) => name === "aa"] };
    const [first, second] = [await plan(bench, { filter }), await plan(bench)];
    const applying = apply(bench, first);
    expect((await failureOf(apply(bench, second))).code).toBe("prune.running");
    const { pruner } = bench.engine;
    const ordinary = pruner.run(pruner.plan({}, { all: true }), bench.operation());
    expect((await failureOf(ordinary)).code).toBe("prune.running");
    expect(told(await applying).removed).toEqual(["aa"]);
    docker.isThere = false;
    expect((await failureOf(apply(bench, second))).code).toBe("containers.unreachable");
    docker.isThere = true;
    expect(told(await apply(bench, second))).toEqual({ removed: ["bb"], skipped: { aa: "gone" } });
  });

  test("ends where its operation is cancelled; what it removed stays removed", async () => {
    const controller = new AbortController();
    const stopping = new EngineError("engine.stopping", "the daemon is shutting down");
    await using bench = await startedEngine({
      drivers: (it) => {
        const driver = it.scratch();
        return [
          it.local(),
          {
            ...driver,
            trash: undefined,
            async destroy(name, operation) {
              await driver.destroy(name, operation);
              controller.abort(stopping);
            },
          },
        ];
      },
    });
    const wanted = Array.from({ length: 100 }, (_, index) => `volume-${index}`);
    await createAll(bench, ...wanted);
    const { id } = await plan(bench);
    const applying = bench.engine.plans.apply(id, bench.operation(controller.signal));
    expect(await failureOf(applying)).toBe(stopping);
    const left = names(bench).length;
    expect(left).toBeGreaterThan(80);
    expect(left).toBeLessThan(100);
  });
});
