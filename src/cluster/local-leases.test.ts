// Local leases keep the promises of the lease service, and services that break one are caught.
import { describe, expect, test } from "bun:test";
import { manualTimers } from "../../test/support/manual-timers.ts";
import { brokenOnes, runCheck, runChecks } from "../conformance/check.ts";
import { type LeaseBench, leaseServiceChecks } from "../conformance/lease-service.ts";
import type { Lease, LeaseService, LockKey } from "../core/lease-service.ts";
import { makeOperationId } from "../core/names.ts";
import { type Operation, silentLog, systemCaller } from "../core/operation.ts";
import { localLeases } from "./local-leases.ts";

/** Long enough for everything that does not wait for time, short enough to wait for. */
const waitMsMax = 50;

const monotonicMs = () => performance.now();

let operationCount = 0;

function operation(signal = new AbortController().signal): Operation {
  operationCount += 1;
  const id = makeOperationId(`op-${operationCount}`);
  return { id, caller: systemCaller, signal, log: silentLog };
}

function openBench(leases: LeaseService): LeaseBench {
  return {
    leases,
    key: (label) => `volume:${label}`,
    operation,
    async [Symbol.asyncDispose]() {},
  };
}

describe("local leases", () => {
  for (const check of leaseServiceChecks) {
    test(check.promise, async () => {
      const leases = localLeases({ monotonicMs, waitMsMax });
      const outcome = await runCheck(check, () => openBench(leases));
      if (outcome.outcome === "broken") throw outcome.error;
      expect(leases.heldKeyCount).toBe(0);
    });
  }

  test("remember no key that nobody holds", async () => {
    const leases = localLeases({ monotonicMs });
    const held: Lease[] = [];
    for (let index = 0; index < 1_000; index++) {
      held.push(await leases.acquire(`volume:v${index}`, "exclusive", operation()));
    }
    expect(leases.heldKeyCount).toBe(1_000);
    for (const lease of held) await lease[Symbol.asyncDispose]();
    expect(leases.heldKeyCount).toBe(0);
  });

  test("say who holds what could not be had", async () => {
    const leases = localLeases({ monotonicMs, waitMsMax: 1 });
    const holder = operation();
    await using _lease = await leases.acquire("volume:wiki", "exclusive", holder);
    const waiting = leases.acquire("volume:wiki", "exclusive", operation());
    await expect(waiting).rejects.toMatchObject({
      code: "operation.timed_out",
      details: { key: "volume:wiki", heldBy: holder.id },
    });
  });

  test("have one timer for all who wait, and none when nobody does", async () => {
    const timers = manualTimers();
    const leases = localLeases({ ...timers, waitMsMax: 5 });
    const first = await leases.acquire("volume:one", "exclusive", operation());
    expect(timers.running.size).toBe(0);
    const waiting = [1, 2, 3].map(() => leases.acquire("volume:one", "exclusive", operation()));
    expect(timers.running.size).toBe(1);
    await first[Symbol.asyncDispose]();
    for (const lease of waiting) await (await lease)[Symbol.asyncDispose]();
    expect(timers.running.size).toBe(0);
  });

  test("who waited behind one that gave up goes on", async () => {
    const timers = manualTimers();
    const leases = localLeases({ ...timers, waitMsMax: 5 });
    await using _shared = await leases.acquire("volume:one", "shared", operation());
    const exclusive = leases.acquire("volume:one", "exclusive", operation());
    timers.pass(3);
    const shared = leases.acquire("volume:one", "shared", operation());
    timers.pass(2);
    await expect(exclusive).rejects.toMatchObject({ code: "operation.timed_out" });
    await (await shared)[Symbol.asyncDispose]();
    expect(timers.running.size).toBe(0);
  });

  test("the first to come is the first to give up, whatever its key", async () => {
    const timers = manualTimers();
    const leases = localLeases({ ...timers, waitMsMax: 5 });
    await using _one = await leases.acquire("volume:one", "exclusive", operation());
    await using _two = await leases.acquire("volume:two", "exclusive", operation());
    const ended: string[] = [];
    const wait = (key: LockKey) =>
      leases.acquire(key, "exclusive", operation()).catch(() => ended.push(key));
    const first = wait("volume:one");
    timers.pass(3);
    const second = wait("volume:two");
    timers.pass(2);
    await first;
    expect(ended).toEqual(["volume:one"]);
    timers.pass(3);
    await second;
    expect(ended).toEqual(["volume:one", "volume:two"]);
  });
});

/** Services that break one promise each, by what they do wrong. */
const brokenServices: readonly (readonly [
  fault: string,
  promise: string,
  make: () => LeaseService,
])[] = [
  ["lets everybody in", 'An "exclusive" one is held alone.', () => everybody()],
  [
    "lets shared ones wait longer",
    "Waits for the lease, first come first served.",
    () => {
      const leases = localLeases({ monotonicMs, waitMsMax });
      return {
        async acquire(key, mode, asking) {
          if (mode === "shared") await new Promise((resolve) => setImmediate(resolve));
          return await leases.acquire(key, mode, asking);
        },
      };
    },
  ],
  [
    "knows no shared ones",
    'Several "shared" ones may be held at once.',
    () => changed((leases, key, _mode, asking) => leases.acquire(key, "exclusive", asking)),
  ],
  [
    "ignores the signal",
    "Rejects with `operation.cancelled` when the operation's signal fires first.",
    () => changed((leases, key, mode) => leases.acquire(key, mode, operation())),
  ],
  [
    "waits for ever",
    "Rejects with `operation.timed_out` after `LEASE_WAIT_MS_MAX`.",
    () => localLeases({ monotonicMs }),
  ],
  [
    "takes the lease for one who has given up",
    "Who was rejected leaves nothing behind.",
    () =>
      changed((leases, key, mode, asking) => {
        const { promise, reject } = Promise.withResolvers<never>();
        asking.signal.addEventListener("abort", () => reject(asking.signal.reason));
        return Promise.race([promise, leases.acquire(key, mode, operation())]);
      }),
  ],
  [
    "has one lock for all keys",
    "Leases of different keys have nothing to do with each other.",
    () => changed((leases, _key, mode, asking) => leases.acquire("volume:all", mode, asking)),
  ],
  ["releases at once", "Held until disposed of.", () => everybody()],
  [
    "releases whoever holds it now",
    "Disposing of it again changes nothing.",
    () => {
      const newest = new Map<LockKey, Lease>();
      return changed(async (leases, key, mode, asking) => {
        const lease = await leases.acquire(key, mode, asking);
        newest.set(key, lease);
        const dispose = async () => await newest.get(key)?.[Symbol.asyncDispose]();
        return { key, fence: lease.fence, lost: lease.lost, [Symbol.asyncDispose]: dispose };
      });
    },
  ],
  [
    "has one fence for all",
    "`fence` grows with every grant of the key, so that storage can refuse a holder that has " +
      "not noticed.",
    () =>
      changed(async (leases, key, mode, asking) => {
        const lease = await leases.acquire(key, mode, asking);
        const dispose = async () => await lease[Symbol.asyncDispose]();
        return { key, fence: 1n, lost: lease.lost, [Symbol.asyncDispose]: dispose };
      }),
  ],
  [
    "lets a hundred wait",
    "Ten thousand may wait for one key.",
    () => {
      let waitingCount = 0;
      return changed(async (leases, key, mode, asking) => {
        waitingCount += 1;
        if (waitingCount > 100) throw new Error("too many wait");
        return await leases.acquire(key, mode, asking).finally(() => {
          waitingCount -= 1;
        });
      });
    },
  ],
];

describe("a lease service that", () => {
  test.each(brokenServices)("%s is caught", async (_fault, promise, make) => {
    const options = { timeoutMs: 500 };
    const outcomes = await runChecks(leaseServiceChecks, () => openBench(make()), options);
    expect(brokenOnes(outcomes).map((outcome) => outcome.promise)).toContain(promise);
  });

  test("breaks it exists for every promise", () => {
    const breakable = new Set(brokenServices.map(([, promise]) => promise));
    expect(leaseServiceChecks.filter(({ promise }) => !breakable.has(promise))).toEqual([]);
  });
});

function everybody(): LeaseService {
  const leases = localLeases({ monotonicMs });
  let count = 0;
  return {
    async acquire(key, mode, asking) {
      count += 1;
      const lease = await leases.acquire(`volume:${count}`, mode, asking);
      const dispose = async () => await lease[Symbol.asyncDispose]();
      return { key, fence: lease.fence, lost: lease.lost, [Symbol.asyncDispose]: dispose };
    },
  };
}

function changed(
  acquire: (
    leases: LeaseService,
    ...request: Parameters<LeaseService["acquire"]>
  ) => Promise<Lease>,
): LeaseService {
  const leases = localLeases({ monotonicMs, waitMsMax });
  return { acquire: (...request) => acquire(leases, ...request) };
}
