// Local leases keep the promises of the lease service, and services that break one are caught.
import { describe, expect, test } from "bun:test";
import { brokenLeases } from "../../test/support/broken-leases.ts";
import { openLeaseBench } from "../../test/support/lease-stage.ts";
import { manualTimers } from "../../test/support/manual-timers.ts";
import { brokenOnes, runCheck, runChecks } from "../conformance/check.ts";
import { leaseServiceChecks } from "../conformance/lease-service.ts";
import type { Lease, LockKey } from "../core/lease-service.ts";
import { makeOperationId } from "../core/names.ts";
import { type Operation, silentLog, systemCaller } from "../core/operation.ts";
import { localLeases } from "./local-leases.ts";

const monotonicMs = () => performance.now();
const nowMs = () => Date.now();

let operationCount = 0;

function operation(signal = new AbortController().signal): Operation {
  operationCount += 1;
  const id = makeOperationId(`op-${operationCount}`);
  return { id, caller: systemCaller, signal, log: silentLog };
}

describe("local leases", () => {
  for (const check of leaseServiceChecks) {
    test(check.promise, async () => {
      const outcome = await runCheck(check, () => openLeaseBench());
      if (outcome.outcome === "broken") throw outcome.error;
    });
  }

  test("remember no key that nobody holds", async () => {
    const leases = localLeases({ monotonicMs, nowMs });
    const held: Lease[] = [];
    for (let index = 0; index < 1_000; index++) {
      held.push(await leases.acquire(`volume:v${index}`, "exclusive", operation()));
    }
    expect(leases.heldKeyCount).toBe(1_000);
    for (const lease of held) await lease[Symbol.asyncDispose]();
    expect(leases.heldKeyCount).toBe(0);
  });

  test("say who holds what could not be had", async () => {
    const leases = localLeases({ monotonicMs, nowMs, waitMsMax: 1 });
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
    const leases = localLeases({ ...timers, nowMs, waitMsMax: 5 });
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
    const leases = localLeases({ ...timers, nowMs, waitMsMax: 5 });
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
    const leases = localLeases({ ...timers, nowMs, waitMsMax: 5 });
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

describe("a lease service that", () => {
  test.each(brokenLeases)("$fault is caught", async ({ promise, change }) => {
    const checks = leaseServiceChecks.filter((check) => check.promise === promise);
    const open = () => openLeaseBench(undefined, change);
    const outcomes = await runChecks(checks, open, { timeoutMs: 500 });
    expect(brokenOnes(outcomes).map((outcome) => outcome.promise)).toEqual([promise]);
  });

  test("breaks it exists for every promise", () => {
    const breakable = new Set(brokenLeases.map(({ promise }) => promise));
    expect(leaseServiceChecks.filter(({ promise }) => !breakable.has(promise))).toEqual([]);
  });
});
