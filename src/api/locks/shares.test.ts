// What one container may take of the containers' socket, by a clock of the test's own.
import { describe, expect, test } from "bun:test";
import { CONNECTIONS_MAX, CONNECTIONS_PER_CONTAINER_MAX, Shares } from "./shares.ts";

function connect(shares: Shares, key: string, count: number): (() => void)[] {
  return Array.from({ length: count }, () => {
    const answer = shares.connect({ key });
    if (typeof answer === "string") throw new Error(answer);
    return answer;
  });
}

describe("connections", () => {
  test("of one container are limited, and come back when they end", () => {
    const shares = new Shares(() => 0);
    const [first] = connect(shares, "a", CONNECTIONS_PER_CONTAINER_MAX);
    expect(shares.connect({ key: "a" })).toContain("256");
    connect(shares, "b", 1);
    first?.();
    connect(shares, "a", 1);
    expect(shares.connect({ key: "a" })).toContain("256");
    expect(shares.connectionCount).toBe(CONNECTIONS_PER_CONTAINER_MAX + 1);
  });

  test("of all leave room for containers that have few", () => {
    const shares = new Shares(() => 0);
    const crowdCount = (CONNECTIONS_MAX * 3) / 4 / CONNECTIONS_PER_CONTAINER_MAX;
    for (let crowd = 0; crowd < crowdCount; crowd += 1) {
      connect(shares, `crowd-${crowd}`, CONNECTIONS_PER_CONTAINER_MAX);
    }
    connect(shares, "late", 16);
    expect(shares.connect({ key: "late" })).toContain("may have 16");
    connect(shares, "later", 16);
  });

  test("of all who have no volume are few", () => {
    const shares = new Shares(() => 0);
    for (let count = 0; count < 32; count += 1) {
      expect(shares.connect(undefined)).toBeFunction();
    }
    expect(shares.connect(undefined)).toContain("may have 32");
    connect(shares, "a", 1);
  });
});

describe("requests", () => {
  let nowMs = 0;
  const made = (...keys: readonly string[]) => {
    nowMs = 0;
    const shares = new Shares(() => nowMs);
    for (const key of keys) connect(shares, key, 1);
    const turns = (key: string, count: number) =>
      Array.from({ length: count }, () => shares.turn(key));
    return { shares, turns };
  };

  test("wait for their turn when there are too many in a second", () => {
    const { shares, turns } = made("a", "b");
    expect(Math.max(...turns("a", 1_000))).toBe(0);
    expect(turns("a", 3)).toEqual([1, 1, 1]);
    expect(shares.turn("b")).toBe(0);
    nowMs = 500;
    expect(Math.max(...turns("a", 500))).toBe(0);
    expect(shares.turn("a")).toBe(1);
  });

  test("that take long are fewer: no container gets more than a quarter of the time", () => {
    const { shares } = made("a");
    let busyMs = 0;
    while (nowMs < 60_000) {
      const waitMs = shares.turn("a");
      if (waitMs === 0) {
        nowMs += 20;
        busyMs += 20;
        shares.charge("a", 20);
      } else nowMs += waitMs;
    }
    expect(busyMs / nowMs).toBeWithin(0.2, 0.27);
  });

  test("are paid for by who comes again, too", () => {
    nowMs = 0;
    const shares = new Shares(() => nowMs);
    for (let count = 0; count < 25; count += 1) {
      const [end] = connect(shares, "a", 1);
      expect([count, shares.turn("a")]).toEqual([count, 0]);
      shares.charge("a", 10);
      end?.();
    }
    connect(shares, "a", 1);
    expect(shares.turn("a")).toBeGreaterThan(0);
    expect([shares.isSpent("a"), shares.isSpent("b")]).toEqual([false, false]);
    shares.charge("a", 300);
    expect(shares.isSpent("a")).toBe(true);
    nowMs = 10_000;
    expect([shares.isSpent("a"), shares.turn("a")]).toEqual([false, 0]);
  });
});

test("lines of the log are few in a minute", () => {
  let nowMs = 0;
  const shares = new Shares(() => nowMs);
  const lines = () => Array.from({ length: 100 }, () => shares.mayLog()).filter(Boolean).length;
  expect(lines()).toBe(30);
  expect(lines()).toBe(0);
  nowMs = 60_000;
  expect(lines()).toBe(30);
});
