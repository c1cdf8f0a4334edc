// The simulation of leases with other seeds each night, and many more of them.
import { test } from "bun:test";
import { runSeed } from "./lease-run.ts";

const SEED_COUNT = 200_000;

test(
  "no seed of tonight breaks a promise",
  async () => {
    const first = Math.floor(Date.now() / 86_400_000) * SEED_COUNT;
    for (let seed = first; seed < first + SEED_COUNT; seed++) {
      const problem = await runSeed(seed);
      if (problem !== undefined) throw new Error(`LEASE_SEED=${seed}\n${problem}`);
    }
  },
  { timeout: 1_800_000 },
);
