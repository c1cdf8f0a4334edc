// kill -9 at 200 random moments under mixed load: what was acknowledged is there, nothing half made.
import { expect, test } from "bun:test";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { temporaryDirectory } from "../support/daemon.ts";
import { needs } from "../support/needs.ts";
import { killAgainAndAgain } from "./kill-rounds.ts";
import { printedSeed, Random } from "./random.ts";

const killCount = 200;

test(`nothing acknowledged is lost in ${killCount} kills, and nothing is there by half`, async () => {
  const folder = temporaryDirectory();
  try {
    const random = new Random(printedSeed("kill"));
    const canMount = needs("root", "mount").skip === undefined;
    const report = await killAgainAndAgain({
      killCount,
      root: join(folder, "root"),
      random,
      canMount,
    });
    console.log(`kill: ${JSON.stringify(report)}`);
    // Otherwise it was the load that did nothing.
    expect(report.acknowledgedCount).toBeGreaterThan(killCount * 10);
    expect(report.unansweredCount).toBeGreaterThan(killCount);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}, 600_000);
