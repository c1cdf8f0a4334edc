// Every promise of a driver, over rclone on a real WebDAV server.
import { afterAll, expect, test } from "bun:test";
import { join } from "node:path";
import { runCheck } from "../../src/conformance/check.ts";
import { openDriverBench } from "../../src/conformance/driver-bench.ts";
import { ownPlaces } from "../../src/conformance/own-places.ts";
import { volumeDriverChecks } from "../../src/conformance/volume-driver.ts";
import { openBenchFiles } from "../../src/daemon/bench-files.ts";
import { randomHex } from "../support/driver-benches.ts";
import { skipLoudly, whenPossible } from "../support/needs.ts";
import { openRcloneStage, type RcloneStage } from "../support/rclone-stage.ts";

const needed = ["root", "mount", "fuse", "rclone"] as const;

/** WebDAV has neither symbolic nor hard links, and these make some. */
const withLinks = [
  "It never follows a symbolic link.",
  "As `UsageCapable.measure`, for what lies in the trash; null for what is not there.",
];

let shared: Promise<RcloneStage> | undefined;
const leftBehind: string[] = [];
afterAll(async () => await (await shared)?.[Symbol.asyncDispose]());

async function openBench() {
  shared ??= openRcloneStage();
  const { driver, options, root } = await shared;
  return openDriverBench({
    driver: ownPlaces(driver, `checks-${randomHex(4)}-`).driver,
    files: openBenchFiles(join(root, "bench")),
    optionSets: [options, { ...options, "cache-size": "1G" }],
    randomHex,
    leftBehind: (what) => leftBehind.push(what),
  });
}

for (const check of volumeDriverChecks) {
  const run = async () => {
    const outcome = await runCheck(check, openBench);
    if (outcome.outcome === "broken") throw outcome.error;
  };
  if (withLinks.includes(check.promise)) skipLoudly(check.promise, "WebDAV has no links", run);
  else whenPossible(needed, check.promise, run);
}

test("leaves nothing behind", () => expect(leftBehind).toEqual([]));
