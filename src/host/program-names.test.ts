// The names of processes, and for how long they are believed.
import { expect, test } from "bun:test";
import { once } from "node:events";
import { eventually, startChild, stopChild } from "../../test/support/child.ts";
import { programNames } from "./program-names.ts";

test("a process has the name of its program, and none when it is gone", async () => {
  let nowMs = 0;
  const programOf = programNames(() => nowMs);
  const child = startChild("sleep", ["60"]);
  const { pid = 0 } = child;
  // Between fork and exec it is called as we are.
  await eventually(() => (programNames()(pid) === "sleep" ? true : undefined), {
    timeoutMs: 5_000,
    otherwise: () => `it is called ${programNames()(pid)}`,
  });
  expect(programOf(pid)).toBe("sleep");
  const ended = once(child, "exit");
  await stopChild(child);
  await ended.catch(() => undefined);
  nowMs = 999;
  expect(programOf(pid)).toBe("sleep");
  nowMs = 1_000;
  expect(programOf(pid)).toBe("");
  expect(programOf(0)).toBe("");
});

test("few answers are kept, and none for long", () => {
  let nowMs = 0;
  const programOf = programNames(() => nowMs);
  for (let pid = 1; pid <= 2_000; pid += 1) programOf(pid);
  nowMs += 2_000;
  const own = programNames()(process.pid);
  expect(own).not.toBe("");
  expect(programOf(process.pid)).toBe(own);
});
