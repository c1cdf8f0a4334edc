// The rows of the table of crashes that take dockerd half a minute: it waits for a plugin.
import { describe, expect } from "bun:test";
import { eventually, signalAll } from "../support/child.ts";
import type { HoldsBench } from "../support/holds-bench.ts";
import { testImage } from "../support/test-image.ts";
import {
  areFree,
  containerPid,
  goesOn,
  holdsAre,
  isInUse,
  killProcess,
  runWriter,
  withOwnEngine,
  writesLand,
} from "./steps.ts";

const when = withOwnEngine(300_000);
const driver = ["--volume-driver", "holdfast"];

/** Without asking Holdfast anything, which would make it look. */
async function mountsEnd(bench: HoldsBench): Promise<void> {
  await eventually(() => (bench.holdMounts().length === 0 ? true : undefined), {
    timeoutMs: 60_000,
    otherwise: () => `still mounted: ${bench.holdMounts().join(", ")}`,
  });
}

describe("Holdfast does not run", () => {
  when("when dockerd starts", async (bench) => {
    await bench.run("db", "-v", "data:/data", ...driver);
    await writesLand(bench, "db", "data");
    await bench.docker("stop", "db");
    await bench.daemon.stop();
    await bench.dockerd.restart();
    await bench.startDaemon();
    await isInUse(bench, "data");
    await bench.docker("start", "db");
    await bench.holders("data", "db running rw");
    await writesLand(bench, "db", "data");
    await bench.docker("rm", "-f", "db");
    await areFree(bench, "data");
  });

  when(
    "when dockerd with live-restore starts: later there is no Unmount, and no leak",
    async (bench) => {
      await runWriter(bench, "writer", "lines");
      await bench.run("db", "-v", "data:/data", ...driver);
      const pid = await containerPid(bench, "writer");
      await bench.daemon.stop();
      await bench.dockerd.restart();
      await bench.startDaemon();
      expect(await containerPid(bench, "writer")).toBe(pid);
      await bench.holders("lines", "writer running rw");
      await isInUse(bench, "lines");
      await goesOn(bench, "lines");
      await bench.docker("rm", "-f", "db");
      await bench.holders("data");
      await holdsAre(bench, 1);
      await bench.docker("rm", "-f", "writer");
      await mountsEnd(bench);
      await areFree(bench, "data", "lines");
    },
    { liveRestore: true },
  );

  when("when a container is removed", async (bench) => {
    await bench.run("db", "-v", "data:/data", ...driver);
    await bench.daemon.kill();
    await bench.dockerd.docker("rm", "-f", "db");
    await bench.startDaemon();
    await mountsEnd(bench);
    await areFree(bench, "data");
  });
});

describe("a leak", () => {
  when("ends although nobody asks", async (bench) => {
    await bench.run("db", "-v", "data:/data", ...driver);
    const pid = await containerPid(bench, "db");
    await bench.dockerd.killEngineOnly();
    await killProcess(pid);
    await bench.dockerd.restart();
    await mountsEnd(bench);
    await isInUse(bench, "data");
    await bench.docker("rm", "db");
    await areFree(bench, "data");
  });

  when(
    "does not come of a Holdfast that stands still for longer than dockerd waits",
    async (bench) => {
      await bench.createVolume("data");
      await bench.docker("create", "--name", "db", "-v", "data:/data", testImage, "sleep", "1000");
      signalAll([bench.daemon.pid], "SIGSTOP");
      // The command line gives up after 60 s.
      const started = await bench.dockerd.docker("start", "db");
      signalAll([bench.daemon.pid], "SIGCONT");
      expect(started.exit).not.toBe(0);
      await bench.docker("rm", "-f", "db");
      await mountsEnd(bench);
      await areFree(bench, "data");
    },
  );
});
