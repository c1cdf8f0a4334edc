// A Compose project keeps its data on Holdfast: up, down, another image, removal with its volumes.
import { afterAll, beforeAll, expect } from "bun:test";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { eventually, runToEnd } from "../support/child.ts";
import { HoldsBench } from "../support/holds-bench.ts";
import { needs, type Requirement, whenPossible } from "../support/needs.ts";
import { testImage } from "../support/test-image.ts";

const requirements: readonly Requirement[] = [
  ...(["root", "dockerd", "docker-cli", "mount", "unshare", "busybox", "docker-compose"] as const),
];
const timeoutMs = 120_000;
const composeTimeoutMs = 60_000;
const newerImage = "holdfast-test:2";

/** Two services, three volumes: one of the database's alone, one shared, one of the worker's. */
const services = `version: "3.7"
services:
  db:
    image: \${IMAGE}
    command: [sleep, "1000"]
    user: "999:999"
    network_mode: none
    stop_signal: KILL
    volumes:
      - data:/data
      - uploads:/uploads
  worker:
    image: ${testImage}
    command: [sleep, "1000"]
    network_mode: none
    stop_signal: KILL
    volumes:
      - uploads:/uploads:ro
      - cache:/cache
`;

const ownVolumes = `volumes:
  data:
    driver: holdfast
    driver_opts:
      sharing: none
      owner: "999:999"
  uploads:
    driver: holdfast
    driver_opts:
      sharing: onewriter
      owner: "999:999"
  cache:
    driver: holdfast
`;

const externalVolumes = `volumes:
  data:
    external: true
    name: kept_data
  uploads:
    external: true
    name: kept_uploads
  cache:
    external: true
    name: kept_cache
`;

let bench: HoldsBench;
beforeAll(async () => {
  if (needs(...requirements).skip !== undefined) return;
  bench = new HoldsBench();
  await bench.start();
  await bench.docker("create", "--name", "newer", "--network", "none", testImage, "true");
  await bench.docker("commit", "--change", "ENV RELEASE=2", "newer", newerImage);
  await bench.docker("rm", "newer");
}, timeoutMs);
afterAll(async () => await bench?.[Symbol.asyncDispose](), timeoutMs);

function when(name: string, run: () => Promise<void>): void {
  whenPossible(requirements, name, run, timeoutMs);
}

/** docker-compose on a project of two services; its volumes are described by `volumes`. */
function composeIn(project: string, volumes: string) {
  const folder = join(bench.folder, project);
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "docker-compose.yml"), services + volumes);
  return async (image: string, ...parameters: readonly string[]): Promise<string> => {
    const environment = {
      DOCKER_HOST: `unix://${bench.dockerd.socketPath}`,
      HOME: folder,
      IMAGE: image,
    };
    const words = ["--project-directory", folder, "-f", join(folder, "docker-compose.yml")];
    const ended = await runToEnd("docker-compose", [...words, ...parameters], {
      environment,
      timeoutMs: composeTimeoutMs,
    });
    if (ended.exit === 0) return ended.stdout.trim();
    throw new Error(`docker-compose ${parameters.join(" ")}: ${ended.stdout}${ended.stderr}`);
  };
}

/** Waits until the volume's holders, as `project access`, are these. */
async function projects(volume: string, ...wanted: readonly string[]): Promise<void> {
  let seen: readonly string[] = [];
  await eventually(
    async () => {
      const { holders } = await bench.volume(volume);
      seen = holders.map(({ project, state, access }) => `${project} ${state} ${access}`);
      return seen.toSorted().join() === wanted.toSorted().join() ? true : undefined;
    },
    { timeoutMs: 10_000, otherwise: () => `${volume}: ${JSON.stringify(seen)}` },
  );
}

const dataWords = ["exec", "-T", "db", "sh", "-c"];

when("a project's data outlives its containers and goes with `down -v`", async () => {
  const compose = composeIn("shop", ownVolumes);
  await compose(testImage, "up", "-d");
  await projects("shop_data", "shop running rw");
  await projects("shop_uploads", "shop running rw", "shop running ro");
  await projects("shop_cache", "shop running rw");
  await compose(testImage, ...dataWords, "echo 1 > /data/rows && echo cat > /uploads/photo");
  expect(await compose(testImage, "exec", "-T", "worker", "cat", "/uploads/photo")).toBe("cat");
  expect(await bench.refused("volume", "rm", "shop_data")).toContain("volume is in use");

  await compose(testImage, "down");
  for (const volume of ["shop_data", "shop_uploads", "shop_cache"]) await projects(volume);
  expect(bench.holdMounts()).toEqual([]);
  await compose(testImage, "up", "-d");
  expect(await compose(testImage, ...dataWords, "cat /data/rows")).toBe("1");

  // The image of one service changes: Compose replaces its container, on a volume for one alone.
  await compose(newerImage, "up", "-d");
  const state = await compose(newerImage, ...dataWords, "echo $RELEASE; cat /data/rows");
  expect(state.split("\n")).toEqual(["2", "1"]);
  await projects("shop_data", "shop running rw");
  await projects("shop_uploads", "shop running rw", "shop running ro");

  await compose(newerImage, "stop");
  await projects("shop_data", "shop stopped rw");
  await compose(newerImage, "start");
  await projects("shop_data", "shop running rw");
  await compose(newerImage, "down", "-v");
  expect(await bench.docker("volume", "ls", "-q", "--filter", "name=shop")).toBe("");
  expect((await bench.holdfast("volume", "ls", "-q")).stdout).not.toContain("shop");
  expect(bench.holdMounts()).toEqual([]);
});

when("external volumes stay, also with `down -v`", async () => {
  const compose = composeIn("blog", externalVolumes);
  await bench.createVolume("kept_data", "sharing=none", "owner=999:999");
  await bench.createVolume("kept_uploads", "owner=999:999");
  await bench.createVolume("kept_cache");
  await compose(testImage, "up", "-d");
  await projects("kept_data", "blog running rw");
  await compose(testImage, ...dataWords, "echo 2 > /data/rows");
  await compose(newerImage, "up", "-d");
  await compose(newerImage, "down", "-v");
  await projects("kept_data");
  await bench.run("look", "--stop-signal=KILL", "-v", "kept_data:/data");
  expect(await bench.docker("exec", "look", "cat", "/data/rows")).toBe("2");
  await bench.docker("rm", "-f", "look");
  await bench.docker("volume", "rm", "kept_data", "kept_uploads", "kept_cache");
});
