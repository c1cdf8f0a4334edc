// Processes that outlive whoever started them, and are told from others with their number.
import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { eventually, runToEnd } from "../../test/support/child.ts";
import type { KeptProcess } from "../core/host.ts";
import { linuxHost } from "./linux.ts";

const host = linuxHost();
let folder: string;
let log: string;
beforeEach(() => {
  folder = mkdtempSync("/dev/shm/holdfast-kept-");
  log = join(folder, "log");
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function untilLogged(text: string): Promise<string> {
  const read = () => readFileSync(log, "utf8");
  return eventually(() => (read().includes(text) ? read() : undefined), {
    timeoutMs: 5_000,
    otherwise: () => `it printed ${read()}`,
  });
}

function untilGone({ pid, start }: KeptProcess): Promise<unknown> {
  return eventually(() => (host.processStart(pid) === start ? undefined : true), {
    timeoutMs: 5_000,
    otherwise: () => `${pid} is still there`,
  });
}

test("its input, its log, its environment, its end", async () => {
  const kept = host.startKept({
    program: "sh",
    args: ["-c", 'cat; pwd; echo "$WORD $HOME"; echo wrong >&2; exec sleep 60'],
    environment: { WORD: "known" },
    log,
    input: new TextEncoder().encode("a secret\n"),
  });
  expect(await untilLogged("wrong")).toBe("a secret\n/\nknown \nwrong\n");
  expect(statSync(log).mode & 0o777).toBe(0o600);
  expect(host.signalKept({ ...kept, start: "another one's" }, "SIGKILL")).toBe(false);
  expect(host.signalKept(kept, "SIGTERM")).toBe(true);
  await untilGone(kept);
  expect(host.signalKept(kept, "SIGTERM")).toBe(false);
});

test("what it started ends with it", async () => {
  const args = ["-c", "sleep 60 & echo $!; wait"];
  const kept = host.startKept({ program: "sh", args, log });
  const child = Number(await untilLogged("\n"));
  const start = host.processStart(child) ?? "";
  expect(start).not.toBe("");
  expect(host.signalKept(kept, "SIGKILL")).toBe(true);
  await untilGone({ pid: child, start });
  await untilGone(kept);
});

test("one that ends at once is nobody, and the log is appended to", async () => {
  for (const word of ["first", "second"]) {
    const kept = host.startKept({ program: "echo", args: [word], log });
    await untilLogged(word);
    await untilGone(kept);
  }
  expect(readFileSync(log, "utf8")).toBe("first\nsecond\n");
  // A zombie would still have its number.
  expect(() => host.startKept({ program: "no-such-program", args: [], log })).toThrow(
    expect.objectContaining({ code: "host.program_missing" }),
  );
  const nowhere = { program: "echo", args: [], log: join(folder, "none", "log") };
  expect(() => host.startKept(nowhere)).toThrow(
    expect.objectContaining({ code: "storage.failed" }),
  );
});

test("it outlives the sudden death of who started it", async () => {
  const linux = new URL("./linux.ts", import.meta.url).pathname;
  const code = `const { linuxHost } = await import(${JSON.stringify(linux)});
    const request = { program: "sleep", args: ["60"], log: ${JSON.stringify(log)} };
    console.log(JSON.stringify(linuxHost().startKept(request)));
    process.kill(process.pid, "SIGKILL");`;
  const { stdout } = await runToEnd(process.execPath, ["-e", code], { timeoutMs: 10_000 });
  const { pid, start } = JSON.parse(stdout);
  expect(host.processStart(pid)).toBe(start);
  expect(host.signalKept({ pid, start }, "SIGTERM")).toBe(true);
  await untilGone({ pid, start });
});
