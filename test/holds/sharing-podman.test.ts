// Sharing modes with a real podman, which has one ID for all its containers.
import { afterAll, afterEach, beforeAll, describe } from "bun:test";
import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { HoldsBench } from "../support/holds-bench.ts";
import { needs, type Requirement, whenPossible } from "../support/needs.ts";
import { makePodman, type Podman, podmanRunArguments } from "../support/podman.ts";
import { loadTestImage, testImage } from "../support/test-image.ts";

const requirements: readonly Requirement[] = ["root", "podman", "busybox", "mount"];
const startMs = 120_000;
const testMs = 120_000;
void mkdirSync;
void rmSync;
let bench: HoldsBench;
let podman: Podman;
beforeAll(async () => {
  if (needs(...requirements).skip !== undefined) return;
  bench = new HoldsBench();
  await bench.startDaemon();
  podman = makePodman({ plugins: { holdfast: join(bench.pluginFolder, "holdfast.sock") } });
  await loadTestImage(podman.run);
}, startMs);
afterEach(async () => {
  await podman?.run("rm", "--all", "--force", "--time=0");
}, startMs);
afterAll(async () => {
  await podman?.[Symbol.asyncDispose]();
  await bench?.[Symbol.asyncDispose]();
}, startMs);

function when(name: string, run: () => Promise<void>): void {
  whenPossible(requirements, name, run, testMs);
}

async function succeed(...words: readonly string[]): Promise<string> {
  const ended = await podman.run(...words);
  if (ended.exit !== 0) throw new Error(`podman ${words.join(" ")}: ${ended.exit} ${ended.stderr}`);
  return ended.stdout.trim();
}

describe("podman", () => {
  when("none", async () => {
    console.log(
      await succeed("volume", "create", "--driver", "holdfast", "-o", "sharing=none", "single"),
    );
    console.log(
      await succeed(
        "run",
        "-d",
        "--name=one",
        ...podmanRunArguments,
        "-v",
        "single:/data",
        testImage,
        "sleep",
        "1000",
      ),
    );
    await bench.holders("single", "one running rw");
    let t = performance.now();
    console.log(
      await podman.run(
        "run",
        "-d",
        "--name=two",
        ...podmanRunArguments,
        "-v",
        "single:/data",
        testImage,
        "sleep",
        "1000",
      ),
      performance.now() - t,
    );
    await succeed(
      "create",
      "--name=three",
      ...podmanRunArguments,
      "-v",
      "single:/seeded",
      testImage,
      "sleep",
      "1000",
    );
    t = performance.now();
    console.log(await podman.run("start", "three"), performance.now() - t);
    await succeed("stop", "--time=0", "one");
    t = performance.now();
    await succeed("start", "three");
    console.log(performance.now() - t);
    console.log(await bench.volume("single"));
    for (let round = 0; round < 5; round++) {
      t = performance.now();
      await succeed("restart", "--time=0", "three");
      console.log("restart", performance.now() - t);
    }
    await succeed("rm", "-f", "--time=0", "three", "two");
    for (let round = 0; round < 5; round++) {
      await succeed(
        "run",
        "-d",
        `--name=t${round}`,
        ...podmanRunArguments,
        "-v",
        "single:/data",
        testImage,
        "sleep",
        "1000",
      );
      await succeed("rm", "-f", "--time=0", `t${round}`);
    }
  });
  when("race", async () => {
    console.log(
      await succeed("volume", "create", "--driver", "holdfast", "-o", "sharing=none", "race"),
    );
    for (let round = 0; round < 5; round++) {
      for (const name of ["left", "right"])
        await succeed(
          "create",
          `--name=${name}`,
          ...podmanRunArguments,
          "-v",
          "race:/new",
          testImage,
          "sleep",
          "1000",
        );
      const [left, right] = await Promise.all(
        ["left", "right"].map((name) => podman.run("start", name)),
      );
      console.log(left?.exit, right?.exit, left?.stderr, right?.stderr);
      await succeed("rm", "-f", "--time=0", "left", "right");
    }
  });
  when("onewriter", async () => {
    console.log(
      await succeed("volume", "create", "--driver", "holdfast", "-o", "sharing=onewriter", "pages"),
    );
    const run = (name: string, mount: string) =>
      succeed(
        "run",
        "-d",
        `--name=${name}`,
        ...podmanRunArguments,
        "-v",
        mount,
        testImage,
        "sleep",
        "1000",
      );
    await run("writer", "pages:/data");
    await run("reader", "pages:/data:ro");
    await run("second", "pages:/data");
    const t = performance.now();
    for (let i = 0; i < 50; i++) {
      const s = await succeed(
        "inspect",
        "--format={{.State.Status}} {{.State.StartedAt}} {{.State.FinishedAt}}",
        "second",
      );
      if (!s.startsWith("running")) {
        console.log(s, performance.now() - t);
        break;
      }
      await Bun.sleep(100);
    }
    console.log(await succeed("ps", "-a"));
    console.log(bench.daemon.output());
  });
});
