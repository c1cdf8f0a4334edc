// The website's test of every day, with thousands of releases.
import { expect } from "bun:test";
import { HoldsBench } from "../support/holds-bench.ts";
import { whenPossible } from "../support/needs.ts";
import { needsOfWebsite, openWebsite, publish, visitDuring } from "./website.ts";

const timeoutMs = 1_800_000;
const swapCount = 10_000;
/** One `docker exec` may take a minute. */
const swapCountOfExec = 500;

whenPossible(
  needsOfWebsite,
  "no page is torn or missing while its content is swapped ten thousand times",
  async () => {
    await using bench = new HoldsBench();
    await bench.start();
    await openWebsite(bench);
    for (let first = 2; first < swapCount; first += swapCountOfExec) {
      const visit = await visitDuring(bench, publish(bench, first, first + swapCountOfExec - 1));
      expect(visit.faults).toEqual([]);
    }
  },
  timeoutMs,
);
