// A process is named by its number and its start, and ends when it ends, reaped or not.
import { expect, test } from "bun:test";
import { once } from "node:events";
import { eventually, startChild, stopChild } from "../../test/support/child.ts";
import { processStart } from "./processes.ts";

test("a living process has a start that stays, and differs from that of another one", async () => {
  const child = startChild("sleep", ["60"]);
  const { pid = 0 } = child;
  const start = processStart(pid);
  expect(start).toMatch(/^[\da-f-]{36} \d+$/);
  expect(processStart(pid)).toBe(start);
  expect(processStart(1)).not.toBe(start);
  await stopChild(child);
  expect(processStart(pid)).toBeUndefined();
});

test("a process that has ended and waits to be reaped is gone", async () => {
  const script = 'console.log(Bun.spawn(["sleep", "60"]).pid)';
  const parent = startChild(process.execPath, ["-e", script]);
  const [line] = parent.stdout === null ? [] : await once(parent.stdout, "data");
  const pid = Number(String(line));
  try {
    // Who is stopped reaps nobody.
    parent.kill("SIGSTOP");
    expect(processStart(pid)).toBeDefined();
    process.kill(pid, "SIGKILL");
    await eventually(() => (processStart(pid) === undefined ? true : undefined), {
      timeoutMs: 5_000,
      otherwise: () => `process ${pid} still counts`,
    });
    expect(await Bun.file(`/proc/${pid}/stat`).text()).toContain(") Z ");
  } finally {
    parent.kill("SIGCONT");
    await stopChild(parent);
  }
});

test("numbers that no process has are gone", () => {
  for (const pid of [0, -1, 1.5, Number.NaN, 2 ** 40]) expect(processStart(pid)).toBeUndefined();
});
