// The driver sshfs and a real sshd through the troubles of a day. Every promise of a driver is
// checked over it at night.
import { expect } from "bun:test";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { StorageState, VolumeDriver } from "../../src/core/driver.ts";
import { parseHolderId, parseVolumeName } from "../../src/core/names.ts";
import { ownData } from "../../src/engine/own-data.ts";
import { linuxHost } from "../../src/host/linux.ts";
import { REFUSED_EVERY_MS } from "../../src/remote/write-proofs.ts";
import { eventually, runToEnd } from "../support/child.ts";
import { startSshServer } from "../support/labs/ssh-server.ts";
import { type Requirement, whenPossible } from "../support/needs.ts";
import { testOperation } from "../support/operation.ts";
import { sshfsPlaces } from "../support/sshfs-parts.ts";

const needed: readonly Requirement[] = ["root", "fuse", "mount", "sshd", "sshfs"];
const host = linuxHost();
const name = parseVolumeName("photos");
const holder = parseHolderId("container");

/** Asks as the engine does, again and again. */
async function untilIs(driver: VolumeDriver, state: StorageState, timeoutMs: number) {
  let last = "";
  await eventually(
    async () => {
      const health = await driver.health?.check(name, testOperation(AbortSignal.timeout(1_000)));
      last = JSON.stringify(health);
      return health?.state === state || undefined;
    },
    { timeoutMs, otherwise: () => `it is not ${state}: ${last}` },
  );
}

/** Files below a folder that have a text in them; what is mounted is not looked into. */
function filesWith(folder: string, text: string): readonly string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((file) => readFileSync(file, "utf8").includes(text));
}

whenPossible(needed, "a volume dies, falls silent, comes back, and leaves nothing", async () => {
  const folder = mkdtempSync("/dev/shm/holdfast-sshd-");
  await using server = await startSshServer(folder);
  const places = sshfsPlaces(server);
  const key = readFileSync(join(server.folder, "user"), "utf8").split("\n")[1] ?? "";
  try {
    const driver = places.open();
    const options = { ...places.options, subpath: "album", timeout: "3" };
    const made = await driver.create({ name, options }, testOperation());
    expect(made.origin).toBe("made");
    const path = await driver.mount(name, holder, testOperation());
    await writeFile(join(path, "page"), "written");
    expect(readFileSync(join(places.served, "album", "page"), "utf8")).toBe("written");
    await untilIs(driver, "ready", 5_000);
    const run = join(places.root, "run/remote/sshfs/photos");
    expect(filesWith(join(places.root, "run"), key)).toEqual([join(run, "key")]);

    const { pid, start } = JSON.parse(readFileSync(join(run, "process.json"), "utf8"));
    host.signalKept({ pid, start }, "SIGKILL");
    await untilIs(driver, "stale", 5_000);
    await driver.health?.heal(name, testOperation());
    expect(await readFile(join(path, "page"), "utf8")).toBe("written");

    await server.freeze();
    await untilIs(driver, "unreachable", 5_000);
    await server.thaw();
    await untilIs(driver, "ready", 5_000);

    // The next life of the daemon.
    const next = places.open();
    expect(await next.mount(name, holder, testOperation())).toBe(path);
    await next.unmount(name, holder, testOperation());
    expect(filesWith(places.root, key)).toEqual([]);
    await next.destroy(name, testOperation());
    expect(existsSync(run)).toBe(false);
    expect(existsSync(join(places.root, "data/remote/sshfs/photos"))).toBe(false);
  } finally {
    await places.release();
    rmSync(folder, { recursive: true, force: true });
  }
});

whenPossible(needed, "an owner is shown, and with `uid` changes on the server alone", async () => {
  const folder = mkdtempSync("/dev/shm/holdfast-sshd-");
  await using server = await startSshServer(folder);
  const places = sshfsPlaces(server);
  const driver = places.open();
  const given = { userId: 999, groupId: 998 };
  const uidOf = (path: string) => statSync(path).uid;
  try {
    const cases = [
      { options: { subpath: "plain" }, before: 0, shown: 999 },
      { options: { subpath: "mapped", idmap: "user" }, before: 0, shown: 999 },
      { options: { subpath: "fixed", uid: "5" }, before: 5, shown: 5 },
    ] as const;
    for (const { options, before, shown } of cases) {
      const volume = parseVolumeName(options.subpath);
      const all = { ...places.options, cache: "0", ...options };
      await driver.create({ name: volume, options: all }, testOperation());
      const data = await driver.mount(volume, holder, testOperation());
      expect(uidOf(data)).toBe(before);
      await ownData(host, data, given, testOperation());
      expect([uidOf(data), uidOf(join(places.served, options.subpath))]).toEqual([shown, 999]);
      // What is refused is what would not be shown.
      const instead = driver.fixedOwner?.("owner", all);
      expect(instead).toEqual(shown === 999 ? [] : ["uid"]);
      await driver.unmount(volume, holder, testOperation());
    }
  } finally {
    await places.release();
    rmSync(folder, { recursive: true, force: true });
  }
});

whenPossible(needed, "a server that is full or takes no writes says so", async () => {
  const folder = mkdtempSync("/dev/shm/holdfast-sshd-");
  await using server = await startSshServer(folder);
  const places = sshfsPlaces(server);
  let aheadMs = 0;
  const mountServed = async (words: string) => {
    const args = ["-t", "tmpfs", "-o", words, "tmpfs", places.served];
    expect(await runToEnd("mount", args, { timeoutMs: 10_000 })).toMatchObject({ exit: 0 });
  };
  try {
    await mountServed("size=1m,mode=755");
    const driver = places.open({ monotonicMs: () => host.monotonicMs() + aheadMs });
    await driver.create({ name, options: places.options }, testOperation());
    await driver.mount(name, holder, testOperation());
    const check = () => driver.health?.check(name, testOperation(AbortSignal.timeout(9_000)));
    const space = { sizeBytes: 1_048_576, availableBytes: 1_048_576 };
    expect(await check()).toMatchObject({ state: "ready", space });

    await writeFile(join(places.served, "all"), Buffer.alloc(1_048_576));
    const full = { state: "degraded", reason: "the server is full (0 bytes left)" } as const;
    expect(await check()).toMatchObject(full);
    rmSync(join(places.served, "all"));
    expect(await check()).toMatchObject({ state: "ready" });

    await mountServed("remount,ro");
    aheadMs += REFUSED_EVERY_MS;
    expect(await check()).toMatchObject({ state: "read-only" });
    await mountServed("remount,rw");
    aheadMs += REFUSED_EVERY_MS;
    expect(await check()).toMatchObject({ state: "ready" });
    expect(readdirSync(places.served)).toEqual([]);
    await driver.unmount(name, holder, testOperation());
  } finally {
    await places.release();
    rmSync(folder, { recursive: true, force: true });
  }
});
