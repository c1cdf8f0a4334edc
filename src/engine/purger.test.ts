// The purger: space is freed in the background, rows go after, and one that resists delays nobody.
import { describe, expect, test } from "bun:test";
import { existsSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import {
  type EngineBench,
  type EngineBenchParts,
  startedEngine,
} from "../../test/support/engine-bench.ts";
import type { TrashCapable } from "../core/driver.ts";
import { EngineError } from "../core/errors.ts";
import type { TrashId } from "../core/names.ts";

const dead = new EngineError("storage.failed", "the disk does not answer");

function changedPurge(
  change: (trash: TrashCapable, bench: EngineBench) => TrashCapable["purge"],
): EngineBenchParts {
  return {
    drivers: (bench) => {
      const driver = bench.local();
      if (driver.trash === undefined) throw new Error("local has a trash");
      return [{ ...driver, trash: { ...driver.trash, purge: change(driver.trash, bench) } }];
    },
  };
}

/** Creates a volume with a file in it, and removes it. */
async function removed(bench: EngineBench, name: string): Promise<void> {
  const { volumes } = bench.engine;
  const request = { name, driver: "local", options: null, labels: null };
  const { mountpoint } = await volumes.create(request, bench.operation());
  writeFileSync(join(mountpoint, "file"), "data");
  await volumes.remove(name, bench.operation());
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
  test("is purged one by one, stays, and is logged, while the others go", async () => {
    const isBad = async (bench: EngineBench, id: TrashId) =>
      existsSync(join(bench.root, "trash", id, "_data", "bad"));
    const parts = changedPurge((trash, bench) => async (ids, operation) => {
      for (const id of ids) if (await isBad(bench, id)) throw dead;
      await trash.purge(ids, operation);
    });
    await using bench = await startedEngine(parts);
    const bad = await bench.engine.volumes.create(
      { name: "bad", options: null, labels: null },
      bench.operation(),
    );
    writeFileSync(join(bad.mountpoint, "bad"), "");
    await bench.engine.volumes.remove("bad", bench.operation());
    await Promise.all(["aa", "bb", "cc"].map((name) => removed(bench, name)));
    while (retired(bench).length > 1) await new Promise((resolve) => setTimeout(resolve, 5));
    expect(retired(bench)).toEqual(["bad"]);
    expect(bench.log).toMatchObject([
      { level: "warn", fields: { volume: "bad", code: "storage.failed" } },
    ]);

    // It rests now for half a minute: those that come later must not wait for it.
    await removed(bench, "dd");
    while (retired(bench).length > 1) await new Promise((resolve) => setTimeout(resolve, 5));
    expect(bench.log).toHaveLength(1);
  });
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
    await new Promise((resolve) => setTimeout(resolve, 60));
    expect(retired(bench)).toEqual(["wiki"]);
  });
});

test("rows of a driver that is not there any more stay", async () => {
  let hasLocal = true;
  await using bench = await startedEngine({
    drivers: (it) => (hasLocal ? [it.local()] : [it.scratch()]),
  });
  await bench.engine.stop();
  await removed(bench, "wiki");
  hasLocal = false;
  await bench.restart();
  await new Promise((resolve) => setTimeout(resolve, 60));
  expect(retired(bench)).toEqual(["wiki"]);
});
