// The trash of `local`: out of sight by a rename, back by another, destroyed without following
// links.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  statfsSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { failureOf } from "../../../test/support/engine-bench.ts";
import { as, idOf, type TrashBench, trashBench } from "../../../test/support/local-trash-bench.ts";
import { testOperation } from "../../../test/support/operation.ts";
import { parseVolumeName } from "../../core/names.ts";

const operation = testOperation();
const wiki = parseVolumeName("wiki");
let bench: TrashBench;
let root: string;
beforeEach(() => {
  bench = trashBench();
  ({ root } = bench);
});
afterEach(() => bench.close());

describe("retire and restore", () => {
  test("move the directory as it is, there and back", async () => {
    const { driver, trash } = bench.open();
    const { identity } = await driver.create({ name: wiki, options: { size: "0" } }, operation);
    const file = join(root, "volumes", "wiki", "_data", "file");
    writeFileSync(file, "data");
    await trash.retire(wiki, as(idOf(1)), operation);
    await trash.retire(wiki, as(idOf(1)), operation);
    expect(existsSync(join(root, "volumes", "wiki"))).toBe(false);
    const { description } = as(idOf(1));
    expect(await Array.fromAsync(trash.list(operation))).toEqual([
      { id: idOf(1), identity, description, isPurging: false },
    ]);
    const known = await Array.fromAsync(trash.list(operation, new Set([idOf(1)])));
    expect(known).toEqual([{ id: idOf(1), identity, description: null, isPurging: false }]);
    await trash.restore(idOf(1), wiki, operation);
    await trash.restore(idOf(1), wiki, operation);
    expect(readdirSync(join(root, "volumes", "wiki")).sort()).toEqual(["_data", "opts.json"]);
    expect(readFileSync(file, "utf8")).toBe("data");
    const presence = await driver.get(wiki, operation);
    expect(presence).toMatchObject({ record: { identity, options: { size: "0" } } });
  });

  test("a name that is taken is not restored over", async () => {
    const { driver, trash } = bench.open();
    await driver.create({ name: wiki, options: {} }, operation);
    await trash.retire(wiki, as(idOf(1)), operation);
    await driver.create({ name: wiki, options: {} }, operation);
    const { code } = await failureOf(trash.restore(idOf(1), wiki, operation));
    expect(code).toBe("volume.exists_differently");
    expect(bench.inTrash()).toEqual([idOf(1)]);
  });
});

describe("volumes/ or trash/ swapped for a link while it runs", () => {
  function swap(name: "volumes" | "trash"): string {
    const outside = join(root, "outside");
    renameSync(join(root, name), outside);
    symlinkSync(outside, join(root, name));
    return outside;
  }

  test("a removal moves and deletes nothing there", async () => {
    const { driver, trash } = bench.open();
    await driver.create({ name: wiki, options: {} }, operation);
    const file = join(swap("volumes"), "wiki", "_data", "file");
    writeFileSync(file, "somebody else's");
    const { code } = await failureOf(trash.retire(wiki, as(idOf(1)), operation));
    expect(code).toBe("volume.data_foreign");
    expect(await failureOf(driver.destroy(wiki, operation))).toMatchObject({ code });
    expect(readFileSync(file, "utf8")).toBe("somebody else's");
  });

  test("nothing is moved into a trash that leads elsewhere, or destroyed there", async () => {
    const { driver, trash } = bench.open();
    await driver.create({ name: wiki, options: {} }, operation);
    const ids = [await bench.retired(1), await bench.retired(2, false)];
    const outside = swap("trash");
    const code = "volume.data_foreign";
    expect(await failureOf(trash.retire(wiki, as(idOf(3)), operation))).toMatchObject({ code });
    expect(await failureOf(trash.purge(ids, operation))).toMatchObject({ code });
    const back = trash.restore(idOf(1), parseVolumeName("back"), operation);
    expect(await failureOf(back)).toMatchObject({ code });
    expect(readdirSync(outside).sort()).toEqual([...ids]);
    expect(readdirSync(join(root, "volumes"))).toEqual(["wiki"]);
  });
});

test("what is not there cannot be restored, and nothing is made of it", async () => {
  const { code } = await failureOf(bench.open().trash.restore(idOf(9), wiki, operation));
  expect(code).toBe("trash.not_found");
  expect(readdirSync(join(root, "volumes"))).toEqual([]);
});

test("what is half destroyed is not restored, also where the name is taken", async () => {
  const { driver, trash } = bench.open();
  const id = await bench.retired(1);
  renameSync(join(root, "trash", id), join(root, "trash", `${id}.purging`));
  expect(await failureOf(trash.restore(id, wiki, operation))).toMatchObject({
    code: "trash.purging",
  });
  await driver.create({ name: wiki, options: {} }, operation);
  expect(await failureOf(trash.restore(id, wiki, operation))).toMatchObject({
    code: "trash.purging",
  });
  expect(bench.inTrash()).toEqual([`${id}.purging`]);
});

test("the list leaves out what is no removed volume", async () => {
  const id = await bench.retired(1);
  writeFileSync(join(root, "trash", "notes"), "");
  writeFileSync(join(root, "trash", idOf(2)), "");
  symlinkSync("/etc", join(root, "trash", idOf(3)));
  const listed = await Array.fromAsync(bench.open().trash.list(operation));
  expect(listed.map((each) => each.id)).toEqual([id]);
});

test("the list says what is being purged, and of two of one id the whole one", async () => {
  await bench.retired(1);
  await bench.retired(2);
  renameSync(join(root, "trash", idOf(1)), join(root, "trash", `${idOf(1)}.purging`));
  mkdirSync(join(root, "trash", `${idOf(2)}.purging`));
  const listed = await Array.fromAsync(bench.open().trash.list(operation));
  expect(listed.map(({ id, isPurging }) => [id, isPurging]).sort()).toEqual([
    [idOf(1), true],
    [idOf(2), false],
  ]);
});

describe("sizes", () => {
  test("of what lies in the trash, as of volumes; of what does not, none", async () => {
    const id = await bench.retired(1);
    // What a purge frees: a hole is nothing.
    const hole = join(root, "trash", id, "_data", "hole");
    writeFileSync(hole, "");
    truncateSync(hole, 2 ** 30);
    const { driver, trash } = bench.open();
    expect(await trash.measure(id, operation)).toEqual({ usedBytes: 4 });
    expect(await trash.measure(idOf(9), operation)).toEqual({ usedBytes: null });
    const options = { type: "tmpfs", device: "tmpfs" };
    await driver.create({ name: wiki, options }, operation);
    await trash.retire(wiki, as(idOf(2)), operation);
    expect(await trash.measure(idOf(2), operation)).toEqual({ usedBytes: null });
  });

  test("of the file system are df's", async () => {
    const { bsize, blocks } = statfsSync(root);
    const { sizeBytes, availableBytes } = await bench.open().trash.space(operation);
    expect(sizeBytes).toBe(bsize * blocks);
    expect(availableBytes).toBeGreaterThan(0);
    expect(availableBytes).toBeLessThanOrEqual(sizeBytes);
  });
});
