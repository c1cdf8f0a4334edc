// The database's test of every day, with many more lives and far more rows.
import { HoldsBench } from "../support/holds-bench.ts";
import { whenPossible } from "../support/needs.ts";
import { expectNothingLost, needsOfDatabase, prepareDatabase } from "./database.ts";

const timeoutMs = 1_800_000;

whenPossible(
  needsOfDatabase,
  "no acknowledged transaction is lost in forty lives of a database",
  async () => {
    await using bench = new HoldsBench();
    await bench.start();
    await prepareDatabase(bench);
    await expectNothingLost(bench, { count: 40, rows: 3_000 });
  },
  timeoutMs,
);
