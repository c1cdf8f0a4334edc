// The table's own rules, where they need neither clock nor promise: places, restored leases, time.
import { describe, expect, test } from "bun:test";
import type { LeaseMode } from "../core/lease-service.ts";
import { type Claim, LeaseTable } from "./lease-table.ts";

function table() {
  let fence = 0n;
  const leases = new LeaseTable<string>(() => {
    fence += 1n;
    return fence;
  });
  const claim = (owner: string, mode: LeaseMode = "exclusive", waitMs = 100): Claim<string> =>
    leases.claim(
      { key: "lock:v/a", mode, owner, ttlMs: 1_000, waitMs, wantsPlace: !owner.startsWith("-") },
      0,
    );
  return { leases, claim };
}

const owners = (claims: readonly Claim<string>[]) => claims.map(({ owner }) => owner);

describe("places in the queue", () => {
  test("are told to those whose place has changed, once", () => {
    const { leases, claim } = table();
    claim("holder");
    const waiting = ["a", "b", "-c", "d"].map((owner) => claim(owner));
    expect(waiting.map((one) => leases.lastPlace(one))).toEqual([4, 4, 4, 4]);
    const [a, b, , d] = waiting;
    if (a === undefined || b === undefined || d === undefined) throw new Error("no claims");
    for (const [index, one] of waiting.entries()) one.placeTold = index + 1;
    leases.end(b, 0);
    expect([leases.hasMoved, leases.movedCount]).toEqual([true, 2]);
    expect(leases.movedPlaces()).toEqual([[d, 3]]);
    expect([leases.hasMoved, leases.movedPlaces()]).toEqual([false, []]);
  });

  test("of a queue that nobody listens to are not looked at", () => {
    const { leases, claim } = table();
    claim("holder");
    const first = claim("-a");
    claim("-b");
    leases.end(first, 0);
    expect(leases.hasMoved).toBe(false);
  });

  test("are no more when the last one has its key", () => {
    const { leases, claim } = table();
    const holder = claim("holder");
    const waiting = claim("a");
    expect(owners(leases.end(holder, 0))).toEqual(["a"]);
    leases.end(waiting, 0);
    expect([leases.hasMoved, leases.keyCount]).toEqual([false, 0]);
  });
});

describe("time", () => {
  test("ends in its order, and who is granted lives from then on", () => {
    const { leases, claim } = table();
    claim("holder");
    claim("impatient", "exclusive", 500);
    claim("patient", "exclusive", 5_000);
    expect(leases.nextDueMs).toBe(500);
    const outcomes = leases.expire(1_000);
    expect(outcomes.map(({ claim: { owner }, what }) => [owner, what])).toEqual([
      ["impatient", "gave_up"],
      ["holder", "expired"],
      ["patient", "granted"],
    ]);
    expect(leases.nextDueMs).toBe(2_000);
  });

  test("who does not want to wait has ended at once, and left nothing", () => {
    const { leases, claim } = table();
    const holder = claim("holder");
    const refused = claim("hasty", "exclusive", 0);
    expect(refused.state).toBe("ended");
    expect(leases.end(refused, 0)).toEqual([]);
    expect(leases.end(holder, 0)).toEqual([]);
    expect([leases.keyCount, leases.nextDueMs]).toEqual([0, Number.POSITIVE_INFINITY]);
  });
});

describe("restored leases", () => {
  const restored = (fence: bigint, mode: LeaseMode) => {
    return { key: "lock:v/a" as const, mode, owner: `${fence}`, fence, ttlMs: 1_000, dueMs: 300 };
  };

  test("are held with their fence and what is left of their time", () => {
    const { leases, claim } = table();
    const one = leases.restore(restored(7n, "shared"));
    const other = leases.restore(restored(8n, "shared"));
    const waiting = claim("a", "exclusive", 1_000);
    expect([waiting.state, leases.nextDueMs]).toEqual(["waiting", 300]);
    expect(leases.find("lock:v/a", 8n)).toBe(other);
    expect([...leases.held()]).toEqual([one, other]);
    leases.renew(one, 1_000, 0);
    expect(leases.expire(300).map(({ claim: { owner } }) => owner)).toEqual(["8"]);
    expect(owners(leases.end(one, 300))).toEqual(["a"]);
  });

  test("that cannot be held beside others are a bug", () => {
    const { leases } = table();
    leases.restore(restored(7n, "shared"));
    expect(() => leases.restore(restored(8n, "exclusive"))).toThrow("lock:v/a is held already");
  });
});
