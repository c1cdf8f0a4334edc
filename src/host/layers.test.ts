// Layers of every kind into real directories: whole ones, hostile ones, and what they leave.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import {
  existsSync,
  linkSync,
  lstatSync,
  lutimesSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { gzipSync, zstdCompressSync } from "node:zlib";
import {
  archiveTree,
  gzipBomb,
  type LayerPlace,
  makeLayerPlace,
} from "../../test/support/layers.ts";
import { whenPossible } from "../../test/support/needs.ts";
import { testOperation } from "../../test/support/operation.ts";
import { type TarPart, tarOf, tarPart } from "../../test/support/tar-maker.ts";
import type { LogFields } from "../core/operation.ts";
import { type FileCalls, loadFileCalls } from "./libc-files.ts";
import { linuxHost } from "./linux.ts";

let place: LayerPlace;
beforeEach(() => {
  place = makeLayerPlace();
});
afterEach(() => {
  place.checkOutside();
  place[Symbol.dispose]();
});

function whenRoot(name: string, work: () => Promise<void>): void {
  whenPossible(["root"], name, work);
}

function inside(...path: readonly string[]): string {
  return join(place.into, ...path);
}

function text(...path: readonly string[]): string {
  return readFileSync(inside(...path), "utf8");
}

/** All names below, sorted; those of directories with a slash. */
function tree(folder = place.into, before = ""): readonly string[] {
  return readdirSync(folder, { withFileTypes: true })
    .toSorted((one, other) => (one.name < other.name ? -1 : 1))
    .flatMap((entry) => {
      const path = `${before}${entry.name}`;
      if (!entry.isDirectory()) return [path];
      return [`${path}/`, ...tree(join(folder, entry.name), `${path}/`)];
    });
}

const file = (name: string, data = name): TarPart => ({ name, data });
const folder = (name: string, mode = 0o755): TarPart => ({ name, type: "5", mode });
const link = (name: string, linkName: string): TarPart => ({ name, type: "2", linkName });
const hardLink = (name: string, linkName: string): TarPart => ({ name, type: "1", linkName });

/** A name of bytes that are no UTF-8. */
const oddName = Buffer.from("caf\xe9", "latin1");

/** All that a file system has, in one tree. */
function makeTree(root: string, calls: FileCalls): void {
  const path = (name: string | Buffer) =>
    Buffer.concat([Buffer.from(`${root}/`), Buffer.from(name), Buffer.from("\0")]);
  for (const name of ["bin", "empty", "etc", "etc/deep", "var"]) mkdirSync(join(root, name));
  writeFileSync(join(root, "bin/tool"), Buffer.alloc(700_001, "tool"));
  writeFileSync(join(root, "etc/deep/none"), "");
  writeFileSync(join(root, "etc", "n".repeat(250)), "long");
  writeFileSync(path(oddName).subarray(0, -1), "odd");
  symlinkSync("/nowhere/at/all", join(root, "etc/absolute"));
  symlinkSync("../bin/tool", join(root, "etc/tool"));
  symlinkSync(`${"up/".repeat(200)}x`, join(root, "etc/far"));
  linkSync(join(root, "bin/tool"), join(root, "bin/again"));
  calls.makeNode(path("null"), { type: "characterDevice", major: 1, minor: 3 });
  calls.makeNode(path("disk"), { type: "blockDevice", major: 259, minor: 4321 });
  calls.makeNode(path("pipe"), { type: "fifo", major: 0, minor: 0 });
  calls.own(path("bin/tool"), 4_000_000_000, 123);
  calls.own(path("etc/tool"), 5, 6);
  calls.own(path("empty"), 7, 8);
  calls.changeMode(path("bin/tool"), 0o6751);
  calls.changeMode(path("empty"), 0o3700);
  // CAP_SYS_NICE and others: no UTF-8.
  const capability = Uint8Array.from([1, 0, 0, 2, 0xff, 0, 0x80, 0, ...Array(12).fill(0)]);
  calls.setAttribute(path("bin/tool"), Buffer.from("security.capability\0"), capability);
  calls.setTime(path("bin/tool"), 1_234_567_890, 123_456_789);
  calls.setTime(path("etc"), -77, 5);
  lutimesSync(join(root, "etc/tool"), 1000, 2000);
}

describe("a tree with all kinds of files", () => {
  const packings: readonly (readonly [string, (plain: Buffer) => Uint8Array])[] = [
    ["plain", (plain) => plain],
    ["gzip", gzipSync],
    ["gzip of several members", (plain) => membersOf(plain)],
    ["zstd", zstdCompressSync],
  ];
  whenRoot("is the same again, however it is packed", async () => {
    const calls = loadFileCalls();
    const source = join(place.folder, "tree");
    mkdirSync(source);
    makeTree(source, calls);
    await archiveTree(source, join(place.folder, "before"));
    const before = readFileSync(join(place.folder, "before"));
    for (const [name, pack] of packings) {
      place[Symbol.dispose]();
      place = makeLayerPlace();
      await place.unpack(pack(before));
      await archiveTree(place.into, join(place.folder, "after"));
      expect([name, readFileSync(join(place.folder, "after")).equals(before)]).toEqual([
        name,
        true,
      ]);
    }
    expect(lstatSync(inside("bin/tool"))).toMatchObject({ nlink: 2, mode: 0o106751 });
    expect(readFileSync(Buffer.concat([Buffer.from(`${place.into}/`), oddName]), "utf8")).toBe(
      "odd",
    );
  });

  whenRoot("its parents are made, whether or not it names them", async () => {
    await place.unpack(tarOf(file("a/b/c"), folder("./", 0o711), folder("a/", 0o700)));
    expect([tree(), lstatSync(inside("a/b")).mode]).toEqual([["a/", "a/b/", "a/b/c"], 0o40755]);
    expect([lstatSync(inside()).mode, lstatSync(inside("a")).mode]).toEqual([0o40711, 0o40700]);
  });
});

function membersOf(plain: Buffer): Uint8Array {
  const [middle, end] = [10_000, plain.length];
  return Buffer.concat([
    gzipSync(plain.subarray(0, middle)),
    gzipSync(plain.subarray(middle, end)),
  ]);
}

describe("layer upon layer", () => {
  const cases: readonly (readonly [string, readonly TarPart[], readonly TarPart[], string[]])[] = [
    ["a file", [file("a"), file("b")], [file(".wh.a")], ["b"]],
    ["a directory", [file("d/e/f"), file("g")], [file(".wh.d")], ["g"]],
    ["what is not there", [file("a")], [file(".wh.b"), file("a/.wh.x"), file("n/.wh.y")], ["a"]],
    ["everything", [file("a/b"), file("c")], [file(".wh..wh..opq")], []],
    ["what a directory had", [file("d/a"), file("d/b/c")], [file("d/.wh..wh..opq")], ["d/"]],
    [
      "but nothing of its own, in whatever order",
      [file("d/a"), file("d/b"), file("e")],
      [file("d/new"), file("d/.wh..wh..opq"), file("e", "anew"), file(".wh.e")],
      ["d/", "d/new", "e"],
    ],
    ["not what a link leads to", [file("d/a"), link("l", "d")], [file(".wh.l")], ["d/", "d/a"]],
    ["nor all of it", [file("d/a"), link("l", "d")], [file("l/.wh..wh..opq")], ["d/", "d/a", "l"]],
    ["notes of AUFS", [file("a")], [folder(".wh..wh.plnk"), file(".wh..wh.aufs")], ["a"]],
  ];
  describe("whiteouts hide", () => {
    for (const [name, first, second, left] of cases) {
      whenRoot(name, async () => {
        await place.unpack(tarOf(...first), gzipSync(tarOf(...second)));
        expect(tree()).toEqual(left);
      });
    }
  });

  whenRoot("what is there is replaced, but directories are merged", async () => {
    const before = [file("dir/a"), file("file"), file("dir2/a"), link("link", "dir2"), file("x")];
    const after = [
      ...[file("dir", "now a file"), folder("file"), folder("dir2", 0o700), folder("link")],
      ...[hardLink("x", "dir"), file("link/in")],
    ];
    await place.unpack(tarOf(...before), tarOf(...after));
    const left = ["dir", "dir2/", "dir2/a", "file/", "link/", "link/in", "x"];
    expect([tree(), text("x")]).toEqual([left, "now a file"]);
    expect(lstatSync(inside("dir2")).mode).toBe(0o40700);
  });

  whenRoot("an entry that comes twice is the last one", async () => {
    const fifo: TarPart = { name: "a", type: "6", seconds: 7 };
    await place.unpack(tarOf(folder("a"), file("a/b"), file("a", "1"), file("a", "2"), fifo));
    expect([tree(), lstatSync(inside("a")).isFIFO()]).toEqual([["a"], true]);
    expect(lstatSync(inside("a")).mtimeMs).toBe(7000);
  });
});

describe("what would lead out", () => {
  whenRoot("stays in, by whatever link", async () => {
    const up = `${"../".repeat(12)}${place.outside}`;
    const first = [link("abs", place.outside), link("up", up), link("self", "/"), link("e", "/in")];
    await place.unpack(tarOf(...first, file("in/x")), tarOf(file("e/y"), file("self/z")));
    expect(tree()).toEqual(["abs", "e", "in/", "in/x", "in/y", "self", "up", "z"]);
    expect([readlinkSync(inside("abs")), readlinkSync(inside("up"))]).toEqual([place.outside, up]);
    for (const name of ["abs/secret", "up/secret"]) {
      expect((await place.failure(tarOf(file(name, "overwritten")))).message).toContain("ENOENT");
      expect((await place.failure(tarOf(hardLink("h", name)))).message).toContain("h: what it");
      await place.unpack(tarOf({ ...file(`${name.replace("secret", ".wh.secret")}`), data: "" }));
      await place.unpack(tarOf(file(name.replace("secret", ".wh..wh..opq"))));
    }
  });

  whenRoot("absolute names are names below the layer's root", async () => {
    await place.unpack(tarOf(file("/etc/x"), file("//y"), hardLink("/h", "/etc/x")));
    expect([tree(), text("h")]).toEqual([["etc/", "etc/x", "h", "y"], "/etc/x"]);
  });

  const refused: readonly (readonly [TarPart, string])[] = [
    [file("../outside/secret"), "`..`"],
    [file("a/../../outside/secret"), "`..`"],
    [hardLink("h", "../outside/secret"), "`..`"],
    [hardLink("h", "missing"), "h: what it refers to does not exist (ENOENT: link)"],
    [hardLink("h", ""), "h: a hard link to "],
    [folder("a/.wh..."), "a whiteout of nothing"],
    [file(".wh.."), "a whiteout of nothing"],
    [file("a/.wh."), "a whiteout of nothing"],
    [link(".", "/tmp"), "only a directory can be the root"],
    [file(""), "only a directory can be the root"],
    [{ name: "c", type: "3", major: 99_999 }, "c: the kernel does not take it (EINVAL: mknod)"],
  ];
  whenRoot("refused names", async () => {
    for (const [part, words] of refused) {
      const { code, message } = await place.failure(tarOf(file("ok"), part));
      expect([code, message.includes(words) || message]).toEqual(["plugin.image_invalid", true]);
      place.checkOutside();
    }
    const long = { ...file("n"), pax: { path: `${"n".repeat(256)}/x` } };
    expect((await place.failure(tarOf(long))).message).toContain("the name is too long");
    expect((await place.failure(tarOf(file("f"), file("f/x")))).message).toContain("no directory");
  });
});

describe("bombs", () => {
  const zeros = Buffer.alloc(16_000_000);
  whenRoot("10 GB of zeros, said or unsaid", async () => {
    const said = gzipBomb(tarPart({ name: "zeros", size: 10_000_000_000 }), zeros, 625);
    expect((await place.failure(said)).message).toContain("larger than 50000000 bytes");
    expect(tree()).toEqual([]);
    const unsaid = gzipBomb(tarOf(file("small")), zeros, 625);
    expect((await place.failure(unsaid)).message).toContain("larger than 50000000 bytes");
  });

  whenRoot("a million entries", async () => {
    const some = Array.from({ length: 1000 }, (_, index) => tarPart(file(`e${index}`, "")));
    const bomb = gzipBomb(tarPart(file("first")), Buffer.concat(some), 1000);
    expect((await place.failure(bomb)).message).toContain("more than 10000 entries");
    expect(tree()).toHaveLength(1001);
  });
});

describe("what fails says why", () => {
  whenRoot("damaged archives", async () => {
    const whole = gzipSync(tarOf(file("a", "x".repeat(100_000))));
    const damaged: readonly (readonly [Uint8Array, string])[] = [
      [whole.subarray(0, -20), "its gzip is damaged"],
      [Buffer.concat([whole, Buffer.from("garbage")]), "its gzip is damaged"],
      [zstdCompressSync(tarOf(file("a"))).fill(7, 20), "its zstd is damaged"],
      [gzipSync(tarOf(file("a")).subarray(0, 700)), "cut off"],
      [tarOf({ ...file("a"), damage: 3 }), "its checksum is wrong"],
      [Buffer.from("neither gzip nor tar".repeat(100)), "damaged"],
    ];
    for (const [archive, words] of damaged) {
      const { code, message } = await place.failure(archive);
      expect([code, message.includes(words) || message]).toEqual(["plugin.image_invalid", true]);
    }
  });

  whenPossible(["root", "mount"], "a full disk, and one that cannot be written", async () => {
    const host = linuxHost();
    const at = { type: "tmpfs", device: "layers", target: place.into };
    await host.mount({ ...at, options: "size=64k" }, testOperation());
    try {
      const full = await place.failure(tarOf(file("a"), file("big", "x".repeat(200_000))));
      expect([full.code, full.message.includes("unpacking big")]).toEqual(["storage.full", true]);
      await host.mount({ ...at, options: "ro" }, testOperation());
      expect((await place.failure(tarOf(file("a")))).code).toBe("storage.read_only");
      await host.unmount(place.into, testOperation());
    } finally {
      await host.unmount(place.into, testOperation());
    }
  });

  whenRoot("missing places, and an end that was asked for", async () => {
    const host = linuxHost();
    const missing = { archive: "/none", into: place.into, bytesMax: 1, entryCountMax: 1 };
    await expect(host.unpackLayer(missing, testOperation())).rejects.toMatchObject({
      code: "storage.failed",
    });
    const ended = testOperation(AbortSignal.abort());
    await expect(host.unpackLayer(missing, ended)).rejects.toMatchObject({
      code: "operation.cancelled",
    });
  });

  whenRoot("attributes that the kernel does not take are left out, and told", async () => {
    const archive = join(place.folder, "attributes");
    const pax = { "SCHILY.xattr.trusted.x": "1", "SCHILY.xattr.security.capability": "?" };
    writeFileSync(archive, tarOf({ ...file("a"), pax: { "SCHILY.xattr.trusted.x": "1" } }));
    const said: (LogFields | undefined)[] = [];
    const log = { ...testOperation().log, warn: (_: string, more?: LogFields) => said.push(more) };
    const request = { archive, into: place.into, bytesMax: 9999, entryCountMax: 9 };
    await linuxHost().unpackLayer(request, { ...testOperation(), log });
    expect([said, text("a")]).toEqual([[{ into: place.into, entries: ["a"] }], "a"]);
    const { message } = await place.failure(tarOf({ ...file("b"), pax }));
    expect(message).toBe("b: the kernel does not take it (EINVAL: fsetxattr)");
  });
});

test("a helper that is ended is no answer", async () => {
  const host = linuxHost({
    start: () => ({
      pid: 1,
      result: Promise.resolve({ exitCode: 137, stdout: "", stderr: "" }),
      kill() {},
      rest() {},
    }),
  });
  const request = { archive: "/a", into: "/b", bytesMax: 1, entryCountMax: 1 };
  await expect(host.unpackLayer(request, testOperation())).rejects.toThrow("status 137");
  expect(existsSync("/b")).toBe(false);
});
