// Watching real processes: their ends are told, each once, and to everybody who asked.
import { expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import { eventually, startChild, stopChild } from "../../test/support/child.ts";
import type { KeptProcess } from "../core/host.ts";
import { processWatches } from "./process-watches.ts";
import { processStart } from "./processes.ts";

/** What is promised of a lock whose holder is killed, in milliseconds; the machine may be busy. */
const TOLD_MS_MAX = 100;

function sleeper(): { child: ReturnType<typeof startChild>; process: KeptProcess } {
  const child = startChild("sleep", ["600"]);
  const pid = child.pid ?? 0;
  const start = processStart(pid);
  if (start === undefined) throw new Error("sleep(1) has not started");
  return { child, process: { pid, start } };
}

test("a process that is killed is told to all who watch it, soon", async () => {
  const watch = processWatches();
  const { child, process: own } = sleeper();
  using one = watch(own);
  using other = watch(own);
  expect(one?.ended.aborted).toBe(false);
  const told = new Promise<number>((resolve) => {
    other?.ended.addEventListener("abort", () => resolve(performance.now()));
  });
  const killedAtMs = performance.now();
  child.kill("SIGKILL");
  expect((await told) - killedAtMs).toBeLessThan(TOLD_MS_MAX);
  expect(one?.ended.aborted).toBe(true);
});

test("one that goes on is told nothing of, and neither is one of another start", async () => {
  const watch = processWatches();
  const { child, process: own } = sleeper();
  using watched = watch(own);
  const { child: second, process: others } = sleeper();
  using ending = watch(others);
  await stopChild(second);
  await eventually(() => ending?.ended.aborted || undefined, {
    timeoutMs: 5_000,
    otherwise: () => "the end of a process was not told",
  });
  expect(watched?.ended.aborted).toBe(false);
  expect(watch({ ...own, start: "another" })).toBeUndefined();
  await stopChild(child);
  expect(watch(own)).toBeUndefined();
  expect(watch({ pid: 0, start: "" })).toBeUndefined();
  expect(watch({ pid: -1, start: "" })).toBeUndefined();
});

test("what is not watched any more keeps no descriptor, and tells nothing", async () => {
  const watch = processWatches();
  const { child, process: own } = sleeper();
  watch(own)?.[Symbol.dispose]();
  const before = readdirSync("/proc/self/fd").length;
  const watches = Array.from({ length: 10 }, () => watch(own));
  expect(readdirSync("/proc/self/fd").length).toBe(before + 1);
  for (const each of watches) each?.[Symbol.dispose]();
  expect(readdirSync("/proc/self/fd").length).toBe(before);
  await stopChild(child);
  expect(watches.some((each) => each?.ended.aborted === true)).toBe(false);
});
