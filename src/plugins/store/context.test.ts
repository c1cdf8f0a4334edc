// Contexts of `plugin create`, as programs and as nobody makes them, and the layers they become.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gunzipSync, gzipSync } from "node:zlib";
import { archiveTree, gzipBomb, makeLayerPlace } from "../../../test/support/layers.ts";
import { whenPossible } from "../../../test/support/needs.ts";
import { testOperation } from "../../../test/support/operation.ts";
import { type TarPart, tarOf, tarPart } from "../../../test/support/tar-maker.ts";
import { EngineError } from "../../core/errors.ts";
import { attributesOf } from "../../core/tar-header.ts";
import { TarReader } from "../../core/tar-reader.ts";
import { splitContext } from "./context.ts";

const limits = { configBytesMax: 1000, bytesMax: 10_000_000 };

let folder: string;
let layerPath: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "holdfast-context-"));
  layerPath = join(folder, "layer");
});
afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

async function* pieces(bytes: Uint8Array, size = 1000): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

async function split(context: Uint8Array, size?: number): Promise<string> {
  const request = { ...limits, layerPath };
  const { config } = await splitContext(pieces(context, size), request, testOperation());
  return new TextDecoder().decode(config);
}

/** `name -> link: data` of each entry of the layer, with its attributes. */
function layer(): readonly string[] {
  const found: string[] = [];
  const sink = {
    entry(entry: Parameters<typeof attributesOf>[0]) {
      const attributes = attributesOf(entry).map(
        ({ value }) => `(${Buffer.from(value).toString("hex")})`,
      );
      const to = entry.linkName === "" ? "" : ` -> ${entry.linkName}`;
      found.push(`${entry.name}${to}${attributes.join("")}: `);
    },
    data(bytes: Uint8Array) {
      found.push(`${found.pop() ?? ""}${Buffer.from(bytes).toString("latin1")}`);
    },
    entryEnd() {},
  };
  const reader = new TarReader(sink, { bytesMax: 10_000_000, entryCountMax: 1000 });
  reader.push(gunzipSync(readFileSync(layerPath)));
  reader.end();
  return found;
}

async function failure(work: Promise<unknown>): Promise<EngineError> {
  const thrown = await work.catch((error: unknown) => error);
  expect(existsSync(layerPath)).toBe(false);
  if (thrown instanceof EngineError) return thrown;
  throw new Error("did not fail as expected", { cause: thrown });
}

const config: TarPart = { name: "config.json", data: '{"entrypoint":["/x"]}' };
const root: TarPart = { name: "rootfs/", type: "5" };
const long = `rootfs/${"d/".repeat(80)}file`;
const capability = Uint8Array.of(1, 0, 0, 2, 0xff, 0x80);

const parts: readonly TarPart[] = [
  { name: "./rootfs/", type: "5" },
  { name: "rootfs/a", data: "x".repeat(600) },
  { name: "rootfs/cap", pax: { "SCHILY.xattr.security.capability": capability }, data: "1" },
  { name: "rootfs/hard", type: "1", linkName: "rootfs/a" },
  { name: "rootfs/hard2", type: "1", linkName: "./ROOTFS/a" },
  { name: "rootfs/soft", type: "2", linkName: "rootfs/a" },
  { name: "README", data: "neither" },
  config,
  { name: "cut", pax: { path: long, mtime: "5.5" }, data: "far" },
  { name: "L", type: "L", data: `rootfs/${"g".repeat(120)}\0` },
  { name: "cut", magic: "ustar  \0", data: "gnu" },
  { name: "b", front: "rootfs/front", data: "in two fields" },
  { name: "/rootfs/../rootfs/odd\xe9", data: "odd" },
  { name: "rootfs/../etc", data: "not in it" },
  { name: "../rootfs/up", data: "nor this" },
  { name: "rootfs/old/", type: "\0" },
];

const expected = [
  ".: ",
  `a: ${"x".repeat(600)}`,
  "cap(01000002ff80): 1",
  "hard -> a: ",
  "hard2 -> a: ",
  "soft -> rootfs/a: ",
  `${"d/".repeat(80)}file: far`,
  `${"g".repeat(120)}: gnu`,
  "front/b: in two fields",
  "odd\xe9: odd",
  "old: ",
];

describe("a context", () => {
  test.each([1, 512, 777, 1_000_000])("is taken apart, %d bytes at a time", async (size) => {
    expect(await split(tarOf(...parts), size)).toBe(String(config.data));
    expect(layer()).toEqual(expected);
    expect(await split(gzipSync(tarOf(...parts)), size)).toBe(String(config.data));
    expect(layer()).toEqual(expected);
  });

  test("its last config.json counts", async () => {
    expect(await split(tarOf(root, config, { ...config, name: "./config.json", data: "2" }))).toBe(
      "2",
    );
  });

  whenPossible(["root"], "made by tar becomes what it was made of", async () => {
    const tree = join(folder, "tree");
    mkdirSync(join(tree, "rootfs/etc"), { recursive: true });
    writeFileSync(join(tree, "config.json"), "{}");
    writeFileSync(join(tree, "rootfs/etc/file"), Buffer.alloc(300_000, "data"));
    await archiveTree(tree, join(folder, "context"));
    expect(await split(readFileSync(join(folder, "context")), 60_000)).toBe("{}");
    using place = makeLayerPlace();
    await place.unpack(readFileSync(layerPath));
    await archiveTree(place.into, join(folder, "after"));
    await archiveTree(join(tree, "rootfs"), join(folder, "before"));
    const [after, before] = ["after", "before"].map((name) => readFileSync(join(folder, name)));
    expect(after?.equals(before ?? Buffer.alloc(0))).toBe(true);
  });
});

describe("what is none", () => {
  const bad: readonly (readonly [string, Uint8Array, string, string])[] = [
    ["nothing", Buffer.alloc(0), "plugin.image_invalid", "no rootfs found: EOF"],
    ["no rootfs", tarOf(config), "plugin.image_invalid", "no rootfs found: EOF"],
    ["no config", tarOf(root), "plugin.image_invalid", "config not found"],
    [
      "an archive that is cut off",
      tarOf(...parts).subarray(0, 1000),
      "plugin.image_invalid",
      "failed to read from tar: unexpected EOF",
    ],
    [
      "gzip that is cut off",
      gzipSync(tarOf(...parts)).subarray(0, -30),
      "plugin.image_invalid",
      "failed to read from tar: unexpected end of file",
    ],
    [
      "a damaged header",
      tarOf(root, { ...config, damage: 1 }),
      "plugin.image_invalid",
      "failed to read from tar: a header of the archive is damaged: its checksum is wrong",
    ],
    [
      "a config too large",
      tarOf(root, { ...config, data: "x".repeat(1001) }),
      "plugin.config_invalid",
      "config.json is larger than 1000 bytes",
    ],
    [
      "a bomb",
      gzipBomb(tarPart({ name: "other", size: 9_000_000_000 }), Buffer.alloc(1_000_000), 9000),
      "plugin.image_invalid",
      "failed to read from tar: the archive is larger than 10000000 bytes, unpacked",
    ],
  ];
  test.each(bad)("%s", async (_what, context, code, message) => {
    const thrown = await failure(split(context));
    expect([thrown.code, thrown.message]).toEqual([code, message]);
  });

  test("a sender that fails, a place that is missing, an end", async () => {
    const gone = new EngineError("operation.cancelled", "the client is gone");
    async function* failing(): AsyncGenerator<Uint8Array> {
      yield tarOf(root).subarray(0, 700);
      throw gone;
    }
    const request = { ...limits, layerPath };
    expect(await failure(splitContext(failing(), request, testOperation()))).toBe(gone);
    const nowhere = { ...limits, layerPath: join(folder, "none/layer") };
    const missing = splitContext(pieces(tarOf(root, config)), nowhere, testOperation());
    expect((await failure(missing)).code).toBe("storage.failed");
    const controller = new AbortController();
    async function* endless(): AsyncGenerator<Uint8Array> {
      yield tarOf(root).subarray(0, 512);
      controller.abort(gone);
      await new Promise(() => undefined);
    }
    const waiting = splitContext(endless(), request, testOperation(controller.signal));
    expect(await failure(waiting)).toBe(gone);
  });
});
