// The table of crashes of an engine: dockerd dies or is stopped, with its containers or without.
import { describe, expect } from "bun:test";
import { eventually } from "../support/child.ts";
import { testImage } from "../support/test-image.ts";
import {
  areFree,
  containerPid,
  engineKeys,
  goesOn,
  holdsAre,
  isInUse,
  isSameInside,
  killProcess,
  ownApi,
  runWriter,
  withOwnEngine,
  writesLand,
} from "./steps.ts";

const when = withOwnEngine(120_000);

const driver = ["--volume-driver", "holdfast"];
const liveRestore = { liveRestore: true };

describe("dockerd without live-restore", () => {
  when("killed and started again forgets its Unmounts; nothing is leaked", async (bench) => {
    await bench.run("removed", "-v", "one:/data", ...driver);
    await bench.run("started", "-v", "two:/data", ...driver);
    await bench.run("back", "-v", "three:/data", "--restart", "always", ...driver);
    await writesLand(bench, "started", "two");
    await bench.dockerd.killEngineOnly();
    await bench.dockerd.restart();
    // Its restart killed what was left of them.
    await bench.holders("one", "removed stopped rw");
    await bench.holders("two", "started stopped rw");
    await bench.holders("three", "back running rw");
    await holdsAre(bench, 1);
    await writesLand(bench, "back", "three");
    await isInUse(bench, "one");
    await isInUse(bench, "three");
    // The second Mount has the ID of the first, and there is one Unmount for both.
    await bench.docker("start", "started");
    await bench.holders("two", "started running rw");
    await writesLand(bench, "started", "two");
    await isInUse(bench, "two");
    await bench.docker("rm", "-f", "removed", "started", "back");
    await areFree(bench, "one", "two", "three");
  });

  when("stopped and started again ends its holds; a restarted container has one", async (bench) => {
    await bench.run("db", "-v", "one:/data", ...driver);
    const always = ["--restart", "always"];
    await bench.run("back", "-v", "two:/data", ...always, ...driver);
    await bench.dockerd.restart();
    await bench.holders("one", "db stopped rw");
    await bench.holders("two", "back running rw");
    await holdsAre(bench, 1);
    await writesLand(bench, "back", "two");
    await isInUse(bench, "one");
    await bench.docker("rm", "-f", "db", "back");
    await areFree(bench, "one", "two");
  });

  when("that is gone keeps Holdfast from removing, until it is forgotten", async (bench) => {
    await bench.run("db", "-v", "used:/data", ...driver);
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
    await bench.createVolume("unused");
    await bench.docker("volume", "inspect", "unused");
    const pid = await containerPid(bench, "db");
    const [key = ""] = await engineKeys(bench);
    expect(key).toBe(`docker:${bench.dockerd.socketPath}`);
    await bench.dockerd.killEngineOnly();
    for (const words of [
      ["rm", "unused"],
      ["rm", "listed"],
      ["rm", "used"],
      ["prune", "--force"],
    ]) {
      const ended = await bench.holdfast("volume", ...words);
      expect(ended.stderr).toContain(words[1] === "used" ? "in use" : key);
      expect(ended.exit).not.toBe(0);
    }
    expect((await bench.volume("unused")).holders).toEqual([]);
    // By the kernel it is used, whoever is asked.
    await bench.holders("used", `${(await bench.volume("used")).holders[0]?.id} running rw`);
    const forgotten = await ownApi(bench, "DELETE", `engines/${encodeURIComponent(key)}`);
    expect(forgotten.status).toBe(204);
    expect((await bench.holdfast("volume", "rm", "unused", "listed")).exit).toBe(0);
    expect((await bench.holdfast("volume", "prune", "--force", "--all")).exit).toBe(0);
    expect((await bench.holdfast("volume", "rm", "used")).stderr).toContain("in use");
    await killProcess(pid);
    await eventually(() => (bench.holdMounts().length === 0 ? true : undefined), {
      timeoutMs: 30_000,
      otherwise: () => "the hold of an engine that is gone does not end",
    });
    expect((await bench.holdfast("volume", "rm", "used")).exit).toBe(0);
  });
});

describe("dockerd with live-restore", () => {
  when(
    "killed, stopped and started again: containers and their holds do not notice",
    async (bench) => {
      await bench.run("db", "-v", "data:/data", ...driver);
      await runWriter(bench, "writer", "lines");
      const both = async (): Promise<void> => {
        await bench.dockerd.killEngineOnly();
        await bench.daemon.kill();
        await bench.startDaemon();
      };
      for (const end of [bench.dockerd.killEngineOnly, both, async () => undefined]) {
        const pid = await containerPid(bench, "writer");
        await end();
        await goesOn(bench, "lines");
        await bench.dockerd.restart();
        expect(await containerPid(bench, "writer")).toBe(pid);
        await bench.holders("data", "db running rw");
        await bench.holders("lines", "writer running rw");
        await goesOn(bench, "lines");
        await isInUse(bench, "lines");
        isSameInside(bench, { pid, volume: "lines", file: "lines" });
      }
      await holdsAre(bench, 2);
      await bench.docker("rm", "-f", "db", "writer");
      await areFree(bench, "data", "lines");
    },
    liveRestore,
  );

  when(
    "dead while a container dies: never an Unmount, and no leak",
    async (bench) => {
      await bench.run("dead", "-v", "one:/data", ...driver);
      await bench.run("removed", "-v", "two:/data", ...driver);
      await bench.run("alive", "-v", "two:/data:ro", ...driver);
      const pids = [await containerPid(bench, "dead"), await containerPid(bench, "removed")];
      await bench.dockerd.killEngineOnly();
      for (const pid of pids) await killProcess(pid);
      await bench.dockerd.restart();
      await bench.holders("one", "dead stopped rw");
      await bench.holders("two", "removed stopped rw", "alive running ro");
      await holdsAre(bench, 1);
      await bench.docker("rm", "-f", "removed");
      await bench.holders("two", "alive running ro");
      await isInUse(bench, "two");
      await bench.docker("start", "dead");
      await bench.holders("one", "dead running rw");
      await writesLand(bench, "dead", "one");
      await bench.docker("rm", "-f", "dead", "alive");
      await areFree(bench, "one", "two");
    },
    liveRestore,
  );
});
