// What is said of something that is not in the trash any more.
import { expect, test } from "bun:test";
import { changedTrash, failureOf } from "../../../test/support/engine-bench.ts";
import { dead } from "../../../test/support/recovery-bench.ts";
import { newest, type TrashBench, trashBench } from "../../../test/support/trash-bench.ts";

function said({ engine }: TrashBench, ref: string): string {
  try {
    return engine.engine.trash.find(ref).id;
  } catch (error) {
    return String(error);
  }
}

test("what was purged or restored is said to be, by name and by id", async () => {
  await using bench = await trashBench();
  expect(said(bench, "wiki")).toEndWith("nothing in the trash is called wiki");
  const { id } = await bench.removed("wiki");
  await bench.restore(id, "wiki-old");
  expect(said(bench, id.slice(0, 5))).toMatch(/: it was restored as wiki-old at 2\S+Z$/);
  await bench.remove("wiki-old");
  const again = bench.engine.engine.trash.find("wiki-old").id;
  await bench.purge(again);
  await bench.engine.engine.trash.purged(again, bench.engine.operation());
  expect(said(bench, again)).toContain(`${again}: it was purged at 2`);
  expect(said(bench, "wiki-old")).toContain("wiki-old: it was purged at 2");
  expect(said(bench, "wik")).toEndWith("nothing in the trash is called wik");
});

test("what was removed for good is said to be, and by whom", async () => {
  await using bench = await trashBench();
  await bench.filled("wiki");
  await bench.remove("wiki", { purge: true });
  await bench.until("it should be purged", () => bench.engine.engine.trash.list().length === 0);
  expect(said(bench, "wiki")).toMatch(/wiki: it was removed for good at 2\S+Z by holdfast$/);
  const id = newest(bench)?.subject ?? "";
  expect(said(bench, id)).toMatch(/: it was removed for good at 2\S+Z by holdfast$/);
  await bench.filled("off", { options: { trash: "off" } });
  await bench.remove("off");
  await bench.until("it should be purged", () => bench.engine.engine.trash.list().length === 0);
  expect(said(bench, "off")).toContain("off: it was removed for good at 2");
});

test("what is under another name is said to be, or nothing is said of it", async () => {
  let isDead = false;
  await using bench = await trashBench(
    changedTrash((trash) => ({
      retire: (name, retirement, operation) =>
        isDead ? Promise.reject(dead) : trash.retire(name, retirement, operation),
    })),
  );
  const { id } = await bench.removed("wiki");
  await bench.restore(id, "other");
  expect(said(bench, "wiki")).toMatch(/wiki: it was restored as other at \S+Z$/);
  isDead = true;
  await bench.filled("stays");
  expect(await failureOf(bench.remove("stays"))).toBe(dead);
  await bench.until("it should be refused", () => newest(bench)?.outcome === "storage.failed");
  expect(said(bench, "stays")).toEndWith("nothing in the trash is called stays");
});

test("what was evicted is said to be", async () => {
  const space = { sizeBytes: 1_000, availableBytes: 5, fileCount: 0, availableFileCount: 0 };
  await using bench = await trashBench(changedTrash(() => ({ space: async () => space })));
  const { id } = await bench.removed("wiki");
  bench.pass(2_000);
  await bench.until("it should be evicted", () => bench.row(id) === undefined);
  expect(said(bench, "wiki")).toMatch(/it was evicted at \S+Z, because space was wanted$/);
  const [line] = bench.engine.log;
  expect(line).toMatchObject({ level: "warn", fields: { names: ["wiki"], availableBytes: 5 } });
});
