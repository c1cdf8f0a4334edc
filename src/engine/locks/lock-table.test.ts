// How many locks there may be, and that nothing is remembered of those that are gone.
import { expect, test } from "bun:test";
import { LOCK_WAITERS_MAX, LOCKS_PER_VOLUME_MAX, parseLockName } from "../../core/lock.ts";
import { parseVolumeName } from "../../core/names.ts";
import { type LockPlace, LockTable } from "./lock-table.ts";

const volume = parseVolumeName("wiki");
const place = (lock: string, of = volume): LockPlace => ({ volume: of, lock: parseLockName(lock) });

test("a volume has so many locks, and another one has its own", () => {
  const table = new LockTable();
  for (let index = 0; index < LOCKS_PER_VOLUME_MAX; index += 1) table.enter(place(`l${index}`));
  const words = "1000 locks of wiki are held or waited for: no further one is taken";
  expect(() => table.enter(place("more"))).toThrow(words);
  table.enter(place("l1"));
  table.enter(place("more", parseVolumeName("other")));
  expect(table.waitingCount).toBe(LOCKS_PER_VOLUME_MAX + 2);
  table.leave(place("l0"));
  table.enter(place("more"));
});

test("a lock has so many who wait, and so many who share it", () => {
  const table = new LockTable<LockPlace>();
  for (let index = 0; index < LOCK_WAITERS_MAX; index += 1) table.enter(place("a"));
  expect(() => table.enter(place("a"))).toThrow("10000 have lock a of wiki, or wait for it");
  for (let index = 0; index < LOCK_WAITERS_MAX; index += 1) {
    table.add(place("a"));
    table.leave(place("a"));
  }
  expect(() => table.enter(place("a"))).toThrow("10000 have lock a of wiki, or wait for it");
  table.enter(place("b"));
});

test("what has ended is forgotten, once", () => {
  const table = new LockTable<LockPlace>();
  const held = place("a");
  table.enter(held);
  table.add(held);
  table.leave(held);
  expect([table.heldCount, table.waitingCount]).toEqual([1, 0]);
  expect(table.holders(held)).toEqual([held]);
  expect(table.remove(held)).toBe(true);
  expect(table.remove(held)).toBe(false);
  table.leave(held);
  expect([table.heldCount, table.waitingCount, table.all()]).toEqual([0, 0, []]);
});
