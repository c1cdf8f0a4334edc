// A Compose project and the trash: `down -v` and back, protection, prune plans, another name.
import { expect } from "bun:test";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Ended, eventually, runToEnd } from "../support/child.ts";
import type { HoldsBench } from "../support/holds-bench.ts";
import { testImage } from "../support/test-image.ts";
import { stage } from "./stage.ts";
import { history, holdfast, keptAs, readBy, refusal } from "./steps.ts";

const composeTimeoutMs = 60_000;

const file = `version: "3.7"
services:
  db:
    image: ${testImage}
    command: [sleep, "1000"]
    network_mode: none
    stop_signal: KILL
    volumes:
      - data:/v
      - cache:/cache
volumes:
  data:
    driver: holdfast
    driver_opts:
      sharing: onewriter
      owner: "999:999"
  cache:
    driver: holdfast
`;

/** Without them dockerd does not say how the volume was made, and Compose takes it for another. */
const options = ["sharing=onewriter", "owner=999:999"];

let bench: HoldsBench;
const whenComposed = stage((started) => {
  bench = started;
}, "docker-compose");

function when(name: string, run: (project: string) => Promise<void>): void {
  projectCount += 1;
  const project = `shop${projectCount}`;
  whenComposed(name, () => run(project));
}

let projectCount = 0;

async function composeEnds(project: string, ...parameters: readonly string[]): Promise<Ended> {
  const folder = join(bench.folder, project);
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "docker-compose.yml"), file);
  const environment = { DOCKER_HOST: `unix://${bench.dockerd.socketPath}`, HOME: folder };
  const words = ["--project-directory", folder, "-f", join(folder, "docker-compose.yml")];
  const timeoutMs = composeTimeoutMs;
  return await runToEnd("docker-compose", [...words, ...parameters], { environment, timeoutMs });
}

async function compose(project: string, ...parameters: readonly string[]): Promise<string> {
  const ended = await composeEnds(project, ...parameters);
  if (ended.exit === 0) return ended.stdout.trim();
  throw new Error(`docker-compose ${parameters.join(" ")}: ${ended.stdout}${ended.stderr}`);
}

/** By docker: it takes a tenth of the time. */
function inDb(project: string, script: string): Promise<string> {
  return bench.docker("exec", `${project}_db_1`, "sh", "-c", script);
}

/** Waits until Holdfast says that the project's container has the volume. */
async function isHeld(volume: string, holder: string): Promise<void> {
  await eventually(
    async () => {
      const { holders } = await bench.volume(volume);
      return holders.some(({ name, state }) => `${name} ${state}` === holder) ? true : undefined;
    },
    { timeoutMs: 10_000, otherwise: () => `${volume} is not held by ${holder}` },
  );
}

when(
  "down -v: what is protected stays, the rest is in the trash, and all goes on",
  async (name) => {
    const [data, cache] = [`${name}_data`, `${name}_cache`] as const;
    await compose(name, "up", "-d");
    await inDb(name, "echo rows > /v/rows; echo hot > /cache/page");
    await holdfast(bench, "volume", "protect", data, "--reason", "prod orders");
    const { exit, stderr } = await composeEnds(name, "down", "-v");
    expect(exit).toBe(1);
    expect(stderr).toContain(`remove ${data}: volume is protected: prod orders`);
    await compose(name, "up", "-d");
    expect(await inDb(name, "cat /v/rows")).toBe("rows");

    await holdfast(bench, "volume", "unprotect", data, "--confirm", data);
    await compose(name, "down", "-v");
    for (const volume of [data, cache]) {
      expect(await keptAs(bench, volume)).toMatchObject({ removedBy: "dockerd", protection: null });
      await holdfast(bench, "trash", "restore", volume);
    }
    expect(JSON.parse(await holdfast(bench, "volume", "inspect", data))).toMatchObject([
      { Options: { sharing: "onewriter", owner: "999:999" } },
    ]);
    await bench.createVolume(data, ...options);
    await compose(name, "up", "-d");
    expect(await inDb(name, "cat /v/rows /cache/page; stat -c %u:%g /v")).toBe(
      "rows\nhot\n999:999",
    );

    // Who removes it is said, and who had it by name, although its container is removed in the same
    // breath.
    await isHeld(data, `${name}_db_1 running`);
    await compose(name, "down", "-v");
    expect((await history(bench, data)).slice(0, 2)).toMatchObject([
      { action: "remove", by: "dockerd", outcome: "done" },
      { action: "unmount", subject: `${name}_db_1`, outcome: "done" },
    ]);
  },
);

when("a project goes on with a volume that has another name now", async (name) => {
  const [data, cache, rows] = [`${name}_data`, `${name}_cache`, `${name}-rows`] as const;
  const renaming = ["volume", "rename", "--keep-alias", data, rows];
  const has = (state: string): string =>
    `volume is in use - [${name}_db_1 of project ${name} (docker, ${state})]`;
  await compose(name, "up", "-d");
  await inDb(name, "echo rows > /v/rows");
  expect(await refusal(bench, ...renaming)).toContain(has("running"));
  await bench.docker("stop", `${name}_db_1`);
  expect(await refusal(bench, ...renaming)).toContain(has("stopped"));
  await compose(name, "down");

  // dockerd has kept the labels of the project to itself.
  const project = await holdfast(bench, "volume", "prune", "--plan", "--project", name);
  const planned = project.split("\n").map((line) => line.split(" ")[0]);
  expect(planned.slice(1, 3).toSorted()).toEqual([cache, data]);

  await holdfast(bench, ...renaming);
  await compose(name, "up", "-d");
  expect(await inDb(name, "cat /v/rows")).toBe("rows");
  await isHeld(rows, `${name}_db_1 running`);
  await bench.docker("stop", `${name}_db_1`);
  expect(await refusal(bench, "volume", "rm", rows)).toContain(has("stopped"));
  const plan = await holdfast(bench, "volume", "prune", "--plan", "--all");
  expect(plan).toMatch(
    new RegExp(`^${rows} +container ${name}_db_1 of project ${name} is only stopped$`, "m"),
  );
  // Of a volume that it knows by an old name Compose removes that name.
  await compose(name, "down", "-v");
  expect((await bench.docker("volume", "ls", "-q")).split("\n")).toEqual([rows]);
  expect(await readBy(bench, rows, "rows")).toBe("rows");
  expect(await refusal(bench, "volume", "inspect", data)).toContain("no such volume");
  expect(await keptAs(bench, cache)).toMatchObject({ removedBy: "dockerd" });
});
