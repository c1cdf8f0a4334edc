// Pauses between the lives of a plugin grow while it keeps ending, and begin anew after a good one.
import { expect, test } from "bun:test";
import { RestartPause } from "./restart-pause.ts";

test("the pause doubles up to a minute", () => {
  const pause = new RestartPause();
  const pauses = [...Array(9)].map(() => pause.next(5_000) / 1_000);
  expect(pauses).toEqual([1, 2, 4, 8, 16, 32, 60, 60, 60]);
  expect(pause.count).toBe(9);
});

test("whoever ran for a minute begins anew", () => {
  const pause = new RestartPause();
  pause.next(0);
  pause.next(59_999);
  expect(pause.count).toBe(2);
  expect(pause.next(60_000)).toBe(1_000);
  pause.next(0);
  pause.settle(59_999);
  expect(pause.count).toBe(2);
  pause.settle(60_000);
  expect(pause.count).toBe(0);
  pause.next(0);
  pause.reset();
  expect(pause.next(0)).toBe(1_000);
});

test("a plugin that always ends at once is tried for ever, at a bounded pace", () => {
  const pause = new RestartPause();
  for (let round = 0; round < 5_000; round++) pause.next(0);
  expect(pause.next(0)).toBe(60_000);
});
