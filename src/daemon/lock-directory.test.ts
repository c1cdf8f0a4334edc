// The directory of the locks' socket: read-only for all who are given it, and for good.
import { afterEach, expect, test } from "bun:test";
import {
  chmodSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { runToEnd } from "../../test/support/child.ts";
import { temporaryDirectory } from "../../test/support/daemon.ts";
import { whenPossible } from "../../test/support/needs.ts";
import { silentLog } from "../core/operation.ts";
import { makeLockDirectory } from "./lock-directory.ts";

const folder = temporaryDirectory();
const directory = join(folder, "locks");

afterEach(async () => {
  for (const target of [directory, `${directory}.own`]) {
    while (mountsAt(target).length > 0) await runToEnd("umount", [target], { timeoutMs: 10_000 });
  }
  rmSync(folder, { recursive: true, force: true });
});

function mountsAt(target: string): readonly string[] {
  const lines = readFileSync("/proc/self/mountinfo", "utf8").split("\n");
  return lines.filter((line) => line.split(" ")[4] === target);
}

whenPossible(["root", "mount"], "what is written in it shows where nobody can write", async () => {
  const writable = makeLockDirectory(directory, silentLog);
  expect(writable).toBe(`${directory}.own`);
  writeFileSync(join(writable, "first"), "");
  expect(readdirSync(directory)).toEqual(["first"]);
  expect(() => writeFileSync(join(directory, "mine"), "")).toThrow("EROFS");
  expect(() => rmSync(join(directory, "first"))).toThrow("EROFS");
  expect(statSync(directory).mode & 0o777).toBe(0o755);
  // The next daemon finds it as it is.
  expect(makeLockDirectory(directory, silentLog)).toBe(writable);
  expect([mountsAt(directory).length, mountsAt(writable).length]).toEqual([1, 1]);
  // Whichever of the two is gone, or was never made.
  for (const gone of [writable, directory]) {
    await runToEnd("umount", [gone], { timeoutMs: 10_000 });
    expect(makeLockDirectory(directory, silentLog)).toBe(writable);
    writeFileSync(join(writable, "again"), "");
    expect(readdirSync(directory)).toEqual(["again", "first"]);
    expect(() => rmSync(join(directory, "again"))).toThrow("EROFS");
  }
});

test("one in which others may write is refused", () => {
  mkdirSync(directory, { recursive: true });
  chmodSync(directory, 0o777);
  expect(() => makeLockDirectory(directory, silentLog)).toThrow("others may write there");
  expect(readdirSync(directory)).toEqual([]);
});
