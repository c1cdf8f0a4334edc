// The histories of histories.test.ts, for half an hour.
import { expect, test } from "bun:test";
import { printedSeed, Random } from "../crash/random.ts";
import { expectExplained } from "./explained.ts";
import { lockChaos } from "./lock-chaos.ts";

const runCount = 30;
/** The search is quick on short histories: many of them, each with a daemon of its own. */
const size = { ms: 60_000, grantCount: 500 };
const timeoutMs = 7_200_000;

test(
  "no two have what one may have, in half an hour of kills and stops",
  async () => {
    const random = new Random(printedSeed("lock histories, long"));
    for (let run = 0; run < runCount; run++) {
      const { histories, ...figures } = await lockChaos(random.fork(), size);
      console.log(`lock histories, run ${run}: ${JSON.stringify(figures)}`);
      expectExplained(histories);
      expect(figures.grantCount).toBeGreaterThanOrEqual(size.grantCount);
    }
  },
  timeoutMs,
);
