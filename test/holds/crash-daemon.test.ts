// Holdfast dies, is stopped or forgets, while containers run: they must not notice, and it must
// know again who has what.
import { describe, expect } from "bun:test";
import { readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { runToEnd } from "../support/child.ts";
import type { HoldsBench } from "../support/holds-bench.ts";
import { testImage } from "../support/test-image.ts";
import {
  areFree,
  containerPid,
  goesOn,
  holdsAre,
  isInUse,
  isSameInside,
  runWriter,
  withOwnEngine,
  writesLand,
} from "./steps.ts";

const testMs = 120_000;
const when = withOwnEngine(testMs);
const driver = ["--volume-driver", "holdfast"];

/** Throws unless the writer's container, from `before` on, has gone on without an error. */
async function writerGoesOn(bench: HoldsBench, before: number): Promise<void> {
  await bench.holders("lines", "writer running rw");
  expect(await containerPid(bench, "writer")).toBe(before);
  await goesOn(bench, "lines");
  isSameInside(bench, { pid: before, volume: "lines", file: "lines" });
  expect(await bench.docker("logs", "writer")).toBe("");
  await isInUse(bench, "lines");
}

describe("Holdfast, while containers run,", () => {
  when("is stopped, killed and started: nobody notices", async (bench) => {
    await runWriter(bench, "writer", "lines");
    await bench.run("db", "-v", "data:/data", ...driver);
    const pid = await containerPid(bench, "writer");
    const holds = bench.holdMounts();
    expect(holds).toHaveLength(2);
    for (const end of ["stop", "kill"] as const) {
      await bench.daemon[end]();
      await goesOn(bench, "lines");
      await bench.startDaemon();
      await writerGoesOn(bench, pid);
      await bench.holders("data", "db running rw");
      expect(bench.holdMounts()).toEqual(holds);
    }
    // New containers get along with the old ones, whose Unmounts are heard again.
    await bench.docker("rm", "-f", "db");
    await bench.run("next", "-v", "lines:/data");
    await bench.holders("lines", "next running rw", "writer running rw");
    await bench.docker("rm", "-f", "next");
    await writerGoesOn(bench, pid);
    await bench.docker("rm", "-f", "writer");
    await areFree(bench, "data", "lines");
  });

  when("is killed with dockerd; Holdfast comes back first", async (bench) => {
    await bench.run("db", "-v", "data:/data", ...driver);
    await bench.run("back", "-v", "other:/data", "--restart", "always", ...driver);
    await bench.dockerd.killEngineOnly();
    await bench.daemon.kill();
    await bench.startDaemon();
    await bench.dockerd.restart();
    await bench.holders("data", "db stopped rw");
    await bench.holders("other", "back running rw");
    await isInUse(bench, "data");
    await writesLand(bench, "back", "other");
    await bench.docker("start", "db");
    await writesLand(bench, "db", "data");
    await bench.holders("data", "db running rw");
    await holdsAre(bench, 2);
    await bench.docker("rm", "-f", "db", "back");
    await areFree(bench, "data", "other");
  });

  when("loses its whole state: what is mounted is adopted", async (bench) => {
    await runWriter(bench, "writer", "lines");
    const pid = await containerPid(bench, "writer");
    await bench.docker(
      "create",
      "--name",
      "next",
      "-v",
      "listed:/data",
      ...driver,
      testImage,
      "true",
    );
    await bench.daemon.stop();
    for (const name of readdirSync(bench.root)) {
      if (name.startsWith("state.")) rmSync(join(bench.root, name));
    }
    await bench.startDaemon();
    expect(bench.daemon.output()).toContain("a hold without a row is kept");
    // Before its engine has called again.
    expect((await bench.holdfast("volume", "rm", "listed")).stderr).toContain(
      "next (docker, stopped)",
    );
    await writerGoesOn(bench, pid);
    await bench.docker("restart", "writer");
    await writerGoesOn(bench, await containerPid(bench, "writer"));
    await holdsAre(bench, 1);
    await bench.docker("rm", "-f", "writer", "next");
    await areFree(bench, "lines", "listed");
  });
});

describe("after a reboot", () => {
  // A socket at a fixed place, for a key that is the same after it.
  const fixed = { parameters: ["--host=unix:///run/docker/docker.sock"] };

  when(
    "rows without mounts end by themselves, and containers start again",
    async (bench) => {
      await bench.run("db", "-v", "data:/data", ...driver);
      await bench.run("back", "-v", "other:/data", "--restart", "always", ...driver);
      await bench.run("gone", "-v", "third:/data", "--rm", ...driver);
      await bench.docker("exec", "db", "sh", "-c", "echo kept > /data/file");
      await reboot(bench);
      await bench.startDaemon();
      expect(bench.holdMounts()).toEqual([]);
      await bench.startDockerd();
      await bench.holders("other", "back running rw");
      await bench.holders("data", "db stopped rw");
      await isInUse(bench, "data");
      await writesLand(bench, "back", "other");
      await bench.docker("start", "db");
      expect(await bench.docker("exec", "db", "cat", "/data/file")).toBe("kept");
      await bench.holders("data", "db running rw");
      await holdsAre(bench, 2);
      await bench.docker("rm", "-f", "db", "back");
      await areFree(bench, "data", "other", "third");
    },
    fixed,
  );
});

/** All processes end without a word, then all mounts of holds are gone. */
async function reboot(bench: HoldsBench): Promise<void> {
  await bench.daemon.kill();
  await bench.dockerd.kill();
  for (const target of [...bench.holdMounts(), join(bench.root, "holds")]) {
    await runToEnd("umount", [target], { timeoutMs: testMs });
  }
  expect(bench.holdMounts()).toEqual([]);
}
