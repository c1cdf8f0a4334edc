// Runs a program of the tool chain in the checkout, with its output on the terminal.
import { spawn } from "node:child_process";
import { constants } from "node:os";
import { sourceRoot } from "./source-root.ts";

export interface RunOptions {
  /** Added to this process's environment. */
  readonly environment?: Readonly<Record<string, string>>;
  /** After this the program gets SIGTERM, and SIGKILL when that does not end it. */
  readonly limitMs?: number;
}

/** From SIGTERM to SIGKILL. */
const graceMs = 5_000;

/**
 * Answers the exit code: 127 when the program does not start, 128 and the number when a signal
 * ended it, so a caller sees one number that is 0 only when all went well.
 */
export function runProgram(
  program: string,
  parameters: readonly string[],
  options: RunOptions = {},
): Promise<number> {
  const child = spawn(program, parameters, {
    cwd: sourceRoot,
    stdio: "inherit",
    env: { ...process.env, ...options.environment },
  });
  const timers: Timer[] = [];
  if (options.limitMs !== undefined) {
    timers.push(setTimeout(() => child.kill("SIGTERM"), options.limitMs));
    timers.push(setTimeout(() => child.kill("SIGKILL"), options.limitMs + graceMs));
  }
  const forward = (signal: NodeJS.Signals) => child.kill(signal);
  process.on("SIGTERM", forward);
  process.on("SIGHUP", forward);
  return new Promise((resolve) => {
    const settle = (code: number) => {
      for (const timer of timers) clearTimeout(timer);
      process.off("SIGTERM", forward);
      process.off("SIGHUP", forward);
      resolve(code);
    };
    child.once("error", (error) => {
      console.error(`${program} does not start: ${error.message}`);
      settle(127);
    });
    child.once("exit", (code, signal) => {
      settle(code ?? 128 + (signal === null ? 0 : constants.signals[signal]));
    });
  });
}
