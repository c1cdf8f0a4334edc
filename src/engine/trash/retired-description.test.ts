// The description beside removed data: what is written is read again, and nothing else is.
import { expect, test } from "bun:test";
import fc from "fast-check";
import { volumeRow } from "../../../test/support/trash-bench.ts";
import { RETIRED_DESCRIPTION_BYTES_MAX } from "../../core/driver.ts";
import { errorTable } from "../../core/error-table.ts";
import { makeOperationId, makeTrashId, parseHolderId, parseVolumeName } from "../../core/names.ts";
import { type HistoryEntry, historyActions, type RetiredEntry } from "../../core/state-store.ts";
import {
  DESCRIBED_HISTORY_COUNT_MAX,
  type DescribedRetired,
  describeRetired,
  parseRetired,
} from "./retired-description.ts";

const name = fc.stringMatching(/^[a-zA-Z0-9][a-zA-Z0-9_.-]{1,30}$/).map(parseVolumeName);
const line = fc.string({ unit: "binary", maxLength: 300 });
const atMs = fc.oneof(fc.nat(), fc.double({ min: 0, max: 4e12, noNaN: true }));
const labels = fc.option(fc.dictionary(fc.string(), fc.string()));
const hex16 = fc.stringMatching(/^[0-9a-f]{16}$/);
const codes = Object.keys(errorTable) as (keyof typeof errorTable)[]; // Keys of a literal.

const volume = fc
  .record({
    name,
    labels,
    options: labels,
    createdAtMs: atMs,
    origin: fc.constantFrom("made", "adopted"),
    mountpoint: fc.string(),
    identity: fc.string(),
    usedAtMs: fc.option(atMs),
    lastUse: fc.option(fc.record({ atMs, holder: fc.string() })),
    note: fc.option(line),
    protection: fc.option(fc.record({ reason: line, sinceMs: atMs, by: fc.string() })),
  })
  .map((more) => volumeRow("any", more));

const entry: fc.Arbitrary<RetiredEntry> = fc.record({
  id: hex16.map(makeTrashId),
  volume,
  phase: fc.constantFrom("kept", "purging"),
  retiredAtMs: atMs,
  removedBy: fc.string(),
  purgeAtMs: fc.option(atMs),
  sizeBytes: fc.option(fc.nat()),
  aliases: fc.array(name, { maxLength: 3 }),
});

const change: fc.Arbitrary<HistoryEntry> = fc.record({
  atMs,
  action: fc.constantFrom(...historyActions),
  volume: name,
  driver: fc.constant(volumeRow("any").driver),
  caller: fc.oneof(
    fc.constant({ kind: "system" } as const),
    fc.record({ kind: fc.constant("process"), uid: fc.nat(), gid: fc.nat(), pid: fc.nat() }),
  ),
  by: fc.string(),
  subject: line,
  outcome: fc.constantFrom("done", ...codes),
  operation: fc.string().map(makeOperationId),
});

const described = fc.record({ entry, history: fc.array(change, { maxLength: 5 }) });

test("what is written is read again", () => {
  fc.assert(
    fc.property(described, (wanted) => {
      const text = describeRetired(wanted);
      expect(parseRetired(text)).toEqual(JSON.parse(JSON.stringify(wanted)));
    }),
  );
});

/** Every value in the JSON, by the path that leads to it. */
function paths(value: unknown, path: readonly string[] = []): readonly (readonly string[])[] {
  if (typeof value !== "object" || value === null) return [path];
  const below = Object.entries(value).flatMap(([key, each]) => paths(each, [...path, key]));
  return path.length === 0 ? below : [path, ...below];
}

/** The text with the value at the path taken away, or replaced. */
function changed(text: string, path: readonly string[], value?: unknown): string {
  const whole: unknown = JSON.parse(text);
  let place = whole as Record<string, unknown>; // Only objects have paths below them.
  for (const key of path.slice(0, -1)) place = place[key] as Record<string, unknown>;
  const last = path.at(-1) ?? "";
  if (value === undefined) delete place[last];
  else place[last] = value;
  return JSON.stringify(whole);
}

const sample: DescribedRetired = {
  entry: {
    ...{ id: makeTrashId("0123456789abcdef"), phase: "kept", retiredAtMs: 5, removedBy: "dockerd" },
    ...{ purgeAtMs: 7, sizeBytes: 9, aliases: [parseVolumeName("docs")] },
    volume: volumeRow("wiki", {
      lastUse: { atMs: 3, holder: parseHolderId("db") },
      protection: { reason: "prod", sinceMs: 4, by: "holdfast" },
    }),
  },
  history: [
    {
      ...{ atMs: 5, action: "remove", volume: parseVolumeName("wiki"), by: "dockerd" },
      driver: volumeRow("wiki").driver,
      caller: { kind: "process", uid: 0, gid: 0, pid: 1 },
      ...{ subject: "t-0123456789abcdef", outcome: "done", operation: makeOperationId("op") },
    },
  ],
};

test("with one member less, or of another kind, it is not ours", () => {
  const text = describeRetired(sample);
  expect(parseRetired(text)).toEqual(sample);
  for (const path of paths(JSON.parse(text))) {
    // A list with one element less is a list.
    if (path.length === 2 && path[0] === "history") continue;
    expect({ path, read: parseRetired(changed(text, path)) }).toEqual({ path, read: undefined });
    const other = { path, read: parseRetired(changed(text, path, { other: [] })) };
    expect(other).toEqual({ path, read: undefined });
  }
});

test("with one member more, it is not ours", () => {
  const text = describeRetired(sample);
  for (const path of [["more"], ["entry", "more"], ["entry", "volume", "more"]]) {
    expect(parseRetired(changed(text, path, 1))).toBeUndefined();
  }
});

test("no other text is read", () => {
  const text = describeRetired(sample);
  const bad = ["", "null", "[]", "{}", "0", text.slice(0, -1), `${text}x`, text.toUpperCase()];
  for (const each of bad) expect(parseRetired(each)).toBeUndefined();
  expect(parseRetired(changed(text, ["version"], 2))).toBeUndefined();
  expect(parseRetired(changed(text, ["entry", "volume", "name"], "../etc"))).toBeUndefined();
  expect(parseRetired(changed(text, ["entry", "id"], "t-1"))).toBeUndefined();
  expect(parseRetired(changed(text, ["entry", "aliases", "0"], "../etc"))).toBeUndefined();
  const aliases = Array.from({ length: 1_001 }, (_, index) => `docs-${index}`);
  expect(parseRetired(changed(text, ["entry", "aliases"], aliases.slice(1)))).toBeDefined();
  expect(parseRetired(changed(text, ["entry", "aliases"], aliases))).toBeUndefined();
  // What a state does not take, or no clock shows, must not keep a start from going on.
  for (const size of [-1, 0.5, 1e17]) {
    expect(parseRetired(changed(text, ["entry", "sizeBytes"], size))).toBeUndefined();
  }
  for (const path of [
    ["entry", "retiredAtMs"],
    ["entry", "purgeAtMs"],
    ["history", "0", "atMs"],
  ]) {
    expect(parseRetired(changed(text, path, 1e16))).toBeUndefined();
  }
  expect(parseRetired(changed(text, ["history", "0", "action"], "explode"))).toBeUndefined();
  expect(parseRetired(changed(text, ["history", "0", "outcome"], "toString"))).toBeUndefined();
  fc.assert(fc.property(fc.json(), (json) => expect(parseRetired(json)).toBeUndefined()));
});

test("it never is longer than a driver takes: of the history the newest stay", () => {
  const [row] = sample.history;
  if (row === undefined) throw new Error("the sample has a change");
  const large = { ...row, subject: "\u0001".repeat(1_000), by: "\u0001".repeat(8_000) };
  const history = Array.from({ length: 300 }, (_, index) => ({ ...large, atMs: index }));
  const text = describeRetired({ ...sample, history });
  expect(Buffer.byteLength(text)).toBeLessThanOrEqual(RETIRED_DESCRIPTION_BYTES_MAX);
  const read = parseRetired(text);
  expect(read?.history.length).toBeGreaterThan(0);
  expect(read?.history.map((each) => each.atMs)).toEqual(
    history.slice(0, read?.history.length).map((each) => each.atMs),
  );
  const short = Array.from({ length: 300 }, () => row);
  const both = parseRetired(describeRetired({ ...sample, history: short }));
  expect(both?.history).toHaveLength(DESCRIBED_HISTORY_COUNT_MAX);
});
