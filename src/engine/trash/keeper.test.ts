// What the trash does by itself: sizes, descriptions, expiry and room; and what it never does.
import { describe, expect, test } from "bun:test";
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { changedTrash, type EngineBenchParts } from "../../../test/support/engine-bench.ts";
import { dead } from "../../../test/support/recovery-bench.ts";
import { type TrashBench, trashBench } from "../../../test/support/trash-bench.ts";
import type { TrashSpace } from "../../core/driver.ts";
import { EngineError } from "../../core/errors.ts";
import { parseHolderId, type TrashId } from "../../core/names.ts";
import { trashDefaults } from "./policy.ts";

const SECOND_MS = 1_000;
const DAY_MS = 86_400_000;
const BOOT_MS = 600_000;

/** Lets the keeper look, and waits until all sizes are known. */
async function measured(bench: TrashBench): Promise<void> {
  bench.pass(2 * SECOND_MS);
  const { trash } = bench.engine.engine;
  await bench.until("all should be measured", () => trash.totals().unmeasuredCount === 0);
}

async function gone(bench: TrashBench, id: TrashId): Promise<void> {
  await bench.until(`${id} should be gone`, () => bench.row(id) === undefined);
}

/** Looks again and again. */
async function looks(bench: TrashBench, count = 3): Promise<void> {
  for (let index = 0; index < count; index++) {
    bench.pass(30 * SECOND_MS);
    await turns();
  }
}

/** A look is a few commits and calls of a driver on memory. */
async function turns(): Promise<void> {
  for (let turn = 0; turn < 50; turn++) await new Promise((resolve) => setImmediate(resolve));
}

/** Of whose file system a test says how full it is. */
function onDisk(space: TrashSpace, parts: EngineBenchParts = {}): EngineBenchParts {
  return { ...changedTrash(() => ({ space: async () => space })), ...parts };
}

/** Removed one after the other, with files of so many bytes. */
async function removedWith(bench: TrashBench, sizes: Readonly<Record<string, number>>) {
  const ids: TrashId[] = [];
  for (const [name, bytes] of Object.entries(sizes)) {
    const { mountpoint } = await bench.filled(name);
    writeFileSync(join(mountpoint, "file"), "x".repeat(bytes));
    await bench.remove(name);
    bench.engine.nowMs += 1;
    ids.push(bench.engine.engine.trash.find(name).id);
  }
  return ids;
}

describe("in the background", () => {
  test("sizes are measured, and all that is known is written beside the data", async () => {
    await using bench = await trashBench();
    await bench.filled("wiki");
    const holder = parseHolderId("c1");
    const { volumes, trash } = bench.engine.engine;
    await volumes.mount("wiki", holder, bench.engine.operation());
    await volumes.unmount("wiki", holder, bench.engine.operation());
    await bench.remove("wiki");
    const { id } = trash.find("wiki");
    await measured(bench);
    expect(bench.row(id)?.sizeBytes).toBe(4);
    const described = await bench.described(id);
    expect(described?.entry).toEqual(trash.find(id));
    const told = described?.history.map(({ action }) => action);
    expect(told).toEqual(["remove", "unmount", "mount", "create"]);
    expect(trash.totals()).toMatchObject({ knownBytes: 4, unmeasuredCount: 0 });
  });

  test("what a life did not measure, the next one does", async () => {
    await using bench = await trashBench();
    const { id } = await bench.removed("wiki");
    await bench.engine.restart();
    await measured(bench);
    expect(bench.row(id)?.sizeBytes).toBe(4);
  });

  test("what cannot be measured is described all the same, once", async () => {
    let count = 0;
    await using bench = await trashBench(
      changedTrash(() => ({
        async measure() {
          count += 1;
          return { usedBytes: null };
        },
      })),
    );
    const { id } = await bench.removed("wiki");
    bench.pass(2 * SECOND_MS);
    await bench.until("it should be measured", () => count > 0);
    await looks(bench);
    expect(count).toBe(1);
    expect((await bench.described(id))?.history).toHaveLength(2);
    expect(bench.row(id)?.sizeBytes).toBeNull();
  });

  test("one that fails keeps no other, and is told of once", async () => {
    await using bench = await trashBench(
      changedTrash((trash, it) => ({
        async measure(id, operation) {
          const row = it.state.read((view) => view.retiredEntry(id));
          if (row?.volume.name === "bad") throw dead;
          return await trash.measure(id, operation);
        },
      })),
    );
    await bench.removed("bad");
    const { id } = await bench.removed("good");
    bench.pass(2 * SECOND_MS);
    await bench.until("the good one should be measured", () => bench.row(id)?.sizeBytes === 4);
    await looks(bench);
    expect(bench.engine.log).toMatchObject([{ level: "warn", fields: { volume: "bad" } }]);
  });

  test("what was restored meanwhile gets no row", async () => {
    const gate = Promise.withResolvers<void>();
    const started = Promise.withResolvers<void>();
    await using bench = await trashBench(
      changedTrash(() => ({
        async measure() {
          started.resolve();
          await gate.promise;
          return { usedBytes: 4 };
        },
      })),
    );
    const { id } = await bench.removed("wiki");
    bench.pass(2 * SECOND_MS);
    await started.promise;
    await bench.restore(id);
    gate.resolve();
    await looks(bench);
    expect(bench.row(id)).toBeUndefined();
    expect(bench.file("wiki")).toBe("wiki");
  });
});

describe("what has expired", () => {
  test("is purged, and nothing else is", async () => {
    await using bench = await trashBench();
    const short = await bench.removed("short", { options: { trash: "1d" } });
    await bench.removed("long");
    await bench.removed("ever", { options: { reclaim: "retain" } });
    bench.pass(DAY_MS - 1);
    await looks(bench, 1);
    bench.pass(DAY_MS);
    await gone(bench, short.id);
    await looks(bench);
    expect(bench.kept()).toEqual(["long", "ever"]);
    const { entries } = bench.engine.state.history({ order: "newest first", countMax: 1 });
    expect(entries).toMatchObject([{ action: "purge", subject: short.id, by: "holdfast" }]);
    bench.pass(36_500 * DAY_MS);
    await bench.until("the long one should go", () => bench.kept().length === 1);
    await looks(bench);
    expect(bench.kept()).toEqual(["ever"]);
  });

  test("stays for the first ten minutes of a life: the clock may be wrong", async () => {
    await using bench = await trashBench();
    const { id } = await bench.removed("wiki");
    // As after a boot without a network.
    bench.engine.nowMs += 100 * DAY_MS;
    await bench.engine.restart();
    bench.pass(BOOT_MS - 1);
    await turns();
    expect(bench.kept()).toEqual(["wiki"]);
    await looks(bench, 1);
    await gone(bench, id);
  });

  test("stays while it is protected", async () => {
    await using bench = await trashBench();
    const { id } = await bench.removed("wiki");
    const { trash } = bench.engine.engine;
    await trash.protect(id, "prod", bench.engine.operation());
    bench.pass(30 * DAY_MS);
    await looks(bench);
    expect(bench.kept()).toEqual(["wiki"]);
    expect(bench.engine.log).toEqual([]);
    await trash.unprotect(id, bench.engine.operation());
    bench.pass(30 * SECOND_MS);
    await gone(bench, id);
  });

  test("stays while a mount shows it, and can be restored", async () => {
    let isShown = true;
    await using bench = await trashBench(
      changedTrash(() => ({
        async refuseShown() {
          if (isShown) throw new EngineError("volume.in_use", "container 1 still has it");
        },
      })),
    );
    const { id } = await bench.removed("wiki");
    bench.pass(30 * DAY_MS);
    await looks(bench);
    expect(bench.row(id)?.phase).toBe("kept");
    expect(bench.engine.log.filter(({ level }) => level === "warn")).toHaveLength(1);
    isShown = false;
    bench.pass(30 * SECOND_MS);
    await gone(bench, id);
  });
});

describe("room", () => {
  const files = { fileCount: 0, availableFileCount: 0 };
  const roomy = { sizeBytes: 1_000, availableBytes: 900, ...files };

  test("is made when the trash takes more than its budget: the oldest go", async () => {
    await using bench = await trashBench(
      onDisk(roomy, {
        trash: { defaults: trashDefaults, budget: { kind: "percent", percent: 10 } },
      }),
    );
    const [oldest] = await removedWith(bench, { aa: 40, bb: 40, cc: 40 });
    if (oldest === undefined) throw new Error("three were removed");
    bench.pass(2 * SECOND_MS);
    await looks(bench);
    // Somebody may still find out that it was a mistake.
    expect(bench.kept()).toEqual(["aa", "bb", "cc"]);
    bench.pass(BOOT_MS);
    await onlyKept(bench, "bb,cc");
    await gone(bench, oldest);
    await looks(bench);
    expect(bench.kept()).toEqual(["bb", "cc"]);
    expect(bench.engine.engine.trash.totals()).toMatchObject({ budgetBytes: 100, knownBytes: 80 });
    const evicted = bench.engine.events.filter(({ action }) => action === "evict");
    expect(evicted).toMatchObject([{ actor: "aa", attributes: { trash: oldest } }]);
    const { entries } = bench.engine.state.history({ order: "newest first", countMax: 1 });
    expect(entries).toMatchObject([{ action: "evict", volume: "aa", subject: oldest }]);
  });

  test("is made when the disk is nearly full, as long as something is there", async () => {
    const space = { ...roomy, availableBytes: 5 };
    await using bench = await trashBench(onDisk(space));
    await removedWith(bench, { aa: 30, bb: 30 });
    bench.pass(2 * SECOND_MS);
    await onlyKept(bench, "");
  });

  test("is made at once when a removal finds the disk full", async () => {
    const space = { ...roomy };
    let isFull = false;
    await using bench = await trashBench(
      changedTrash((trash) => ({
        space: async () => space,
        retire: (name, retirement, operation) =>
          isFull
            ? Promise.reject(new EngineError("storage.full", "no space left"))
            : trash.retire(name, retirement, operation),
      })),
    );
    const [id] = await removedWith(bench, { aa: 30 });
    if (id === undefined) throw new Error("one was removed");
    await measured(bench);
    await bench.filled("bb");
    isFull = true;
    space.availableBytes = 10;
    await bench.remove("bb").catch(() => undefined);
    bench.pass(0);
    await gone(bench, id);
  });

  test("is waited for, but not for ever", async () => {
    const slow = Promise.withResolvers<void>();
    let isBegun = false;
    await using bench = await trashBench(
      changedTrash((trash) => ({
        async purge(ids, operation) {
          isBegun = true;
          await slow.promise;
          await trash.purge(ids, operation);
        },
      })),
    );
    const { id } = await bench.removed("aa");
    let hasRoom: boolean | undefined;
    const making = bench.engine.engine.trash.makeRoom(bench.engine.operation()).then((made) => {
      hasRoom = made;
    });
    await bench.until("its purge should begin", () => isBegun);
    bench.pass(9 * SECOND_MS);
    await new Promise((resolve) => setImmediate(resolve));
    expect(hasRoom).toBeUndefined();
    bench.pass(SECOND_MS);
    await making;
    expect(hasRoom).toBe(true);
    slow.resolve();
    await gone(bench, id);
  });
});

test("where no driver says how full the disk is, nothing is evicted", async () => {
  await using bench = await trashBench({
    ...changedTrash(() => ({ space: () => Promise.reject(dead) })),
    trash: { defaults: trashDefaults, budget: { kind: "bytes", bytes: 0 } },
  });
  await removedWith(bench, { aa: 1, bb: 1 });
  await looks(bench);
  expect(bench.kept()).toEqual(["aa", "bb"]);
  expect(bench.engine.log[0]).toMatchObject({ level: "warn", fields: { driver: "local" } });
});

test("nothing is done after the stop", async () => {
  await using bench = await trashBench();
  await bench.removed("wiki");
  await bench.engine.engine.stop();
  bench.pass(30 * DAY_MS);
  await looks(bench);
  expect(bench.kept()).toEqual(["wiki"]);
});

test("what has lost its data in the trash is measured as nothing that is known", async () => {
  await using bench = await trashBench();
  const { id } = await bench.removed("wiki");
  rmSync(bench.place(id), { recursive: true });
  bench.pass(2 * SECOND_MS);
  await looks(bench);
  expect(bench.row(id)?.sizeBytes).toBeNull();
});

/** Waits until these can be restored, and no others. */
async function onlyKept(bench: TrashBench, names: string): Promise<void> {
  await bench.until(`${names} should be kept`, () => {
    bench.pass(SECOND_MS);
    return bench.kept().join() === names;
  });
}

test("one look at all mounts is for many, and what is shown keeps no other", async () => {
  const asked: number[] = [];
  let shown: TrashId | undefined;
  await using bench = await trashBench(
    changedTrash(() => ({
      async refuseShown(ids) {
        asked.push(ids.length);
        if (shown === undefined || !ids.includes(shown)) return;
        throw new EngineError("volume.in_use", "container 1 still has it");
      },
    })),
  );
  await removedWith(bench, { aa: 1, bb: 1, cc: 1 });
  await looks(bench);
  bench.pass(30 * DAY_MS);
  await onlyKept(bench, "");
  expect(asked).toEqual([3]);
  asked.length = 0;
  const [, second] = await removedWith(bench, { aa: 1, bb: 1, cc: 1 });
  shown = second;
  bench.pass(30 * DAY_MS);
  await onlyKept(bench, "bb");
  expect(asked.slice(0, 4)).toEqual([3, 1, 1, 1]);
});
