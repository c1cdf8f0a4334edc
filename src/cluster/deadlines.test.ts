// The heap of deadlines gives what a sorted list gives, whatever is set and taken out.
import { expect, test } from "bun:test";
import fc from "fast-check";
import { Deadlines, type Timed } from "./deadlines.ts";

interface Named extends Timed {
  readonly name: number;
}

test("the first is the earliest, over sets, changes and removals", () => {
  const change = fc.record({
    name: fc.integer({ min: 0, max: 15 }),
    dueMs: fc.option(fc.integer({ min: 0, max: 30 }), { nil: undefined, freq: 4 }),
  });
  fc.assert(
    fc.property(fc.array(change, { maxLength: 120 }), (changes) => {
      const deadlines = new Deadlines<Named>();
      const all = Array.from({ length: 16 }, (_, name): Named => {
        return { name, dueMs: Number.POSITIVE_INFINITY, heapIndex: -1 };
      });
      const model = new Map<number, number>();
      for (const { name, dueMs } of changes) {
        const timed = all[name];
        if (timed === undefined) continue;
        if (dueMs === undefined) deadlines.remove(timed);
        else deadlines.set(timed, dueMs);
        if (dueMs === undefined) model.delete(name);
        else model.set(name, dueMs);
        expect(deadlines.first?.dueMs).toBe(
          model.size === 0 ? undefined : Math.min(...model.values()),
        );
      }
      const left: number[] = [];
      for (let { first } = deadlines; first !== undefined; { first } = deadlines) {
        left.push(first.dueMs);
        deadlines.remove(first);
      }
      expect(left).toEqual([...model.values()].sort((one, other) => one - other));
      expect(all.every(({ heapIndex }) => heapIndex === -1)).toBe(true);
    }),
    { numRuns: 1_000 },
  );
});

test("Infinity is no moment", () => {
  const deadlines = new Deadlines<Timed>();
  const timed = { dueMs: Number.POSITIVE_INFINITY, heapIndex: -1 };
  deadlines.set(timed, 5);
  deadlines.set(timed, Number.POSITIVE_INFINITY);
  expect(deadlines.first).toBeUndefined();
});
