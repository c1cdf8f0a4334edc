// The promises of core/lease-service.ts, one check each.
import { equal, notEqual, ok } from "node:assert/strict";
import type { Lease, LeaseService, LockKey } from "../core/lease-service.ts";
import type { Operation } from "../core/operation.ts";
import type { Check } from "./check.ts";
import { cancelled, rejectsWith, succeeds } from "./expectations.ts";

/** A lease service whose waiting ends soon, with keys that nobody else uses. */
export interface LeaseBench extends AsyncDisposable {
  readonly leases: LeaseService;
  /** The bench's own key with this label. */
  key(label: string): LockKey;
  /** An operation of its own, whose signal never fires unless one is given. */
  operation(signal?: AbortSignal): Operation;
}

/** How many wait for one key in the last check. */
const waiterCount = 10_000;

type Mode = "shared" | "exclusive";

export const leaseServiceChecks: readonly Check<LeaseBench>[] = [
  {
    promise: "Waits for the lease, first come first served.",
    async run(bench) {
      const order: string[] = [];
      const first = await take(bench, "exclusive");
      const modes: readonly Mode[] = ["exclusive", "shared", "exclusive", "shared", "shared"];
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
      await rejectsWith("operation.cancelled", "acquire", take(bench, "exclusive", fired));
      await using _lease = await take(bench, "exclusive");
      const controller = new AbortController();
      const waiting = take(bench, "exclusive", controller.signal);
      await someTurns();
      controller.abort(cancelled());
      await rejectsWith("operation.cancelled", "acquire while it waits", waiting);
    },
  },
  {
    promise: "Rejects with `operation.timed_out` after `LEASE_WAIT_MS_MAX`.",
    async run(bench) {
      await using _lease = await take(bench, "exclusive");
      await rejectsWith("operation.timed_out", "acquire", take(bench, "exclusive"));
      await rejectsWith("operation.timed_out", "acquire of a shared one", take(bench, "shared"));
    },
  },
  {
    promise: "Who was rejected leaves nothing behind.",
    async run(bench) {
      const first = await take(bench, "shared");
      const controller = new AbortController();
      const cancelledOne = take(bench, "exclusive", controller.signal);
      const behindIt = watch(take(bench, "shared"));
      await someTurns();
      controller.abort(cancelled());
      await rejectsWith("operation.cancelled", "acquire", cancelledOne);
      await someTurns();
      ok(behindIt.isSettled(), "who waited behind the rejected one must go on");
      await rejectsWith("operation.timed_out", "acquire", take(bench, "exclusive"));
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
      const waiting = watch(take(bench, "exclusive", controller.signal));
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
];

async function take(bench: LeaseBench, mode: Mode, signal?: AbortSignal): Promise<Lease> {
  return await bench.leases.acquire(bench.key("key"), mode, bench.operation(signal));
}

async function release(lease: Lease): Promise<void> {
  await lease[Symbol.asyncDispose]();
}

function watch<T>(promise: Promise<T>): {
  readonly promise: Promise<T>;
  readonly isSettled: () => boolean;
} {
  let isSettled = false;
  const note = (): void => {
    isSettled = true;
  };
  promise.then(note, note);
  return { promise, isSettled: () => isSettled };
}

/** Lets everything that can go on without time passing go on. */
async function someTurns(): Promise<void> {
  for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setImmediate(resolve));
}
