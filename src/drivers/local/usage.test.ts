// Usage: Docker's sum over hard links, holes, links and whatever vanishes under the walk.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import {
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { basename, dirname, join } from "node:path";
import { whenPossible } from "../../../test/support/needs.ts";
import { startSwapLoop } from "../../../test/support/swap-loop.ts";
import { EngineError } from "../../core/errors.ts";
import type { Host } from "../../core/host.ts";
import { makeOperationId, parseVolumeName } from "../../core/names.ts";
import { type Operation, silentLog, systemCaller } from "../../core/operation.ts";
import { Turns } from "../../core/turns.ts";
import { linuxHost } from "../../host/linux.ts";
import { localDriver } from "./driver.ts";
import { measureTree } from "./usage.ts";

const name = parseVolumeName;

/** How long a walk has to withstand the swapping, in milliseconds. */
const SWAPPING_MS = 700;

let top: string;
beforeEach(() => {
  top = mkdtempSync("/dev/shm/holdfast-usage-");
});
afterEach(() => rmSync(top, { recursive: true, force: true }));

function operation(signal = new AbortController().signal): Operation {
  return { id: makeOperationId("test"), caller: systemCaller, signal, log: silentLog };
}

function measure(path = top, signal?: AbortSignal): Promise<number | null> {
  const place = { directory: dirname(path), name: basename(path) };
  return measureTree(place, new Turns(), operation(signal));
}

const openCount = () => readdirSync("/proc/self/fd").length;

test("nothing is 0, and a directory that is gone too", async () => {
  expect(await measure()).toBe(0);
  rmSync(top, { recursive: true });
  expect(await measure()).toBe(0);
});

test("files of all depths by their apparent bytes, holes included", async () => {
  mkdirSync(join(top, "a/b/c"), { recursive: true });
  writeFileSync(join(top, "a/file"), "12345");
  writeFileSync(join(top, "a/b/c/file"), "123");
  writeFileSync(join(top, "sparse"), "");
  truncateSync(join(top, "sparse"), 1_000_000);
  expect(await measure()).toBe(1_000_008);
});

test("hard links once, links by their own length and never followed", async () => {
  writeFileSync(join(top, "file"), "x".repeat(1_000));
  mkdirSync(join(top, "sub"));
  linkSync(join(top, "file"), join(top, "sub/again"));
  linkSync(join(top, "file"), join(top, "sub/once-more"));
  symlinkSync("/usr", join(top, "sub/link"));
  symlinkSync("..", join(top, "sub/loop"));
  expect(await measure()).toBe(1_000 + "/usr".length + "..".length);
});

test("names that are no UTF-8 count as well", async () => {
  const odd = Buffer.concat([Buffer.from(`${top}/`), Buffer.from([0xe4, 0x62])]);
  mkdirSync(odd);
  writeFileSync(Buffer.concat([odd, Buffer.from("/file")]), "12345");
  writeFileSync(Buffer.concat([odd, Buffer.from("2")]), "123");
  expect(await measure()).toBe(8);
});

test("an operation that ends, ends the walk, and others get their turn before", async () => {
  mkdirSync(join(top, "sub"));
  for (let index = 0; index < 3_000; index++) writeFileSync(join(top, `sub/file-${index}`), "");
  const before = openCount();
  const controller = new AbortController();
  const measuring = measure(top, controller.signal);
  // The walk has begun; the first turn it gives away brings the end.
  setImmediate(() => controller.abort(new EngineError("operation.cancelled", "over")));
  const failure = await measuring.catch((error: unknown) => error);
  expect(failure).toMatchObject({ code: "operation.cancelled" });
  expect(openCount()).toBe(before);
});

describe("what leads elsewhere", () => {
  test("is not followed in the place of the data, nor above it", async () => {
    mkdirSync(join(top, "outside"));
    writeFileSync(join(top, "outside/file"), "12345");
    symlinkSync(join(top, "outside"), join(top, "link"));
    expect(await measure(join(top, "link"))).toBeNull();
    mkdirSync(join(top, "outside/_data"));
    writeFileSync(join(top, "outside/_data/file"), "123");
    expect(await measure(join(top, "link/_data"))).toBeNull();
    expect(await measure(join(top, "outside/_data"))).toBe(3);
  });

  test("is not followed when it takes a directory's place in the middle of a walk", async () => {
    const data = join(top, "data");
    const outside = join(top, "outside");
    for (const each of [join(data, "swapped/below"), join(outside, "below")]) {
      mkdirSync(each, { recursive: true });
    }
    for (let index = 0; index < 100; index++) {
      writeFileSync(join(data, `swapped/below/${index}`), "1");
      for (const each of ["", "below/"]) writeFileSync(join(outside, `${each}${index}`), "1234567");
    }
    symlinkSync(outside, join(data, "link"));
    await using _swapping = await startSwapLoop(join(data, "swapped"), join(data, "link"));
    const sizes = new Set<number | null>();
    const endsAt = performance.now() + SWAPPING_MS;
    while (performance.now() < endsAt) sizes.add(await measure(data));
    // The directory twice, once, or not at all, and its files; as often the link by its length.
    const largest = 2 * (100 + outside.length);
    expect([...sizes].filter((size) => size === null || size > largest)).toEqual([]);
    expect(sizes.size).toBeGreaterThan(1);
  });
});

describe("depth", () => {
  const deep = (levelCount: number) => {
    mkdirSync(join(top, "d/".repeat(levelCount)), { recursive: true });
    writeFileSync(join(top, "d/".repeat(levelCount), "file"), "12345");
  };

  test("counts to the last of 128 levels", async () => {
    deep(127);
    expect(await measure()).toBe(5);
  });

  test("is unknown below, and leaves nothing open", async () => {
    deep(128);
    const before = openCount();
    expect(await measure()).toBeNull();
    expect(openCount()).toBe(before);
  });
});

describe("the driver", () => {
  const driverWith = (host: Partial<Host> = {}) =>
    localDriver({ root: join(top, "root"), host: { ...linuxHost(), ...host } });
  const data = (volume: string) => join(top, "root/volumes", volume, "_data");
  const mountedAt = (target: string) => ({
    mountId: 1,
    parentId: 0,
    device: "0:1",
    root: "/",
    target,
    options: [],
    propagation: [],
    fileSystem: "nfs",
    source: "dead:/",
  });

  test.each(["", "/_data", "/_data/below", "/_data/deep/below"])(
    "does not look at a volume with something mounted at NAME%s",
    async (place) => {
      const target = join(top, `root/volumes/mounted${place}`);
      const driver = driverWith({ mounts: () => [mountedAt(target)] });
      const options = { type: "tmpfs", device: "tmpfs" };
      await driver.create({ name: name("mounted"), options: {} }, operation());
      await driver.create({ name: name("mounted-2"), options: {} }, operation());
      writeFileSync(join(data("mounted"), "file"), "12345");
      writeFileSync(join(data("mounted-2"), "file"), "123");
      const measureVolume = (volume: string) =>
        driver.usage?.measure(name(volume), operation()).then(({ usedBytes }) => usedBytes);
      expect(await measureVolume("mounted")).toBeNull();
      expect(await measureVolume("mounted-2")).toBe(3);
      await driver.create({ name: name("with-device"), options }, operation());
      expect(await measureVolume("with-device")).toBeNull();
      // Not even its options are read: here that would fail.
      renameSync(join(top, "root/volumes/mounted"), join(top, "gone"));
      symlinkSync("mounted", join(top, "root/volumes/mounted"));
      expect(await measureVolume("mounted")).toBeNull();
    },
  );

  whenPossible(["root", "mount"], "counts again when nothing is mounted any more", async () => {
    const host = linuxHost();
    let nowMs = 0;
    const driver = driverWith({ monotonicMs: () => nowMs });
    await driver.create({ name: name("wiki"), options: {} }, operation());
    writeFileSync(join(data("wiki"), "file"), "12345");
    const target = join(data("wiki"), "below");
    mkdirSync(target);
    const measureWiki = () => driver.usage?.measure(name("wiki"), operation());
    await host.mount({ type: "tmpfs", device: "tmpfs", target, options: "" }, operation());
    try {
      expect(await measureWiki()).toEqual({ usedBytes: null });
    } finally {
      await host.unmount(target, operation());
    }
    nowMs += 100;
    expect(await measureWiki()).toEqual({ usedBytes: 5 });
  });

  test("gives others their turn between empty volumes, and reads few mount tables", async () => {
    let readCount = 0;
    const { mounts } = linuxHost();
    const driver = driverWith({
      mounts() {
        readCount += 1;
        return mounts();
      },
    });
    const names = Array.from({ length: 3_000 }, (_, index) => name(`empty-${index}`));
    for (const each of names) driver.rebuild?.createNow({ name: each, options: {} });
    readCount = 0;
    let turnCount = 0;
    let isOver = false;
    const count = () => {
      turnCount += 1;
      if (!isOver) setImmediate(count);
    };
    setImmediate(count);
    const startedAt = performance.now();
    await Promise.all(names.map((each) => driver.usage?.measure(each, operation())));
    const tookMs = performance.now() - startedAt;
    isOver = true;
    expect(turnCount).toBeGreaterThan(3);
    expect(readCount).toBeLessThanOrEqual(1 + tookMs / 100);
  });
});
