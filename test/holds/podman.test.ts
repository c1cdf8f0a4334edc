// Holds of a real Podman: one ID for all of its containers, and mounts in them that are private.
import { afterAll, beforeAll, describe, expect } from "bun:test";
import { eventually } from "../support/child.ts";
import { HOLD_GRACE_MS, HoldsBench } from "../support/holds-bench.ts";
import { needs, type Requirement, whenPossible } from "../support/needs.ts";
import { type Podman, podmanRunArguments } from "../support/podman.ts";
import { testImage } from "../support/test-image.ts";
import { contentOf, holdsAre, killProcess } from "./steps.ts";

const requirements: readonly Requirement[] = ["root", "podman", "mount", "busybox"];
const startMs = 120_000;
const testMs = 60_000;

let bench: HoldsBench;
let podman: Podman;
beforeAll(async () => {
  if (needs(...requirements).skip !== undefined) return;
  bench = new HoldsBench();
  await bench.startDaemon();
  podman = await bench.startPodman();
}, startMs);
afterAll(async () => await bench?.[Symbol.asyncDispose](), startMs);

function when(name: string, run: () => Promise<void>): void {
  whenPossible(requirements, name, run, testMs);
}

async function run(name: string, ...mounts: readonly string[]): Promise<void> {
  const words = ["run", "--detach", "--name", name, "--stop-signal=KILL", ...podmanRunArguments];
  await podman.succeed(...words, ...mounts, testImage, "sleep", "1000");
}

async function create(...volumes: readonly string[]): Promise<void> {
  for (const volume of volumes)
    await podman.succeed("volume", "create", "--driver", "holdfast", volume);
}

async function writesLand(container: string, volume: string): Promise<void> {
  const text = `${container} ${Math.random()}`;
  await podman.succeed("exec", container, "sh", "-c", `echo ${text} > /data/landed`);
  expect(contentOf(bench, volume, "landed")).toBe(`${text}\n`);
}

async function isInUse(volume: string, by: string): Promise<void> {
  const own = await bench.holdfast("volume", "rm", volume);
  expect(own.stderr).toContain(by);
  expect(own.exit).toBe(1);
}

/** Nobody is said to have the volume, no hold is mounted, and Podman removes it. */
async function isFree(volume: string): Promise<void> {
  await bench.holders(volume);
  expect(bench.holdMounts()).toEqual([]);
  await podman.succeed("volume", "rm", volume);
}

describe("Podman's containers", () => {
  when("share one hold: one ends, the other keeps it", async () => {
    await create("shared");
    await run("one", "-v", "shared:/data");
    await run("two", "-v", "shared:/data:ro");
    await bench.holders("shared", "one running rw", "two running ro");
    await holdsAre(bench, 1);
    await podman.succeed("rm", "--force", "--time=0", "two");
    await bench.holders("shared", "one running rw");
    await holdsAre(bench, 1);
    await writesLand("one", "shared");
    await isInUse("shared", "one (podman, running)");
    await run("three", "-v", "shared:/data:rslave");
    await bench.holders("shared", "one running rw", "three running rw");
    await podman.succeed("stop", "--time=0", "one");
    await bench.holders("shared", "one stopped rw", "three running rw");
    await writesLand("three", "shared");
    await podman.succeed("rm", "--force", "--time=0", "three");
    await bench.holders("shared", "one stopped rw");
    expect(bench.holdMounts()).toEqual([]);
    await isInUse("shared", "one (podman, stopped)");
    await podman.succeed("start", "one");
    await bench.holders("shared", "one running rw");
    await writesLand("one", "shared");
    await podman.succeed("rm", "--force", "--time=0", "one");
    await isFree("shared");
  });

  when("that break a sharing mode are found, although only the first has a Mount", async () => {
    await podman.succeed(
      "volume",
      "create",
      "--driver",
      "holdfast",
      "--opt",
      "sharing=none",
      "alone",
    );
    await run("one", "-v", "alone:/data");
    const startedAtMs = Date.now();
    // Until Holdfast looks only seldom, so that it is the second's own contact that makes it look.
    await eventually(() => (Date.now() - startedAtMs > 3 * HOLD_GRACE_MS ? true : undefined), {
      timeoutMs: 10 * HOLD_GRACE_MS,
      otherwise: () => "the clock stands",
    });
    await run("two", "-v", "alone:/data");
    await eventually(
      async () => {
        const state = await podman.succeed("inspect", "--format={{.State.Status}}", "two");
        return state === "exited" ? true : undefined;
      },
      { timeoutMs: 5_000, otherwise: () => "the second container is not stopped" },
    );
    await bench.holders("alone", "one running rw", "two stopped rw");
    await writesLand("one", "alone");
    await podman.succeed("rm", "--force", "--time=0", "one", "two");
    await isFree("alone");
  });

  when("with --rm leave nothing", async () => {
    await create("brief");
    const words = ["run", "--rm", ...podmanRunArguments, "-v", "brief:/data", testImage];
    await podman.succeed(...words, "sh", "-c", "echo there > /data/file");
    expect(await podman.succeed(...words, "cat", "/data/file")).toBe("there");
    await isFree("brief");
  });

  when("that are killed from outside end their hold", async () => {
    await create("shot");
    await run("one", "-v", "shot:/data");
    await run("two", "-v", "shot:/data");
    for (const [name, left] of [
      ["one", 1],
      ["two", 0],
    ] as const) {
      await killProcess(Number(await podman.succeed("inspect", "--format={{.State.Pid}}", name)));
      await eventually(() => (bench.holdMounts().length === left ? true : undefined), {
        timeoutMs: 30_000,
        otherwise: () => `${bench.holdMounts().length} holds are left, not ${left}`,
      });
    }
    await bench.holders("shot", "one stopped rw", "two stopped rw");
    await isInUse("shot", "two (podman, stopped)");
    await podman.succeed("rm", "one", "two");
    await isFree("shot");
  });

  when("do not notice that Holdfast is killed and started", async () => {
    await create("lasting");
    await run("one", "-v", "lasting:/data");
    await run("two", "-v", "lasting:/data");
    await bench.daemon.kill();
    await bench.startDaemon();
    await bench.holders("lasting", "one running rw", "two running rw");
    await podman.succeed("rm", "--force", "--time=0", "two");
    await bench.holders("lasting", "one running rw");
    await writesLand("one", "lasting");
    await isInUse("lasting", "one (podman, running)");
    await bench.daemon.stop();
    // Its Unmount meets nobody, now and later.
    await podman.run("rm", "--force", "--time=0", "one");
    await bench.startDaemon();
    await isFree("lasting");
  });
});
