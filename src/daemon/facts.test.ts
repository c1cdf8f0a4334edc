// Facts: sentences about what the start found, one for each finding, and none without.
import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { nothingFound } from "../../test/support/recovery-bench.ts";
import { makeTrashId, parseDriverName, parseVolumeName } from "../core/names.ts";
import type { StateOrigin } from "../core/state-store.ts";
import type { RecoveryReport } from "../engine/recovery/recovery-stage.ts";
import { gatherFacts } from "./facts.ts";

const root = mkdtempSync("/dev/shm/holdfast-facts-");
afterAll(() => rmSync(root, { recursive: true, force: true }));

const places = { root, secretKey: `${root}.key`, pluginSocket: null, lockDirectory: null };

function warnings(origin: StateOrigin, found: Partial<RecoveryReport> = {}): readonly string[] {
  const recovery = { ...nothingFound, ...found };
  return gatherFacts({ places, id: "id", origin, recovery }).warnings;
}

test("a quiet start warns of nothing, whatever was healed", () => {
  const wiki = parseVolumeName("wiki");
  expect(warnings({ kind: "opened" })).toEqual([]);
  const healed = { adopted: [wiki], rebuilt: [wiki], retired: [wiki], forgotten: [wiki] };
  expect(warnings({ kind: "created" }, { ...healed, restored: [wiki], renamed: [wiki] })).toEqual(
    [],
  );
});

test("what somebody must look at is a sentence with its names", () => {
  const aa = parseVolumeName("aa");
  const found = {
    trashFound: [makeTrashId("fedcba9876543210")],
    strays: [makeTrashId("0123456789abcdef")],
    unlisted: [parseDriverName("nfs")],
    failed: [aa],
  };
  const sentences = warnings({ kind: "opened" }, found);
  expect(sentences).toEqual([
    "These drivers could not list their volumes: nfs.",
    "Their storage failed at the start, see the log: aa.",
    "Found in the trash without a record, and can be restored: t-fedcba9876543210.",
    "In the trash without a record, kept: t-0123456789abcdef.",
  ]);
});

test("what was removed since the copy is counted and named", () => {
  const origin = { kind: "salvaged", reason: "x", copiedAtMs: 0, damagedPath: null } as const;
  const many = Array.from({ length: 22 }, (_, index) => parseVolumeName(`v${index + 10}`));
  const gone = [parseVolumeName("gone")];
  const time = "1970-01-01T00:00:00.000Z";
  expect(warnings(origin, { rebuilt: many, missing: gone, leftRemoved: gone }).slice(1)).toEqual([
    `23 of the volumes of ${time} were not whole: 22 were made again, empty (` +
      `${many.slice(0, 20).join(", ")} and 2 more), 1 is missing (gone). They may have been ` +
      "removed since: if so, remove them again.",
    `1 of the volumes of ${time} was removed since, and what is left in the trash is kept: gone.`,
  ]);
  expect(warnings({ ...origin, copiedAtMs: null }, { missing: gone })).toHaveLength(1);
});

test("a state that was brought back says why, how old it is and where the damaged one lies", () => {
  const origin = {
    kind: "salvaged",
    reason: "state.db is damaged:\n  row 7",
    copiedAtMs: Date.UTC(2026, 9, 15),
    damagedPath: "/r/state.db.damaged-1",
  } as const;
  expect(warnings(origin)).toEqual([
    "The state was lost or damaged, state.db is damaged:; row 7 (kept as /r/state.db.damaged-1); " +
      "labels, notes, protection, aliases are those of 2026-10-15T00:00:00.000Z.",
  ]);
  expect(warnings({ ...origin, copiedAtMs: null, damagedPath: null })[0]).toEndWith(
    "no copy of it could be read: labels are lost.",
  );
});
