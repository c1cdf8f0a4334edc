// The clock of the boot goes on, as fast as every other one, and keeps its name.
import { expect, test } from "bun:test";
import { uptime } from "node:os";
import { bootClock } from "./boot-clock.ts";

test("the clock is that of this boot, and goes only forward", () => {
  const clock = bootClock();
  const firstMs = clock.nowMs();
  expect(Math.abs(firstMs / 1_000 - uptime())).toBeLessThan(2);
  expect(clock.nowMs()).toBeGreaterThanOrEqual(firstMs);
});

test("the boot has one name", () => {
  expect(bootClock().id).toMatch(/^[0-9a-f-]{36}$/);
  expect(bootClock().id).toBe(bootClock().id);
});
