// Recovery over drivers that cannot tell: nothing of theirs changes, and the others are served.
import { describe, expect, test } from "bun:test";
import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import {
  type EngineBench,
  type EngineBenchParts,
  startedEngine,
} from "../../test/support/engine-bench.ts";
import type { VolumeDriver } from "../core/driver.ts";
import { EngineError } from "../core/errors.ts";
import { makeTrashId } from "../core/names.ts";
import type { VolumeEntry } from "../core/state-store.ts";
import type { RecoveryReport } from "./recovery.ts";

const dead = new EngineError("storage.failed", "the disk does not answer");
const idOfTrash = makeTrashId("0123456789abcdef");

const nothing: RecoveryReport = {
  adopted: [],
  rebuilt: [],
  retired: [],
  forgotten: [],
  missing: [],
  restored: [],
  strays: [],
  unlisted: [],
  failed: [],
};

/** The report with these findings and no others. */
function only(found: Readonly<Partial<Record<keyof RecoveryReport, readonly string[]>>>): object {
  return { ...nothing, ...found };
}

async function withVolume(
  parts: EngineBenchParts = {},
  driver = "local",
): Promise<{ readonly bench: EngineBench; readonly entry: VolumeEntry }> {
  const bench = await startedEngine(parts);
  const request = { name: "wiki", driver, options: null, labels: { a: "1" } };
  const entry = await bench.engine.volumes.create(request, bench.operation());
  return { bench, entry };
}

/** The start finds what is expected, and the one after it finds nothing left to do. */
async function startsWith(
  bench: EngineBench,
  first: Parameters<typeof only>[0],
  second: Parameters<typeof only>[0] = {},
): Promise<void> {
  await bench.restart();
  expect(bench.engine.recovery as object).toEqual(only(first));
  await bench.restart();
  expect(bench.engine.recovery as object).toEqual(only(second));
}

/** The scratch driver without rebuild, with some members replaced. */
function bracketed(
  change: (driver: VolumeDriver) => Partial<VolumeDriver> = () => ({}),
): EngineBenchParts {
  return {
    drivers: (bench) => {
      const driver = bench.scratch();
      return [{ ...driver, rebuild: undefined, ...change(driver) }];
    },
  };
}

describe("a driver that cannot tell", () => {
  /** What a dead driver must not change: all rows of the state. */
  function rows(bench: EngineBench): readonly unknown[] {
    return bench.state.read((view) => [[...view.volumes()], [...view.retired()]]);
  }

  for (const phase of ["ready", "removing"] as const) {
    test(`loses no row that is ${phase} when it says unknown`, async () => {
      let isDead = false;
      const parts = bracketed((driver) => ({
        get: async (name, operation) =>
          isDead ? { state: "unknown", reason: "no answer" } : driver.get(name, operation),
        async *list(operation) {
          if (!isDead) yield* driver.list(operation);
        },
      }));
      const { bench, entry } = await withVolume(parts, "scratch");
      await using _bench = bench;
      await bench.state.write((transaction) => transaction.putVolume({ ...entry, phase }));
      const before = rows(bench);
      isDead = true;
      await startsWith(bench, { failed: ["wiki"] }, { failed: ["wiki"] });
      expect(rows(bench)).toEqual(before);
    });
  }

  test("and cannot list is left out, and the others are served", async () => {
    let isDead = false;
    const parts: EngineBenchParts = {
      drivers: (bench) => {
        const scratch = bench.scratch();
        return [
          {
            ...scratch,
            async *list(operation) {
              if (isDead) throw dead;
              yield* scratch.list(operation);
            },
          },
          bench.local(),
        ];
      },
    };
    const { bench } = await withVolume(parts, "scratch");
    await using _bench = bench;
    const removed = { name: "gone", driver: "scratch", options: null, labels: null };
    const { name } = await bench.engine.volumes.create(removed, bench.operation());
    await bench.state.write((transaction) => {
      const volume = transaction.volume(name);
      if (volume === undefined) throw new Error("the volume is there");
      transaction.removeVolume(name);
      transaction.putRetired({ id: idOfTrash, volume, retiredAtMs: Date.now() });
    });
    mkdirSync(join(bench.volumePath("other"), "_data"), { recursive: true });
    const before = rows(bench)[1];
    isDead = true;
    await startsWith(
      bench,
      { unlisted: ["scratch"], adopted: ["other"] },
      { unlisted: ["scratch"] },
    );
    expect(bench.engine.volumes.list({}).map((each) => each.name as string)).toEqual([
      "wiki",
      "other",
    ]);
    // Longer than the purger gathers: what may still lie in its old place keeps its record.
    await new Promise((resolve) => setTimeout(resolve, 60));
    expect(rows(bench)[1]).toEqual(before);
    expect(bench.log).toContainEqual(
      expect.objectContaining({
        level: "error",
        fields: expect.objectContaining({ driver: "scratch" }),
      }),
    );
  });

  test("about one volume leaves that one as it was, and goes on with the rest", async () => {
    let isDead = false;
    const parts: EngineBenchParts = {
      drivers: (bench) => {
        const driver = bench.local();
        const { rebuild } = driver;
        return [
          {
            ...driver,
            rebuild: rebuild && {
              ...rebuild,
              rebuild: (record, operation) =>
                isDead && record.name === "wiki"
                  ? Promise.reject(dead)
                  : rebuild.rebuild(record, operation),
            },
          },
        ];
      },
    };
    const { bench } = await withVolume(parts);
    await using _bench = bench;
    const second = { name: "second", options: null, labels: null };
    await bench.engine.volumes.create(second, bench.operation());
    rmSync(join(bench.root, "volumes"), { recursive: true });
    isDead = true;
    await bench.restart();
    expect(bench.engine.recovery as object).toEqual(
      only({ rebuilt: ["second"], failed: ["wiki"] }),
    );
    isDead = false;
    await startsWith(bench, { rebuilt: ["wiki"] });
  });
});
