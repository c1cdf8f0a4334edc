// What becomes of files whose note rclone had no time to write.
import { afterEach, expect, test } from "bun:test";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { testOperation } from "../../../test/support/operation.ts";
import { EngineError } from "../../core/errors.ts";
import { dataSpans } from "../../host/data-spans.ts";
import { hasLeft } from "./cache.ts";
import { mendCache } from "./mend.ts";
import type { Originals } from "./originals.ts";

const keep = mkdtempSync(join(tmpdir(), "holdfast-unnoted-"));
afterEach(() => rmSync(keep, { recursive: true, force: true }));

const cache = join(keep, "cache");
const data = join(cache, "vfs", "dav", "file");
const notePath = join(cache, "vfsMeta", "dav", "file");
const CHANGED_SECONDS = 1_700_000_000;
const OUR_SECONDS = CHANGED_SECONDS + 60;

/** What the cache has; `note` undefined: none. */
interface Left {
  readonly bytes: Buffer | string;
  /** A hole behind the bytes makes it so large. */
  readonly size?: number;
  readonly note?: string | undefined;
  readonly changed?: number;
}

function leave({ bytes, size, note, changed = OUR_SECONDS }: Left): void {
  for (const folder of ["vfs", "vfsMeta"])
    mkdirSync(join(cache, folder, "dav"), { recursive: true });
  writeFileSync(data, bytes);
  if (size !== undefined) truncateSync(data, size);
  utimesSync(data, changed, changed);
  if (note !== undefined) writeFileSync(notePath, note);
}

/** The server has this file, or none. */
function server(bytes: Buffer | string | undefined): Originals {
  return {
    async ask() {
      if (bytes === undefined) return "gone";
      return { size: bytes.length, changedMs: CHANGED_SECONDS * 1000 };
    },
    async fetch(_path, into) {
      if (bytes === undefined) return "gone";
      writeFileSync(into, bytes);
      return "fetched";
    },
  };
}

/** The server has a file of which nobody asks for the bytes. */
function largeServer(size: number): Originals {
  return {
    ask: async () => ({ size, changedMs: CHANGED_SECONDS * 1000 }),
    fetch: () => Promise.reject(new Error("fetched")),
  };
}

const mend = (originals: Originals) =>
  mendCache({ keepDirectory: keep, host: { dataSpans } }, originals, testOperation());

const whole = (size: number) => ({
  ...{ ModTime: new Date(OUR_SECONDS * 1000).toISOString(), Size: size, Fingerprint: "" },
  ...{ Dirty: true, Rs: size === 0 ? null : [{ Pos: 0, Size: size }] },
});

const aside = () => existsSync(join(keep, "aside", "dav", "file"));

test("what the server does not have was written here: it is noted as a whole", async () => {
  for (const note of ["", '{\n\t"ModTime": "20', undefined]) {
    leave({ bytes: "written", note });
    expect(await hasLeft(cache)).toBe(true);
    expect(await mend(server(undefined))).toBe(0);
    expect(JSON.parse(readFileSync(notePath, "utf8"))).toMatchObject(whole(7));
    expect(readFileSync(data, "utf8")).toBe("written");
    rmSync(keep, { recursive: true });
  }
  leave({ bytes: "", note: "" });
  await mend(server(undefined));
  expect(JSON.parse(readFileSync(notePath, "utf8"))).toMatchObject(whole(0));
  leave({ bytes: "x", size: 1_000_000, note: "" });
  await mend(server(undefined));
  expect(JSON.parse(readFileSync(notePath, "utf8"))).toMatchObject(whole(1_000_000));
});

test("a file without holes that is newer than the server's is sent", async () => {
  const large = Buffer.alloc(2_500_000, "N");
  for (const [ours, theirs] of [
    ["new words", "old"],
    ["new", "old words"],
    [large, Buffer.alloc(2_500_000, "O")],
    // Zeros in the middle are as well written as their neighbours.
    [Buffer.from("a\0\0b"), "1234"],
  ] as const) {
    leave({ bytes: ours, note: "" });
    expect(await mend(server(theirs))).toBe(0);
    expect(JSON.parse(readFileSync(notePath, "utf8"))).toMatchObject(whole(ours.length));
    expect(readFileSync(data).equals(Buffer.from(ours))).toBe(true);
  }
});

test("what the server has, too, leaves the cache", async () => {
  const theirs = Buffer.alloc(1_200_000, "A");
  const cases: readonly Left[] = [
    { bytes: theirs, note: "" },
    { bytes: theirs, note: "", changed: CHANGED_SECONDS - 60 },
    // Read in part, up to the middle of a block.
    { bytes: theirs.subarray(0, 131_000), size: theirs.length, note: "" },
    { bytes: "", size: theirs.length, note: undefined },
    { bytes: "", note: "" },
  ];
  for (const left of cases) {
    leave(left);
    expect(await mend(server(theirs))).toBe(0);
    expect([existsSync(data), existsSync(notePath), aside()]).toEqual([false, false, false]);
  }
});

test("what may be either's is laid aside, and nothing is sent", async () => {
  const theirs = Buffer.alloc(100_000, "A");
  const cases: readonly (readonly [Left, Buffer | string])[] = [
    // Holes beside what was written.
    [{ bytes: "X", size: theirs.length, note: "" }, theirs],
    [{ bytes: "X", size: theirs.length + 1, note: undefined }, theirs],
    // Appended to what was not fetched, or written into its beginning.
    [{ bytes: "\0\0\0\0more", note: "" }, "line"],
    [{ bytes: "X\0\0\0", note: "" }, "line"],
    // Somebody else was later.
    [{ bytes: "ours", note: "", changed: CHANGED_SECONDS - 1 }, "theirs"],
  ];
  for (const [left, original] of cases) {
    leave(left);
    expect(await mend(server(original))).toBe(1);
    expect(await hasLeft(cache)).toBe(false);
    expect(aside()).toBe(true);
    rmSync(join(keep, "aside"), { recursive: true });
  }
});

test("of another remote nothing is known; without a server nothing is touched", async () => {
  const away = new EngineError("remote.unreachable", "away");
  leave({ bytes: "x", note: "" });
  const silent = { ...server("x"), ask: () => Promise.reject(away) };
  await expect(mend(silent)).rejects.toBe(away);
  expect(readFileSync(notePath, "utf8")).toBe("");
  expect(await mend({ ...server("x"), ask: async () => "foreign" })).toBe(1);
  expect(aside()).toBe(true);
});

test("a large file of the server is not fetched while a mount waits", async () => {
  const large = 10 ** 9;
  leave({ bytes: "new", note: "" });
  expect(await mend(largeServer(large))).toBe(0);
  expect(JSON.parse(readFileSync(notePath, "utf8"))).toMatchObject(whole(3));
  leave({ bytes: "read", size: large, note: "" });
  expect(await mend(largeServer(large))).toBe(1);
  leave({ bytes: "old", note: "", changed: CHANGED_SECONDS - 9 });
  expect(await mend(largeServer(large))).toBe(1);
});
