// What `holdfast verify` made goes again, unless something is mounted in it or may yet be.
import { afterEach, beforeEach, expect, test } from "bun:test";
import { existsSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { temporaryFolder } from "../../test/support/driver-benches.ts";
import type { Host, MountInfo } from "../core/host.ts";
import { linuxHost } from "../host/linux.ts";
import { VerifyPlaces } from "./verify-places.ts";

let folder: string;
beforeEach(() => {
  folder = temporaryFolder("places");
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function line(target: string): MountInfo {
  const words = { device: "0:1", root: "/", fileSystem: "none", source: "none" };
  return { mountId: 1, parentId: 0, target, options: [], propagation: [], ...words };
}

/** A machine whose mount table is a list; `unmount` takes the last line of a target. */
function placesOver(table: string[], parts: Partial<Host> = {}): VerifyPlaces {
  const host: Host = {
    ...linuxHost(),
    mounts: () => table.map(line),
    async unmount(target) {
      const index = table.lastIndexOf(target);
      if (index >= 0) table.splice(index, 1);
    },
    ...parts,
  };
  return new VerifyPlaces(host);
}

const removeAll = (places: VerifyPlaces) => places.remove({ mayStillMount: false });

test("files and directories go, and what lies beside them stays", async () => {
  const places = placesOver([`${folder}-other`]);
  const made = [places.make(folder), places.make(join(folder, "below"))];
  for (const each of made) {
    mkdirSync(join(each, "a/b"), { recursive: true });
    writeFileSync(join(each, "a/b/file"), "");
  }
  writeFileSync(join(folder, "below/mine"), "");
  expect(await removeAll(places)).toEqual([]);
  expect(made.map((each) => existsSync(each))).toEqual([false, false]);
  expect(existsSync(join(folder, "below/mine"))).toBe(true);
  expect(await removeAll(placesOver([]))).toEqual([]);
});

test("all that is mounted is unmounted first, also what lies on another mount", async () => {
  const table: string[] = ["/"];
  const order: string[] = [];
  const places = placesOver(table, {
    async unmount(target) {
      order.push(target);
      if (table.some((each) => each.startsWith(`${target}/`))) throw new Error("busy");
      table.splice(table.lastIndexOf(target), 1);
    },
  });
  const made = places.make(folder);
  table.push(`${made}/a`, `${made}/a/b`, `${made}/a/b`, made);
  expect(await removeAll(places)).toEqual([]);
  expect(table).toEqual(["/"]);
  expect(order).toEqual([`${made}/a/b`, `${made}/a/b`, `${made}/a`, made]);
  expect(existsSync(made)).toBe(false);
});

test("when something stays mounted, nothing at all is removed", async () => {
  const table: string[] = [];
  const refusing = { unmount: () => Promise.reject(new Error("target is busy")) };
  const lying = { unmount: () => Promise.resolve() };
  for (const [parts, reason] of [
    [refusing, "target is busy"],
    [lying, "it is still there after its unmount"],
  ] as const) {
    const places = placesOver(table, parts);
    const made = [places.make(folder), places.make(folder)];
    table.push(`${made[1]}/data`);
    const words = `${made[1]}/data is still mounted (${reason})`;
    expect(await removeAll(places)).toEqual(made.map((each) => `directory ${each}: ${words}`));
    expect(made.map((each) => existsSync(each))).toEqual([true, true]);
    table.length = 0;
  }
});

test("what is mounted between two removals stops the second", async () => {
  const table: string[] = [];
  const made: string[] = [];
  const places = placesOver(table, {
    async run(program, words, operation) {
      table.push(`${made[1]}/late`);
      return await linuxHost().run(program, words, operation);
    },
  });
  made.push(places.make(folder), places.make(folder));
  const words = `${made[1]}/late is still mounted (it was mounted just now)`;
  expect(await removeAll(places)).toEqual([`directory ${made[1]}: ${words}`]);
  expect(made.map((each) => existsSync(each))).toEqual([false, true]);
});

test("while a check may still mount something, nothing is removed", async () => {
  const places = placesOver([]);
  const made = places.make(folder);
  const [words = ""] = await places.remove({ mayStillMount: true });
  expect(words).toStartWith(`directory ${made}: a check has not ended`);
  expect(existsSync(made)).toBe(true);
});

test("a removal that fails is told, with the reason", async () => {
  const stderr = "rm: cannot remove 'x': Read-only file system\nand more\n";
  const places = placesOver([], { run: async () => ({ exitCode: 1, stdout: "", stderr }) });
  const made = places.make(folder);
  expect(await removeAll(places)).toEqual([`directory ${made}: ${stderr.split("\n")[0]}`]);
});
