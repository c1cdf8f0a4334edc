// What is remembered of containers that lock: no more than of those that still hold something.
import { expect, test } from "bun:test";
import { EngineError } from "../core/errors.ts";
import { parseLockName } from "../core/lock.ts";
import { parseVolumeName } from "../core/names.ts";
import { InsideCounts, LOCKS_PER_CONTAINER_MAX } from "./inside-locks.ts";
import type { LockView } from "./locks-face.ts";

function viewOf(fence: number): LockView {
  const holder = { pid: 0, program: "", label: "", container: null };
  return {
    ...{ volume: parseVolumeName("wiki"), lock: parseLockName("a"), mode: "exclusive", holder },
    ...{ fence: BigInt(fence), sinceMs: 0, expiresAtMs: 0, containerName: null, waitingCount: 0 },
  };
}

/** As `InsideLocks` does it for one lock. */
function take(counts: InsideCounts, key: string, fence: number): void {
  counts.enter(key);
  counts.add(key, { ...viewOf(fence), id: "", turn: 0 });
  counts.left(key);
}

test("containers that come, lock once and go leave nothing behind", () => {
  let held = 0;
  const counts = new InsideCounts({ list: () => [viewOf(held)] });
  for (held = 1; held <= 10_000; held++) take(counts, `container ${held}`, held);
  expect(counts.containerCount).toBeLessThan(300);
});

test("whoever holds as many locks as there may be gets another one when one has ended", () => {
  const held = new Set<number>();
  const counts = new InsideCounts({ list: () => [...held].map(viewOf) });
  const next = () => {
    const fence = held.size;
    held.add(fence);
    take(counts, "one", fence);
  };
  while (held.size < LOCKS_PER_CONTAINER_MAX) next();
  expect(() => counts.enter("one")).toThrow(EngineError);
  held.delete(7);
  counts.enter("one");
  expect(() => counts.enter("one")).toThrow("this container holds 255 locks and waits for 1");
});
