// The breaker rests after failures in a row, counts only failures to answer, and tries again.
import { describe, expect, test } from "bun:test";
import type { VolumeDriver } from "../core/driver.ts";
import type { ErrorCode } from "../core/error-table.ts";
import { EngineError } from "../core/errors.ts";
import {
  makeOperationId,
  makeTrashId,
  parseDriverName,
  parseHolderId,
  parseVolumeName,
} from "../core/names.ts";
import { type Operation, silentLog, systemCaller } from "../core/operation.ts";
import { type BreakerChange, withBreaker } from "./breaker.ts";

const wiki = parseVolumeName("wiki");
const shop = parseVolumeName("shop");
const holder = parseHolderId("holder");
const trashId = makeTrashId("0123456789abcdef");
const failureCountMax = 3;
const restMs = 1_000;

const operation: Operation = {
  id: makeOperationId("op"),
  caller: systemCaller,
  signal: new AbortController().signal,
  log: silentLog,
};

type Bench = ReturnType<typeof bench>;

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
    health: {
      server: () => "nas",
      async check() {
        await answer();
        return { state: "unreachable", reason: "", tookMs: null };
      },
      heal: end,
    },
    update: {
      async update() {
        await answer();
        throw new EngineError("remote.denied", "it has answered");
      },
    },
    flush: { flush: end },
    trash: {
      retire: end,
      movedAtMs: async () => 0,
      restore: end,
      purge: end,
      describe: end,
      async *list() {
        await answer();
        yield* [];
      },
      measure: async () => ({ usedBytes: null }),
      space: async () => ({
        ...{ sizeBytes: 0, availableBytes: 0, fileCount: 0, availableFileCount: 0 },
      }),
    },
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

describe("only silence counts", () => {
  test.each([
    "volume.mount_failed",
    "volume.unmount_failed",
    "volume.in_use",
    "storage.read_only",
    "host.program_missing",
    "engine.stopping",
  ] as const)("a volume whose mount answers %s is never refused", async (code) => {
    const { state, mount, failOften } = bench("volume");
    await failOften(code);
    await failOften(code);
    expect(await mount()).toBe(code);
    expect(state.changes).toEqual([]);
  });

  test.each(["driver.timed_out", "plugin.unreachable", "storage.failed"] as const)(
    "%s counts",
    async (code) => {
      for (const per of ["driver", "volume"] as const) {
        const { mount, failOften } = bench(per);
        await failOften(code);
        expect(await mount()).toBe("driver.suspended");
      }
    },
  );

  test("what the caller gave up says nothing, whatever it then throws", async () => {
    const { state, driver, mount } = bench("volume");
    state.failing = "driver.timed_out";
    for (let count = 1; count < failureCountMax; count++) await mount();
    const given = { ...operation, signal: AbortSignal.abort() };
    for (let count = 0; count < failureCountMax; count++) {
      await driver.mount(wiki, holder, given).catch(() => undefined);
    }
    expect(state.changes).toEqual([]);
    await mount();
    expect(state.changes).toHaveLength(1);
  });
});

describe("the ways out", () => {
  const waysOut = [
    ...(["get", "unmount", "retire", "forget", "destroy", "purge"] as const),
    ...(["check", "heal", "update", "flush"] as const),
  ];

  function wayOut(driver: Bench["driver"], call: (typeof waysOut)[number]): Promise<unknown> {
    const { trash, health, update, flush } = driver;
    if (!(trash && health && update && flush)) throw new Error("the bench has them all");
    const calls = {
      check: () => health.check(wiki, operation),
      heal: () => health.heal(wiki, operation),
      update: () => update.update({ name: wiki, options: {} }, operation),
      flush: () => flush.flush(wiki, operation),
      get: () => driver.get(wiki, operation),
      unmount: () => driver.unmount(wiki, holder, operation),
      retire: () => trash.retire(wiki, { id: trashId, description: "" }, operation),
      forget: () => driver.forget(wiki, operation),
      destroy: () => driver.destroy(wiki, operation),
      purge: () => trash.purge([trashId], operation),
    };
    return calls[call]();
  }

  for (const per of ["driver", "volume"] as const) {
    test.each(waysOut)(`%s is never refused, per ${per}`, async (call) => {
      const { state, driver, mount, failOften } = bench(per);
      await failOften();
      expect(await mount()).toBe("driver.suspended");
      const { callCount } = state;
      await expect(wayOut(driver, call)).rejects.toMatchObject({ code: "driver.timed_out" });
      state.failing = undefined;
      await wayOut(driver, call).catch(() => undefined);
      expect(state.callCount).toBe(callCount + 2);
    });
  }

  test.each(["retire", "destroy", "forget"] as const)("after %s the name is new", async (call) => {
    const { state, driver, mount, failOften } = bench("volume");
    await failOften();
    state.failing = undefined;
    await wayOut(driver, call);
    expect(await mount()).toBe("/data");
  });

  test.each(["get", "unmount", "check", "heal", "flush"] as const)(
    "%s does not speak for the server",
    async (call) => {
      const { state, driver, mount } = bench("volume");
      for (let count = 0; count < failureCountMax; count++) {
        state.failing = "driver.timed_out";
        await mount();
        state.failing = undefined;
        await wayOut(driver, call);
      }
      expect(await mount()).toBe("driver.suspended");
    },
  );

  test("what cannot be purged gives no rest to what is in use", async () => {
    for (const per of ["driver", "volume"] as const) {
      const { state, driver, mount } = bench(per);
      state.failing = "storage.failed";
      for (let count = 0; count < 2 * failureCountMax; count++) {
        await wayOut(driver, "purge").catch(() => undefined);
      }
      state.failing = undefined;
      expect(await mount()).toBe("/data");
      expect(state.changes).toEqual([]);
    }
  });
});

test("per volume, calls that name none pass by", async () => {
  const { state, driver } = bench("volume");
  const list = () => driver.list(operation)[Symbol.asyncIterator]().next();
  state.failing = "driver.timed_out";
  for (let count = 0; count < 2 * failureCountMax; count++) {
    await expect(list()).rejects.toMatchObject({ code: "driver.timed_out" });
  }
  expect(state.changes).toEqual([]);
});

test("per volume, one volume's dead server leaves the others alone", async () => {
  const { state, driver, mount, failOften } = bench("volume");
  await failOften();
  expect(await mount()).toBe("driver.suspended");
  state.failing = undefined;
  expect(await mount(shop)).toBe("/data");
  expect(await driver.get(shop, operation)).toEqual({ state: "absent" });
  expect(state.changes).toEqual([{ state: "suspended", volume: "wiki" }]);
});
