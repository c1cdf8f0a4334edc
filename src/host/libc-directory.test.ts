// The first entries of directories, as node: names them.
import { expect, test } from "bun:test";
import { mkdirSync, readdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { temporaryFolder } from "../../test/support/driver-benches.ts";
import { loadDirectoryCalls } from "./libc-directory.ts";

const { firstEntries } = loadDirectoryCalls();

test("as many as are asked for, with what they are", () => {
  const folder = temporaryFolder("entries");
  try {
    expect(firstEntries(folder, 10)).toEqual([]);
    for (let index = 0; index < 1000; index++) writeFileSync(join(folder, `file-${index}`), "");
    expect(firstEntries(folder, 500)).toHaveLength(500);
    mkdirSync(join(folder, "größer\n"));
    symlinkSync("größer\n", join(folder, "link"));
    const all = firstEntries(folder, 5000);
    const named = readdirSync(folder, { withFileTypes: true });
    expect(all.map(({ name, isDirectory }) => `${name} ${isDirectory}`).toSorted()).toEqual(
      named.map((each) => `${each.name} ${each.isDirectory()}`).toSorted(),
    );
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

test("what cannot be read says why", () => {
  expect(() => firstEntries("/nowhere-at-all", 1)).toThrow(/ENOENT/);
});
