// The trash over restarts of Holdfast and of dockerd, on a full disk, and where it is switched off.
import { describe, expect } from "bun:test";
import { closeSync, openSync, readdirSync, rmSync, statfsSync, writeSync } from "node:fs";
import { join } from "node:path";
import { mountedImage } from "../crash/loop-image.ts";
import { eventually } from "../support/child.ts";
import { temporaryDirectory } from "../support/daemon.ts";
import { HoldsBench } from "../support/holds-bench.ts";
import { type Requirement, whenPossible } from "../support/needs.ts";
import { testImage } from "../support/test-image.ts";
import {
  dataOf,
  dayMs,
  dockerRequirements,
  fill,
  history,
  holdfast,
  keptAs,
  readBy,
  refusal,
  stayMs,
  testMs,
  trash,
  treeOf,
} from "./steps.ts";

const mebibyte = 1024 * 1024;
const diskBytes = 48 * mebibyte;
const writtenBytes = 20 * mebibyte;

function when(name: string, run: () => Promise<void>, ...more: readonly Requirement[]): void {
  whenPossible([...dockerRequirements, ...more], name, run, testMs);
}

async function isPurged(bench: HoldsBench, name: string): Promise<void> {
  await eventually(
    async () => ((await trash(bench)).some((entry) => entry.name === name) ? undefined : true),
    { timeoutMs: 20_000, otherwise: () => `${name} is not purged\n${bench.daemon.output()}` },
  );
}

describe("between a removal and its undoing", () => {
  when("Holdfast is killed and stopped, dockerd is restarted, and all comes back", async () => {
    await using bench = new HoldsBench();
    await bench.start();
    await bench.createVolume("pgdata", "labels=app=shop", "trash=30d");
    await bench.createVolume("taken");
    fill(bench, "pgdata");
    fill(bench, "taken", "old");
    await holdfast(bench, "volume", "update", "pgdata", "--note", "orders db");
    const before = treeOf(dataOf(bench, "pgdata"));
    await bench.docker("volume", "rm", "pgdata", "taken");
    await bench.daemon.kill();
    await bench.startDaemon();
    await bench.dockerd.restart();
    const entry = await keptAs(bench, "pgdata");
    expect(entry).toMatchObject({ removedBy: "dockerd", labels: { app: "shop" } });
    expect(stayMs(entry)).toBe(30 * dayMs);
    // dockerd has forgotten the name, and gets an empty volume for it.
    const listing = ["--volume-driver", "holdfast", "-v", "taken:/v", testImage, "ls", "-A", "/v"];
    expect(await bench.docker("run", "--rm", "--network", "none", ...listing)).toBe("");
    expect(await refusal(bench, "trash", "restore", "taken")).toContain("--as NAME");
    await holdfast(bench, "trash", "restore", "taken", "--as", "taken-old");
    await holdfast(bench, "trash", "restore", "pgdata");
    await bench.daemon.stop();
    await bench.startDaemon();
    expect(treeOf(dataOf(bench, "pgdata"))).toEqual(before);
    expect(await readBy(bench, "pgdata")).toBe("pgdata");
    expect(await readBy(bench, "taken-old")).toBe("old");
    const [shown] = JSON.parse(await holdfast(bench, "volume", "inspect", "pgdata"));
    expect([shown.Labels, shown.Status.note]).toEqual([{ app: "shop" }, "orders db"]);
    const actions = (await history(bench, "pgdata")).map(({ action }) => action).toReversed();
    expect(actions.slice(0, 4)).toEqual(["create", "update", "remove", "restore"]);
  });
});

/** Writes until nothing more fits. */
function fillUp(file: string): void {
  const descriptor = openSync(file, "a");
  try {
    for (let bytes = mebibyte; bytes >= 1; ) {
      try {
        if (writeSync(descriptor, Buffer.alloc(bytes, 1)) < bytes) bytes = Math.floor(bytes / 2);
      } catch {
        bytes = Math.floor(bytes / 2);
      }
    }
  } finally {
    closeSync(descriptor);
  }
}

describe("on a disk that is full", () => {
  when(
    "volumes are removed, restored, and purged for their space",
    async () => {
      const folder = temporaryDirectory();
      try {
        await using disk = await mountedImage(folder, { type: "ext4", bytes: diskBytes });
        await using bench = new HoldsBench({ root: join(disk.path, "root") });
        await bench.start();
        const freeBytes = (): number => {
          const { bavail, bsize } = statfsSync(disk.path);
          return bavail * bsize;
        };
        for (const name of ["hungry", "small"]) await bench.createVolume(name);
        await bench.createVolume("dear", "reclaim=retain");
        const write = `dd if=/dev/zero of=/v/food bs=1M count=${writtenBytes / mebibyte}; sync`;
        const place = ["run", "--rm", "--network", "none", "-v", "hungry:/v", testImage];
        await bench.docker(...place, "sh", "-c", write);
        for (const name of ["small", "dear"]) fill(bench, name);
        const before = treeOf(dataOf(bench, "dear"));
        await bench.holders("hungry");
        const ballast = join(disk.path, "ballast");
        fillUp(ballast);
        expect(freeBytes()).toBeLessThan(mebibyte / 16);

        // Best effort: what is in the trash makes room, but for what is to be retained.
        await bench.docker("volume", "rm", "small", "dear");
        await isPurged(bench, "small");
        expect((await history(bench, "small"))[0]).toMatchObject({
          ...{ action: "evict", by: "holdfast", outcome: "done" },
        });
        fillUp(ballast);
        expect(stayMs(await keptAs(bench, "dear"))).toBeNull();
        await holdfast(bench, "trash", "restore", "dear");
        expect(treeOf(dataOf(bench, "dear"))).toEqual(before);

        fillUp(ballast);
        await holdfast(bench, "volume", "rm", "--purge", "--yes", "hungry");
        await isPurged(bench, "hungry");
        expect(freeBytes()).toBeGreaterThanOrEqual(writtenBytes - mebibyte);
        await bench.createVolume("again");
        expect(await readBy(bench, "dear")).toBe("dear");
      } finally {
        rmSync(folder, { recursive: true, force: true });
      }
    },
    "loop",
    "ext4",
  );
});

describe("where the trash is off", () => {
  when("removed is removed, as in Docker, unless a volume says otherwise itself", async () => {
    await using bench = new HoldsBench({ parameters: ["--trash", "off"] });
    await bench.start();
    await bench.createVolume("plain");
    await bench.createVolume("dear", "trash=1d");
    for (const name of ["plain", "dear"]) fill(bench, name);
    await bench.docker("volume", "rm", "plain", "dear");
    await isPurged(bench, "plain");
    const { id } = await keptAs(bench, "dear");
    expect(readdirSync(join(bench.root, "trash"))).toEqual([id]);
    expect(await refusal(bench, "trash", "restore", "plain")).toContain("plain");
    await bench.createVolume("plain");
    expect(readdirSync(dataOf(bench, "plain"))).toEqual([]);
    // Protection holds all the same.
    await holdfast(bench, "volume", "protect", "plain", "--reason", "prod");
    expect(await bench.refused("volume", "rm", "-f", "plain")).toContain("protected: prod");
    await holdfast(bench, "trash", "restore", "dear");
    expect(await readBy(bench, "dear")).toBe("dear");
  });
});
