// kill -9 at 120 random moments under mixed load: what was acknowledged is there, nothing half
// made.
import { expect, test } from "bun:test";
import { killInMemory } from "./kill-rounds.ts";

const killCount = 120;
const limitMs = 600_000;

test(
  `nothing acknowledged is lost in ${killCount} kills, and nothing is there by half`,
  async () => {
    const report = await killInMemory(killCount);
    // Otherwise it was the load that did nothing.
    expect(report.acknowledgedCount).toBeGreaterThan(killCount * 10);
    expect(report.unansweredCount).toBeGreaterThan(killCount);
    expect(report.startKillCount).toBeGreaterThan(killCount / 10);
  },
  limitMs,
);
