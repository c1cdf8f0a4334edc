// Archives of every dialect, whole and damaged, in pieces of every size.
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { type TarPart, tarEndBlocks, tarOf, tarPart } from "../../test/support/tar-maker.ts";
import { EngineError } from "./errors.ts";
import { attributesOf, type TarEntry } from "./tar-header.ts";
import { type TarLimits, TarReader } from "./tar-reader.ts";

const ample: TarLimits = { bytesMax: 1_000_000, entryCountMax: 100 };

type Read = Omit<TarEntry, "block" | "records"> & { readonly data: string };

/** `step`: how many bytes come at a time. */
function readAll(archive: Uint8Array, step = archive.length, limits = ample): readonly Read[] {
  const read: Read[] = [];
  let current: TarEntry | undefined;
  let data: Buffer[] = [];
  const sink = {
    entry(entry: TarEntry) {
      current = entry;
      data = [];
    },
    data: (bytes: Uint8Array) => void data.push(Buffer.from(bytes)),
    entryEnd() {
      if (current === undefined) throw new Error("the end of no entry");
      const { block: _block, records: _records, ...entry } = current;
      read.push({ ...entry, data: Buffer.concat(data).toString("latin1") });
      current = undefined;
    },
  };
  const reader = new TarReader(sink, limits);
  for (let at = 0; at < archive.length; at += step) reader.push(archive.subarray(at, at + step));
  reader.end();
  return read;
}

function refusal(archive: Uint8Array, limits = ample): string {
  try {
    readAll(archive, archive.length, limits);
  } catch (thrown) {
    if (thrown instanceof EngineError && thrown.code === "plugin.image_invalid") {
      return thrown.message;
    }
    throw thrown;
  }
  throw new Error("it was read");
}

const plain: TarPart = { name: "a", data: "data" };
const long = `${"d/".repeat(120)}file`;

describe("names", () => {
  const cases: readonly (readonly [string, readonly TarPart[], string])[] = [
    ["a POSIX name in two fields", [{ name: "b", front: "x/y" }], "x/y/b"],
    ["GNU has other things there", [{ name: "b", front: "123", magic: "ustar  \0" }], "b"],
    ["as has an archive without a magic", [{ name: "b", front: "123", magic: "" }], "b"],
    ["all hundred bytes", [{ name: "n".repeat(100) }], "n".repeat(100)],
    ["pax", [{ name: "short", front: "f", pax: { path: long } }], long],
    ["GNU's long name", [{ name: "L", type: "L", data: `${long}\0` }, { name: "short" }], long],
    ["not UTF-8", [{ name: "caf\xe9\x80" }], "caf\xe9\x80"],
    ["not UTF-8, by pax", [{ name: "a", pax: { path: Uint8Array.of(0xe9, 0x80) } }], "\xe9\x80"],
    ["one for all is ignored", [{ name: "g", type: "g", data: "10 path=x\n" }, plain], "a"],
    ["an empty one takes it back", [{ name: "short", pax: { path: "" } }], "short"],
  ];
  test.each(cases)("%s", (_what, parts, name) => {
    for (const step of [1, 511, 513, 100_000]) {
      expect(readAll(tarOf(...parts, plain), step).map((entry) => entry.name)).toEqual([name, "a"]);
    }
  });
});

describe("what headers say", () => {
  test("numbers too large for octal digits, negative times, fractions of seconds", () => {
    const large = { userId: 4_000_000_000, groupId: 3_000_000, seconds: -5, mode: 0o104755 };
    const times = { mtime: "-1.25", uid: "77", gid: "88", size: "3" };
    const read = readAll(
      tarOf({ ...plain, ...large }, { name: "b", data: "abc", size: 0, pax: times }),
    );
    expect(read).toMatchObject([
      { userId: 4_000_000_000, groupId: 3_000_000, mode: 0o4755, data: "data" },
      { userId: 77, groupId: 88, size: 3, data: "abc" },
    ]);
    expect(read.map(({ modified }) => modified)).toEqual([
      { seconds: -5, nanoseconds: 0 },
      { seconds: -2, nanoseconds: 750_000_000 },
    ]);
  });

  test("types, and that links have no data whatever they say", () => {
    const parts: readonly TarPart[] = [
      { name: "old/", type: "\0" },
      { name: "file", type: "7", data: "x" },
      { name: "hard", type: "1", linkName: "file", size: 5000 },
      { name: "soft", type: "2", linkName: "/etc/passwd" },
      { name: "c", type: "3", major: 1, minor: 3 },
      { name: "b", type: "4", major: 8, minor: 300 },
      { name: "d", type: "5", size: 700 },
      { name: "p", type: "6" },
    ];
    const read = readAll(tarOf(...parts));
    expect(read.map(({ type }) => String(type))).toEqual([
      ...["directory", "file", "hardLink", "symlink", "characterDevice", "blockDevice"],
      ...["directory", "fifo"],
    ]);
    expect(read.map(({ size }) => size)).toEqual([0, 1, 0, 0, 0, 0, 0, 0]);
    expect(read[3]?.linkName).toBe("/etc/passwd");
    expect(read[5]).toMatchObject({ major: 8, minor: 300 });
  });

  test("extended attributes are bytes", () => {
    const value = Uint8Array.from({ length: 256 }, (_, byte) => byte);
    const seen: TarEntry[] = [];
    const sink = { entry: (entry: TarEntry) => void seen.push(entry), data() {}, entryEnd() {} };
    const pax = { "SCHILY.xattr.security.capability": value, comment: "no attribute" };
    new TarReader(sink, ample).push(tarOf({ ...plain, pax }));
    expect(seen.map(attributesOf)).toEqual([[{ key: "security.capability", value }]]);
  });

  test("signed checksums, and an archive without an end", () => {
    const odd = { name: "\xe9\xe8", data: "x", damage: -512 };
    expect(readAll(Buffer.concat([tarPart(odd), tarPart(plain)]))).toHaveLength(2);
    expect(readAll(Buffer.concat([tarPart(plain), Buffer.alloc(512)]))).toHaveLength(1);
    expect(readAll(Buffer.alloc(0))).toEqual([]);
  });
});

describe("refused", () => {
  const bad: readonly (readonly [string, Uint8Array, string])[] = [
    ["no archive", Buffer.from("x".repeat(600)), "a number of a header is damaged"],
    ["a wrong checksum", tarOf({ ...plain, damage: 1 }), "its checksum is wrong"],
    ["a sparse file of GNU", tarOf({ ...plain, type: "S" }), 'a: an entry of type "S"'],
    ["one of pax", tarOf({ ...plain, pax: { "GNU.sparse.major": "1" } }), "a: a sparse file"],
    ["a part of a volume", tarOf({ ...plain, type: "M" }), 'a: an entry of type "M"'],
    ["a NUL in a name", tarOf({ ...plain, pax: { path: "a\0b" } }), "a NUL in a name"],
    ["a name too long", tarOf({ ...plain, pax: { path: "a".repeat(5000) } }), "4096 bytes"],
    ["a size that is none", tarOf({ ...plain, pax: { size: "-3" } }), "a: its extended header"],
    ["a negative size", tarOf({ ...plain, size: -1 }), "a: its size is no size"],
    ["a size beyond numbers", tarOf({ ...plain, pax: { size: "9".repeat(16) } }), "its size"],
    ["a directory with data", tarOf({ name: "d/", type: "\0", data: "x" }), "d/: a directory"],
    ["nobody's id", tarOf({ ...plain, userId: 0xffff_ffff }), "a: 4294967295 is no user"],
    ["records that lie", tarOf({ name: "x", type: "x", data: "99 path=a\n" }), "damaged"],
    ["records without end", tarOf({ name: "x", type: "x", data: "9 path=abc" }), "damaged"],
    ["a header too large", tarOf({ name: "x", type: "x", size: 2 ** 21 }), "1048576 bytes"],
    ["trailing garbage", Buffer.concat([tarOf(plain), Buffer.from("more")]), "follows the end"],
    ["a second archive", Buffer.concat([tarOf(plain), tarOf(plain)]), "follows the end"],
  ];
  test.each(bad)("%s", (_what, archive, words) => {
    expect(refusal(archive)).toContain(words);
  });

  test("cut off anywhere but between entries", () => {
    const whole = Buffer.concat([tarPart(plain), tarPart({ ...plain, pax: { path: "b" } })]);
    for (let length = 1; length < whole.length; length += 7) {
      if (length % 512 !== 0) expect(refusal(whole.subarray(0, length))).toContain("cut off");
    }
    // After the extended header, which has an entry to follow.
    expect(refusal(whole.subarray(0, 2048))).toContain("cut off");
  });

  test("limits, before the data come", () => {
    const limits = { bytesMax: 10_000, entryCountMax: 2 };
    const header = tarPart({ name: "large", size: 10_001 });
    expect(refusal(header, limits)).toContain("larger than 10000 bytes");
    expect(refusal(tarOf(plain, plain, plain), limits)).toContain("more than 2 entries");
    const headers = tarPart({ name: "x", type: "x", data: "9 a=bcde\n" });
    const many = Buffer.concat(Array.from({ length: 100 }, () => headers));
    expect(refusal(many, limits)).toContain("larger than");
    const zeros = Buffer.concat([tarPart(plain), tarEndBlocks, Buffer.alloc(20_000)]);
    expect(refusal(zeros, limits)).toContain("larger than");
  });
});

test("any damage is refused or read, and never anything else", () => {
  const pax = { path: "x/y", mtime: "3.5", "SCHILY.xattr.user.a": "b" };
  const whole = tarOf({ ...plain, pax }, { name: "L", type: "L", data: long }, plain);
  const damage = fc.array(fc.tuple(fc.nat(whole.length - 1), fc.nat(255)), { maxLength: 6 });
  fc.assert(
    fc.property(damage, fc.integer({ min: 1, max: 3000 }), (changes, step) => {
      const bytes = Buffer.from(whole);
      for (const [at, value] of changes) bytes[at] = value;
      for (const at of [0, 1024, 2048, 3072]) mendChecksum(bytes, at);
      return readOrRefused(bytes, step) || changes.length > 0;
    }),
    { numRuns: 3000 },
  );
});

/** Whether it was read; throws what is no `plugin.image_invalid`. */
function readOrRefused(archive: Uint8Array, step: number): boolean {
  try {
    readAll(archive, step);
    return true;
  } catch (thrown) {
    if (thrown instanceof EngineError && thrown.code === "plugin.image_invalid") return false;
    throw thrown;
  }
}

/** As if the damage had been done by who made the archive. */
function mendChecksum(bytes: Buffer, at: number): void {
  const block = bytes.subarray(at, at + 512);
  if (block.every((byte) => byte === 0)) return;
  block.fill(0x20, 148, 156);
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148, "latin1");
}
