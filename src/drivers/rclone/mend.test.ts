// What is made of files that rclone has in part: written bytes stay, the rest is the server's.
import { afterEach, expect, test } from "bun:test";
import {
  closeSync,
  ftruncateSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { testOperation } from "../../../test/support/operation.ts";
import { EngineError } from "../../core/errors.ts";
import { dataSpans } from "../../host/data-spans.ts";
import { unsavedIn } from "./cache.ts";
import { mendCache } from "./mend.ts";
import type { Originals } from "./originals.ts";
import { gaps, united } from "./spans.ts";

const MEGABYTE = 1_000_000;
const keep = mkdtempSync(join(tmpdir(), "holdfast-mend-"));
afterEach(() => rmSync(keep, { recursive: true, force: true }));

const place = { keepDirectory: keep, host: { dataSpans } };

const original = Buffer.alloc(MEGABYTE, "A");
const ask = async () => ({ size: MEGABYTE, changedMs: 0 });
const originals: Originals = {
  ask,
  async fetch(_path, into) {
    writeFileSync(into, original);
    return "fetched";
  },
};

interface Cached {
  readonly size: number;
  readonly writes: readonly (readonly [at: number, text: string])[];
  readonly note: Readonly<Record<string, unknown>> | string;
}

/** As rclone leaves it: a sparse file, and a note that knows only some of what is in it. */
function leave({ size, writes, note }: Cached): string {
  for (const folder of ["vfs", "vfsMeta"]) {
    mkdirSync(join(keep, "cache", folder, "dav", "d"), { recursive: true });
  }
  const path = join(keep, "cache", "vfs", "dav", "d", "file");
  const file = openSync(path, "w");
  ftruncateSync(file, size);
  for (const [at, text] of writes) writeSync(file, text, at);
  closeSync(file);
  const text = typeof note === "string" ? note : JSON.stringify({ ModTime: "x", ...note });
  writeFileSync(join(keep, "cache", "vfsMeta", "dav", "d", "file"), text);
  return path;
}

const begun = { Fingerprint: `${MEGABYTE},x`, Size: MEGABYTE, Dirty: true };
const noteOf = () =>
  JSON.parse(readFileSync(join(keep, "cache", "vfsMeta", "dav", "d", "file"), "utf8"));

test("written parts stay, holes are the server's, and the note says so", async () => {
  const writes = [
    [0, "first"],
    [500_001, "in the middle"],
    [MEGABYTE, "behind the end"],
  ] as const;
  const size = MEGABYTE + 14;
  const path = leave({ size, writes, note: { ...begun, Rs: [{ Pos: 0, Size: 5 }] } });
  expect(await mendCache(place, originals, testOperation())).toBe(0);
  const expected = Buffer.alloc(size, "A");
  for (const [at, text] of writes) expected.write(text, at);
  expect(readFileSync(path).equals(expected)).toBe(true);
  expect(noteOf()).toMatchObject({ ModTime: "x", Rs: [{ Pos: 0, Size: size }], Dirty: true });
  expect(await unsavedIn(join(keep, "cache"))).toEqual({ fileCount: 1, bytes: size });
});

test("a file that was cut down to nothing has nothing of the server's", async () => {
  const path = leave({
    size: 100_000,
    writes: [[50_000, "x"]],
    note: { ...begun, Size: 0, Rs: null },
  });
  await mendCache(place, { ask, fetch: () => Promise.reject(new Error("asked")) }, testOperation());
  expect(
    readFileSync(path)
      .filter((byte) => byte !== 0)
      .toString(),
  ).toBe("x");
});

test("without the server nothing is changed, and the failure is told", async () => {
  const note = { ...begun, Rs: [] };
  leave({ size: MEGABYTE, writes: [[9, "x"]], note });
  const away = new EngineError("remote.unreachable", "away");
  const mending = mendCache(place, { ask, fetch: () => Promise.reject(away) }, testOperation());
  await expect(mending).rejects.toBe(away);
  expect(noteOf()).toMatchObject(note);
});

test("what cannot be put together is laid aside as it is, and is not sent", async () => {
  const cases: readonly (readonly [Cached["note"], Originals["fetch"]])[] = [
    [{ ...begun, Rs: [] }, async () => "gone"],
    [{ ...begun, Fingerprint: "77,x", Size: 77, Rs: [] }, originals.fetch],
    ['{"Dirty": tr', originals.fetch],
  ];
  for (const [note, fetch] of cases) {
    leave({ size: MEGABYTE, writes: [[9, "x"]], note });
    expect(await mendCache(place, { ask, fetch }, testOperation())).toBe(1);
    expect(await unsavedIn(join(keep, "cache"))).toEqual({ fileCount: 0, bytes: 0 });
  }
  expect(readdirSync(join(keep, "aside", "dav", "d"))).toHaveLength(cases.length);
});

test("what is whole, or is on the server, is left alone", async () => {
  for (const note of [
    { ...begun, Rs: [{ Pos: 0, Size: MEGABYTE }] },
    { ...begun, Rs: [], Dirty: false },
  ]) {
    leave({ size: MEGABYTE, writes: [], note });
    await mendCache(
      place,
      { ask, fetch: () => Promise.reject(new Error("asked")) },
      testOperation(),
    );
    expect(noteOf()).toMatchObject(note);
  }
});

test("spans", () => {
  const spans = united([
    { start: 5, end: 9 },
    { start: 0, end: 2 },
    { start: 8, end: 12 },
    { start: 3, end: 3 },
  ]);
  expect(spans).toEqual([
    { start: 0, end: 2 },
    { start: 5, end: 12 },
  ]);
  expect(gaps(spans, 20)).toEqual([
    { start: 2, end: 5 },
    { start: 12, end: 20 },
  ]);
  expect(gaps(spans, 1)).toEqual([]);
});
