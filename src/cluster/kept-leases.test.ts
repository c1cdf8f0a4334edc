// Leases with terms where something goes wrong: a stopped daemon, a full disk, a damaged journal.
import { describe, expect, test } from "bun:test";
import { LeaseStage } from "../../test/support/lease-stage.ts";
import { testOperation } from "../../test/support/operation.ts";
import type { Lease, LeaseTerms, LockKey } from "../core/lease-service.ts";
import { silentLog } from "../core/operation.ts";
import { LeaseJournal } from "./lease-journal.ts";

const key: LockKey = "lock:wiki/deploy";

function terms(given: Partial<LeaseTerms> = {}): LeaseTerms {
  return { ttlMs: 1_000, waitMs: 0, keep: "{}", ...given };
}

async function started(stage = new LeaseStage()) {
  const leases = await stage.start();
  const take = (given?: Partial<LeaseTerms>, of = key): Promise<Lease> =>
    leases.acquire(of, "exclusive", testOperation(), terms(given));
  return { stage, leases, take };
}

describe("a daemon that was stopped", () => {
  test("hears first who renews, and ends the others a moment later", async () => {
    const { stage, take } = await started();
    const renewed = await take();
    const other = await take({}, "lock:wiki/other");
    // One step: the timer fires seconds after it was due.
    stage.timers.pass(5_000);
    expect([renewed.lost.aborted, other.lost.aborted]).toEqual([false, false]);
    await renewed.renew();
    await stage.pass(200);
    expect([renewed.lost.aborted, other.lost.aborted]).toEqual([false, true]);
    // A second time, and what is due sooner than anything before.
    stage.timers.pass(5_000);
    await renewed.renew();
    await stage.pass(200);
    expect(renewed.lost.aborted).toBe(false);
    await renewed.renew(60_000);
    const short = await take({}, "lock:wiki/short");
    await stage.pass(1_100);
    expect([short.lost.aborted, renewed.lost.aborted]).toEqual([true, false]);
    await renewed[Symbol.asyncDispose]();
    expect(stage.timers.running.size).toBe(0);
  });

  test("gives nobody the key meanwhile", async () => {
    const { stage, take } = await started();
    const lease = await take();
    stage.timers.pass(5_000);
    await expect(take()).rejects.toMatchObject({ code: "operation.timed_out" });
    await lease[Symbol.asyncDispose]();
    const next = await take();
    expect(next.fence).toBeGreaterThan(lease.fence);
    await next[Symbol.asyncDispose]();
    await stage.pass(200);
    expect(stage.timers.running.size).toBe(0);
  });
});

describe("a journal that cannot be written", () => {
  test("lets nobody hold what the next daemon would not know", async () => {
    const { stage, leases, take } = await started();
    const own = await leases.acquire(key, "exclusive", testOperation());
    const waiting = [1, 2, 3].map(() => take({ waitMs: 10_000 }));
    const engine = leases.acquire(key, "exclusive", testOperation());
    stage.journal.onWrite = () => {
      throw new Error("no space left on device");
    };
    await own[Symbol.asyncDispose]();
    for (const one of waiting) {
      await expect(one).rejects.toMatchObject({
        code: "storage.failed",
        message: `error while writing down the lease of ${key}: no space left on device`,
      });
    }
    await (await engine)[Symbol.asyncDispose]();
    await expect(take()).rejects.toMatchObject({ code: "storage.failed" });
    expect([leases.heldKeyCount, stage.timers.running.size]).toEqual([0, 0]);
  });

  test("renews nothing, and the lease keeps its time", async () => {
    const { stage, take } = await started();
    const lease = await take();
    await stage.pass(500);
    stage.journal.onWrite = () => {
      throw new Error("no space left on device");
    };
    await expect(lease.renew()).rejects.toMatchObject({ code: "storage.failed" });
    await stage.pass(400);
    expect(lease.lost.aborted).toBe(false);
    await stage.pass(200);
    expect(lease.lost.aborted).toBe(true);
  });
});

test("of two who cannot both have it the next daemon holds the later one", async () => {
  const stage = new LeaseStage();
  const journal = new LeaseJournal({
    file: stage.journal,
    boot: { id: "boot", nowMs: () => 0 },
    log: silentLog,
  });
  const record = { key, mode: "exclusive", sinceMs: 0, ttlMs: 9_000, expiresAtMs: 9_000 } as const;
  journal.granted({ ...record, fence: 1n, keep: '"old"' });
  journal.granted({ ...record, fence: 2n, keep: '"new"' });
  const { leases } = await started(stage);
  expect((await leases.kept()).map(({ keep }) => keep)).toEqual(['"new"']);
  const again = await started(stage);
  expect((await again.leases.kept()).map(({ lease }) => lease.fence)).toEqual([2n]);
});

test("fences go on above those that were kept", async () => {
  const stage = new LeaseStage();
  const { take } = await started(stage);
  const kept = await take({ ttlMs: 20_000 });
  stage.fences.text = undefined;
  stage.nowMs = () => 0;
  const next = await started(stage);
  const lease = await next.take({}, "lock:wiki/other");
  expect(lease.fence).toBeGreaterThan(kept.fence);
});

test("the engine's own leases are not written down, and have no timer", async () => {
  const { stage, leases } = await started();
  let writeCount = 0;
  stage.journal.onWrite = (text) => {
    writeCount += 1;
    return text;
  };
  await using lease = await leases.acquire("volume:wiki", "exclusive", testOperation());
  await lease.renew();
  expect([writeCount, stage.timers.running.size, lease.expiresAtMs]).toEqual([0, 0, undefined]);
});

test("a thousand who wait are told of their places a few times a second", async () => {
  const { stage, take } = await started();
  let toldCount = 0;
  const queued = (): void => {
    toldCount += 1;
  };
  let holder = await take({ ttlMs: 60_000 });
  const waiting = Array.from({ length: 1_000 }, () =>
    take({ ttlMs: 60_000, waitMs: 60_000, queued }),
  );
  expect(toldCount).toBe(1_000);
  for (const next of waiting) {
    await holder[Symbol.asyncDispose]();
    holder = await next;
    await stage.pass(1);
  }
  await holder[Symbol.asyncDispose]();
  await stage.pass(1_000);
  // A second has passed: each was told five times at most.
  expect(toldCount).toBeLessThan(1_000 * 6);
  expect(toldCount).toBeGreaterThan(2_000);
  expect(stage.timers.running.size).toBe(0);
});

test.each([
  ["no time to live: 999 ms", { ttlMs: 999 }],
  ["no time to live: 86400001 ms", { ttlMs: 86_400_001 }],
  ["no time to live: NaN ms", { ttlMs: Number.NaN }],
  ["no wait: -1 ms", { waitMs: -1 }],
  ["no wait: 86400001 ms", { waitMs: 86_400_001 }],
  ["4098 bytes are too many to be kept", { keep: "ż".repeat(2_049) }],
] as const)("%s: a mistake of the caller's", async (message, given) => {
  const { leases, take } = await started();
  await expect(take(given)).rejects.toThrow(new RangeError(message));
  expect(leases.heldKeyCount).toBe(0);
});
