// Owners and modes of real directories.
import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { whenPossible } from "../../test/support/needs.ts";
import { linuxHost } from "./linux.ts";

const { own } = linuxHost();
let folder: string;
let directory: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "holdfast-owner-"));
  directory = join(folder, "data");
  mkdirSync(directory, { mode: 0o750 });
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function seen(): readonly number[] {
  const { uid, gid, mode } = statSync(directory);
  return [uid, gid, mode & 0o7777];
}

whenPossible(["root"], "owner and mode, each alone and together", () => {
  own(directory, { userId: 1001 });
  expect(seen()).toEqual([1001, 0, 0o750]);
  own(directory, { groupId: 4_000_000_000 });
  expect(seen()).toEqual([1001, 4_000_000_000, 0o750]);
  own(directory, { mode: 0o2770 });
  expect(seen()).toEqual([1001, 4_000_000_000, 0o2770]);
  own(directory, { userId: 7 });
  expect(seen()).toEqual([7, 4_000_000_000, 0o2770]);
  own(directory, { userId: 0, groupId: 0, mode: 0o3777 });
  expect(seen()).toEqual([0, 0, 0o3777]);
});

test("what is right already is not touched", async () => {
  const { uid, gid, ctimeNs } = statSync(directory, { bigint: true });
  own(directory, { userId: Number(uid), groupId: Number(gid), mode: 0o750 });
  own(directory, {});
  expect(statSync(directory, { bigint: true }).ctimeNs).toBe(ctimeNs);
});

test("follows no link, and names what fails", () => {
  const link = join(folder, "link");
  symlinkSync(directory, link);
  writeFileSync(join(folder, "file"), "");
  for (const name of ["link", "file", "none"]) {
    expect(() => own(join(folder, name), { mode: 0o700 })).toThrow(
      expect.objectContaining({ code: "storage.failed" }),
    );
  }
  expect(seen()[2]).toBe(0o750);
});
