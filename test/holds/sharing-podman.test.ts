// Sharing modes with a real podman, which announces only the first of its containers by a Mount.
import { afterAll, afterEach, beforeAll, describe, expect } from "bun:test";
import { STOP_SECONDS } from "../../src/core/container-engine.ts";
import { eventually } from "../support/child.ts";
import { HoldsBench } from "../support/holds-bench.ts";
import { needs, type Requirement, whenPossible } from "../support/needs.ts";
import { type Podman, podmanRunArguments } from "../support/podman.ts";
import { testImage } from "../support/test-image.ts";

const requirements: readonly Requirement[] = ["root", "podman", "busybox", "mount"];
const startMs = 120_000;
const testMs = 120_000;

/** A look each second, and two calls of podman. */
const noticeMsMax = 4_000;

let bench: HoldsBench;
let podman: Podman;
beforeAll(async () => {
  if (needs(...requirements).skip !== undefined) return;
  bench = new HoldsBench();
  await bench.startDaemon();
  podman = await bench.startPodman();
}, startMs);
afterEach(async () => {
  await podman?.run("rm", "--all", "--force", "--time=0");
}, startMs);
afterAll(async () => await bench?.[Symbol.asyncDispose](), startMs);

function when(name: string, run: () => Promise<void>): void {
  whenPossible(requirements, name, run, testMs);
}

async function createVolume(name: string, option: string): Promise<void> {
  await podman.succeed("volume", "create", "--driver", "holdfast", "--opt", option, name);
}

async function run(name: string, mount: string): Promise<void> {
  const place = ["--name", name, ...podmanRunArguments, "--volume", mount];
  await podman.succeed("run", "--detach", ...place, testImage, "sleep", "1000");
}

/** `name Up` or `name Exited`, sorted. */
async function states(): Promise<readonly string[]> {
  const listed = await podman.succeed("ps", "--all", "--format", "{{.Names}} {{.Status}}");
  const first = listed.split("\n").map((line) => line.split(" ").slice(0, 2).join(" "));
  return first.toSorted();
}

async function untilStates(...wanted: readonly string[]): Promise<void> {
  let seen: readonly string[] = [];
  await eventually(
    async () => {
      seen = await states();
      return seen.join() === wanted.join() ? true : undefined;
    },
    {
      timeoutMs: STOP_SECONDS * 1_000 + noticeMsMax,
      otherwise: () => `${seen.join()}\n${bench.daemon.output()}`,
    },
  );
}

for (const option of ["sharing=none", "sharing=onewriter", "database=exclusive"]) {
  describe(option, () => {
    when("a second writer is stopped, however late it comes", async () => {
      const volume = `late-${option.replace("=", "-")}`;
      await createVolume(volume, option);
      await run("first", `${volume}:/data`);
      await bench.holders(volume, "first running rw");
      await run("second", `${volume}:/data`);
      await untilStates("first Up", "second Exited");
      // All that follows a Mount soon is over: the looks are seldom by now.
      await eventually(
        async () => ((await bench.volume(volume)).state === "in use" ? true : undefined),
        { timeoutMs: 10_000, otherwise: () => "it is violated for ever" },
      );
      const fromMs = performance.now();
      await run("third", `${volume}:/data`);
      await untilStates("first Up", "second Exited", "third Exited");
      console.info(`a second writer of podman was gone after ${performance.now() - fromMs} ms`);
      await podman.succeed("stop", "--time=0", "first");
      await podman.succeed("start", "second");
      await bench.holders(volume, "first stopped rw", "second running rw", "third stopped rw");
    });
  });
}

describe("sharing=none", () => {
  when("of two that start at the same instant one stays", async () => {
    await createVolume("race", "sharing=none");
    for (const name of ["left", "right"]) {
      const place = ["--name", name, ...podmanRunArguments, "--volume", "race:/data"];
      await podman.succeed("create", ...place, testImage, "sleep", "1000");
    }
    await Promise.all(["left", "right"].map((name) => podman.run("start", name)));
    await eventually(
      async () => {
        const running = (await states()).filter((state) => state.endsWith(" Up"));
        return running.length === 1 ? true : undefined;
      },
      { timeoutMs: STOP_SECONDS * 1_000 + noticeMsMax, otherwise: () => bench.daemon.output() },
    );
    await eventually(
      async () => ((await bench.volume("race")).state === "in use" ? true : undefined),
      { timeoutMs: 10_000, otherwise: () => "it is violated for ever" },
    );
    expect((await states()).filter((state) => state.endsWith(" Up"))).toHaveLength(1);
  });

  when("restarting and starting the next one goes on", async () => {
    await createVolume("turns", "sharing=none");
    await run("turn0", "turns:/data");
    for (let round = 0; round < 5; round++) {
      await podman.succeed("restart", "--time=0", `turn${round}`);
      await podman.succeed("rm", "--force", "--time=0", `turn${round}`);
      await run(`turn${round + 1}`, "turns:/data");
      await bench.holders("turns", `turn${round + 1} running rw`);
    }
  });
});
