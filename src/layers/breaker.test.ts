// The breaker rests after failures in a row, counts only failures to answer, and tries again.
import { describe, expect, test } from "bun:test";
import type { VolumeDriver } from "../core/driver.ts";
import { EngineError, type ErrorCode } from "../core/errors.ts";
import { makeOperationId, parseDriverName, parseHolderId, parseVolumeName } from "../core/names.ts";
import { type Operation, silentLog, systemCaller } from "../core/operation.ts";
import { type BreakerChange, withBreaker } from "./breaker.ts";

const wiki = parseVolumeName("wiki");
const shop = parseVolumeName("shop");
const holder = parseHolderId("holder");
const failureCountMax = 3;
const restMs = 1_000;

const operation: Operation = {
  id: makeOperationId("op"),
  caller: systemCaller,
  signal: new AbortController().signal,
  log: silentLog,
};

/** A driver whose every call throws `failing`, and the breaker around it. */
function bench(per: "driver" | "volume") {
  const state = {
    nowMs: 0,
    failing: undefined as ErrorCode | undefined,
    callCount: 0,
    changes: [] as BreakerChange[],
  };
  async function answer(): Promise<string> {
    state.callCount += 1;
    if (state.failing !== undefined) throw new EngineError(state.failing, "as the test wants it");
    return "/data";
  }
  async function end(): Promise<void> {
    await answer();
  }
  const inner: VolumeDriver = {
    name: parseDriverName("test"),
    scope: "local",
    validate() {},
    create: () => Promise.reject(new Error("not part of the test")),
    async get() {
      await answer();
      return { state: "absent" };
    },
    async *list() {
      await answer();
      yield* [];
    },
    forget: end,
    destroy: end,
    mount: answer,
    unmount: end,
  };
  const driver = withBreaker(inner, {
    monotonicMs: () => state.nowMs,
    per,
    failureCountMax,
    restMs,
    changed: (change) => state.changes.push(change),
  });
  async function mount(volume = wiki): Promise<string> {
    try {
      return await driver.mount(volume, holder, operation);
    } catch (error) {
      return error instanceof EngineError ? error.code : String(error);
    }
  }
  async function failOften(code: ErrorCode = "driver.timed_out", volume = wiki): Promise<void> {
    state.failing = code;
    for (let count = 0; count < failureCountMax; count++) await mount(volume);
  }
  return { state, driver, mount, failOften };
}

describe("a driver that fails in a row", () => {
  test("is refused at once, and not called", async () => {
    const { state, driver, mount, failOften } = bench("driver");
    await failOften();
    expect(state.callCount).toBe(failureCountMax);
    expect(await mount()).toBe("driver.suspended");
    expect(await mount(shop)).toBe("driver.suspended");
    await expect(driver.list(operation)[Symbol.asyncIterator]().next()).rejects.toMatchObject({
      code: "driver.suspended",
      details: { retryAfterMs: restMs },
    });
    expect(state.callCount).toBe(failureCountMax);
    expect(state.changes).toEqual([{ state: "suspended", volume: undefined }]);
  });

  test("is not refused when an answer came in between", async () => {
    const { state, mount, failOften } = bench("driver");
    for (let round = 0; round < 3; round++) {
      state.failing = "driver.timed_out";
      for (let count = 1; count < failureCountMax; count++) await mount();
      state.failing = "volume.in_use";
      expect(await mount()).toBe("volume.in_use");
    }
    expect(state.changes).toEqual([]);
    await failOften();
    expect(await mount()).toBe("driver.suspended");
  });

  test.each([
    "volume.option_invalid",
    "volume.not_found",
    "volume.exists_differently",
    "storage.full",
    "volume.data_missing",
    "operation.cancelled",
    "volume.mount_failed",
  ] as const)("%s does not count", async (code) => {
    const { mount, failOften } = bench("driver");
    await failOften(code);
    await failOften(code);
    expect(await mount()).toBe(code);
  });

  test("lists count as calls", async () => {
    const { state, driver, mount } = bench("driver");
    state.failing = "driver.timed_out";
    for (let count = 0; count < failureCountMax; count++) {
      await driver
        .list(operation)
        [Symbol.asyncIterator]()
        .next()
        .catch(() => undefined);
    }
    expect(await mount()).toBe("driver.suspended");
  });
});

describe("after the rest", () => {
  test("one call is let through, and its success ends the suspension", async () => {
    const { state, mount, failOften } = bench("driver");
    await failOften();
    state.nowMs += restMs;
    state.failing = undefined;
    expect(await Promise.all([mount(), mount()])).toEqual(["/data", "driver.suspended"]);
    expect(await mount()).toBe("/data");
    expect(state.changes.map((change) => change.state)).toEqual(["suspended", "working"]);
  });

  test("a probe that fails makes the next rest twice as long", async () => {
    const { state, mount, failOften } = bench("driver");
    await failOften();
    state.nowMs += restMs;
    expect(await mount()).toBe("driver.timed_out");
    state.nowMs += restMs;
    expect(await mount()).toBe("driver.suspended");
    state.nowMs += restMs;
    expect(await mount()).toBe("driver.timed_out");
    expect(state.changes).toHaveLength(1);
  });

  test("a probe that its caller cancels makes room for another", async () => {
    const { state, mount, failOften } = bench("driver");
    await failOften();
    state.nowMs += restMs;
    state.failing = "operation.cancelled";
    expect(await mount()).toBe("operation.cancelled");
    state.failing = undefined;
    expect(await mount()).toBe("/data");
  });

  test("a driver that says no has answered", async () => {
    const { state, mount, failOften } = bench("driver");
    await failOften();
    state.nowMs += restMs;
    state.failing = "volume.not_found";
    expect(await mount()).toBe("volume.not_found");
    expect(await mount()).toBe("volume.not_found");
  });
});

test("per volume, one volume's dead server leaves the others alone", async () => {
  const { state, driver, mount, failOften } = bench("volume");
  await failOften("volume.mount_failed");
  expect(await mount()).toBe("driver.suspended");
  state.failing = undefined;
  expect(await mount(shop)).toBe("/data");
  expect(await driver.get(shop, operation)).toEqual({ state: "absent" });
  expect(state.changes).toEqual([{ state: "suspended", volume: "wiki" }]);
});
