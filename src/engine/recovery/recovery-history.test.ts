// A lost history: what lies in the trash brings its own along, once.
import { expect, test } from "bun:test";
import { names } from "../../../test/support/engine-bench.ts";
import { trashBench } from "../../../test/support/trash-bench.ts";
import type { StateOrigin } from "../../core/state-store.ts";

const salvaged: StateOrigin = {
  kind: "salvaged",
  reason: "state.db is missing",
  copiedAtMs: 7,
  damagedPath: null,
};

test("comes back from beside the data in the order of time, and only when it is lost", async () => {
  let lostUntil: number | undefined;
  await using bench = await trashBench({
    state: (state) =>
      lostUntil === undefined
        ? state
        : {
            ...state,
            origin: salvaged,
            history: (query) => state.history({ after: lostUntil ?? 0, ...query }),
          },
  });
  for (const name of ["first", "second"]) {
    bench.pass(1_000);
    const { id } = await bench.removed(name);
    const entry = bench.engine.engine.trash.find(id);
    await bench.engine.engine.trash.protect(
      id,
      `of ${entry.volume.name}`,
      bench.engine.operation(),
    );
  }
  const actions = (): readonly string[] =>
    bench.engine.engine.history
      .all({ countMax: 100 })
      .entries.map(({ action, volume }) => `${action} ${volume}`);
  const before = actions();
  expect(before).toHaveLength(6);

  await bench.engine.restart();
  expect(actions()).toEqual(before);

  lostUntil = bench.engine.engine.history.newest;
  await bench.engine.restart();
  expect(actions()).toEqual(["remove second", "create second", "remove first", "create first"]);
  expect(names(bench.engine)).toEqual([]);
});
