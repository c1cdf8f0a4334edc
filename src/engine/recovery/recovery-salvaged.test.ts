// Recovery after a lost state: rows of an older copy do not bring back what was removed since.
import { expect, test } from "bun:test";
import { existsSync, rmSync } from "node:fs";
import { join } from "node:path";
import {
  create,
  type EngineBench,
  named,
  names,
  startedEngine,
} from "../../../test/support/engine-bench.ts";
import { idOfTrash, only } from "../../../test/support/recovery-bench.ts";
import { parseHolderId } from "../../core/names.ts";
import type { StateOrigin } from "../../core/state-store.ts";

const salvaged: StateOrigin = {
  kind: "salvaged",
  reason: "state.db is missing",
  copiedAtMs: 7,
  damagedPath: null,
};

/** The volumes `used` and `gone`, and every later start has its rows from a copy. */
async function withVolumes(): Promise<EngineBench> {
  let isLater = false;
  const bench = await startedEngine({
    state: (state) => (isLater ? { ...state, origin: salvaged } : state),
  });
  isLater = true;
  for (const name of ["used", "gone"]) await create(bench, named(name));
  const holder = parseHolderId("c1");
  await bench.engine.volumes.mount("used", holder, bench.operation());
  await bench.engine.volumes.unmount("used", holder, bench.operation());
  return bench;
}

test("what lies in the trash was removed: it stays removed, and its data is kept", async () => {
  await using bench = await withVolumes();
  const { name } = bench.engine.volumes.inspect("used");
  await bench.local().trash?.retire(name, { id: idOfTrash, description: "" }, bench.operation());
  await bench.restart();
  expect(bench.engine.recovery as object).toEqual(
    only({ leftRemoved: ["used"], strays: [idOfTrash] }),
  );
  expect(names(bench)).toEqual(["gone"]);
  expect(bench.state.history({ order: "newest first", countMax: 1 }).entries).toMatchObject([
    { action: "remove", volume: "used", caller: { kind: "system" } },
  ]);
  expect(existsSync(join(bench.root, "trash", idOfTrash))).toBe(true);
  await bench.restart();
  expect(bench.engine.recovery as object).toEqual(only({ strays: [idOfTrash] }));
});

test("what has left nothing behind is made again or missing, and both are reported", async () => {
  await using bench = await withVolumes();
  for (const name of ["used", "gone"]) rmSync(bench.volumePath(name), { recursive: true });
  await bench.restart();
  expect(bench.engine.recovery as object).toEqual(only({ rebuilt: ["gone"], missing: ["used"] }));
});
