// The engine over storage and a state that fail at random: nothing acknowledged is ever lost.
//
// Every run is made from its seed alone. A failure names the seed and what was done before;
// HOLDFAST_TEST_SEED=<seed> repeats that run and no other.
import { describe, expect, test } from "bun:test";
import { FaultyRun } from "./faulty-run.ts";

const SEED_COUNT = 100;

const given = process.env["HOLDFAST_TEST_SEED"];
const seeds =
  given === undefined
    ? Array.from({ length: SEED_COUNT }, (_, index) => index + 1)
    : [Number(given)];

describe.each(["scratch", "local"] as const)("over a failing %s driver", (driver) => {
  test(`${seeds.length} runs lose nothing acknowledged and leave nothing stuck`, async () => {
    const total = { faults: 0, acknowledged: 0, refused: 0 };
    for (const seed of seeds) {
      await using run = new FaultyRun(seed, driver);
      await run.play();
      total.faults += run.faultCount;
      total.acknowledged += run.acknowledgedCount;
      total.refused += run.refusedCount;
    }
    console.log(`over ${driver}: ${JSON.stringify(total)}`);
    // Runs in which nothing went wrong, or everything, prove nothing.
    expect(total.faults).toBeGreaterThan(seeds.length);
    expect(total.acknowledged).toBeGreaterThan(10 * seeds.length);
  }, 60_000);
});
