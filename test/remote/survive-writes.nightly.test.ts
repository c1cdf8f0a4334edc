// What was acknowledged is there, whoever was killed while it was written, in many orders.

import { whenPossible } from "../support/needs.ts";
import { printedSeed, Random } from "../support/random.ts";
import { drivers, requirementsOf } from "./survive-servers.ts";
import { killWhileWriting, type Victim } from "./survive-writes.ts";

const killCount = 30;
const limitMs = 1_800_000;
const victims: readonly Victim[] = ["daemon", "fuse", "both"];

for (const driver of drivers) {
  whenPossible(
    requirementsOf[driver],
    `${driver}: ${killCount} kills while somebody writes`,
    async () => {
      const random = new Random(printedSeed(`kills of ${driver}`));
      await killWhileWriting(
        driver,
        Array.from({ length: killCount }, () => random.pick(victims)),
      );
    },
    limitMs,
  );
}
