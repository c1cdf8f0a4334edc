// Thousands of runs of simulated clients, crashes and clocks; one that fails says its seed.
//
// One seed again: LEASE_SEED=123 bun test ./test/cluster/leases.test.ts
import { expect, test } from "bun:test";
import { runSeed } from "../support/lease-run.ts";

const SEED_COUNT = 5_000;

const wanted = process.env["LEASE_SEED"];

test(
  "no two hold what one may hold, no fence is given twice, nobody is overtaken or waits for ever",
  async () => {
    const seeds = wanted === undefined ? range(SEED_COUNT) : [Number(wanted)];
    for (const seed of seeds) {
      const problem = await runSeed(seed);
      if (problem !== undefined) throw new Error(`LEASE_SEED=${seed}\n${problem}`);
    }
  },
  { timeout: 120_000 },
);

test("a seed is the whole of a run", async () => {
  expect(await runSeed(7)).toEqual(await runSeed(7));
});

function range(count: number): readonly number[] {
  return Array.from({ length: count }, (_, index) => index);
}
