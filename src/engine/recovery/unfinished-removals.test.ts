// Removals that a start could not finish: their names stay safe to use, their data stays theirs.
import { expect, test } from "bun:test";
import { existsSync, readdirSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import {
  type EngineBench,
  type EngineBenchParts,
  failureOf,
  startedEngine,
} from "../../../test/support/engine-bench.ts";
import { dead, idOfTrash, retireRow } from "../../../test/support/recovery-bench.ts";
import type { TrashCapable, VolumeDriver } from "../../core/driver.ts";
import { parseHolderId, parseVolumeName } from "../../core/names.ts";

const request = { name: "wiki", options: null, labels: null };

/** A local driver whose renames or whose listing can be made to fail. */
function fragile(faults: { retire: boolean; list: boolean }): EngineBenchParts {
  const around = (driver: VolumeDriver): VolumeDriver => {
    const trash: TrashCapable | undefined = driver.trash && {
      ...driver.trash,
      retire: (name, retirement, operation) =>
        faults.retire
          ? Promise.reject(dead)
          : (driver.trash?.retire(name, retirement, operation) ?? Promise.resolve()),
    };
    return {
      ...driver,
      trash,
      async *list(operation) {
        if (faults.list) throw dead;
        yield* driver.list(operation);
      },
    };
  };
  return { drivers: (bench) => [around(bench.local())] };
}

/** The removal of `wiki` is acknowledged, and a power cut has undone the rename. */
async function halfRemoved(parts: EngineBenchParts): Promise<EngineBench> {
  const bench = await startedEngine(parts);
  const entry = await bench.engine.volumes.create(request, bench.operation());
  writeFileSync(join(entry.mountpoint, "old"), "of the removed volume");
  await retireRow(bench, entry);
  return bench;
}

for (const fault of ["retire", "list"] as const) {
  test(`a new volume of the name starts empty and keeps its data (${fault} failed)`, async () => {
    const faults = { retire: false, list: false };
    await using bench = await halfRemoved(fragile(faults));
    faults[fault] = true;
    await bench.restart();
    faults[fault] = false;
    const entry = await bench.engine.volumes.create(request, bench.operation());
    expect(readdirSync(entry.mountpoint)).toEqual([]);
    await bench.engine.volumes.mount("wiki", parseHolderId("c1"), bench.operation());
    writeFileSync(join(entry.mountpoint, "new"), "acknowledged");
    await bench.purged();
    await bench.restart();
    await bench.purged();
    expect(readdirSync(entry.mountpoint)).toEqual(["new"]);
    expect(bench.engine.recovery).toMatchObject({ retired: [], missing: [], failed: [] });
  });
}

test("while it cannot be finished the name is refused, with what storage says", async () => {
  const faults = { retire: false, list: false };
  await using bench = await halfRemoved(fragile(faults));
  faults.retire = true;
  await bench.restart();
  expect(await failureOf(bench.engine.volumes.create(request, bench.operation()))).toBe(dead);
  expect(bench.engine.volumes.list({})).toEqual([]);
  expect(existsSync(join(bench.volumePath("wiki"), "_data", "old"))).toBe(true);
  const other = { ...request, name: "other" };
  expect((await bench.engine.volumes.create(other, bench.operation())).name).toBe(
    parseVolumeName("other"),
  );
});

test("data that a volume has used since is never taken for a removed one's", async () => {
  await using bench = await halfRemoved({});
  // As an older Holdfast would have left it: the directory was taken over and used.
  await bench.state.write((transaction) => {
    const retired = [...transaction.retired()][0]?.volume;
    if (retired === undefined) throw new Error("nothing is retired");
    transaction.putVolume({ ...retired, usedAtMs: 1 });
  });
  await bench.restart();
  await bench.purged();
  expect(readdirSync(join(bench.volumePath("wiki"), "_data"))).toEqual(["old"]);
  expect(bench.engine.recovery).toMatchObject({ retired: [], missing: [] });
});

test("what somebody has moved back out of the trash is a volume again", async () => {
  await using bench = await startedEngine();
  const entry = await bench.engine.volumes.create(request, bench.operation());
  writeFileSync(join(entry.mountpoint, "file"), "precious");
  await retireRow(bench, entry);
  // The daemon was killed in the moment between the rename and the purge.
  renameSync(bench.volumePath("wiki"), join(bench.root, "trash", idOfTrash));
  await Bun.sleep(50); // The kernel's time stamps are coarse, and this one must be a later one.
  renameSync(join(bench.root, "trash", idOfTrash), bench.volumePath("wiki"));
  for (const life of [1, 2]) {
    await bench.restart();
    await bench.purged();
    const file = join(bench.engine.volumes.inspect("wiki").mountpoint, "file");
    expect({ life, isThere: existsSync(file) }).toEqual({ life, isThere: true });
  }
  expect(bench.log).toContainEqual(expect.objectContaining({ level: "warn" }));
});
