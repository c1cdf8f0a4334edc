// Faults: the same for the same seed, before or after the effect, in calls that touch storage.
import { expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { toEngineError } from "../core/errors.ts";
import { makeOperationId, parseVolumeName } from "../core/names.ts";
import { type Operation, silentLog, systemCaller } from "../core/operation.ts";
import { scratchDriver } from "../drivers/scratch/driver.ts";
import { type Fault, faulty } from "./faulty.ts";

const name = parseVolumeName("wiki");

const operation: Operation = {
  id: makeOperationId("op"),
  caller: systemCaller,
  signal: new AbortController().signal,
  log: silentLog,
};

/** Runs `work` on a scratch driver that fails one call in `oneIn`. */
async function withFaults<T>(
  seed: number,
  oneIn: number,
  work: (driver: ReturnType<typeof faulty>, inner: ReturnType<typeof scratchDriver>) => Promise<T>,
): Promise<{ readonly result: T; readonly faults: readonly Fault[] }> {
  const root = mkdtempSync(join(tmpdir(), "holdfast-faulty-"));
  try {
    let count = 0;
    const inner = scratchDriver({
      root,
      nowMs: () => 0,
      randomHex: (bytes) => (++count).toString(16).padStart(bytes * 2, "0"),
    });
    const faults: Fault[] = [];
    const driver = faulty(inner, { seed, oneIn, failed: (fault) => faults.push(fault) });
    return { result: await work(driver, inner), faults };
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}

async function someCalls(driver: ReturnType<typeof faulty>): Promise<string> {
  const outcomes: string[] = [];
  for (let round = 0; round < 50; round++) {
    const calls = [
      () => driver.create({ name, options: {} }, operation),
      () => driver.get(name, operation),
      () => Array.fromAsync(driver.list(operation)),
      () => driver.destroy(name, operation),
    ];
    for (const call of calls) {
      outcomes.push(
        await call().then(
          () => "ok",
          (error) => toEngineError(error).code,
        ),
      );
    }
  }
  return outcomes.join(" ");
}

test("the same seed gives the same faults, another gives others", async () => {
  const first = await withFaults(1, 4, someCalls);
  const again = await withFaults(1, 4, someCalls);
  const other = await withFaults(2, 4, someCalls);
  expect(again).toEqual(first);
  expect(other.result).not.toBe(first.result);
  expect(first.result).toInclude("storage.failed");
  expect(new Set(first.faults.map(({ moment }) => moment))).toEqual(new Set(["before", "after"]));
  // 200 calls, one in four.
  expect(first.faults.length).toBeGreaterThan(25);
  expect(first.faults.length).toBeLessThan(80);
});

test("switched off, nothing fails and nothing is drawn", async () => {
  const outcomes = async (pause: number) => {
    let isOn = true;
    return await withFaults(5, 2, async (_, inner) => {
      const driver = faulty(inner, { seed: 5, oneIn: 2, isOn: () => isOn });
      const first = await someCalls(driver);
      isOn = false;
      for (let round = 0; round < pause; round++) {
        expect(await someCalls(driver)).not.toInclude("storage.failed");
      }
      isOn = true;
      return [first, await someCalls(driver)];
    });
  };
  expect((await outcomes(0)).result).toEqual((await outcomes(2)).result);
});

test("a fault after the effect leaves the effect, one before leaves nothing", async () => {
  await withFaults(7, 1, async (driver, inner) => {
    for (let round = 0; round < 20; round++) {
      const error = await driver.create({ name, options: {} }, operation).catch(toEngineError);
      expect(error).toMatchObject({ code: "storage.failed" });
      const moment = error instanceof Error && "details" in error ? error.details : undefined;
      const { state } = await inner.get(name, operation);
      expect(moment).toMatchObject({ moment: state === "found" ? "after" : "before" });
      await inner.destroy(name, operation);
    }
  });
});

test("createNow stays synchronous and fails too; describe and validate never do", async () => {
  await withFaults(3, 1, async (driver) => {
    const spec = { name, options: {} };
    expect(() => driver.rebuild?.createNow(spec)).toThrow("on purpose");
    expect(driver.rebuild?.describe(spec).name).toBe(name);
    driver.validate({});
  });
});
