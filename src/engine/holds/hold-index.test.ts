// Holds by group and by path: as they change, and after they have gone.
import { expect, test } from "bun:test";
import { startedEngine } from "../../../test/support/engine-bench.ts";
import { parseHolderId, parseVolumeName } from "../../core/names.ts";
import { HoldIndex } from "./hold-index.ts";
import { HoldSettler } from "./hold-settler.ts";
import { type Hold, newHold } from "./hold-table.ts";

const podman = "2f73349cfc4630255319c6c8dfc1b46a8996ace9d14d8e07563b165915918ec2";

function hold(volume: string, groups: Partial<Hold>, holder = "h"): Hold {
  const name = { volume: parseVolumeName(volume), holder: parseHolderId(holder) };
  const made = newHold({ ...name, path: `/holds/${volume}`, sinceMs: 0 }, { monotonicMs: 0 });
  return Object.assign(made, groups);
}

test("a hold is found by all its groups, and by none that it had before", () => {
  const index = new HoldIndex();
  const web = hold("web", { group: 7, lowerGroups: [5, 6] });
  index.note(web);
  index.note(hold("db", { group: null }));
  expect([5, 6, 7].map((group) => index.ofGroup(group))).toEqual([web, web, web]);
  expect(index.atPath("/holds/web")).toBe(web);
  index.note(Object.assign(web, { group: 8, lowerGroups: [7] }));
  expect([5, 6, 7, 8].map((group) => index.ofGroup(group)?.volume)).toEqual([
    ...[undefined, undefined],
    ...[web.volume, web.volume],
  ]);
  // The kernel has given the number to another one.
  const other = hold("other", { group: 7 });
  index.note(other);
  index.forget(web);
  expect([index.ofGroup(7), index.ofGroup(8), index.atPath("/holds/web")]).toEqual([
    ...[other, undefined, undefined],
  ]);
});

test("it is known whether Podman has any", () => {
  const index = new HoldIndex();
  const own = hold("web", { group: 7 }, podman);
  index.note(own);
  index.note(own);
  expect(index.hasPodmans).toBe(true);
  index.forget(own);
  index.forget(own);
  expect(index.hasPodmans).toBe(false);
});

test("the settler's is right after each change of a hold's groups", async () => {
  await using bench = await startedEngine();
  const { state, host, engine } = bench;
  const settler = new HoldSettler({
    ...{ state, host, lists: engine.lists, graces: { startMs: 60_000, copyMs: 60_000 } },
    drivers: { isOfPlugin: () => false, isReady: () => true },
    ...{ operation: () => bench.operation(), volumes: () => engine.volumes },
  });
  const web = hold("web", {});
  // As a Mount does it: what is bound is nobody's yet.
  settler.regroup(web, { group: 7, lowerGroups: [] });
  expect([web.group, settler.index.ofGroup(7)]).toEqual([7, undefined]);
  settler.add(web);
  expect(settler.index.ofGroup(7)).toBe(web);
  settler.regroup(web, { group: 8, lowerGroups: [7] });
  expect([settler.index.ofGroup(7), settler.index.ofGroup(8)]).toEqual([web, web]);
  settler.regroup(web, { group: null, lowerGroups: [] });
  expect([settler.index.ofGroup(7), settler.index.ofGroup(8)]).toEqual([undefined, undefined]);
  await settler.finish(bench.operation());
});
