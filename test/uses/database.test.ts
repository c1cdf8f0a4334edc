// PostgreSQL on a volume with one user at a time: what was committed outlives its container.
import { afterAll, beforeAll, expect } from "bun:test";
import { HoldsBench } from "../support/holds-bench.ts";
import { needs, whenPossible } from "../support/needs.ts";
import {
  databaseContainer,
  expectNothingLost,
  needsOfDatabase,
  prepareDatabase,
} from "./database.ts";

const timeoutMs = 120_000;

let bench: HoldsBench;
beforeAll(async () => {
  if (needs(...needsOfDatabase).skip !== undefined) return;
  bench = new HoldsBench();
  await bench.start();
  await prepareDatabase(bench);
}, timeoutMs);
afterAll(async () => await bench?.[Symbol.asyncDispose](), timeoutMs);

whenPossible(
  needsOfDatabase,
  "no acknowledged transaction is lost when the database's container is killed and replaced",
  async () => {
    await expectNothingLost(bench, {
      count: 3,
      rows: 300,
      async meanwhile(name) {
        await bench.docker("create", "--name", "second", ...databaseContainer());
        expect(await bench.refused("start", "second")).toContain(`in use by ${name}`);
        await bench.docker("rm", "second");
      },
    });
  },
  timeoutMs,
);
