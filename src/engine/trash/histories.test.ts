// The history of removed volumes: each gets what happened to it, and nothing of its namesakes.
import { expect, test } from "bun:test";
import { testOperation } from "../../../test/support/operation.ts";
import { retiredRow } from "../../../test/support/recovery-bench.ts";
import { openIn, temporaryDirectory } from "../../../test/support/state-bench.ts";
import { volumeRow } from "../../../test/support/trash-bench.ts";
import { makeTrashId, type TrashId } from "../../core/names.ts";
import type { HistoryAction, RetiredEntry, StateStore } from "../../core/state-store.ts";
import { historyEntry } from "../history-entry.ts";
import { historiesOf } from "./histories.ts";

/** `wiki create`, `wiki remove a`: one change a line, oldest first. */
async function write(state: StateStore, lines: readonly string[]): Promise<void> {
  let nowMs = 1;
  for (const line of lines) {
    const [name = "", action = "", subject = ""] = line.split(" ");
    const isRemoval = /^[a-f]$/.test(subject);
    const host = { nowMs: () => nowMs, programOf: () => "test" };
    await state.write((transaction) => {
      const change = {
        action: action as HistoryAction, // The test's own words.
        entry: volumeRow(name),
        subject: isRemoval ? id(subject) : subject,
      };
      transaction.addHistory(historyEntry(host, change, testOperation()));
    });
    nowMs += 1;
  }
}

function id(letter: string): TrashId {
  return makeTrashId(letter.repeat(16));
}

function removed(name: string, letter: string, createdAtMs = 1): RetiredEntry {
  return retiredRow(volumeRow(name, { createdAtMs }), { id: id(letter) });
}

/** What is found of each, as it was written, newest first. */
async function found(
  lines: readonly string[],
  entries: readonly RetiredEntry[],
): Promise<readonly (readonly string[])[]> {
  using directory = temporaryDirectory();
  const state = openIn(directory.path);
  await write(state, lines);
  const histories = await historiesOf(state, entries);
  await state.close();
  return entries.map((entry) =>
    (histories.get(entry.id) ?? []).map(({ atMs }) => lines[atMs - 1] ?? ""),
  );
}

test("goes from the removal back to the creation", async () => {
  const lines = [
    "wiki create",
    "wiki remove a",
    "wiki create",
    "other create",
    "wiki mount c1",
    "wiki remove b",
    "wiki create",
    "wiki mount c2",
  ];
  expect(await found(lines, [removed("wiki", "b"), removed("wiki", "a")])).toEqual([
    ["wiki remove b", "wiki mount c1", "wiki create"],
    ["wiki remove a", "wiki create"],
  ]);
});

test("follows renames and restores, whatever else had the names", async () => {
  const lines = [
    "wiki create",
    "wiki mount c1",
    "wiki remove a",
    "wiki create",
    "wiki mount c2",
    "docs restore a",
    "new rename docs",
    "docs create",
    "new prune b",
  ];
  expect(await found(lines, [removed("new", "b")])).toEqual([
    [
      "new prune b",
      "new rename docs",
      "docs restore a",
      "wiki remove a",
      "wiki mount c1",
      "wiki create",
    ],
  ]);
});

test("has what was tried with it since, and nothing of a newer volume of its name", async () => {
  const lines = ["wiki create", "wiki remove a", "wiki create", "wiki mount c1", "wiki purge a"];
  expect(await found(lines, [removed("wiki", "a")])).toEqual([
    ["wiki purge a", "wiki remove a", "wiki create"],
  ]);
});

test("is 100 changes at most, the newest, and reads no further than it must", async () => {
  const lines = [
    ...Array.from({ length: 1_200 }, (_, index) => `other-${index} create`),
    "wiki create",
    ...Array.from({ length: 150 }, (_, index) => `wiki mount m${index}`),
    "wiki remove a",
  ];
  using directory = temporaryDirectory();
  const state = openIn(directory.path);
  await write(state, lines);
  let pageCount = 0;
  const counted: Pick<StateStore, "history"> = {
    history(query) {
      pageCount += 1;
      return state.history(query);
    },
  };
  const [history = []] = (await historiesOf(counted, [removed("wiki", "a")])).values();
  expect(history.map(({ atMs }) => lines[atMs - 1])).toEqual(lines.toReversed().slice(0, 100));
  expect(pageCount).toBe(1);
  // One that the history does not know any more is looked for as far back as it was made.
  pageCount = 0;
  const [nothing] = (await historiesOf(counted, [removed("gone", "b", 1_300)])).values();
  expect([nothing, pageCount]).toEqual([[], 1]);
  await state.close();
});
