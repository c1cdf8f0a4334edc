// Mounted for the first holder, unmounted after the last, and never a bare directory.
import { describe, expect } from "bun:test";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { runToEnd } from "../../test/support/child.ts";
import { whenPossible } from "../../test/support/needs.ts";
import {
  failureOf,
  first,
  operation,
  other,
  remoteBench,
  runOf,
  second,
  trashId,
  wiki,
} from "../../test/support/remote-bench.ts";
import { PROBE_EVERY_MS, REFUSED_EVERY_MS } from "./write-proofs.ts";

const possible = ["root", "mount"] as const;

describe("mount", () => {
  whenPossible(possible, "mounts once, and unmounts after the last holder", async () => {
    await using bench = remoteBench();
    const { driver } = bench;
    await bench.create();
    bench.mounted.length = 0;
    const path = await driver.mount(wiki, first, operation);
    expect(await driver.mount(wiki, second, operation)).toBe(path);
    expect(bench.mounted).toEqual([path]);
    await driver.unmount(wiki, first, operation);
    expect(bench.isMounted()).toBe(true);
    await driver.unmount(wiki, second, operation);
    expect(bench.isMounted()).toBe(false);
    expect(runOf(bench)).toBe(undefined);
  });

  whenPossible(possible, "what is mounted over a restart is adopted", async () => {
    await using bench = remoteBench();
    await bench.create();
    const path = await bench.driver.mount(wiki, first, operation);
    const next = bench.open();
    bench.mounted.length = 0;
    expect(await next.mount(wiki, first, operation)).toBe(path);
    expect(bench.mounted).toEqual([]);
    await next.unmount(wiki, first, operation);
    expect(bench.isMounted()).toBe(false);
  });

  whenPossible(possible, "a dead mount is never handed out", async () => {
    await using bench = remoteBench();
    await bench.create();
    const path = await bench.driver.mount(wiki, first, operation);
    bench.switches.stale.add(path);
    bench.mounted.length = 0;
    expect(await bench.driver.mount(wiki, second, operation)).toBe(path);
    expect(bench.mounted).toEqual([path]);
  });

  whenPossible(possible, "fails where the server does, and leaves nothing", async () => {
    await using bench = remoteBench();
    await bench.create();
    bench.switches.isDead = true;
    const failure = await failureOf(bench.driver.mount(wiki, first, operation));
    expect(failure.code).toBe("remote.unreachable");
    expect(bench.isMounted()).toBe(false);
    expect(runOf(bench)).toBe(undefined);
    // Nobody holds it.
    await bench.driver.destroy(wiki, operation);
  });

  whenPossible(possible, "says what it is that is not there any more", async () => {
    await using bench = remoteBench();
    await bench.create({ subpath: "a" });
    rmSync(join(bench.share, "a"), { recursive: true });
    const failure = await failureOf(bench.driver.mount(wiki, first, operation));
    expect(failure.code).toBe("volume.data_missing");
    expect(existsSync(join(bench.share, "a"))).toBe(false);
  });

  whenPossible(possible, "the mount point takes nothing while nothing is mounted", async () => {
    await using bench = remoteBench();
    const { mountpoint } = await bench.create();
    // Root minds no mode: only the flag of the file system keeps it out.
    const { stdout } = await runToEnd("lsattr", ["-d", mountpoint], { timeoutMs: 10_000 });
    if (!/^\S*i/.test(stdout)) return;
    expect(() => writeFileSync(join(mountpoint, "lost"), "")).toThrow(/EPERM/);
    await bench.driver.mount(wiki, first, operation);
    writeFileSync(join(mountpoint, "kept"), "");
    expect(readdirSync(bench.share)).toEqual(["kept"]);
  });

  whenPossible(possible, "renaming takes what an earlier life has left mounted away", async () => {
    await using bench = remoteBench();
    await bench.create();
    await bench.driver.mount(wiki, first, operation);
    const held = await failureOf(
      bench.driver.rename?.rename(wiki, other, operation) ?? Promise.resolve(),
    );
    expect(held.code).toBe("volume.in_use");
    const next = bench.open();
    await next.rename?.rename(wiki, other, operation);
    expect(bench.isMounted()).toBe(false);
    expect(bench.here()).toEqual([".trash", "other"]);
  });
});

describe("what is not on the server yet", () => {
  whenPossible(possible, "keeps its mount, and the volume", async () => {
    await using bench = remoteBench();
    const { driver } = bench;
    await bench.create();
    await driver.mount(wiki, first, operation);
    bench.switches.unsaved = { fileCount: 1, bytes: 5 };
    const unmounting = driver.unmount(wiki, first, operation);
    expect((await failureOf(unmounting)).code).toBe("remote.unsaved");
    expect(bench.isMounted()).toBe(true);
    const next = bench.open();
    expect((await failureOf(next.destroy(wiki, operation))).code).toBe("remote.unsaved");
    expect((await failureOf(next.forget(wiki, operation))).code).toBe("remote.unsaved");
    expect((await next.get(wiki, operation)).state).toBe("found");
  });

  whenPossible(possible, "goes along into the trash", async () => {
    await using bench = remoteBench();
    await bench.create();
    const path = await bench.driver.mount(wiki, first, operation);
    bench.switches.unsaved = { fileCount: 1, bytes: 5 };
    writeFileSync(join(path, "../keep/cache"), "unsent");
    const next = bench.open();
    await next.trash?.retire(wiki, { id: trashId, description: "" }, operation);
    expect(bench.isMounted()).toBe(false);
    await next.trash?.restore(trashId, wiki, operation);
    expect(readFileSync(join(path, "../keep/cache"), "utf8")).toBe("unsent");
  });
});

whenPossible(possible, "what a dead daemon had begun is ended by who lets go of it", async () => {
  await using bench = remoteBench();
  await bench.create();
  const run = join(bench.root, "run", "remote", "bound", wiki);
  for (const letGo of [
    () => bench.open().unmount(wiki, first, operation),
    () => bench.open().trash?.retire(wiki, { id: trashId, description: "" }, operation),
  ]) {
    mkdirSync(run);
    writeFileSync(join(run, "credentials"), "password=hush");
    await letGo();
    expect(runOf(bench)).toBeUndefined();
  }
});

describe("options that are none any more, as after an update", () => {
  whenPossible(possible, "stop neither an end, nor a removal, nor the look at others", async () => {
    await using bench = remoteBench();
    await bench.create();
    await bench.driver.mount(wiki, first, operation);
    const stale = { nonsense: "x" };
    const record = join(bench.root, "data", "remote", "bound", wiki, "volume.json");
    const stored = JSON.parse(readFileSync(record, "utf8"));
    writeFileSync(record, JSON.stringify({ ...stored, options: stale }));
    const mounted = join(bench.root, "run", "remote", "bound", wiki, "mounted.json");
    writeFileSync(mounted, JSON.stringify(stale));
    const next = bench.open();
    expect(next.health?.server(stale)).toBe("bound");
    await next.unmount(wiki, first, operation);
    expect(bench.isMounted()).toBe(false);
    const health = await next.health?.check(wiki, operation);
    expect(health).toMatchObject({ state: "unreachable" });
    expect(health?.reason).toInclude("nonsense");
    expect((await failureOf(next.mount(wiki, first, operation))).code).toBe(
      "volume.option_invalid",
    );
    await next.trash?.retire(wiki, { id: trashId, description: "" }, operation);
    await next.trash?.purge([trashId], operation);
    expect(bench.here()).toEqual([".trash"]);
  });
});

describe("health", () => {
  whenPossible(possible, "one question is for all volumes of a server", async () => {
    await using bench = remoteBench();
    const { driver } = bench;
    await bench.create();
    await driver.create({ name: other, options: {} }, operation);
    const looks = Array.from({ length: 300 }, (_, index) =>
      driver.health?.check(index % 2 === 0 ? wiki : other, operation),
    );
    for (const health of await Promise.all(looks)) expect(health).toMatchObject({ state: "ready" });
    expect(bench.greeted.count).toBe(1);
  });

  whenPossible(possible, "says read-only of what should take writes", async () => {
    await using bench = remoteBench();
    await bench.create();
    bench.switches.isReadOnly = true;
    await bench.driver.mount(wiki, first, operation);
    const health = await bench.driver.health?.check(wiki, operation);
    expect(health).toMatchObject({ state: "read-only", reason: "it is mounted read-only" });
  });

  whenPossible(possible, "says read-only of a server that takes no writes any more", async () => {
    await using bench = remoteBench();
    await bench.create();
    await bench.driver.mount(wiki, first, operation);
    const check = () => bench.driver.health?.check(wiki, operation);
    bench.switches.isReadOnly = true;
    expect(await check()).toMatchObject({ state: "ready" });
    bench.switches.aheadMs += REFUSED_EVERY_MS;
    const refused = { state: "read-only", reason: "the server takes no writes" } as const;
    expect(await check()).toMatchObject(refused);
    bench.switches.isReadOnly = false;
    // Known for a while, and then asked again.
    expect(await check()).toMatchObject(refused);
    bench.switches.aheadMs += REFUSED_EVERY_MS;
    expect(await check()).toMatchObject({ state: "ready" });
    bench.switches.isReadOnly = true;
    bench.switches.aheadMs += REFUSED_EVERY_MS;
    expect(await check()).toMatchObject({ state: "ready" });
    bench.switches.aheadMs += PROBE_EVERY_MS;
    expect(await check()).toMatchObject(refused);
    expect(bench.onServer()).toEqual([]);
  });

  whenPossible(possible, "says that a server is full, and how much room it has", async () => {
    await using bench = remoteBench();
    await bench.create();
    await bench.driver.mount(wiki, first, operation);
    const check = () => bench.driver.health?.check(wiki, operation);
    const room = { sizeBytes: 1e9, availableBytes: 1e6, fileCount: 5, availableFileCount: 1 };
    bench.switches.room = room;
    const space = { sizeBytes: 1e9, availableBytes: 1e6 };
    expect(await check()).toMatchObject({ state: "ready", space });
    bench.switches.room = { ...room, availableBytes: 0 };
    const reason = "the server is full (0 bytes left)";
    expect(await check()).toMatchObject({ state: "degraded", reason });
    bench.switches.room = { ...room, availableFileCount: 0 };
    expect(await check()).toMatchObject({ state: "degraded" });
    // Nobody knows: nothing is wrong.
    bench.switches.room = { ...room, sizeBytes: 0, availableBytes: 0 };
    expect(await check()).toMatchObject({ state: "ready", space: undefined });
  });

  whenPossible(possible, "a heal that fails leaves nothing mounted", async () => {
    await using bench = remoteBench();
    await bench.create();
    const path = await bench.driver.mount(wiki, first, operation);
    bench.switches.stale.add(path);
    bench.switches.isDead = true;
    const healing = bench.driver.health?.heal(wiki, operation) ?? Promise.resolve();
    expect((await failureOf(healing)).code).toBe("remote.unreachable");
    expect(bench.isMounted()).toBe(false);
    bench.switches.isDead = false;
    expect(await bench.driver.mount(wiki, first, operation)).toBe(path);
  });

  whenPossible(possible, "flush ends when nothing is left, and tells what is", async () => {
    await using bench = remoteBench();
    await bench.create();
    await bench.driver.mount(wiki, first, operation);
    bench.switches.unsaved = { fileCount: 2, bytes: 10 };
    const told: number[] = [];
    await bench.driver.flush?.flush(wiki, operation, ({ fileCount }) => {
      told.push(fileCount);
      bench.switches.unsaved = fileCount === 2 ? { fileCount: 1, bytes: 5 } : undefined;
    });
    expect(told).toEqual([2, 1]);
    expect(await bench.driver.health?.check(wiki, operation)).toMatchObject({ state: "ready" });
  });
});
