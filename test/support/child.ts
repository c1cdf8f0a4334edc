// Child processes of the tests: started from argument arrays, ended by pid, always reaped.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { setTimeout as delay } from "node:timers/promises";

/** How long a process may take to obey SIGTERM before it is killed. */
const stopTimeoutMs = 20_000;

/** The pause between two looks at something that announces itself by no event. */
const lookAgainMs = 20;

/** dockerd opens its socket long before it answers on it. */
const pingTimeoutMs = 10_000;

/**
 * What `bun test --no-orphans` hands on: a program that runs by Bun would take all that it started
 * along when it is killed, which no installed one does.
 */
const NO_ORPHANS = "BUN_FEATURE_FLAG_NO_ORPHANS";

/** Starts a program with its standard input, output and errors as pipes. */
export function startChild(
  program: string,
  parameters: readonly string[],
  environment: Readonly<Record<string, string>> = {},
): ChildProcess {
  const { [NO_ORPHANS]: _, ...own } = process.env;
  return spawn(program, [...parameters], {
    stdio: ["pipe", "pipe", "pipe"],
    env: { ...own, ...environment },
  });
}

/** Resolves when the child has ended and was reaped: SIGTERM first, SIGKILL after 20 seconds. */
export async function stopChild(child: ChildProcess): Promise<void> {
  if (hasEnded(child)) return;
  const ended = once(child, "exit");
  child.kill("SIGTERM");
  const patience = setTimeout(() => child.kill("SIGKILL"), stopTimeoutMs);
  await ended;
  clearTimeout(patience);
}

/** True when the child's exit was seen. */
export function hasEnded(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null;
}

/** The pids of a process and of all that descend from it, parents first. Reads /proc only. */
export async function descendants(pid: number): Promise<readonly number[]> {
  const children = await Bun.file(`/proc/${pid}/task/${pid}/children`)
    .text()
    .catch(() => "");
  const found = children.split(" ").filter(Boolean).map(Number);
  const deeper = await Promise.all(found.map(descendants));
  return [pid, ...deeper.flat()];
}

/** Sends a signal to each; some may have ended since they were looked up. */
export function signalAll(pids: readonly number[], name: NodeJS.Signals): void {
  for (const pid of pids) {
    try {
      process.kill(pid, name);
    } catch {
      // It is gone: nothing is left to be signalled.
    }
  }
}

/** Waits until a look answers something; throws with the sentence when the time is over. */
export async function eventually<T>(
  look: () => Promise<T | undefined> | T | undefined,
  options: { readonly timeoutMs: number; readonly otherwise: () => string },
): Promise<T> {
  const deadline = Date.now() + options.timeoutMs;
  while (Date.now() < deadline) {
    const found = await look();
    if (found !== undefined) return found;
    await delay(lookAgainMs);
  }
  throw new Error(options.otherwise());
}

/** True when GET /_ping on the Unix socket is answered with 200 within 10 s. */
export async function answersPing(socketPath: string): Promise<boolean> {
  try {
    const signal = AbortSignal.timeout(pingTimeoutMs);
    const answer = await fetch("http://localhost/_ping", { unix: socketPath, signal });
    await answer.text();
    return answer.status === 200;
  } catch {
    return false;
  }
}

/** What a program printed, and how it ended; `exit` is -1 when a signal ended it. */
export interface Ended {
  readonly exit: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program to its end; `input` is all that it can read. Killed after `timeoutMs`. */
export async function runToEnd(
  program: string,
  parameters: readonly string[],
  options: {
    readonly input?: string;
    readonly environment?: Readonly<Record<string, string>>;
    readonly timeoutMs: number;
  },
): Promise<Ended> {
  const child = startChild(program, parameters, options.environment);
  const stdout: Buffer[] = [];
  const stderr: Buffer[] = [];
  child.stdout?.on("data", (chunk: Buffer) => stdout.push(chunk));
  child.stderr?.on("data", (chunk: Buffer) => stderr.push(chunk));
  // A program that reads no input closes the pipe before we have written.
  child.stdin?.on("error", () => undefined);
  child.stdin?.end(options.input ?? "");
  const timer = setTimeout(() => child.kill("SIGKILL"), options.timeoutMs);
  const [code] = await once(child, "close");
  clearTimeout(timer);
  return {
    exit: typeof code === "number" ? code : -1,
    stdout: Buffer.concat(stdout).toString("utf8"),
    stderr: Buffer.concat(stderr).toString("utf8"),
  };
}
