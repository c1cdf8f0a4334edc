// Holds of a real dockerd in ordinary life: who has a volume is always known, and never too long.
import { afterAll, beforeAll, describe, expect } from "bun:test";
import { HoldsBench } from "../support/holds-bench.ts";
import { needs, type Requirement, whenPossible } from "../support/needs.ts";

const requirements: readonly Requirement[] = ["root", "dockerd", "docker-cli", "mount", "busybox"];
const startMs = 120_000;
const testMs = 60_000;

let bench: HoldsBench;
beforeAll(async () => {
  if (needs(...requirements).skip !== undefined) return;
  bench = new HoldsBench();
  await bench.start();
}, startMs);
afterAll(async () => await bench?.[Symbol.asyncDispose](), startMs);

function when(name: string, run: () => Promise<void>): void {
  whenPossible(requirements, name, run, testMs);
}

describe("a container", () => {
  when("has its volume while it exists, and its data stays", async () => {
    await bench.createVolume("pgdata");
    await bench.run("db", "-v", "pgdata:/data");
    await bench.docker("exec", "db", "sh", "-c", "echo kept > /data/file");
    await bench.holders("pgdata", "db running rw");
    expect(await bench.refused("volume", "rm", "pgdata")).toContain("volume is in use");
    await bench.docker("rm", "-f", "db");
    await bench.holders("pgdata");
    expect(bench.holdMounts()).toEqual([]);
    await bench.run("db2", "-v", "pgdata:/data:ro");
    expect(await bench.docker("exec", "db2", "cat", "/data/file")).toBe("kept");
    await bench.holders("pgdata", "db2 running ro");
    await bench.docker("rm", "-f", "db2");
    await bench.docker("volume", "rm", "pgdata");
  });
});
