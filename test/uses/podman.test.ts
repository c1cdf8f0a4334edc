// Podman keeps its volumes on Holdfast: data of one container is the next one's, holders are named.
import { afterAll, beforeAll, expect } from "bun:test";
import { HoldsBench } from "../support/holds-bench.ts";
import { needs, type Requirement, whenPossible } from "../support/needs.ts";
import { type Podman, podmanRunArguments } from "../support/podman.ts";
import { testImage } from "../support/test-image.ts";

const requirements: readonly Requirement[] = ["root", "podman", "mount", "busybox"];
const timeoutMs = 120_000;
const volume = "notes";

let bench: HoldsBench;
let podman: Podman;
beforeAll(async () => {
  if (needs(...requirements).skip !== undefined) return;
  bench = new HoldsBench();
  await bench.startDaemon();
  podman = await bench.startPodman();
}, timeoutMs);
afterAll(async () => await bench?.[Symbol.asyncDispose](), timeoutMs);

async function start(name: string, ...more: readonly string[]): Promise<void> {
  const place = ["run", "-d", "--name", name, ...podmanRunArguments, "--stop-signal=KILL"];
  await podman.succeed(...place, ...more, testImage, "sleep", "1000");
}

whenPossible(
  requirements,
  "data outlives its container, two at a time are told apart, and rm waits for the last",
  async () => {
    await podman.succeed(
      "volume",
      "create",
      "--driver",
      "holdfast",
      "--opt",
      "owner=999:999",
      volume,
    );
    const mount = ["--user=999:999", "-v", `${volume}:/data`];
    await start("one", ...mount);
    await podman.succeed("exec", "one", "sh", "-c", "echo kept > /data/file");
    await bench.holders(volume, "one running rw");
    await podman.succeed("kill", "--signal=KILL", "one");
    await podman.succeed("rm", "--force", "one");
    await bench.holders(volume);
    expect(bench.holdMounts()).toEqual([]);

    await start("two", ...mount);
    await start("three", "-v", `${volume}:/data:ro`);
    expect(await podman.succeed("exec", "three", "cat", "/data/file")).toBe("kept");
    await bench.holders(volume, "two running rw", "three running ro");
    await podman.succeed("rm", "--force", "--time=0", "two");
    await bench.holders(volume, "three running ro");
    expect((await podman.run("volume", "rm", volume)).stderr).toContain("being used");
    expect((await bench.holdfast("volume", "rm", volume)).stderr).toContain("three");
    expect(await podman.succeed("exec", "three", "cat", "/data/file")).toBe("kept");
    await podman.succeed("rm", "--force", "--time=0", "three");
    await bench.holders(volume);
    await podman.succeed("volume", "rm", volume);
    expect((await bench.holdfast("volume", "ls", "-q")).stdout).toBe("");
  },
  timeoutMs,
);

// Podman goes on after an answer of 200, whatever it says.
whenPossible(
  requirements,
  "what Holdfast refuses is an error of Podman's, and leaves nothing behind",
  async () => {
    const create = ["volume", "create", "--driver", "holdfast"];
    const refused = await podman.run(...create, "--opt", "colour=red", "odd");
    expect(refused.exit).not.toBe(0);
    expect(refused.stderr).toContain('unknown option "colour"');
    expect((await podman.run(...create, "v")).stderr).toContain('invalid volume name "v"');
    expect(await podman.succeed("volume", "ls", "--quiet")).toBe("");
    // A volume that is gone behind Podman's back: a container must not start without its data.
    await podman.succeed(...create, "lost");
    expect((await bench.holdfast("volume", "rm", "lost")).exit).toBe(0);
    const words = ["run", "--rm", ...podmanRunArguments, "-v", "lost:/data", testImage, "true"];
    expect((await podman.run(...words)).stderr).toContain("no such volume");
  },
  timeoutMs,
);
