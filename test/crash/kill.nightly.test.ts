// The kills of kill.test.ts, ten times as many.
import { expect, test } from "bun:test";
import { killInMemory } from "./kill-rounds.ts";

const killCount = 2_000;
const limitMs = 7_200_000;

test(
  `nothing acknowledged is lost in ${killCount} kills`,
  async () => {
    const report = await killInMemory(killCount);
    expect(report.unansweredCount).toBeGreaterThan(killCount);
  },
  limitMs,
);
