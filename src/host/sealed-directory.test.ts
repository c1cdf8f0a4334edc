// Mount points that cannot be written to, on file systems with the flag and without it.
import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { whenPossible } from "../../test/support/needs.ts";
import { testOperation } from "../../test/support/operation.ts";
import { linuxHost } from "./linux.ts";

const host = linuxHost();
let folder: string;
let at: string;
beforeEach(() => {
  folder = mkdtempSync("/dev/shm/holdfast-seal-");
  at = join(folder, "at");
  mkdirSync(at);
});
afterEach(async () => {
  await host.unmount(at, testOperation());
  host.seal(at, false);
  rmSync(folder, { recursive: true, force: true });
});

function thrownBy(work: () => void): unknown {
  try {
    work();
  } catch (thrown) {
    return thrown;
  }
  return undefined;
}

whenPossible(["root"], "not even root writes into it, until it is opened again", () => {
  host.seal(at, true);
  host.seal(at, true);
  expect(thrownBy(() => writeFileSync(join(at, "file"), ""))).toMatchObject({ code: "EPERM" });
  host.seal(at, false);
  host.seal(at, false);
  writeFileSync(join(at, "file"), "");
});

whenPossible(["root", "mount"], "it can be mounted on, and is left alone then", async () => {
  host.seal(at, true);
  const tmpfs = { type: "tmpfs", device: "seal", target: at, options: "size=64k" };
  await host.mount(tmpfs, testOperation());
  expect(thrownBy(() => host.seal(at, false))).toMatchObject({ code: "storage.failed" });
  writeFileSync(join(at, "file"), "");
  await host.unmount(at, testOperation());
  expect(thrownBy(() => writeFileSync(join(at, "file"), ""))).toMatchObject({ code: "EPERM" });
});

whenPossible(["root", "mount"], "without the flag its mode is 0", async () => {
  // ramfs has no flags.
  const ram = { type: "ramfs", device: "seal", target: at, options: "" };
  await host.mount(ram, testOperation());
  const below = join(at, "below");
  mkdirSync(below);
  host.seal(below, true);
  expect(statSync(below).mode & 0o7777).toBe(0);
  host.seal(below, false);
  expect(statSync(below).mode & 0o7777).toBe(0o700);
});

test("a missing one and a link are refused", () => {
  symlinkSync(at, join(folder, "link"));
  for (const name of ["none", "link"]) {
    const error = thrownBy(() => host.seal(join(folder, name), true));
    expect(error).toMatchObject({ code: "storage.failed" });
  }
});
