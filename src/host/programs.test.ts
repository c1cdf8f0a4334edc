// Programs get exact arguments and little else, and never keep the daemon waiting.
import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { whenPossible } from "../../test/support/needs.ts";
import { EngineError } from "../core/errors.ts";
import { PROGRAM_OUTPUT_BYTES_MAX } from "../core/host.ts";
import { runWith, startProgram, untilAborted } from "./programs.ts";
import { makeStuckFolder } from "./stuck-folder.fixture.ts";

const run = runWith(startProgram);
const withoutDeadline = { signal: new AbortController().signal };
describe("run", () => {
  test("passes arguments as they are, and no shell reads them", async () => {
    const args = ["%s|", "a b", "$HOME", "*", "; true", "-n", "é"];
    const { stdout, exitCode } = await run("printf", args, withoutDeadline);
    expect(stdout).toBe("a b|$HOME|*|; true|-n|é|");
    expect(exitCode).toBe(0);
  });

  test("gives an environment of two variables, the folder / and no input", async () => {
    const { stdout } = await run("env", [], withoutDeadline);
    const names = stdout
      .trim()
      .split("\n")
      .map((line) => line.split("=")[0]);
    expect(names.sort()).toEqual(["LC_ALL", "PATH"]);
    expect((await run("pwd", [], withoutDeadline)).stdout).toBe("/\n");
    expect((await run("cat", [], withoutDeadline)).stdout).toBe("");
  });

  test("reports status, signal and both outputs", async () => {
    const failed = await run("ls", ["/no/such"], withoutDeadline);
    expect(failed.exitCode).toBe(2);
    expect(failed.stderr).toContain("No such file");
    const running = startProgram("sleep", ["60"]);
    running.kill();
    expect((await running.result).exitCode).toBe(128 + 9);
  });

  test("keeps a bounded part of the output and lets the program end", async () => {
    const { stdout, exitCode } = await run("head", ["-c", "3000000", "/dev/zero"], withoutDeadline);
    expect(stdout.length).toBe(PROGRAM_OUTPUT_BYTES_MAX);
    expect(exitCode).toBe(0);
  });

  test("names the Debian package of what is missing", async () => {
    const missing = run("no-such-program", [], withoutDeadline);
    expect(missing).rejects.toMatchObject({ code: "host.program_missing" });
  });

  test("does not wait for a daemon that a program leaves behind", async () => {
    const startedMs = performance.now();
    // It holds the output open for five seconds.
    await run("setsid", ["-f", "sleep", "5"], withoutDeadline);
    expect(performance.now() - startedMs).toBeLessThan(4_000);
  });

  test("does not start anything for an operation that is over", async () => {
    const signal = AbortSignal.abort();
    const runNothing = runWith(() => {
      throw new Error("started");
    });
    expect(runNothing("true", [], { signal })).rejects.toMatchObject({
      code: "operation.cancelled",
    });
  });

  test("ends a program and its children at the deadline", async () => {
    const controller = new AbortController();
    const running = startProgram("find", ["/", "-maxdepth", "0", "-exec", "sleep", "60", ";"]);
    const children = `/proc/${running.pid}/task/${running.pid}/children`;
    const child = Number(await until(() => readFileSync(children, "utf8").trim() || undefined));
    const waiting = untilAborted(running, controller.signal, "find");
    controller.abort(new DOMException("late", "TimeoutError"));
    expect(waiting).rejects.toMatchObject({ code: "operation.timed_out" });
    await until(() => !isAlive(child));
  });

  test("rests by turns at a pace, ends by itself, and is ended in a rest", async () => {
    const pids: number[] = [];
    const noted = runWith((program, args) => {
      const running = startProgram(program, args);
      pids.push(running.pid);
      return running;
    });
    const often = { workMs: 20, restMs: 20, program: "sleep" };
    const ending = noted("sleep", ["0.3"], withoutDeadline, often);
    await until(() => stateOf(pids[0] ?? 0) === "T");
    expect(await ending).toMatchObject({ exitCode: 0 });
    const busy = noted("sleep", ["0.1"], withoutDeadline, {
      ...{ workMs: 1, restMs: 60_000, program: "sleep" },
      isUrgent: () => true,
    });
    expect(await busy).toMatchObject({ exitCode: 0 });
    const controller = new AbortController();
    const never = { workMs: 1, restMs: 60_000, program: "sleep" };
    const resting = noted("sleep", ["60"], { signal: controller.signal }, never);
    await until(() => stateOf(pids[2] ?? 0) === "T");
    controller.abort();
    expect(resting).rejects.toMatchObject({ code: "operation.cancelled" });
    await until(() => !isAlive(pids[2] ?? 0));
  });

  test("is not stopped before it has become the program that rests", async () => {
    const pace = { workMs: 1, restMs: 60_000, program: "rm" };
    expect(await run("sleep", ["0.1"], withoutDeadline, pace)).toMatchObject({ exitCode: 0 });
  });

  test("hands on the engine's own reason", async () => {
    const reason = new EngineError("driver.timed_out", "the storage did not answer");
    const controller = new AbortController();
    const waiting = run("sleep", ["60"], { signal: controller.signal });
    controller.abort(reason);
    expect(waiting).rejects.toBe(reason);
  });

  whenPossible(["root", "fuse"], "leaves a program behind that the kernel holds", async () => {
    await using stuck = await makeStuckFolder();
    const running = startProgram("stat", [join(stuck.path, "file")]);
    await stuck.untilAsked();
    running.kill();
    let isEnded = false;
    void running.result.then(() => {
      isEnded = true;
    });
    await until(() => stateOf(running.pid) === "D");
    const rejected = run("stat", [join(stuck.path, "other")], { signal: AbortSignal.timeout(100) });
    expect(rejected).rejects.toMatchObject({ code: "operation.timed_out" });
    await rejected.catch(() => undefined);
    expect(isEnded).toBe(false);
    stuck.release();
    expect((await running.result).exitCode).toBe(128 + 9);
  });
});

function stateOf(pid: number): string | undefined {
  return /\) (\w) /.exec(readFileSync(`/proc/${pid}/stat`, "utf8"))?.[1];
}

/** A zombie that nobody reaps counts as gone. */
function isAlive(pid: number): boolean {
  try {
    return stateOf(pid) !== "Z";
  } catch {
    return false;
  }
}

/** Looks at what another process does; the test runner's own limit ends it. */
async function until<T>(look: () => T | undefined | false): Promise<T> {
  for (;;) {
    const seen = look();
    if (seen !== undefined && seen !== false) return seen;
    await Bun.sleep(2);
  }
}
