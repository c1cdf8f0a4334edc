// Every driver × every promise, and for every promise a driver that breaks it.
import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { brokenOnes, type Check, runCheck, runChecks } from "../src/conformance/check.ts";
import { type BenchParts, openDriverBench } from "../src/conformance/driver-bench.ts";
import { collect, retirement } from "../src/conformance/expectations.ts";
import { leaseServiceChecks } from "../src/conformance/lease-service.ts";
import { uncheckedDriverPromises } from "../src/conformance/unchecked.ts";
import { isWhole, renderDriverReport, verifyDriver } from "../src/conformance/verify.ts";
import { volumeDriverChecks } from "../src/conformance/volume-driver.ts";
import { EngineError } from "../src/core/errors.ts";
import { parseDriverName } from "../src/core/names.ts";
import { sourceRoot } from "../tools/source-root.ts";
import { boundParts } from "./support/bind-kind.ts";
import { brokenVolumes } from "./support/broken-drivers.ts";
import { brokenHealth } from "./support/broken-health.ts";
import { brokenMounts } from "./support/broken-mounts.ts";
import { brokenRebuilds } from "./support/broken-rebuilds.ts";
import { brokenRenames } from "./support/broken-renames.ts";
import { brokenStorage } from "./support/broken-storage.ts";
import { brokenTrash } from "./support/broken-trash.ts";
import { commentSentences } from "./support/contract-sentences.ts";
import { layeredParts, localParts, scratchParts } from "./support/driver-benches.ts";
import { type Requirement, whenPossible } from "./support/needs.ts";
import { facetParts } from "./support/scratch-facets.ts";

/** A new driver gets a line here; it is done when the line is green. */
const drivers: readonly (readonly [
  name: string,
  parts: () => BenchParts,
  needed?: readonly Requirement[],
])[] = [
  ["scratch", scratchParts],
  ["scratch with every facet", facetParts],
  ["scratch in its layers", layeredParts],
  ["local", localParts],
  ["over a kind of remote storage", boundParts, ["root", "mount"]],
];

const brokenDrivers = [
  ...brokenVolumes,
  ...brokenMounts,
  ...brokenRebuilds,
  ...brokenTrash,
  ...brokenRenames,
  ...brokenStorage,
  ...brokenHealth,
];

for (const [name, parts, needed = []] of drivers) {
  describe(`driver ${name}`, () => {
    const leftBehind: string[] = [];
    const openBench = () =>
      openDriverBench({ ...parts(), leftBehind: (what) => leftBehind.push(what) });

    for (const check of volumeDriverChecks) {
      whenPossible(needed, check.promise, async () => {
        const outcome = await runCheck(check, openBench);
        if (outcome.outcome === "broken") throw outcome.error;
      });
    }
    test("leaves nothing behind", () => expect(leftBehind).toEqual([]));
  });
}

test("every check applies to the driver with every facet", async () => {
  const outcomes = await runChecks(volumeDriverChecks, () => openDriverBench(facetParts()));
  const others = outcomes.filter(({ outcome }) => outcome === "not_applicable");
  expect(others.map(({ promise }) => promise)).toEqual([]);
});

describe("a driver that", () => {
  for (const broken of brokenDrivers) {
    test(`${broken.fault} is caught`, async () => {
      const outcomes = await runChecks(volumeDriverChecks, () => {
        const healthy = facetParts();
        return openDriverBench({ ...healthy, driver: broken.break(healthy) });
      });
      const found = brokenOnes(outcomes).map(({ promise }) => promise);
      expect(found).toContain(broken.promise);
      if (broken.also === "many others") return;
      expect(found.toSorted()).toEqual([broken.promise, ...(broken.also ?? [])].toSorted());
    });
  }

  test("breaks it exists for every promise", () => {
    const breakable = new Set(brokenDrivers.map(({ promise }) => promise));
    const never = volumeDriverChecks.filter(({ promise }) => !breakable.has(promise));
    expect(never.map(({ promise }) => promise)).toEqual([]);
  });
});

describe("the contract and its checks say the same", () => {
  const checked = new Set(volumeDriverChecks.map(({ promise }) => promise));
  const unchecked = new Set(uncheckedDriverPromises.map(({ promise }) => promise));
  const driverContract = readCore("driver.ts");
  const driverSentences = commentSentences(driverContract);

  test("there is one check for each promise", () => {
    expect(checked.size).toBe(volumeDriverChecks.length);
    expect(unchecked.size).toBe(uncheckedDriverPromises.length);
    expect([...checked].filter((promise) => unchecked.has(promise))).toEqual([]);
  });

  test.each([
    ["driver.ts", [...checked, ...unchecked]],
    ["lease-service.ts", leaseServiceChecks.map(({ promise }) => promise)],
  ])("each promise is a sentence of core/%s", (file, promises) => {
    const sentences = commentSentences(readCore(file));
    expect(promises.filter((promise) => !sentences.includes(promise))).toEqual([]);
  });

  test("each sentence beside a member is in a check or in unchecked.ts", () => {
    const members = driverContract.split("\n").filter((line) => /^ {2}/.test(line));
    const missing = commentSentences(members.join("\n")).filter(
      (sentence) => !checked.has(sentence) && !unchecked.has(sentence),
    );
    expect(missing).toEqual([]);
    expect(driverSentences.length).toBeGreaterThan(checked.size);
  });
});

describe("verifyDriver", () => {
  test("touches nothing that was there before, and removes what it made", async () => {
    const { release, ...parts } = scratchParts();
    const keeper = openDriverBench({ ...parts });
    const { driver, holders } = keeper;
    const name = keeper.name("precious");
    const id = keeper.trashId();
    const spec = { name, options: { note: "mine" } };
    await driver.create(spec, keeper.operation());
    await driver.trash?.retire(name, retirement(id), keeper.operation());
    await driver.create(spec, keeper.operation());
    const path = await driver.mount(name, holders.first, keeper.operation());
    await parts.files.write(`${path}/data`, "mine");

    const report = await verifyDriver(driver, { ...parts, plant: undefined });

    expect(brokenOnes(report.outcomes)).toEqual([]);
    expect(isWhole(report)).toBe(true);
    const volumes = await collect(driver.list(keeper.operation()));
    expect(volumes.map((record) => record.name)).toEqual([name]);
    const inTrash = await collect(driver.trash?.list(keeper.operation()) ?? nothing());
    expect(inTrash.map((retired) => retired.id)).toEqual([id]);
    expect(await parts.files.read(`${path}/data`)).toBe("mine");
    await release?.();
  });

  test("says what it could not remove", async () => {
    const { release, ...parts } = scratchParts();
    const stubborn = {
      ...parts.driver,
      async destroy(): Promise<void> {
        throw new EngineError("storage.read_only", "the disk is read-only");
      },
    };
    const report = await verifyDriver(stubborn, { ...parts, hideStorage: undefined });
    expect(isWhole(report)).toBe(false);
    expect(report.leftBehind.length).toBeGreaterThan(0);
    expect(report.leftBehind[0]).toMatch(/^volume holdfast-verify-.*: the disk is read-only$/);
    expect(renderDriverReport(report)).toInclude("left behind: volume holdfast-verify-");
    await release?.();
  });

  test("the report is a line for each promise, with the reason below what is broken", () => {
    const text = renderDriverReport({
      driver: parseDriverName("scratch"),
      leftBehind: [],
      outcomes: [
        { promise: "It works.", outcome: "kept" },
        { promise: "It is fast.", outcome: "not_applicable" },
        {
          promise: "It never fails.",
          outcome: "broken",
          error: new EngineError("storage.full", "no space left"),
        },
      ],
    });
    expect(text).toBe(
      [
        "kept    It works.",
        "-       It is fast.",
        "BROKEN  It never fails.",
        "        ! storage.full: no space left",
        "",
        "driver scratch: 1 promises kept, 1 broken, 1 not applicable",
        "",
      ].join("\n"),
    );
  });
});

describe("runCheck", () => {
  interface Bench extends AsyncDisposable {
    readonly isClosed: boolean;
  }
  function openBench(): Bench {
    const bench = {
      isClosed: false,
      async [Symbol.asyncDispose]() {
        bench.isClosed = true;
      },
    };
    return bench;
  }

  test("gives each check a bench of its own and closes it", async () => {
    const benches: Bench[] = [];
    const run = async (bench: Bench) => {
      benches.push(bench);
    };
    const checks: readonly Check<Bench>[] = [
      { promise: "one", run },
      { promise: "two", run },
    ];
    await runChecks(checks, openBench);
    expect(new Set(benches).size).toBe(2);
    expect(benches.every(({ isClosed }) => isClosed)).toBe(true);
  });

  test("a check that hangs is broken", async () => {
    const check: Check<Bench> = { promise: "It ends.", run: () => new Promise(() => undefined) };
    const outcome = await runCheck(check, openBench, { timeoutMs: 5 });
    expect(outcome.outcome).toBe("broken");
  });

  test("a bench that cannot be opened or closed breaks the promise", async () => {
    const check: Check<Bench> = { promise: "It ends.", run: async () => undefined };
    const unopened = await runCheck(check, () => Promise.reject(new Error("no bench")));
    const unclosed = await runCheck(check, () => ({
      isClosed: false,
      [Symbol.asyncDispose]: () => Promise.reject(new Error("it sticks")),
    }));
    expect([unopened.outcome, unclosed.outcome]).toEqual(["broken", "broken"]);
  });
});

async function* nothing(): AsyncGenerator<never> {}

function readCore(file: string): string {
  return readFileSync(join(sourceRoot, "src", "core", file), "utf8");
}
