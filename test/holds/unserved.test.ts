// Containers with a restart policy that Docker gives up on while Holdfast is away: they are started
// when it is back, and nobody else is.
import { expect } from "bun:test";
import { readFileSync } from "node:fs";
import { eventually } from "../support/child.ts";
import type { HoldsBench } from "../support/holds-bench.ts";
import { testImage } from "../support/test-image.ts";
import { containerPid, killProcess, withOwnEngine, writesLand } from "./steps.ts";

// dockerd gives up on a container after 45 seconds, and at a boot after 15 for each volume, and for
// each container twice.
const testMs = 240_000;
const when = withOwnEngine(testMs);
const givesUpWithinMs = 90_000;
const soonMs = 30_000;
const driver = ["--volume-driver", "holdfast"];

async function run(bench: HoldsBench, name: string, policy: string, volume: string) {
  await bench.run(name, "-v", `${volume}:/data`, "--restart", policy, ...driver);
}

/** Waits until a container stands still, and expects an error that contains these words. */
async function givenUp(bench: HoldsBench, name: string, words: string): Promise<void> {
  const filter = ["--filter", `name=^${name}$`, "--format", "{{.State}}"];
  let state = "";
  await eventually(
    async () => {
      // Whoever inspects a container waits while dockerd tries.
      state = await bench.docker("ps", "--all", ...filter);
      return state === "exited" ? true : undefined;
    },
    { timeoutMs: givesUpWithinMs, otherwise: () => `${name}: ${state}` },
  );
  expect(await bench.docker("inspect", "-f", "{{.State.Error}}", name)).toContain(words);
}

async function areRunning(bench: HoldsBench, ...names: readonly string[]): Promise<void> {
  const list = async () => (await bench.docker("ps", "--format", "{{.Names}}")).split("\n");
  await eventually(
    async () => ((await list()).toSorted().join() === names.join() ? true : undefined),
    { timeoutMs: soonMs, otherwise: () => bench.daemon.output() },
  );
}

when("who ends, or is started, while it is away runs when it is back", async (bench) => {
  await run(bench, "always", "always", "one");
  await run(bench, "failing", "on-failure", "two");
  await run(bench, "never", "no", "one");
  await run(bench, "stopped", "unless-stopped", "one");
  await run(bench, "typed", "unless-stopped", "three");
  await bench.createVolume("alone", "sharing=onewriter");
  await run(bench, "first", "no", "alone");
  await bench.create("standby", "-v", "alone:/data", "--restart", "always");
  await bench.docker("stop", "first");
  await bench.docker("start", "standby");
  await bench.docker("stop", "standby");
  await bench.docker("start", "first");
  // A rule keeps it out: nobody is to start it when the first one has ended.
  expect(await bench.refused("start", "standby")).toContain("sharing=onewriter");
  await bench.docker("stop", "stopped", "typed");
  const brief = ["--restart", "on-failure", "--network", "none", testImage, "true"];
  await bench.docker("run", "-d", "--name", "done", "-v", "one:/data", ...driver, ...brief);

  await bench.daemon.kill();
  const starting = bench.dockerd.docker("start", "typed");
  for (const name of ["always", "failing", "never", "first"]) {
    await killProcess(await containerPid(bench, name));
  }
  for (const name of ["always", "failing"]) await givenUp(bench, name, "connection refused");
  expect((await starting).stderr).toContain("connection refused");

  await bench.startDaemon();
  await areRunning(bench, "always", "failing", "typed");
  const places = { always: "one", failing: "two", typed: "three" };
  for (const [name, volume] of Object.entries(places)) {
    await writesLand(bench, name, volume);
    const line = new RegExp(`"container":"${name}".*a container was started: its engine had given`);
    await eventually(() => (line.test(bench.daemon.output()) ? true : undefined), {
      timeoutMs: soonMs,
      otherwise: () => bench.daemon.output(),
    });
  }
  await areRunning(bench, "always", "failing", "typed");
  expect(bench.daemon.output()).not.toContain("standby");
});

when("a Docker that booted before it has its containers after all", async (bench) => {
  await run(bench, "always", "always", "one");
  await run(bench, "never", "no", "one");
  await run(bench, "stopped", "unless-stopped", "one");
  await bench.docker("stop", "stopped");
  const id = await bench.docker("inspect", "-f", "{{.Id}}", "always");
  await bench.daemon.stop();
  await bench.dockerd.killEngineOnly();
  const booting = bench.dockerd.restart();
  const log = () => readFileSync(bench.dockerd.logPath, "utf8");
  const failure = new RegExp(`failed to start container" container=${id} .*not found`);
  await eventually(() => (failure.test(log()) ? true : undefined), {
    timeoutMs: givesUpWithinMs,
    otherwise: log,
  });
  // Docker is at its other containers now, and answers nobody.
  await bench.startDaemon();
  await booting;
  await areRunning(bench, "always");
  await writesLand(bench, "always", "one");
});
