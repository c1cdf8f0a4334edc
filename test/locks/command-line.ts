// `holdfast lock …` as processes against a real daemon: what they print, who is their command.
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { type Ended, eventually, runToEnd, startChild } from "../support/child.ts";
import { holdfastCommand } from "../support/daemon.ts";
import type { LockStage } from "./stage.ts";

const timeoutMs = 30_000;

export interface Running {
  readonly child: ChildProcess;
  /** What has been printed so far. */
  readonly stdout: () => string;
  readonly stderr: () => string;
  /** Ended by a signal: 128 + n is not known here, and is -1. */
  readonly exit: Promise<number>;
}

export function commandOf(stage: LockStage, words: readonly string[]): [string, ...string[]] {
  const [program, ...first] = holdfastCommand();
  return [program, ...first, "--host", `unix://${stage.daemon.socketPath}`, "lock", ...words];
}

/** `holdfast lock WORDS`, to its end. */
export function lock(stage: LockStage, words: readonly string[], input = ""): Promise<Ended> {
  const [program, ...rest] = commandOf(stage, words);
  return runToEnd(program, rest, { timeoutMs, input });
}

/** The same without waiting; `through` is a program that starts it, as nohup(1). */
export function startLock(
  stage: LockStage,
  words: readonly string[],
  through: readonly string[] = [],
): Running {
  const [program = "", ...rest] = [...through, ...commandOf(stage, words)];
  const child = startChild(program, rest);
  let stdout = "";
  let stderr = "";
  child.stdout?.on("data", (chunk: Buffer) => {
    stdout += chunk.toString("utf8");
  });
  child.stderr?.on("data", (chunk: Buffer) => {
    stderr += chunk.toString("utf8");
  });
  const exit = once(child, "close").then(([code]) => (typeof code === "number" ? code : -1));
  return { child, stdout: () => stdout, stderr: () => stderr, exit };
}

export function until(what: string, look: () => unknown): Promise<unknown> {
  const otherwise = () => `${what} was not seen`;
  return eventually(async () => (await look()) || undefined, { timeoutMs, otherwise });
}

/** Resolves when the command runs, which says so by `pid NUMBER`: the number. */
export async function commandPid(running: Running): Promise<number> {
  const find = () => /^pid (\d+)$/m.exec(running.stdout())?.[1];
  return Number(await until(`the command (${running.stderr()})`, find));
}

/** False of what has ended and is only not reaped: our process 1 may not do that. */
export function lives(pid: number): boolean {
  try {
    return !/^State:\s*Z/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
  } catch {
    return false;
  }
}

/** A command that says who it is, and then sleeps for long. */
export const sleeper = ["sh", "-c", "echo pid $$; exec sleep 600"] as const;
