// Recovery over drivers that cannot tell: nothing of theirs changes, and the others are served.
import { describe, expect, test } from "bun:test";
import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { eventually } from "../../../test/support/child.ts";
import type { EngineBench, EngineBenchParts } from "../../../test/support/engine-bench.ts";
import {
  bracketed,
  dead,
  only,
  retiredRow,
  startsWith,
  withVolume,
} from "../../../test/support/recovery-bench.ts";

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
      transaction.putRetired(retiredRow(volume));
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
    // What may still lie in its old place keeps its record, when one removed after it is purged.
    const later = { name: "later", driver: "local", options: null, labels: null };
    await bench.engine.volumes.create(later, bench.operation());
    await bench.engine.volumes.remove("later", bench.operation());
    const isLeft = () =>
      bench.state.read((view) => [...view.retired()].some((each) => each.volume.name === "later"));
    await eventually(() => (isLeft() ? undefined : true), {
      timeoutMs: 5_000,
      otherwise: () => "what was removed later should be purged",
    });
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
