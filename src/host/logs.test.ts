// Log lines are data, bounded, and never wait for a reader.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { EngineError } from "../core/errors.ts";
import { createLogger, type LogLevel } from "./logs.ts";

let folder: string;
let path: string;
let descriptor: number;
beforeEach(() => {
  folder = mkdtempSync("/dev/shm/holdfast-logs-");
  path = join(folder, "log");
  descriptor = openSync(path, "a");
});
afterEach(() => {
  closeSync(descriptor);
  rmSync(folder, { recursive: true, force: true });
});

function makeLogger(format: "json" | "text" = "json", level: LogLevel = "info") {
  return createLogger({ level, descriptor, format });
}

function jsonLines(): Record<string, unknown>[] {
  const lines = readFileSync(path, "utf8").trim().split("\n");
  return lines.map((line) => JSON.parse(line) as Record<string, unknown>);
}

describe("createLogger", () => {
  test("writes JSON lines with level, time, bound and own fields, in order", async () => {
    const logger = makeLogger();
    const log = logger.bind({ operation: "0a1b" });
    log.info("created", { volume: "pgdata" });
    log.warn("slow");
    log.debug("not at this level");
    await logger.flush();
    const [first, second, ...others] = jsonLines();
    expect(first).toEqual({
      level: "info",
      time: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/),
      operation: "0a1b",
      volume: "pgdata",
      message: "created",
    });
    expect(second).toMatchObject({ level: "warn", operation: "0a1b", message: "slow" });
    expect(others).toEqual([]);
  });

  test("writes errors as data: ours by code, others with their lines", async () => {
    const logger = makeLogger("json", "debug");
    const cause = Object.assign(new Error("no space"), { code: "ENOSPC" });
    const error = new EngineError("storage.full", "no room", { cause, details: { path: "/x" } });
    logger.bind({}).error("failed", { error });
    logger.bind({ error: new TypeError("oh") }).debug("bug");
    await logger.flush();
    const [ours, bug] = jsonLines();
    expect(ours?.["error"]).toEqual({
      name: "EngineError",
      code: "storage.full",
      message: "no room",
      details: { path: "/x" },
      cause: { name: "Error", code: "ENOSPC", message: "no space" },
    });
    expect(bug?.["error"]).toMatchObject({ name: "TypeError", stack: expect.any(String) });
  });

  test("survives values that JSON has no word for, and cuts long ones", async () => {
    const logger = makeLogger();
    const circle: Record<string, unknown> = {};
    circle["self"] = circle;
    logger.bind({}).info("x".repeat(100_000), { circle, big: 12n, none: undefined });
    logger.bind({ output: "y".repeat(100_000) }).info("long");
    await logger.flush();
    expect(jsonLines()).toHaveLength(2);
    expect(readFileSync(path).length).toBeLessThan(10_000);
  });

  test("writes plain lines for people, who cannot be drawn on", async () => {
    const logger = makeLogger("text");
    logger.bind({ operation: "0a1b" }).warn("slow \u001b[2J\nfake", { volume: "a b", count: 3 });
    await logger.flush();
    expect(readFileSync(path, "utf8")).toMatch(
      /^[\d:.]{12} warn {2}slow \\u001b\[2J\\nfake operation=0a1b volume="a b" count=3\n$/,
    );
  });

  test("never waits for a reader that has stopped: it drops, counts and tells", async () => {
    const module = new URL("./logs.ts", import.meta.url).pathname;
    const code = `
      const { createLogger } = await import(${JSON.stringify(module)});
      const logger = createLogger({ level: "info", format: "json" });
      const log = logger.bind({ operation: "0a1b" });
      for (let round = 0; round < 100; round++) {
        for (let line = 0; line < 500; line++) log.info("x".repeat(100));
        await new Promise((resolve) => setImmediate(resolve));
      }
      const startedMs = performance.now();
      await logger.flush();
      const waitedMs = performance.now() - startedMs;
      console.log(JSON.stringify({ dropped: logger.droppedCount(), waitedMs }));
      process.stdin.once("data", () => logger.flush().then(() => process.exit(0)));
    `;
    const pipe = join(folder, "pipe");
    await Bun.spawn(["mkfifo", pipe]).exited;
    const unread = openSync(pipe, "r+");
    const child = Bun.spawn([process.execPath, "-e", code], {
      stdio: ["pipe", "pipe", unread],
    });
    const { value } = await child.stdout.getReader().read();
    const told = JSON.parse(new TextDecoder().decode(value)) as Record<string, number>;
    expect(told["dropped"]).toBeGreaterThan(1_000);
    expect(told["waitedMs"]).toBeLessThan(5_000);
    // The reader is back: it gets what was kept, then the number of what was not.
    const end = openSync(pipe, "r");
    closeSync(unread);
    const reader = Bun.spawn(["cat"], { stdin: end, stdout: "pipe" });
    closeSync(end);
    child.stdin.write("go\n");
    child.stdin.flush();
    const text = await new Response(reader.stdout).text();
    await child.exited;
    expect(text).toContain(`"lostCount":${told["dropped"]}`);
  });

  test("a process ends though nobody reads what it has said", async () => {
    const module = new URL("./logs.ts", import.meta.url).pathname;
    const code = `
      const { createLogger } = await import(${JSON.stringify(module)});
      const logger = createLogger({ level: "info", format: "json" });
      for (let line = 0; line < 2_000; line++) logger.bind({}).info("x".repeat(100));
      await logger.flush();
      process.exit(7);
    `;
    const pipe = join(folder, "pipe");
    await Bun.spawn(["mkfifo", pipe]).exited;
    const unread = openSync(pipe, "r+");
    const child = Bun.spawn([process.execPath, "-e", code], {
      stdio: ["ignore", "ignore", unread],
      timeout: 20_000,
      killSignal: "SIGKILL",
    });
    expect(await child.exited).toBe(7);
    closeSync(unread);
  });
});
