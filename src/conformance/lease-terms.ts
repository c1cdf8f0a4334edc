// The promises of core/lease-service.ts about leases with terms, one check each.
import { deepEqual, equal, ok } from "node:assert/strict";
import { EngineError } from "../core/errors.ts";
import type { Lease } from "../core/lease-service.ts";
import type { Check } from "./check.ts";
import { rejectsWith } from "./expectations.ts";
import { type LeaseBench, release, take, terms, watch } from "./lease-bench.ts";

/** More than it takes to begin anew, and less than every time to live in these checks. */
const WHILE_MS = 600;
/** How late what has a moment may be. */
const LATE_MS = 400;

export const leaseTermsChecks: readonly Check<LeaseBench>[] = [
  {
    promise:
      "How long it lives without being renewed, in milliseconds, within the two limits above.",
    async run(bench) {
      const lease = await take(bench, "exclusive", terms({ ttlMs: 2_000 }));
      const next = watch(take(bench, "exclusive", terms()));
      await bench.pass(1_900);
      ok(!lease.lost.aborted && !next.isSettled(), "it has ended before its time");
      await bench.pass(100 + LATE_MS);
      ok(lease.lost.aborted && next.isSettled(), "it lives longer than its time");
      await release(await next.promise);
      const own = await take(bench, "exclusive");
      await bench.pass(100_000);
      ok(!own.lost.aborted, "a lease without terms has expired");
      await release(own);
    },
  },
  {
    promise:
      "Its reason is an `EngineError`: `lock.expired` when it was not renewed in time, what " +
      "`revoke` gave when it was taken away.",
    async run(bench) {
      const lease = await take(bench, "exclusive", terms());
      await bench.pass(1_000 + LATE_MS);
      equal(codeOf(lease), "lock.expired");
      const other = await take(bench, "shared", terms());
      const reason = new EngineError("lock.stolen", "taken away by a check");
      await bench.leases.revoke(other.key, other.fence, reason);
      equal(other.lost.reason, reason);
    },
  },
  {
    promise: "`lost` fires if it was taken away, and work must stop at once.",
    async run(bench) {
      const reason = new EngineError("lock.stolen", "taken away by a check");
      for (const how of [{}, terms()]) {
        const lease = await take(bench, "exclusive", how);
        let heardCount = 0;
        lease.lost.addEventListener("abort", () => {
          heardCount += 1;
        });
        await bench.leases.revoke(lease.key, lease.fence, reason);
        equal(heardCount, 1);
        const next = await take(bench, "exclusive", how);
        // What was lost is nobody's to let go of.
        await release(lease);
        ok(!next.lost.aborted && (await isTaken(bench)), "a lost lease has let go of a new one");
        await release(next);
        ok(!next.lost.aborted, "what was let go of is not lost");
      }
    },
  },
  {
    promise:
      "Calls `tell` with the reason of `lost` when it is lost, at once if it has been; another " +
      "`tell` takes the place of the last.",
    async run(bench) {
      const reason = new EngineError("lock.stolen", "taken away by a check");
      const lease = await take(bench, "exclusive", terms());
      const told: [who: string, Error][] = [];
      lease.whenLost((why) => told.push(["first", why]));
      lease.whenLost((why) => told.push(["second", why]));
      equal(told.length, 0);
      await bench.leases.revoke(lease.key, lease.fence, reason);
      lease.whenLost((why) => told.push(["late", why]));
      deepEqual(told, [
        ["second", reason],
        ["late", reason],
      ]);
      const kept = await take(bench, "exclusive", terms());
      kept.whenLost(() => told.push(["released", reason]));
      await release(kept);
      equal(told.length, 2);
    },
  },
  {
    promise: "Lives on for its time to live, or a new one, from now.",
    async run(bench) {
      await using lease = await take(bench, "exclusive", terms());
      for (let round = 0; round < 5; round++) {
        await bench.pass(900);
        await lease.renew();
      }
      await lease.renew(5_000);
      await bench.pass(4_900);
      await lease.renew();
      await bench.pass(4_900);
      ok(!lease.lost.aborted, "it has ended though it was renewed");
      await lease.renew(1_000);
      await bench.pass(1_000 + LATE_MS);
      ok(lease.lost.aborted, "it lives longer than its last time to live");
    },
  },
  {
    promise:
      "Rejects with the reason of `lost` once it is lost, and with `lock.not_held` once it is " +
      "disposed of.",
    async run(bench) {
      const expired = await take(bench, "exclusive", terms());
      await bench.pass(1_000 + LATE_MS);
      await rejectsWith("lock.expired", "renew", expired.renew());
      const stolen = await take(bench, "exclusive", terms());
      await bench.leases.revoke(stolen.key, stolen.fence, new EngineError("lock.stolen", "taken"));
      await rejectsWith("lock.stolen", "renew", stolen.renew());
      const released = await take(bench, "exclusive", terms());
      await release(released);
      await rejectsWith("lock.not_held", "renew", released.renew());
    },
  },
  {
    promise:
      "Takes a lease away from whoever holds it: its `lost` fires with `reason`, and the next " +
      "ones get the key.",
    async run(bench) {
      const held = await take(bench, "exclusive", terms());
      const other = await take(bench, "exclusive", { ...terms(), label: "other" });
      const next = [take(bench, "shared", terms()), take(bench, "shared")].map(watch);
      const reason = new EngineError("lock.stolen", "taken away by a check");
      equal(await bench.leases.revoke(held.key, held.fence, reason), true);
      equal(held.lost.reason, reason);
      for (const { promise } of next) await release(await promise);
      ok(!other.lost.aborted, "a lease of another key was lost");
      await release(other);
    },
  },
  {
    promise: "False: none of this key has this fence.",
    async run(bench) {
      const reason = new EngineError("lock.stolen", "taken away by a check");
      const lease = await take(bench, "exclusive", terms());
      const { key, fence } = lease;
      equal(await bench.leases.revoke(key, fence + 1n, reason), false);
      equal(await bench.leases.revoke(bench.key("other"), fence, reason), false);
      ok(!lease.lost.aborted, "another one than was meant is lost");
      await release(lease);
      equal(await bench.leases.revoke(key, fence, reason), false);
    },
  },
  {
    promise: "What is held with terms, the oldest first.",
    async run(bench) {
      const [a, b] = [bench.key("a"), bench.key("b")];
      const take2 = (label: string, keep: string) =>
        take(bench, "shared", { ...terms({ keep, ttlMs: 5_000 }), label });
      const leases = [await take2("b", '"1"'), await take2("a", '"2"'), await take2("b", '"3"')];
      await using _own = await take(bench, "exclusive", { label: "own" });
      const waiting = watch(take(bench, "exclusive", { ...terms(), label: "a" }));
      const held = await bench.leases.held();
      deepEqual(
        held.map(({ key, keep }) => [key, keep]),
        [
          [b, '"1"'],
          [a, '"2"'],
          [b, '"3"'],
        ],
      );
      deepEqual(
        held.map(({ fence }) => fence),
        leases.map(({ fence }) => fence),
      );
      for (const one of held) equal((one.expiresAtMs ?? 0) >= one.sinceMs + 4_000, true);
      for (const lease of leases) await release(lease);
      await release(await waiting.promise);
      deepEqual(await bench.leases.held(), []);
    },
  },
  {
    promise:
      "Hears of its place in the queue, 1 being next: at once, and a second after it has changed " +
      "at the latest.",
    async run(bench) {
      const heard: number[][] = [[], [], []];
      const first = await take(bench, "exclusive");
      const controller = new AbortController();
      const waiting = heard.map((places, index) => {
        const how = terms({ queued: (place) => void places.push(place) });
        const signal = index === 1 ? controller.signal : undefined;
        return watch(take(bench, "exclusive", { ...how, signal }));
      });
      deepEqual(heard, [[1], [2], [3]]);
      controller.abort(new EngineError("operation.cancelled", "cancelled by a check"));
      await bench.pass(1_000);
      deepEqual(heard, [[1], [2], [3, 2]]);
      await release(first);
      await bench.pass(900);
      deepEqual(heard, [[1], [2], [3, 2, 1]]);
      const [second, , last] = waiting;
      if (second !== undefined) await release(await second.promise);
      if (last !== undefined) await release(await last.promise);
    },
  },
  {
    promise: "With terms it resolves when the grant outlives this process.",
    async run(bench) {
      const own = await take(bench, "shared");
      const waiting = take(bench, "exclusive", terms({ keep: '"waited"', ttlMs: 3_000 }));
      await release(own);
      await waiting;
      await take(bench, "exclusive", { ...terms({ keep: '"free"', ttlMs: 3_000 }), label: "free" });
      const leases = await bench.restart();
      const kept = await leases.kept();
      deepEqual(
        kept.map(({ keep }) => keep),
        ['"waited"', '"free"'],
      );
    },
  },
  {
    promise: "Resolves when that outlives this process.",
    async run(bench) {
      const lease = await take(bench, "exclusive", terms());
      await lease.renew(20_000);
      const leases = await bench.restart();
      await bench.pass(10_000);
      const [kept] = await leases.kept();
      ok(kept !== undefined && !kept.lease.lost.aborted, "the renewal was forgotten");
    },
  },
  {
    promise:
      "The leases with terms that the last daemon of this boot left, held again with their " +
      "fences and what is left of their time, to be told once: each must be disposed of, or it " +
      "expires.",
    async run(bench) {
      const long = await take(bench, "exclusive", terms({ ttlMs: 3_000, keep: '"long"' }));
      await release(await take(bench, "exclusive", { ...terms(), label: "released" }));
      await take(bench, "exclusive", { label: "own" });
      await take(bench, "shared", { ...terms({ keep: '"short"' }), label: "short" });
      await bench.pass(300);
      const leases = await bench.restart();
      const again = watch(take(bench, "exclusive", { ...terms(), leases }));
      const kept = await leases.kept();
      deepEqual(
        kept.map(({ keep }) => keep),
        ['"long"', '"short"'],
      );
      deepEqual(await leases.kept(), []);
      for (const label of ["released", "own"]) {
        await release(await take(bench, "exclusive", { leases, label }));
      }
      const [first, second] = kept;
      equal(first?.lease.fence, long.fence);
      equal(first?.lease.mode, "exclusive");
      await bench.pass(1_000 + LATE_MS);
      ok(second?.lease.lost.aborted, "its time has begun anew");
      ok(!again.isSettled(), "given to another one while it is held");
      await first?.lease.renew();
      await bench.pass(2_900);
      ok(!again.isSettled(), "it was renewed, and given to another one");
      await bench.pass(100 + LATE_MS + WHILE_MS);
      equal(codeOf(first?.lease), "lock.expired");
      ok((await again.promise).fence > long.fence, "an old fence");
    },
  },
  {
    promise: "No fence is ever given twice, over crashes and a lost state too.",
    async run(bench) {
      const fences = new Set<bigint>();
      let { leases } = bench;
      for (const isStateLost of [false, true, false, true]) {
        for (let count = 0; count < 20; count++) {
          for (const label of ["one", "two"]) {
            const lease = await take(bench, "exclusive", { leases, label });
            ok(!fences.has(lease.fence), `fence ${lease.fence} was given twice`);
            fences.add(lease.fence);
            await release(lease);
          }
        }
        leases = await bench.restart({ isStateLost });
      }
    },
  },
];

function codeOf(lease: Lease | undefined): string | undefined {
  const reason: unknown = lease?.lost.reason;
  return reason instanceof EngineError ? reason.code : undefined;
}

/** Whether somebody holds the bench's key. */
async function isTaken(bench: LeaseBench): Promise<boolean> {
  const trying = take(bench, "shared", terms({ waitMs: 0 }));
  return await trying.then(
    async (lease) => {
      await release(lease);
      return false;
    },
    () => true,
  );
}
