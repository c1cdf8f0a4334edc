// Dead FUSE mounts under running containers of a real dockerd: the new mount reaches them.
import { afterAll, beforeAll, expect } from "bun:test";
import { eventually } from "../support/child.ts";
import { HealingBench } from "../support/healing-bench.ts";
import { needs, type Requirement, whenPossible } from "../support/needs.ts";
import { podmanRunArguments } from "../support/podman.ts";
import { testImage } from "../support/test-image.ts";

const requirements: readonly Requirement[] = [
  ...(["root", "dockerd", "docker-cli", "mount", "busybox", "fuse", "rclone"] as const),
];
const startMs = 120_000;
const testMs = 60_000;

let bench: HealingBench;
beforeAll(async () => {
  if (needs(...requirements).skip !== undefined) return;
  bench = new HealingBench();
  await bench.start();
}, startMs);
afterAll(async () => await bench?.[Symbol.asyncDispose](), startMs);

function when(name: string, run: () => Promise<void>): void {
  whenPossible(requirements, name, run, testMs);
}

when("a container goes on without a restart, and who sat on the dead mount is named", async () => {
  await bench.create("media");
  await bench.run("player", "media");
  const sitter = await bench.run("sitter", "media", "cd /data; sleep 1000");
  const reader = await bench.run("reader", "media", "exec 3< /data/origin; sleep 1000");
  // Docker mounts a new volume for a moment to copy files into it.
  const first = bench.ill.mountCounts.get("media") ?? 0;
  const shows = (after: number) => `server-${first + after}`;
  await bench.reads("player", shows(0));
  await bench.killServer("media");
  expect(await bench.read("player")).toContain("not connected");
  bench.noticeDeath("media");
  await bench.reads("player", shows(1));
  await bench.reads("sitter", shows(1));
  await bench.mustRestart("media", sitter, reader);
  const { engine } = bench.engines;
  const { name } = engine.volumes.inspect("media");
  const holders = engine.state.read((view) => engine.holds.holdersOf(name, view));
  const words = holders.map(({ id, reason }) => [id, reason] as const);
  expect(new Map(words).get(sitter)).toBe("must restart");
  // A restarted one is not named any more.
  await bench.docker("restart", "--time", "1", "sitter");
  await bench.docker("rm", "-f", "reader");
  await bench.reads("sitter", shows(1));
  await bench.mustRestart("media");
  // Once more: for those who have the first mount beneath, and for one who came later.
  await bench.docker("rm", "-f", "sitter");
  await bench.run("late", "media");
  await bench.killServer("media");
  bench.noticeDeath("media");
  await bench.reads("player", shows(2));
  await bench.reads("late", shows(2));
  await bench.mustRestart("media");
  expect(bench.holdMounts().length).toBe(5);
  await bench.docker("rm", "-f", "player", "late");
  await bench.noHolds();
  await bench.docker("volume", "rm", "media");
});

when("a new life of the engine ends what the last one mended", async () => {
  await bench.create("music");
  await bench.run("player", "music");
  await bench.killServer("music");
  bench.noticeDeath("music");
  await bench.reads("player", `server-${(bench.ill.mountCounts.get("music") ?? 0) + 1}`);
  await bench.restartEngine();
  // What died while nobody looked is found by the first look.
  await bench.killServer("music");
  bench.noticeDeath("music");
  await bench.reads("player", `server-${(bench.ill.mountCounts.get("music") ?? 0) + 1}`);
  expect(bench.holdMounts().length).toBe(3);
  await bench.docker("rm", "-f", "player");
  await bench.noHolds();
  await bench.docker("volume", "rm", "music");
});

when("with on-stale=restart who sat on the dead mount is restarted, once", async () => {
  await bench.create("photos", "on-stale=restart");
  const sitter = await bench.run("sitter", "photos", "cd /data; sleep 1000");
  await bench.run("other", "photos");
  const began = () => bench.docker("inspect", "-f", "{{.State.StartedAt}}", "sitter", "other");
  const [sitterBefore, otherBefore] = (await began()).split("\n");
  await bench.killServer("photos");
  bench.noticeDeath("photos");
  const count = () => bench.ill.mountCounts.get("photos") ?? 0;
  const before = count();
  await eventually(
    async () => ((await began()).split("\n")[0] !== sitterBefore ? true : undefined),
    { timeoutMs: 20_000, otherwise: () => JSON.stringify(bench.engines.log.slice(-5)) },
  );
  await bench.reads("sitter", `server-${before + 1}`);
  expect((await began()).split("\n")[1]).toBe(otherBefore);
  await bench.mustRestart("photos");
  // Not in a loop: the second time within some minutes it is only named.
  const [restarted] = (await began()).split("\n");
  await bench.killServer("photos");
  bench.noticeDeath("photos");
  await bench.mustRestart("photos", sitter);
  expect((await began()).split("\n")[0]).toBe(restarted);
  await bench.docker("rm", "-f", "sitter", "other");
  await bench.noHolds();
  await bench.docker("volume", "rm", "photos");
});

whenPossible(
  [...requirements, "podman"],
  "Podman's containers are not reached, and are named until they restart",
  async () => {
    const podman = await bench.startPodman();
    const made = ["--driver", "holdfast", "-o", "driver=ill", "-o", "server=10.0.0.5", "books"];
    await podman.succeed("volume", "create", ...made);
    const place = ["--detach", "--name", "shelf", "--stop-signal=KILL", ...podmanRunArguments];
    const words = ["-v", "books:/data", testImage, "sleep", "1000"];
    const id = await podman.succeed("run", ...place, ...words);
    const read = () => podman.run("exec", "shelf", "cat", "/data/origin");
    expect((await read()).exit).toBe(0);
    await bench.killServer("books");
    bench.noticeDeath("books");
    await bench.mustRestart("books", id.trim());
    expect((await read()).exit).not.toBe(0);
    await podman.succeed("restart", "--time", "1", "shelf");
    expect((await read()).exit).toBe(0);
    await bench.mustRestart("books");
    await podman.succeed("rm", "--force", "--time=0", "shelf");
    await bench.noHolds();
  },
  testMs,
);
