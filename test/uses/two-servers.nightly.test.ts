// Two PostgreSQL servers on one database=exclusive volume at the same instant, fifty times.
import { expect } from "bun:test";
import { HoldsBench } from "../support/holds-bench.ts";
import { whenPossible } from "../support/needs.ts";
import { needsOfDatabase } from "./database.ts";
import { expectOneServes, prepareServers } from "./two-servers.ts";

const timeoutMs = 1_800_000;

whenPossible(
  needsOfDatabase,
  "of two servers that are started at the same instant one runs, fifty times",
  async () => {
    await using bench = new HoldsBench();
    await bench.start();
    await prepareServers(bench, "exclusive");
    const winners = await expectOneServes(bench, { count: 50, before: 0 });
    console.info(`left served ${winners.filter((name) => name === "left").length} times of 50`);
    expect(winners).toHaveLength(50);
  },
  timeoutMs,
);
