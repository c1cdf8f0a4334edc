// Events: a ring of 256, times that only grow, and followers that come and go.
import { describe, expect, test } from "bun:test";
import { parseDriverName, parseVolumeName } from "../core/names.ts";
import { type EngineEvent, EVENT_HISTORY_COUNT, EventLog } from "./event-log.ts";

const driver = parseDriverName("local");
const name = parseVolumeName("wiki");

/** A log with a clock that the test sets. */
function openLog(startMs = Date.UTC(2026, 9, 15)): {
  readonly log: EventLog;
  readonly clock: { nowMs: number };
  readonly happen: (count?: number) => void;
} {
  const clock = { nowMs: startMs };
  const log = new EventLog(() => clock.nowMs);
  const happen = (count = 1) => {
    for (let index = 0; index < count; index++) log.volume("create", name, { driver });
  };
  return { log, clock, happen };
}

function moment({ seconds, nanoseconds }: EngineEvent): bigint {
  expect(nanoseconds).toBeGreaterThanOrEqual(0);
  expect(nanoseconds).toBeLessThan(1_000_000_000);
  expect(Number.isInteger(nanoseconds)).toBe(true);
  return BigInt(seconds) * 1_000_000_000n + BigInt(nanoseconds);
}

function isStrictlyIncreasing(events: readonly EngineEvent[]): boolean {
  const moments = events.map(moment);
  return moments.every((each, index) => index === 0 || each > (moments[index - 1] ?? 0n));
}

describe("the history", () => {
  test("keeps the last 256 events, the oldest first", () => {
    const { log, clock, happen } = openLog();
    for (let index = 0; index < EVENT_HISTORY_COUNT + 10; index++) {
      clock.nowMs += 1;
      happen();
    }
    const kept = log.history({});
    expect(kept).toHaveLength(256);
    expect(isStrictlyIncreasing(kept)).toBe(true);
    const [first] = kept;
    expect(first && moment(first)).toBe(BigInt(Date.UTC(2026, 9, 15) + 11) * 1_000_000n);
  });

  test("spans include both ends", () => {
    const { log, clock, happen } = openLog();
    const startMs = clock.nowMs;
    for (const offsetMs of [0, 100, 200]) {
      clock.nowMs = startMs + offsetMs;
      happen();
    }
    const count = (span: Parameters<EventLog["history"]>[0]) => log.history(span).length;
    expect(count({ sinceMs: startMs + 100 })).toBe(2);
    expect(count({ untilMs: startMs + 100 })).toBe(2);
    expect(count({ sinceMs: startMs + 100, untilMs: startMs + 100 })).toBe(1);
    expect(count({ sinceMs: startMs + 201 })).toBe(0);
  });
});

describe("times", () => {
  test("of one millisecond differ", () => {
    const { log, happen } = openLog();
    happen(100);
    expect(isStrictlyIncreasing(log.history({}))).toBe(true);
  });

  test("are those of a clock that was far ahead and is set right", () => {
    const { log, clock, happen } = openLog();
    clock.nowMs += 10 * 86_400_000;
    happen();
    clock.nowMs -= 10 * 86_400_000;
    happen();
    const last = log.history({}).at(-1);
    expect(last && moment(last)).toBe(BigInt(clock.nowMs) * 1_000_000n);
  });

  test("grow when the clock jitters, and follow it again later", () => {
    const { log, clock, happen } = openLog();
    happen(3);
    clock.nowMs -= 900;
    happen(3);
    clock.nowMs += 901;
    happen(3);
    const events = log.history({});
    expect(isStrictlyIncreasing(events)).toBe(true);
    const last = events.at(-3);
    expect(last && moment(last)).toBe(BigInt(clock.nowMs) * 1_000_000n);
  });

  test("grow also when more happens in a moment than it has nanoseconds", () => {
    const { log, clock, happen } = openLog(Date.UTC(2026, 9, 15) + 999);
    happen(1_000_100);
    clock.nowMs += 1;
    happen(3);
    expect(isStrictlyIncreasing(log.history({}))).toBe(true);
  });
});

describe("followers", () => {
  test("see what happens from now on, until they leave", () => {
    const { log, happen } = openLog();
    happen();
    const seen: EngineEvent[] = [];
    const leave = log.follow((event) => seen.push(event));
    expect(log.followerCount).toBe(1);
    happen();
    log.pruned(12);
    leave();
    leave();
    happen();
    expect(log.followerCount).toBe(0);
    expect(seen.map(({ action, actor, attributes }) => [action, actor, attributes])).toEqual([
      ["create", name, { driver: "local" }],
      ["prune", "", { reclaimed: "12" }],
    ]);
  });

  test("one that leaves while it is told takes nothing from the others", () => {
    const { log, happen } = openLog();
    const seen: string[] = [];
    const leaveFirst = log.follow(() => {
      seen.push("first");
      leaveFirst();
    });
    log.follow(() => seen.push("second"));
    happen(2);
    expect(seen).toEqual(["first", "second", "second"]);
  });
});
