// Prune plans: what is eligible and in which words, which sizes are known, and how long plans last.
import { describe, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import {
  create,
  type EngineBench,
  failureOf,
  named,
  startedEngine,
} from "../../../test/support/engine-bench.ts";
import {
  containerWith,
  type MemoryEngine,
  memoryEngine,
} from "../../../test/support/memory-engine.ts";
import { parseHolderId, parseVolumeName } from "../../core/names.ts";
import type { Labels, VolumeEntry } from "../../core/state-store.ts";
import { trashDefaults } from "../trash/policy.ts";
import { ANONYMOUS_LABEL } from "../volume-filter.ts";
import { judgeSize, type PruneQuestion } from "./prune-eligibility.ts";
import { PLAN_COUNT_MAX, PLAN_MS_MAX, type PrunePlan } from "./prune-plans.ts";

const DAY_MS = 86_400_000;
const all: PruneQuestion = { filter: {}, isAll: true, measure: false };
const anonymous: Labels = { [ANONYMOUS_LABEL]: "" };

/** An engine with a container engine that has used it. */
async function withDocker(): Promise<{
  readonly bench: EngineBench;
  readonly docker: MemoryEngine;
}> {
  const docker = memoryEngine();
  const bench = await startedEngine({ finder: docker.finder });
  await bench.state.write((transaction) =>
    transaction.putEngine({ key: docker.key, sinceMs: bench.nowMs }),
  );
  return { bench, docker };
}

function plan(bench: EngineBench, question: Partial<PruneQuestion> = {}): Promise<PrunePlan> {
  return bench.engine.plans.make({ ...all, ...question }, bench.operation());
}

async function planned(
  bench: EngineBench,
  question: Partial<PruneQuestion> = {},
): Promise<readonly string[]> {
  return (await plan(bench, question)).volumes.map(({ entry }) => entry.name);
}

async function change(
  bench: EngineBench,
  name: string,
  changed: Partial<VolumeEntry>,
): Promise<void> {
  const entry = bench.state.read((view) => view.volume(name));
  if (entry === undefined) throw new Error(`no volume ${name}`);
  await bench.state.write((transaction) => transaction.putVolume({ ...entry, ...changed }));
}

/** Mounted and unmounted at once by a client. */
async function use(bench: EngineBench, name: string): Promise<void> {
  const holder = parseHolderId("job");
  await bench.engine.volumes.mount(name, holder, bench.operation());
  await bench.engine.volumes.unmount(name, holder, bench.operation());
}

const protection = { reason: "prod orders", sinceMs: 0, by: "holdfast" };

describe("the plan has", () => {
  test("what nobody has or names, and says what it keeps of that and why", async () => {
    const { bench, docker } = await withDocker();
    await using _bench = bench;
    for (const name of ["free", "held", "running", "stopped", "served", "slot-7", "protected"]) {
      await create(bench, named(name));
    }
    await create(bench, named("elsewhere", { driver: "scratch" }));
    await create(bench, named("mounted", { options: { type: "tmpfs", device: "tmpfs" } }));
    await bench.engine.volumes.mount("held", parseHolderId("c1"), bench.operation());
    docker.containers.push(
      containerWith("running"),
      containerWith("stopped", { name: "db", isRunning: false, project: "shop" }),
      containerWith("protected", { name: "old", isRunning: false }),
    );
    docker.services.push(
      { id: "s1", name: "web", volumes: ["served", "x-*"] },
      { id: "s2", name: "each", volumes: ["slot-*", "served"] },
    );
    await change(bench, "protected", { protection });
    const made = await plan(bench);
    expect(made.volumes.map(({ entry }) => entry.name as string)).toEqual([
      "free",
      "elsewhere",
      "mounted",
    ]);
    expect(made.kept as readonly unknown[]).toEqual([
      { name: "stopped", why: "container db of project shop is only stopped" },
      { name: "served", why: "service web names it, service each names it" },
      { name: "slot-7", why: "service each names it" },
      { name: "protected", why: "protected: prod orders, container old is only stopped" },
    ]);
    expect(made.id).toMatch(/^p-[0-9a-f]{6}$/);
    expect(bench.engine.plans.find(made.id)).toBe(made);
    expect(bench.events.map(({ action }) => action)).not.toContain("destroy");
  });

  test("anonymous volumes of local without options, unless all are asked for", async () => {
    await using bench = await startedEngine();
    await create(bench, named("anonymous", { labels: anonymous }));
    await create(bench, named("named"));
    await create(bench, named("scratch", { labels: anonymous, driver: "scratch" }));
    const options = { type: "tmpfs", device: "tmpfs" };
    await create(bench, named("options", { labels: anonymous, options }));
    await create(bench, named("protected", { labels: anonymous }));
    await change(bench, "protected", { protection });
    const made = await plan(bench, { isAll: false });
    expect(made.volumes.map(({ entry }) => entry.name as string)).toEqual(["anonymous"]);
    expect(made.kept.map(({ name }) => name as string)).toEqual(["protected"]);
    expect(await planned(bench)).toEqual(["anonymous", "named", "scratch", "options"]);
  });

  test("no volume that is being made, removed or moved", async () => {
    await using bench = await startedEngine();
    await create(bench, named("wiki"));
    for (const phase of ["creating", "removing", "adopting", "releasing"] as const) {
      await change(bench, "wiki", { phase });
      expect(await plan(bench)).toMatchObject({ volumes: [], kept: [] });
    }
    await change(bench, "wiki", { phase: "ready" });
    expect(await planned(bench)).toEqual(["wiki"]);
  });

  test("what the filters select, and nothing else in what it keeps either", async () => {
    await using bench = await startedEngine();
    const shop = { "com.docker.compose.project": "shop", tier: "gold" };
    await create(bench, named("shop-db", { labels: shop }));
    await create(bench, named("blog-db", { labels: { "com.docker.compose.project": "blog" } }));
    await create(bench, named("plain", { driver: "scratch" }));
    await create(bench, named("protected", { labels: shop }));
    await change(bench, "protected", { protection });
    const gold = { key: "tier", value: "gold" };
    const cases: readonly (readonly [Partial<PruneQuestion>, string, string])[] = [
      [{ filter: { labels: [gold] } }, "shop-db", "protected"],
      [{ filter: { withoutLabels: [gold] } }, "blog-db plain", ""],
      [{ filter: { drivers: new Set(["scratch"]) } }, "plain", ""],
      [{ filter: { names: [(name) => name.endsWith("-db")] } }, "shop-db blog-db", ""],
      [{ filter: { dangling: false } }, "", ""],
      [{ filter: { dangling: true } }, "shop-db blog-db plain", "protected"],
      [{ projects: new Set(["shop"]) }, "shop-db", "protected"],
      [{ projects: new Set(["shop", "blog"]) }, "shop-db blog-db", "protected"],
      [{ projects: new Set() }, "", ""],
    ];
    for (const [question, goes, kept] of cases) {
      const made = await plan(bench, question);
      expect(made.volumes.map(({ entry }) => entry.name).join(" ")).toBe(goes);
      expect(made.kept.map(({ name }) => name).join(" ")).toBe(kept);
    }
    const [first, , third] = (await plan(bench)).volumes;
    expect([first?.project, third?.project]).toEqual(["shop", null]);
  });

  test("what Compose calls a project's volume, where the engine has kept its label", async () => {
    await using bench = await startedEngine();
    const blog = { "com.docker.compose.project": "blog" };
    for (const name of ["shop_db", "shop-db", "shopping"]) await create(bench, named(name));
    await create(bench, named("shop_other", { labels: blog }));
    const names = async (...projects: readonly string[]): Promise<readonly string[]> =>
      (await plan(bench, { projects: new Set(projects) })).volumes.map(({ entry }) => entry.name);
    expect(await names("shop")).toEqual(["shop_db"]);
    expect(await names("blog", "shop")).toEqual(["shop_db", "shop_other"]);
    expect(await names("shop_db", "sho", "")).toEqual([]);
  });

  test("what was not used for long enough: since its last use, or since it was made", async () => {
    await using bench = await startedEngine();
    for (const name of ["never", "early", "late"]) await create(bench, named(name));
    await create(bench, named("mine", { labels: anonymous }));
    bench.nowMs += 10 * DAY_MS;
    await use(bench, "early");
    bench.nowMs += 30 * DAY_MS;
    const usedAtMs = bench.nowMs;
    await use(bench, "late");
    bench.nowMs += 5 * DAY_MS;
    await create(bench, named("new"));
    const unused = async (days: number) =>
      (await planned(bench, { unusedForMs: days * DAY_MS })).join(" ");
    expect(await unused(0)).toBe("never early late mine new");
    expect(await unused(1)).toBe("never early late mine");
    expect(await unused(5)).toBe("never early late mine");
    expect(await unused(6)).toBe("never early mine");
    expect(await unused(36)).toBe("never mine");
    expect(await unused(46)).toBe("");
    const { volumes } = await plan(bench);
    expect(volumes.map(({ why }) => why)).toEqual([
      "never used, made 45 days ago",
      "unused for 35 days",
      "unused for 5 days",
      "anonymous, never used, made 45 days ago",
      "never used, made moments ago",
    ]);
    const [never, , late] = volumes;
    expect([never?.lastUsedAtMs, never?.lastHolder]).toEqual([null, null]);
    expect([late?.lastUsedAtMs, late?.lastHolder]).toEqual([usedAtMs, "job"]);
  });

  test("what becomes of each volume", async () => {
    await using bench = await startedEngine({
      drivers: (it) => [it.local(), { ...it.scratch(), trash: undefined }],
      trash: { defaults: trashDefaults },
    });
    await create(bench, named("named"));
    await create(bench, named("anonymous", { labels: anonymous }));
    await create(bench, named("days", { options: { trash: "30d" } }));
    await create(bench, named("off", { options: { trash: "off" } }));
    await create(bench, named("retained", { options: { reclaim: "retain" } }));
    await create(bench, named("remote", { options: { type: "tmpfs", device: "tmpfs" } }));
    await create(bench, named("adopted"));
    await change(bench, "adopted", { origin: "adopted" });
    await create(bench, named("destroyed", { driver: "scratch" }));
    const { volumes } = await plan(bench);
    expect(volumes.map(({ entry, fate }) => `${entry.name}: ${fate}`)).toEqual([
      "named: trash until 2026-10-22",
      "anonymous: trash until 2026-10-16",
      "days: trash until 2026-11-14",
      "off: purged at once",
      "retained: trash until somebody purges it",
      "remote: let go of; data stays, purged or not",
      "adopted: let go of; data stays, purged or not",
      "destroyed: purged at once",
    ]);
  });

  test("of what Holdfast made elsewhere, that a purge destroys it", async () => {
    await using bench = await startedEngine({
      drivers: (it) => [it.local(), it.scratch()],
      trash: { defaults: trashDefaults },
    });
    const options = { subpath: "photos" };
    for (const name of ["days", "found", "made"]) {
      await create(bench, named(name, { driver: "scratch" }));
    }
    await change(bench, "made", { options });
    await change(bench, "found", { options, origin: "adopted" });
    await change(bench, "days", { options: { ...options, trash: "30d" } });
    const texts = bench.state.read((view) =>
      [...view.volumes()].map((entry) => `${entry.name}: ${bench.engine.fateOf(entry)}`),
    );
    expect(texts).toEqual([
      "days: let go of; data stays for 30 days",
      "found: let go of; data stays, purged or not",
      "made: let go of; data stays until somebody purges it",
    ]);
  });

  test("nothing while an engine cannot say what it has", async () => {
    const { bench, docker } = await withDocker();
    await using _bench = bench;
    await create(bench, named("wiki"));
    docker.knowsServices = false;
    const { code, message } = await failureOf(plan(bench));
    expect(code).toBe("containers.unreachable");
    expect(message).toMatch(/^prune: docker:\/memory .* which volumes its services name: .*locked/);
    docker.isThere = false;
    expect((await failureOf(plan(bench))).message).toMatch(/which ones its containers have/);
    docker.isThere = true;
    docker.knowsServices = true;
    expect(await planned(bench)).toEqual(["wiki"]);
  });
});

describe("sizes", () => {
  async function withSizes(): Promise<EngineBench> {
    const bench = await startedEngine({
      drivers: (it) => [
        it.local(),
        { ...it.scratch(), usage: { measure: async () => ({ usedBytes: null }) } },
      ],
    });
    for (const [name, bytes] of Object.entries({ big: 1_001, exact: 1_000, small: 1 })) {
      await create(bench, named(name));
      writeFileSync(join(bench.volumePath(name), "_data", "file"), "x".repeat(bytes));
    }
    await create(bench, named("unknown", { driver: "scratch" }));
    return bench;
  }

  const sizes = (made: PrunePlan) => made.volumes.map(({ sizeBytes }) => sizeBytes);

  test("are measured where they are asked for, and remembered while nothing changes", async () => {
    await using bench = await withSizes();
    expect(sizes(await plan(bench))).toEqual([null, null, null, null]);
    expect(sizes(await plan(bench, { measure: true }))).toEqual([1_001, 1_000, 1, null]);
    await use(bench, "exact");
    expect(sizes(await plan(bench))).toEqual([1_001, null, 1, null]);
  });

  test("select what is larger; what nobody can measure is kept", async () => {
    await using bench = await withSizes();
    const made = await plan(bench, { largerBytes: 1_000 });
    expect(made.volumes.map(({ entry }) => entry.name as string)).toEqual(["big"]);
    expect(sizes(made)).toEqual([1_001]);
    expect(made.kept as readonly unknown[]).toEqual([
      { name: "unknown", why: "size cannot be measured" },
    ]);
  });

  test("that were not measured in time keep a volume only where they matter", () => {
    const late = { ...all, largerBytes: 1 };
    expect(judgeSize(undefined, "unused", late)).toEqual({
      kind: "kept",
      why: "size not measured in time",
    });
    expect(judgeSize(undefined, "unused", all)).toEqual({ kind: "goes", why: "unused" });
  });
});

describe("plans are kept", () => {
  test("for an hour, and not over a restart", async () => {
    await using bench = await startedEngine();
    const early = await plan(bench);
    expect(early.expiresAtMs - early.madeAtMs).toBe(PLAN_MS_MAX);
    bench.nowMs += PLAN_MS_MAX - 1;
    expect(bench.engine.plans.find(early.id)).toBe(early);
    const late = await plan(bench);
    bench.nowMs += 1;
    const { code, message } = await failureOf(() => bench.engine.plans.find(early.id));
    expect([code, message]).toEqual([
      "prune.plan_not_found",
      `prune plan ${early.id}: no such plan; a plan is kept for an hour, can be applied once, ` +
        "and a restart forgets it",
    ]);
    expect(bench.engine.plans.find(late.id)).toBe(late);
    await bench.restart();
    expect((await failureOf(() => bench.engine.plans.find(late.id))).code).toBe(
      "prune.plan_not_found",
    );
  });

  test("up to a number, the newest ones", async () => {
    await using bench = await startedEngine();
    const made: PrunePlan[] = [];
    for (let count = 0; count < PLAN_COUNT_MAX + 2; count += 1) made.push(await plan(bench));
    const isKept = ({ id }: PrunePlan) => {
      try {
        return bench.engine.plans.find(id).id === id;
      } catch {
        return false;
      }
    };
    expect(made.map(isKept)).toEqual(made.map((_, index) => index >= 2));
  });

  test("while they have no more than 100,000 volumes together", async () => {
    await using bench = await startedEngine();
    await manyVolumes(bench, 40_000);
    const [first, second, third] = [await plan(bench), await plan(bench), await plan(bench)];
    expect((await failureOf(() => bench.engine.plans.find(first.id))).code).toBe(
      "prune.plan_not_found",
    );
    expect(bench.engine.plans.find(second.id)).toBe(second);
    expect(bench.engine.plans.find(third.id)).toBe(third);
  });
});

/** Rows only: a plan asks no driver. */
async function manyVolumes(bench: EngineBench, count: number): Promise<void> {
  const entry = await create(bench, named("first"));
  await bench.state.write((transaction) => {
    for (let index = 1; index < count; index += 1) {
      transaction.putVolume({ ...entry, name: parseVolumeName(`volume-${index}`) });
    }
  });
}

test("a plan over 10,000 volumes takes less than half a second", async () => {
  const { bench, docker } = await withDocker();
  await using _bench = bench;
  await manyVolumes(bench, 10_000);
  for (let index = 1; index < 10_000; index += 5) {
    docker.containers.push(containerWith(`volume-${index}`, { isRunning: index % 10 === 1 }));
    docker.services.push({ id: `s${index}`, name: `s${index}`, volumes: [`volume-${index + 1}`] });
  }
  docker.services.push({ id: "each", name: "each", volumes: ["slot-*"] });
  const startedAtMs = performance.now();
  const made = await plan(bench, { unusedForMs: 0 });
  const tookMs = performance.now() - startedAtMs;
  expect([made.volumes.length, made.kept.length]).toEqual([6_000, 3_000]);
  expect(tookMs).toBeLessThan(500);
});
