// What lies beside the data of a removed volume, also where there is no room for it.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import {
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { runToEnd } from "../../../test/support/child.ts";
import { failureOf } from "../../../test/support/engine-bench.ts";
import { as, idOf, type TrashBench, trashBench } from "../../../test/support/local-trash-bench.ts";
import { whenPossible } from "../../../test/support/needs.ts";
import { testOperation } from "../../../test/support/operation.ts";
import { RETIRED_DESCRIPTION_BYTES_MAX } from "../../core/driver.ts";
import { parseVolumeName } from "../../core/names.ts";
import type { LogFields, Operation } from "../../core/operation.ts";
import { linuxHost } from "../../host/linux.ts";
import { localDriver } from "./driver.ts";

const wiki = parseVolumeName("wiki");
const id = idOf(1);
let bench: TrashBench;
let operation: Operation;
let warnings: (readonly [string, LogFields | undefined])[];
beforeEach(() => {
  bench = trashBench();
  warnings = [];
  const plain = testOperation();
  const warn = (text: string, fields?: LogFields) => warnings.push([text, fields]);
  operation = { ...plain, log: { ...plain.log, warn } };
});
afterEach(() => bench.close());

const inVolume = (name: string): string => join(bench.root, "volumes", "wiki", name);
const inTrash = (name: string): string => join(bench.root, "trash", id, name);

async function retireWiki(description = "what it was"): Promise<void> {
  const { driver, trash } = bench.open();
  await driver.create({ name: wiki, options: {} }, operation);
  await trash.retire(wiki, { id, description }, operation);
}

async function listed(): Promise<string | null | undefined> {
  const [first] = await Array.fromAsync(bench.open().trash.list(operation));
  return first?.description;
}

describe("the file", () => {
  test("is for root alone, and is replaced as a whole", async () => {
    await retireWiki();
    expect(statSync(inTrash("retired.json")).mode & 0o777).toBe(0o600);
    const before = lstatSync(inTrash("retired.json")).ino;
    await bench.open().trash.describe(id, "more", operation);
    expect(lstatSync(inTrash("retired.json")).ino).not.toBe(before);
    expect(statSync(inTrash("retired.json")).mode & 0o777).toBe(0o600);
    expect(readdirSync(inTrash(""))).not.toContain("retired.json.new");
    expect(await listed()).toBe("more");
  });

  for (const name of ["retired.json", "retired.json.new"]) {
    test(`goes nowhere where ${name} is a link`, async () => {
      const precious = join(bench.root, "precious");
      writeFileSync(precious, "somebody else's");
      await bench.open().driver.create({ name: wiki, options: {} }, operation);
      symlinkSync(precious, inVolume(name));
      await bench.open().trash.retire(wiki, as(id, "one"), operation);
      if (name === "retired.json") expect(await listed()).toBe("one");
      await bench.open().trash.describe(id, "two", operation);
      expect(await listed()).toBe("two");
      expect(readFileSync(precious, "utf8")).toBe("somebody else's");
      await bench.open().trash.restore(id, wiki, operation);
      expect(readdirSync(inVolume(""))).toEqual(["_data"]);
    });
  }

  test("of a removal that was cut short is replaced, and is no part of the volume", async () => {
    const { driver, trash } = bench.open();
    await driver.create({ name: wiki, options: {} }, operation);
    writeFileSync(inVolume("retired.json"), "of another time, and much longer");
    linkSync(inVolume("retired.json"), join(bench.root, "kept"));
    expect((await driver.get(wiki, operation)).state).toBe("found");
    await trash.retire(wiki, as(id, "new"), operation);
    expect(await listed()).toBe("new");
    expect(readFileSync(join(bench.root, "kept"), "utf8")).toStartWith("of another time");
  });

  test("is gone again when the volume cannot be moved", async () => {
    const { driver, trash } = bench.open();
    await driver.create({ name: wiki, options: {} }, operation);
    mkdirSync(inTrash("in-the-way"), { recursive: true });
    const { code } = await failureOf(trash.retire(wiki, as(id), operation));
    expect(code).toBe("storage.failed");
    expect(readdirSync(inVolume(""))).toEqual(["_data"]);
  });

  test("is removed by a restore that is repeated after a crash", async () => {
    await retireWiki();
    await bench.open().trash.restore(id, wiki, operation);
    writeFileSync(inVolume("retired.json"), "what a crash has left");
    await bench.open().trash.restore(id, wiki, operation);
    expect(readdirSync(inVolume(""))).toEqual(["_data"]);
  });
});

describe("what cannot be read is no description, and a warning", () => {
  const damages: readonly (readonly [string, () => void])[] = [
    ["a link", () => symlinkSync("/etc/passwd", inTrash("retired.json"))],
    ["a directory", () => mkdirSync(inTrash("retired.json"))],
    [
      "a file that is too large",
      () => {
        writeFileSync(inTrash("retired.json"), "x".repeat(RETIRED_DESCRIPTION_BYTES_MAX + 1));
      },
    ],
    ["no text", () => writeFileSync(inTrash("retired.json"), Buffer.from([0x7b, 0xff, 0xfe]))],
  ];
  test.each(damages)("%s", async (_what, damage) => {
    mkdirSync(inTrash("_data"), { recursive: true });
    damage();
    expect(await listed()).toBeNull();
    expect(warnings.map(([text]) => text)).toEqual(["a description in the trash cannot be read"]);
  });

  test("a pipe, which blocks nobody", async () => {
    mkdirSync(inTrash("_data"), { recursive: true });
    const words = [inTrash("retired.json")];
    expect((await runToEnd("mkfifo", words, { timeoutMs: 10_000 })).exit).toBe(0);
    expect(await listed()).toBeNull();
  });

  test("but what is not there is no warning", async () => {
    mkdirSync(inTrash("_data"), { recursive: true });
    expect(await listed()).toBeNull();
    expect(warnings).toEqual([]);
  });
});

test("what is too long is left out at a removal, and refused later", async () => {
  await retireWiki("x".repeat(RETIRED_DESCRIPTION_BYTES_MAX + 1));
  expect(await listed()).toBeNull();
  const long = "ä".repeat(RETIRED_DESCRIPTION_BYTES_MAX / 2 + 1);
  const { code } = await failureOf(bench.open().trash.describe(id, long, operation));
  expect(code).toBe("storage.failed");
  expect(readdirSync(inTrash(""))).toEqual(["_data"]);
});

test("describing what is not there, or is being destroyed, does nothing", async () => {
  const { trash } = bench.open();
  await trash.describe(idOf(9), "nothing", operation);
  mkdirSync(join(bench.root, "trash", `${id}.purging`));
  await trash.describe(id, "nothing", operation);
  expect(bench.inTrash()).toEqual([`${id}.purging`]);
  expect(readdirSync(join(bench.root, "trash", `${id}.purging`))).toEqual([]);
});

describe("on a full file system", () => {
  /** 64 KiB, and not a byte of it free. */
  async function onFullRoot(run: (root: string) => Promise<void>): Promise<void> {
    const root = join(bench.root, "small");
    mkdirSync(root);
    const words = ["-t", "tmpfs", "-o", "size=64k", "small", root];
    expect((await runToEnd("mount", words, { timeoutMs: 10_000 })).exit).toBe(0);
    try {
      await run(root);
    } finally {
      await runToEnd("umount", [root], { timeoutMs: 10_000 });
    }
  }

  whenPossible(["root", "mount"], "a removal goes on without it, and is purged", async () => {
    await onFullRoot(async (root) => {
      const driver = localDriver({ root, host: linuxHost() });
      const { trash } = driver;
      await driver.create({ name: wiki, options: {} }, operation);
      const filler = join(root, "volumes", "wiki", "_data", "filler");
      expect(() => writeFileSync(filler, Buffer.alloc(128 * 1024))).toThrow("ENOSPC");
      await trash?.retire(wiki, as(id, "x".repeat(8_192)), operation);
      expect(readdirSync(join(root, "trash", id))).toEqual(["_data"]);
      expect(warnings).toMatchObject([
        ["a volume goes into the trash without its description", { code: "storage.full" }],
      ]);
      const describing = trash?.describe(id, "x".repeat(8_192), operation) ?? Promise.resolve();
      expect((await failureOf(describing)).code).toBe("storage.full");
      expect(readdirSync(join(root, "trash", id))).toEqual(["_data"]);
      await trash?.purge([id], operation);
      expect(readdirSync(join(root, "trash"))).toEqual([]);
    });
  });
});
