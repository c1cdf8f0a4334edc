// The trash over storage and a state that fail at random: nothing is lost that nobody gave up.
//
// Every run is made from its seed alone. A failure names the seed and what was done before;
// HOLDFAST_TEST_SEED=<seed> repeats that run and no other.
import { expect, test } from "bun:test";
import { TrashRun } from "./trash-run.ts";

const SEED_COUNT = 100;

const given = process.env["HOLDFAST_TEST_SEED"];
const seeds =
  given === undefined
    ? Array.from({ length: SEED_COUNT }, (_, index) => index + 1)
    : [Number(given)];

test(`${seeds.length} runs lose nothing that was removed`, async () => {
  const total = { faults: 0, restored: 0, purged: 0 };
  for (const seed of seeds) {
    await using run = new TrashRun(seed);
    await run.play();
    total.faults += run.faultCount;
    total.restored += run.restoredCount;
    total.purged += run.purgedCount;
  }
  console.log(JSON.stringify(total));
  // Runs in which nothing went wrong, or everything, prove nothing.
  expect(total.faults).toBeGreaterThan(seeds.length);
  expect(total.restored).toBeGreaterThan(seeds.length);
  expect(total.purged).toBeGreaterThan(seeds.length / 2);
}, 120_000);
