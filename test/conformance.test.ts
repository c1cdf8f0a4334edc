// Every driver × every promise, and for every promise a driver that breaks it.
import { afterAll, describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { brokenOnes, runCheck, runChecks } from "../src/conformance/check.ts";
import { type BenchParts, openDriverBench } from "../src/conformance/driver-bench.ts";
import { uncheckedDriverPromises } from "../src/conformance/unchecked.ts";
import { isWhole, renderDriverReport, verifyDriver } from "../src/conformance/verify.ts";
import { volumeDriverChecks } from "../src/conformance/volume-driver.ts";
import { EngineError } from "../src/core/errors.ts";
import { makeOperationId, makeTrashId, parseHolderId, parseVolumeName } from "../src/core/names.ts";
import { silentLog, systemCaller } from "../src/core/operation.ts";
import { sourceRoot } from "../tools/source-root.ts";
import { brokenMounts, brokenVolumes } from "./support/broken-drivers.ts";
import { brokenFacets } from "./support/broken-facets.ts";
import { commentSentences } from "./support/contract-sentences.ts";
import { localParts, randomHex, scratchParts } from "./support/driver-benches.ts";
import { facetParts } from "./support/scratch-facets.ts";

/** A new driver gets a line here; it is done when the line is green. */
const drivers: readonly (readonly [name: string, parts: () => BenchParts])[] = [
  ["scratch", scratchParts],
  ["scratch with every facet", facetParts],
  ["local", localParts],
];

const brokenDrivers = [...brokenVolumes, ...brokenMounts, ...brokenFacets];

for (const [name, parts] of drivers) {
  describe(`driver ${name} keeps its promises`, () => {
    const leftBehind: string[] = [];
    const openBench = () =>
      openDriverBench({ ...parts(), leftBehind: (what) => leftBehind.push(what) });

    for (const check of volumeDriverChecks) {
      test(check.promise, async () => {
        const outcome = await runCheck(check, openBench);
        if (outcome.outcome === "broken") throw outcome.error;
      });
    }
    test("and the checks leave nothing behind", () => expect(leftBehind).toEqual([]));
  });
}

describe("a driver that", () => {
  const seen = new Set<string>();

  for (const broken of brokenDrivers) {
    test(`${broken.fault} is caught`, async () => {
      const outcomes = await runChecks(volumeDriverChecks, () => {
        const healthy = facetParts();
        return openDriverBench({ ...healthy, driver: broken.break(healthy) });
      });
      const expected = [broken.promise, ...(broken.also ?? [])];
      expect(
        brokenOnes(outcomes)
          .map(({ promise }) => promise)
          .sort(),
      ).toEqual(expected.sort());
      seen.add(broken.promise);
    });
  }
  test("breaks a promise exists for every promise", () => {
    const breakable = new Set(brokenDrivers.map(({ promise }) => promise));
    const never = volumeDriverChecks.filter(({ promise }) => !breakable.has(promise));
    expect(never.map(({ promise }) => promise)).toEqual([]);
  });
});
