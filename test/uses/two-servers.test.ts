// database=exclusive with PostgreSQL and a real dockerd: two servers, backups, copies, updates.
import { afterAll, beforeAll, expect } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { eventually } from "../support/child.ts";
import { HoldsBench } from "../support/holds-bench.ts";
import { needs, whenPossible } from "../support/needs.ts";
import { testImage } from "../support/test-image.ts";
import { needsOfDatabase } from "./database.ts";
import { databaseFolder } from "./images.ts";
import {
  expectOneServes,
  prepareServers,
  query,
  server,
  serversVolume,
  serves,
} from "./two-servers.ts";

const timeoutMs = 240_000;

let bench: HoldsBench;
beforeAll(async () => {
  if (needs(...needsOfDatabase).skip !== undefined) return;
  bench = new HoldsBench();
  await bench.start();
  await prepareServers(bench, "exclusive");
}, timeoutMs);
afterAll(async () => await bench?.[Symbol.asyncDispose](), timeoutMs);

function when(name: string, run: () => Promise<void>): void {
  whenPossible(needsOfDatabase, name, run, timeoutMs);
}

when("of two servers that are started at the same instant one runs, three times", async () => {
  expect(await expectOneServes(bench, { count: 3, before: 0 })).toHaveLength(3);
});

when("what only reads, copies, creates or takes over goes on beside a server", async () => {
  await bench.docker("rm", "right");
  await bench.docker("start", "left");
  await serves(bench, "left");
  // A copy-up, and then a writer that stands still: the question is asked from now on.
  await bench.docker("create", "--name", "next", ...server());
  const readOnly = `${serversVolume}:/backup:ro`;
  const saved = await bench.docker(
    ...["run", "--rm", "--network", "none", "-v", readOnly, testImage],
    ...["sh", "-c", "cat /backup/PG_VERSION"],
  );
  expect(saved).toBe("15");
  const file = join(bench.folder, "note");
  writeFileSync(file, "copied");
  await bench.docker("cp", file, `left:${databaseFolder}/note`);
  await bench.docker("cp", `left:${databaseFolder}/PG_VERSION`, file);
  expect(readFileSync(file, "utf8")).toBe("15\n");
  await bench.docker("create", "--name", "later", ...server());
  expect(await bench.refused("start", "next")).toContain(
    `volume ${serversVolume} (PostgreSQL 15) has database=exclusive, and left has it read-write. ` +
      "Stop that container, or give the new one the volume read-only (`:ro`): one at a time may " +
      "write to it.",
  );
  await bench.docker("restart", "left");
  await serves(bench, "left");
  // As Compose does with a new version.
  await bench.docker("stop", "left");
  await bench.docker("start", "next");
  await bench.docker("rm", "left");
  await serves(bench, "next");
  expect(await query(bench, "next", "SELECT count(*) FROM round")).toBe("3");
  await bench.docker("rm", "later");
  await bench.docker("stop", "next");
  await bench.docker("rm", "next");
});

when(
  "of two that would make a database of an empty volume: event, state, and its end",
  async () => {
    await bench.createVolume("fresh");
    const script = "mkdir -p /data/global /data/base && echo 15 > /data/PG_VERSION && sleep 1000";
    const run = ["run", "-d", "--network", "none", "--stop-signal", "KILL", "-v", "fresh:/data"];
    await bench.docker(...run, "--name", "db", testImage, "sleep", "1000");
    await bench.docker(...run, "--name", "db2", testImage, "sh", "-c", script);
    await untilState("fresh", "shared database");
    const shown = await bench.holdfast("volume", "inspect", "-f", "{{json .Status}}", "fresh");
    expect(shown.stdout).toContain("PostgreSQL 15 can be written by 2 containers (db, db2)");
    const events = await bench.holdfast(
      ...[
        "events",
        "--since",
        "5m",
        "--until",
        String(Date.now() / 1_000 + 1),
        "--filter",
        "event=database-shared",
      ],
      ...["--format", "{{json .Actor}}"],
    );
    expect(events.stdout + events.stderr).toContain(
      '"containers":"db, db2","database":"PostgreSQL 15"',
    );
    // The way out that is named there; the second one is stopped by it.
    const update = await bench.holdfast("volume", "update", "fresh", "-o", "database=exclusive");
    expect(update.exit).toBe(0);
    await bench.holders("fresh", "db running rw", "db2 stopped rw");
    await untilState("fresh", "in use");
    expect(await bench.refused("start", "db2")).toContain("volume fresh (PostgreSQL 15) has");
    await bench.docker("rm", "-f", "db", "db2");
  },
);

async function untilState(volume: string, wanted: string): Promise<void> {
  let seen = "";
  await eventually(
    async () => {
      seen = (await bench.volume(volume)).state;
      return seen === wanted ? true : undefined;
    },
    { timeoutMs: 30_000, otherwise: () => `${volume} is ${seen}\n${bench.daemon.output()}` },
  );
}
