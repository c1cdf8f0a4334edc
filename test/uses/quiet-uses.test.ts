// Twenty seconds of a database, web servers, a publisher, a log shipper; and the guard is silent.
import { HoldsBench } from "../support/holds-bench.ts";
import { whenPossible } from "../support/needs.ts";
import { expectAlarms, expectNoAlarm, needsOfQuietUses } from "./quiet-uses.ts";

const seconds = 20;
const timeoutMs = 300_000;

whenPossible(
  needsOfQuietUses,
  "who shares volumes as one should is not told of conflicts, and who does not is",
  async () => {
    await using bench = new HoldsBench({ dockerd: { storageDriver: "overlay2" } });
    await bench.start();
    await expectNoAlarm(bench, seconds);
    await expectAlarms(bench);
  },
  timeoutMs,
);
