// Another name for a volume: what goes with it, and what stands in the way.
import { afterEach, beforeEach, expect, test } from "bun:test";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { failureOf } from "../../../test/support/engine-bench.ts";
import { testOperation } from "../../../test/support/operation.ts";
import type { DriverOptions, VolumeDriver } from "../../core/driver.ts";
import type { Host } from "../../core/host.ts";
import { parseHolderId, parseVolumeName } from "../../core/names.ts";
import { linuxHost } from "../../host/linux.ts";
import { localDriver } from "./driver.ts";

const operation = testOperation();
const wiki = parseVolumeName("wiki");
const docs = parseVolumeName("docs");
const holder = parseHolderId("c1");
let root: string;
beforeEach(() => {
  root = mkdtempSync("/dev/shm/holdfast-rename-");
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

const place = (...names: readonly string[]): string => join(root, "volumes", ...names);

async function withWiki(
  options: DriverOptions = {},
  change: Partial<Host> = {},
): Promise<VolumeDriver> {
  const driver = localDriver({ root, host: { ...linuxHost(), ...change } });
  await driver.create({ name: wiki, options }, operation);
  writeFileSync(place("wiki", "_data", "file"), "data");
  return driver;
}

async function rename(driver: VolumeDriver, from = wiki, to = docs): Promise<void> {
  if (driver.rename === undefined) throw new Error("local can rename");
  await driver.rename.rename(from, to, operation);
}

test("data, options and identity go with it; the old name is free", async () => {
  const driver = await withWiki({ size: "0" });
  const before = await driver.get(wiki, operation);
  await rename(driver);
  await rename(driver);
  const after = await driver.get(docs, operation);
  if (before.state !== "found" || after.state !== "found") throw new Error("it must be there");
  expect(after.record).toEqual({
    ...before.record,
    name: docs,
    mountpoint: place("docs", "_data"),
  });
  expect(readFileSync(place("docs", "_data", "file"), "utf8")).toBe("data");
  await driver.create({ name: wiki, options: {} }, operation);
  expect(readdirSync(place("wiki", "_data"))).toEqual([]);
});

test("a mount by the old name says nothing of a new volume of that name", async () => {
  const driver = await withWiki();
  await driver.mount(wiki, holder, operation);
  expect((await failureOf(rename(driver))).code).toBe("volume.in_use");
  await driver.unmount(wiki, holder, operation);
  await rename(driver);
  await driver.create({ name: wiki, options: {} }, operation);
  expect(await driver.mount(wiki, holder, operation)).toBe(place("wiki", "_data"));
  expect(await driver.mount(docs, holder, operation)).toBe(place("docs", "_data"));
});

test("a name that is taken, by whatever, is not renamed over", async () => {
  const driver = await withWiki();
  await driver.create({ name: docs, options: {} }, operation);
  expect((await failureOf(rename(driver))).code).toBe("volume.exists_differently");
  rmSync(place("docs"), { recursive: true });
  // What has no data and no options is no volume; it is not ours to be written over either.
  mkdirSync(place("docs"));
  expect((await failureOf(rename(driver))).code).toBe("volume.exists_differently");
  rmSync(place("docs"), { recursive: true });
  symlinkSync("/etc", place("docs"));
  expect((await failureOf(rename(driver))).code).toBe("volume.data_foreign");
  expect(existsSync(place("wiki", "_data", "file"))).toBe(true);
});

test("what is not there has no other name, and to itself nothing is done", async () => {
  const driver = await withWiki();
  await rename(driver, wiki, wiki);
  expect(existsSync(place("wiki", "_data", "file"))).toBe(true);
  const other = parseVolumeName("other");
  expect((await failureOf(rename(driver, other, docs))).code).toBe("volume.not_found");
  expect((await failureOf(rename(driver, other, other))).code).toBe("volume.not_found");
});

test("what somebody has mounted inside stands in the way", async () => {
  const [line] = linuxHost().mounts();
  if (line === undefined) throw new Error("this machine has no mounts");
  const target = place("wiki", "_data", "planted");
  const mounts = { value: [line] };
  const driver = await withWiki({}, { mounts: () => mounts.value });
  mounts.value = [{ ...line, target }];
  const { code, message } = await failureOf(rename(driver));
  expect(code).toBe("volume.in_use");
  expect(message).toContain(target);
  expect(readdirSync(place())).toEqual(["wiki"]);
});

test("what an earlier life has left mounted for the options is let go of", async () => {
  const unmounted: string[] = [];
  const unmount: Host["unmount"] = async (target) => {
    unmounted.push(target);
  };
  const driver = await withWiki({ type: "tmpfs", device: "tmpfs" }, { unmount });
  await rename(driver);
  expect(unmounted).toEqual([place("wiki", "_data")]);
  expect(existsSync(place("docs", "opts.json"))).toBe(true);
});

test("volumes/ swapped for a link while it runs: nothing is moved there", async () => {
  const driver = await withWiki();
  renameSync(place(), join(root, "outside"));
  symlinkSync(join(root, "outside"), place());
  expect((await failureOf(rename(driver))).code).toBe("volume.data_foreign");
  expect(readdirSync(join(root, "outside"))).toEqual(["wiki"]);
});
