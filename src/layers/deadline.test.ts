// Deadlines: every call ends in time, nothing is lost, nothing stays behind.
import { describe, expect, test } from "bun:test";
import { manualTimers } from "../../test/support/manual-timers.ts";
import type { VolumeDriver } from "../core/driver.ts";
import { EngineError } from "../core/errors.ts";
import { makeOperationId, parseDriverName, parseHolderId, parseVolumeName } from "../core/names.ts";
import { type Operation, silentLog, systemCaller } from "../core/operation.ts";
import { GIVE_UP_MS_MAX, type LateCall, withDeadlines } from "./deadline.ts";

const name = parseVolumeName("wiki");
const other = parseVolumeName("other");
const holder = parseHolderId("holder");
const mountDeadlineMs = 120_000;

function operation(signal = new AbortController().signal): Operation {
  return { id: makeOperationId("op"), caller: systemCaller, signal, log: silentLog };
}

/** A driver that does nothing but what a test replaces. */
function driver(members: Partial<VolumeDriver>): VolumeDriver {
  const unused = () => Promise.reject(new Error("not part of the test"));
  return {
    name: parseDriverName("test"),
    scope: "local",
    validate() {},
    create: unused,
    get: unused,
    async *list() {},
    forget: unused,
    destroy: unused,
    mount: unused,
    unmount: unused,
    ...members,
  };
}

describe("a call in time", () => {
  test("keeps its result and leaves no timer behind", async () => {
    const timers = manualTimers();
    const bounded = withDeadlines(driver({ mount: async () => "/data" }), timers);
    const mounting = bounded.mount(name, holder, operation());
    expect([...timers.running].map(({ atMs }) => atMs)).toEqual([mountDeadlineMs]);
    expect(await mounting).toBe("/data");
    expect(timers.running.size).toBe(0);
  });

  test("keeps its error", async () => {
    const timers = manualTimers();
    const error = new EngineError("volume.in_use", "in use");
    const bounded = withDeadlines(driver({ destroy: () => Promise.reject(error) }), timers);
    await expect(bounded.destroy(name, operation())).rejects.toBe(error);
    expect(timers.running.size).toBe(0);
  });

  test("may be one that throws at once", async () => {
    const timers = manualTimers();
    const bounded = withDeadlines(
      driver({
        destroy() {
          throw new EngineError("internal.bug", "not even a promise");
        },
      }),
      timers,
    );
    await expect(bounded.destroy(name, operation())).rejects.toMatchObject({
      code: "internal.bug",
    });
  });

  test("createNow and describe stay the driver's own", () => {
    const rebuild = {
      describe: () => record,
      createNow: () => record,
      rebuild: async () => record,
    };
    const record = {
      name,
      options: {},
      createdAtMs: 0,
      origin: "made",
      mountpoint: "",
      identity: "",
    } as const;
    const bounded = withDeadlines(driver({ rebuild }), manualTimers());
    expect(bounded.rebuild?.createNow).toBe(rebuild.createNow);
    expect(bounded.rebuild?.describe).toBe(rebuild.describe);
  });
});

describe("at the deadline", () => {
  test("a driver that listens gives up, and the caller hears driver.timed_out", async () => {
    const timers = manualTimers();
    const bounded = withDeadlines(
      driver({
        mount: (_name, _holder, { signal }) =>
          new Promise((_resolve, reject) =>
            signal.addEventListener("abort", () => reject(new Error("some other words"))),
          ),
      }),
      timers,
    );
    const mounting = bounded.mount(name, holder, operation());
    timers.pass(mountDeadlineMs);
    await expect(mounting).rejects.toMatchObject({ code: "driver.timed_out" });
    expect(timers.running.size).toBe(0);
  });

  test("the reason of the driver's signal is the error to throw", async () => {
    const timers = manualTimers();
    let seen: unknown;
    const bounded = withDeadlines(
      driver({
        mount: (_name, _holder, { signal }) =>
          new Promise((_resolve, reject) =>
            signal.addEventListener("abort", () => {
              seen = signal.reason;
              reject(signal.reason);
            }),
          ),
      }),
      timers,
    );
    const mounting = bounded.mount(name, holder, operation());
    timers.pass(mountDeadlineMs);
    await expect(mounting).rejects.toBe(seen);
  });

  test("a result that comes a moment later still counts", async () => {
    const timers = manualTimers();
    const { promise, resolve } = Promise.withResolvers<string>();
    const bounded = withDeadlines(driver({ mount: () => promise }), timers);
    const mounting = bounded.mount(name, holder, operation());
    timers.pass(mountDeadlineMs);
    resolve("/data");
    expect(await mounting).toBe("/data");
    expect(timers.running.size).toBe(0);
  });

  test("a driver that does not listen is abandoned, its volume refused meanwhile", async () => {
    const timers = manualTimers();
    const { promise, resolve } = Promise.withResolvers<string>();
    const late: LateCall[] = [];
    let callCount = 0;
    const stuck = driver({
      mount() {
        callCount += 1;
        return callCount === 1 ? promise : Promise.resolve("/again");
      },
    });
    const bounded = withDeadlines(stuck, { ...timers, ended: (call) => late.push(call) });
    const mounting = bounded.mount(name, holder, operation());
    timers.pass(mountDeadlineMs);
    timers.pass(GIVE_UP_MS_MAX);
    await expect(mounting).rejects.toMatchObject({ code: "driver.timed_out" });
    await expect(bounded.mount(name, holder, operation())).rejects.toMatchObject({
      code: "driver.timed_out",
      details: { calls: ["mount"] },
    });
    expect(callCount).toBe(1);
    expect(await bounded.mount(other, holder, operation())).toBe("/again");

    resolve("/too-late");
    await promise;
    await Promise.resolve();
    const tookMs = mountDeadlineMs + GIVE_UP_MS_MAX;
    expect(late).toEqual([{ call: "mount", volume: name, outcome: "succeeded", tookMs }]);
    expect(await bounded.mount(name, holder, operation())).toBe("/again");
    expect(timers.running.size).toBe(0);
  });
});

describe("when the caller gives up", () => {
  test("before the call, the driver never hears of it", async () => {
    const bounded = withDeadlines(driver({}), manualTimers());
    const reason = new EngineError("operation.timed_out", "too late");
    const mounting = bounded.mount(name, holder, operation(AbortSignal.abort(reason)));
    await expect(mounting).rejects.toBe(reason);
  });

  test("the driver's signal fires, and one that ignores it is abandoned", async () => {
    const timers = manualTimers();
    const bounded = withDeadlines(driver({ mount: () => new Promise(() => undefined) }), timers);
    const controller = new AbortController();
    const mounting = bounded.mount(name, holder, operation(controller.signal));
    controller.abort();
    timers.pass(GIVE_UP_MS_MAX);
    await expect(mounting).rejects.toMatchObject({ code: "operation.cancelled" });
    expect(timers.running.size).toBe(0);
  });
});

describe("a list", () => {
  const record = {
    name,
    options: {},
    createdAtMs: 0,
    origin: "made",
    mountpoint: "",
    identity: "",
  } as const;

  test("has one deadline for all its items, without what the consumer takes", async () => {
    const timers = manualTimers();
    const bounded = withDeadlines(
      driver({
        async *list() {
          for (let index = 0; index < 3; index++) yield record;
        },
      }),
      timers,
    );
    let count = 0;
    for await (const _item of bounded.list(operation())) {
      count += 1;
      timers.pass(60_000);
    }
    expect(count).toBe(3);
    expect(timers.running.size).toBe(0);
  });

  test("whose items come too slowly is given up", async () => {
    const timers = manualTimers();
    const bounded = withDeadlines(
      driver({
        async *list() {
          while (true) {
            timers.pass(6_000);
            yield record;
          }
        },
      }),
      timers,
    );
    let count = 0;
    const reading = (async () => {
      for await (const _item of bounded.list(operation())) count += 1;
    })();
    await expect(reading).rejects.toMatchObject({ code: "driver.timed_out" });
    // The second came after 12 s, within the moment for giving up that follows the 10 s.
    expect(count).toBe(2);
    expect(timers.running.size).toBe(0);
  });

  test("that hangs in the middle is given up", async () => {
    const timers = manualTimers();
    const bounded = withDeadlines(
      driver({
        async *list() {
          yield record;
          await new Promise(() => undefined);
        },
      }),
      timers,
    );
    const items = bounded.list(operation())[Symbol.asyncIterator]();
    expect((await items.next()).value).toBe(record);
    const second = items.next();
    timers.pass(10_000);
    timers.pass(GIVE_UP_MS_MAX);
    await expect(second).rejects.toMatchObject({ code: "driver.timed_out" });
  });

  test("that nobody reads to its end is closed", async () => {
    let isClosed = false;
    const bounded = withDeadlines(
      driver({
        async *list() {
          try {
            yield record;
            yield record;
          } finally {
            isClosed = true;
          }
        },
      }),
      manualTimers(),
    );
    for await (const _item of bounded.list(operation())) break;
    expect(isClosed).toBe(true);
  });
});

test("without timers of its own it uses the machine's", async () => {
  const hanging = driver({
    get: (_name, { signal }) =>
      new Promise((_resolve, reject) =>
        signal.addEventListener("abort", () => reject(signal.reason)),
      ),
  });
  const bounded = withDeadlines(hanging, {
    monotonicMs: () => performance.now(),
    deadlinesMs: { get: 2 },
  });
  await expect(bounded.get(name, operation())).rejects.toMatchObject({ code: "driver.timed_out" });
});
