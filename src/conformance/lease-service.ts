// The promises of core/lease-service.ts, one check each.
import { equal, notEqual, ok } from "node:assert/strict";
import { LEASE_WAIT_MS_MAX, type LeaseMode } from "../core/lease-service.ts";
import type { Check } from "./check.ts";
import { cancelled, rejectsWith, succeeds } from "./expectations.ts";
import { type LeaseBench, release, someTurns, take, terms, watch } from "./lease-bench.ts";
import { leaseTermsChecks } from "./lease-terms.ts";

/** How many wait for one key in the last check. */
const waiterCount = 10_000;

export const leaseServiceChecks: readonly Check<LeaseBench>[] = [
  {
    promise: "Waits for the lease, first come first served.",
    async run(bench) {
      const order: string[] = [];
      const first = await take(bench, "exclusive");
      const modes: readonly LeaseMode[] = ["exclusive", "shared", "exclusive", "shared", "shared"];
      const waiting = modes.map(async (mode, index) => {
        await using _lease = await take(bench, mode);
        order.push(`${index}`);
      });
      await someTurns();
      equal(order.length, 0, "granted while it is held");
      await release(first);
      await Promise.all(waiting);
      equal(order.join(""), "01234");
    },
  },
  {
    promise: 'An "exclusive" one is held alone.',
    async run(bench) {
      for (const [held, wanted] of [
        ["exclusive", "exclusive"],
        ["exclusive", "shared"],
        ["shared", "exclusive"],
      ] as const) {
        const lease = await take(bench, held);
        const waiting = watch(take(bench, wanted));
        await someTurns();
        ok(!waiting.isSettled(), `${wanted} must wait for ${held}`);
        await release(lease);
        await release(await waiting.promise);
      }
    },
  },
  {
    promise: 'Several "shared" ones may be held at once.',
    async run(bench) {
      const leases = [await take(bench, "shared"), await take(bench, "shared")];
      const waiting = watch(take(bench, "exclusive"));
      const late = watch(take(bench, "shared"));
      await someTurns();
      ok(!waiting.isSettled(), "exclusive must wait for every shared one");
      ok(!late.isSettled(), "a shared one must not overtake an exclusive one that waits");
      for (const lease of leases) await release(lease);
      await release(await waiting.promise);
      await release(await late.promise);
    },
  },
  {
    promise: "Rejects with `operation.cancelled` when the operation's signal fires first.",
    async run(bench) {
      const fired = AbortSignal.abort(cancelled());
      await rejectsWith(
        "operation.cancelled",
        "acquire",
        take(bench, "exclusive", { signal: fired }),
      );
      await using _lease = await take(bench, "exclusive");
      const controller = new AbortController();
      const waiting = take(bench, "exclusive", { signal: controller.signal });
      await someTurns();
      controller.abort(cancelled());
      await rejectsWith("operation.cancelled", "acquire while it waits", waiting);
    },
  },
  {
    promise:
      "Rejects with `operation.timed_out` after `LEASE_WAIT_MS_MAX`, or the time that the terms " +
      "allow.",
    async run(bench) {
      await using _lease = await take(bench, "exclusive");
      const waiting = [take(bench, "exclusive"), take(bench, "shared")].map(watch);
      const patient = watch(take(bench, "shared", terms({ waitMs: 2 * LEASE_WAIT_MS_MAX })));
      const hasty = take(bench, "exclusive", terms({ waitMs: 0 }));
      await rejectsWith("operation.timed_out", "acquire that does not wait", hasty);
      const brief = watch(take(bench, "exclusive", terms({ waitMs: 10 })));
      await bench.pass(11);
      ok(brief.isSettled(), "it waits for longer than its terms say");
      await rejectsWith("operation.timed_out", "acquire with terms", brief.promise);
      await bench.pass(LEASE_WAIT_MS_MAX - 1_000);
      for (const { isSettled } of waiting) ok(!isSettled(), "it gives up too soon");
      await bench.pass(2_000);
      for (const { isSettled, promise } of waiting) {
        ok(isSettled(), "it waits for too long");
        await rejectsWith("operation.timed_out", "acquire", promise);
      }
      ok(!patient.isSettled(), "it gives up before its terms say so");
      await bench.pass(LEASE_WAIT_MS_MAX);
      await rejectsWith("operation.timed_out", "acquire with a long wait", patient.promise);
    },
  },
  {
    promise: "Who was rejected leaves nothing behind.",
    async run(bench) {
      const first = await take(bench, "shared");
      const controller = new AbortController();
      const cancelledOne = take(bench, "exclusive", { signal: controller.signal });
      const behindIt = watch(take(bench, "shared"));
      await someTurns();
      controller.abort(cancelled());
      await rejectsWith("operation.cancelled", "acquire", cancelledOne);
      await someTurns();
      ok(behindIt.isSettled(), "who waited behind the rejected one must go on");
      const late = watch(take(bench, "exclusive"));
      await bench.pass(LEASE_WAIT_MS_MAX + 1_000);
      await rejectsWith("operation.timed_out", "acquire", late.promise);
      await release(await behindIt.promise);
      await release(first);
      await release(await take(bench, "exclusive"));
    },
  },
  {
    promise: "Leases of different keys have nothing to do with each other.",
    async run(bench) {
      await using _one = await bench.leases.acquire(bench.key("1"), "exclusive", bench.operation());
      const other = bench.leases.acquire(bench.key("2"), "exclusive", bench.operation());
      await release(await succeeds("acquire of another key", other));
    },
  },
  {
    promise: "Held until disposed of.",
    async run(bench) {
      const lease = await take(bench, "exclusive");
      equal(lease.key, bench.key("key"));
      const controller = new AbortController();
      const waiting = watch(take(bench, "exclusive", { signal: controller.signal }));
      await someTurns();
      ok(!waiting.isSettled(), "granted twice");
      ok(!lease.lost.aborted, "lost without a reason");
      await release(lease);
      const second = await waiting.promise;
      // Its operation may be cancelled: the lease is held until it is disposed of, all the same.
      const third = watch(take(bench, "exclusive"));
      controller.abort(cancelled());
      await someTurns();
      ok(!third.isSettled(), "granted while it was held by a cancelled operation");
      const fourth = take(bench, "exclusive");
      await release(second);
      await release(await third.promise);
      await release(await fourth);
    },
  },
  {
    promise: "Disposing of it again changes nothing.",
    async run(bench) {
      const first = await take(bench, "exclusive");
      await release(first);
      const second = await take(bench, "exclusive");
      await release(first);
      const third = watch(take(bench, "exclusive"));
      await someTurns();
      ok(!third.isSettled(), "disposing of an old lease again has released a new one");
      await release(second);
      await release(await third.promise);
      const shared = [await take(bench, "shared"), await take(bench, "shared")] as const;
      await release(shared[0]);
      await release(shared[0]);
      const last = watch(take(bench, "exclusive"));
      await someTurns();
      ok(!last.isSettled(), "disposing of a shared lease again has released another one");
      await release(shared[1]);
      await release(await last.promise);
    },
  },
  {
    promise:
      "`fence` grows with every grant of the key, so that storage can refuse a holder that has " +
      "not noticed.",
    async run(bench) {
      let last = -1n;
      for (const mode of ["exclusive", "shared", "exclusive", "exclusive"] as const) {
        await using lease = await take(bench, mode);
        ok(lease.fence > last, `fence ${lease.fence} after ${last}`);
        last = lease.fence;
        const waiting = take(bench, "exclusive");
        await release(lease);
        await using next = await waiting;
        ok(next.fence > last, `fence ${next.fence} after ${last}, for one who waited`);
        last = next.fence;
      }
    },
  },
  {
    promise: "Ten thousand may wait for one key.",
    async run(bench) {
      const first = await take(bench, "exclusive");
      let heldCount = 0;
      let grantedCount = 0;
      const waiting = Array.from({ length: waiterCount }, async () => {
        await using _lease = await take(bench, "exclusive");
        heldCount += 1;
        equal(heldCount, 1, "held twice");
        grantedCount += 1;
        await Promise.resolve();
        heldCount -= 1;
      });
      notEqual(waiting.length, grantedCount);
      await release(first);
      await Promise.all(waiting);
      equal(grantedCount, waiterCount);
    },
  },
  ...leaseTermsChecks,
];
