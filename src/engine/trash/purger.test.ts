// The purger: space is freed in the background, rows go after, and one that resists delays nobody.
import { describe, expect, test } from "bun:test";
import { existsSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { eventually } from "../../../test/support/child.ts";
import {
  changedTrash,
  type EngineBench,
  type EngineBenchParts,
  startedEngine,
} from "../../../test/support/engine-bench.ts";
import { purgerBench } from "../../../test/support/purger-bench.ts";
import type { TrashCapable } from "../../core/driver.ts";
import { EngineError } from "../../core/errors.ts";
import type { TrashId } from "../../core/names.ts";
import { withBreaker } from "../../layers/breaker.ts";
import { withDeadlines } from "../../layers/deadline.ts";

const dead = new EngineError("storage.failed", "the disk does not answer");

function changedPurge(
  change: (trash: TrashCapable, bench: EngineBench) => TrashCapable["purge"],
): EngineBenchParts {
  return changedTrash((trash, bench) => ({ purge: change(trash, bench) }));
}

/** As the daemon has it, on a disk that cannot remove what holds a file called `bad-…`. */
const resisting: EngineBenchParts = {
  drivers: (bench) => {
    const clock = { monotonicMs: () => performance.now() };
    return [withBreaker(withDeadlines(bench.local(), clock), { ...clock, per: "volume" })];
  },
  host: (host) => ({
    ...host,
    async run(program, args, operation) {
      const isBad = (path: string) =>
        existsSync(join(path, "_data")) &&
        readdirSync(join(path, "_data")).some((file) => file.startsWith("bad-"));
      if (!args.includes("rm") || !args.some(isBad))
        return await host.run(program, args, operation);
      return { exitCode: 1, stdout: "", stderr: "rm: cannot remove: Input/output error" };
    },
  }),
};

/** Creates a volume with a file of its own name in it. */
async function created(bench: EngineBench, name: string, driver = "local"): Promise<void> {
  const request = { name, driver, options: null, labels: null };
  const { mountpoint } = await bench.engine.volumes.create(request, bench.operation());
  writeFileSync(join(mountpoint, name), "data");
}

/** Creates a volume with a file in it, and removes it. */
async function removed(bench: EngineBench, name: string, driver = "local"): Promise<void> {
  await created(bench, name, driver);
  await bench.engine.volumes.remove(name, bench.operation());
}

/** Waits until so many removed volumes have a row. */
async function retiredCount(bench: EngineBench, count: number): Promise<void> {
  const look = () => (retired(bench).length === count ? true : undefined);
  await eventually(look, patience(`${count} rows of removed volumes`));
}

function patience(what: string) {
  return { timeoutMs: 10_000, otherwise: () => `there should be ${what}` };
}

function retired(bench: EngineBench): readonly string[] {
  return bench.state.read((view) => [...view.retired()].map((each) => each.volume.name));
}

describe("in the background", () => {
  test("many removals are purged in one round, and their rows go after the data", async () => {
    const rounds: (readonly TrashId[])[] = [];
    const parts = changedPurge((trash, bench) => async (ids, operation) => {
      rounds.push(ids);
      expect(retired(bench)).toHaveLength(ids.length);
      await trash.purge(ids, operation);
      expect(retired(bench)).toHaveLength(ids.length);
    });
    await using bench = await startedEngine(parts);
    const names = Array.from({ length: 10 }, (_, index) => `volume-${index}`);
    await Promise.all(names.map((name) => removed(bench, name)));
    await bench.purged();
    expect(rounds.map((ids) => ids.length)).toEqual([10]);
    expect(readdirSync(join(bench.root, "trash"))).toEqual([]);
  });

  test("a removal does not wait for the space of another", async () => {
    const gate = Promise.withResolvers<void>();
    const parts = changedPurge((trash) => async (ids, operation) => {
      await gate.promise;
      await trash.purge(ids, operation);
    });
    await using bench = await startedEngine(parts);
    await removed(bench, "first");
    await removed(bench, "second");
    expect(bench.engine.volumes.list({})).toEqual([]);
    gate.resolve();
    await bench.purged();
  });

  test("what one life did not purge, the next one does", async () => {
    let isDead = true;
    const parts = changedPurge(
      (trash) => (ids, operation) => (isDead ? Promise.reject(dead) : trash.purge(ids, operation)),
    );
    await using bench = await startedEngine(parts);
    await removed(bench, "wiki");
    await bench.stop();
    isDead = false;
    await bench.restart();
    await bench.purged();
    expect(readdirSync(join(bench.root, "trash"))).toEqual([]);
  });
});

describe("what resists", () => {
  test("stays and is logged, while the others go", async () => {
    await using bench = await startedEngine(resisting);
    await Promise.all(["bad-0", "aa", "bb", "cc"].map((name) => removed(bench, name)));
    await retiredCount(bench, 1);
    expect(retired(bench)).toEqual(["bad-0"]);
    await eventually(() => bench.log[0], patience("a line"));
    expect(bench.log).toMatchObject([
      { level: "warn", fields: { volume: "bad-0", code: "storage.failed", count: 1 } },
    ]);

    const [bad] = bench.state.read((view) => [...view.retired()]);
    expect(bad && bench.engine.purger.reasonOf(bad.id)).toContain("Input/output error");

    // It rests now for half a minute: those that come later must not wait for it.
    await removed(bench, "dd");
    await retiredCount(bench, 1);
    expect(bench.log).toHaveLength(1);
  });

  test("five of 205, wherever they stand, keep nobody, in the layers of the daemon", async () => {
    await using bench = await startedEngine(resisting);
    const bad = Array.from({ length: 5 }, (_, index) => `bad-${index}`);
    const good = Array.from({ length: 200 }, (_, index) => `good-${index}`);
    const names = good.flatMap((name, index) => {
      const one = index % 40 === 0 ? bad[index / 40] : undefined;
      return one === undefined ? [name] : [one, name];
    });
    for (const name of names) await created(bench, name);
    await Promise.all(names.map((name) => bench.engine.volumes.remove(name, bench.operation())));
    await retiredCount(bench, bad.length);
    expect(retired(bench).toSorted()).toEqual(bad);
    expect(readdirSync(join(bench.root, "trash"))).toHaveLength(bad.length);

    // Nothing that comes later, and no start, is refused because of them.
    await removed(bench, "later");
    await retiredCount(bench, bad.length);
    expect(bench.log).toHaveLength(1);
    await bench.restart();
    expect(bench.engine.recovery.unlisted).toEqual([]);
  });
});

describe("a retry", () => {
  test("comes after 1, 2, 4, … 128 ticks, with a line each", async () => {
    await using bench = await purgerBench({ bad: ["bad"], names: ["bad", "good"] });
    await bench.idle();
    expect(bench.purges).toEqual([["bad", "good"], ["bad"], ["good"]]);
    const waits: number[] = [];
    let ticks = 0;
    while (waits.length < 9) {
      bench.purges.length = 0;
      await bench.tick();
      ticks += 1;
      if (bench.purges.length === 0) continue;
      expect(bench.purges).toEqual([["bad"]]);
      waits.push(ticks);
      ticks = 0;
    }
    expect(waits).toEqual([1, 2, 4, 8, 16, 32, 64, 128, 128]);
    expect(bench.log).toHaveLength(1 + waits.length);
  });

  test("that succeeds ends it", async () => {
    await using bench = await purgerBench({ bad: ["bad"], names: ["bad"] });
    await bench.idle();
    bench.bad.clear();
    await bench.tick();
    expect(bench.left()).toEqual([]);
    expect(bench.isTicking()).toBe(false);
    expect(bench.log).toHaveLength(1);
  });

  test("is for 256 at once, each in its turn, and they get one line a tick", async () => {
    const names = Array.from({ length: 600 }, (_, index) => `bad-${index}`);
    await using bench = await purgerBench({ bad: names, names });
    await bench.idle();
    expect(bench.log).toHaveLength(1);
    const tried = new Set<string>();
    for (let tick = 1; tick <= 3; tick++) {
      bench.purges.length = 0;
      await bench.tick();
      const alone = bench.purges.filter((each) => each.length === 1).flat();
      expect(alone.length).toBeLessThanOrEqual(256);
      for (const name of alone) tried.add(name);
      expect(bench.log).toHaveLength(1 + tick);
    }
    expect(tried.size).toBe(names.length);
  });
});

test("a batch that takes until its deadline is not halved again and again", async () => {
  const names = Array.from({ length: 64 }, (_, index) => `volume-${index}`);
  await using bench = await purgerBench({
    bad: ["volume-7"],
    names,
    error: new EngineError("driver.timed_out", "purge did not end"),
  });
  await bench.idle();
  expect(bench.left()).toEqual(["volume-7"]);
  expect(bench.purges.filter((each) => each.includes("volume-7"))).toHaveLength(2);
});

test("rows that cannot be dropped are tried again, and the batch is not split for it", async () => {
  await using bench = await purgerBench({ bad: [], names: ["aa", "bb"] });
  bench.failCommits(true);
  await bench.idle();
  expect(bench.purges).toEqual([["aa", "bb"]]);
  expect(bench.left()).toEqual(["aa", "bb"]);
  expect(bench.log).toMatchObject([{ fields: { count: 2, code: "storage.failed" } }]);
  bench.failCommits(false);
  await bench.tick();
  expect(bench.left()).toEqual([]);
});

describe("stop", () => {
  test("ends a purge that would take long, and keeps its row for the next start", async () => {
    const started = Promise.withResolvers<void>();
    const parts = changedPurge(() => (_ids, { signal }) => {
      started.resolve();
      return new Promise((_, reject) => {
        signal.addEventListener("abort", () => reject(signal.reason), { once: true });
      });
    });
    await using bench = await startedEngine(parts);
    await removed(bench, "wiki");
    await started.promise;
    await bench.engine.stop();
    expect(retired(bench)).toEqual(["wiki"]);
    expect(bench.log).toEqual([]);
  });

  test("starts no other round", async () => {
    await using bench = await startedEngine();
    await bench.engine.stop();
    await removed(bench, "wiki");
    // One that runs has the same to do, began later, and is done.
    await using running = await startedEngine();
    await removed(running, "wiki");
    await running.purged();
    expect(retired(bench)).toEqual(["wiki"]);
  });
});

test("rows of a driver that is not there any more stay, and one line says so", async () => {
  let hasLocal = true;
  await using bench = await startedEngine({
    drivers: (it) => (hasLocal ? [it.local()] : [it.scratch()]),
  });
  await bench.engine.stop();
  // More than one round looks at.
  const names = Array.from({ length: 257 }, (_, index) => `volume-${index}`);
  for (const name of names) await removed(bench, name);
  hasLocal = false;
  await bench.restart();
  await eventually(() => bench.log[0], patience("a line"));
  await removed(bench, "scratched", "scratch");
  await retiredCount(bench, names.length);
  expect(retired(bench)).toEqual(names);
  expect(bench.log).toMatchObject([{ level: "warn", fields: { driver: "local" } }]);
});

describe("while clients make changes", () => {
  test("nothing is purged, but not for ever", async () => {
    await using bench = await purgerBench({ names: ["aa", "bb"], bad: [] });
    let roundCount = 0;
    while (bench.purges.length === 0 && roundCount < 1_000) {
      bench.change();
      await bench.gather();
      roundCount += 1;
    }
    expect(roundCount).toBe(101);
    expect(bench.purges).toEqual([["aa", "bb"]]);
  });

  test("a quiet moment is enough", async () => {
    await using bench = await purgerBench({ names: ["aa"], bad: [] });
    bench.change();
    await bench.gather();
    expect(bench.purges).toEqual([]);
    await bench.gather();
    expect(bench.purges).toEqual([["aa"]]);
  });

  test("a large backlog is not put off", async () => {
    const names = Array.from({ length: 4_097 }, (_, index) => `volume-${index}`);
    await using bench = await purgerBench({ names, bad: [] });
    bench.change();
    await bench.gather();
    expect(bench.purges).toHaveLength(1);
  });
});
