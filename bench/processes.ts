// Runs the bench's tools to their end: argument lists only, never a shell.
import { readFile } from "node:fs/promises";

/** What of an error's text is worth repeating, in characters from its end. */
const REPEATED_CHARACTERS = 1200;

/** How a tool is run. */
export interface RunRequest {
  readonly command: readonly string[];
  /** Ends the tool when it fires. Missing for clean-up, which must not be interrupted. */
  readonly signal?: AbortSignal;
  /** Added to the environment of the bench. */
  readonly environment?: Readonly<Record<string, string>>;
}

/** What a tool that ended left behind. */
export interface Ended {
  readonly exitCode: number;
  readonly output: string;
  readonly errors: string;
}

/** Runs a tool to its end, whatever its exit code. Throws the signal's reason when that fired. */
export async function runAnyway(request: RunRequest): Promise<Ended> {
  request.signal?.throwIfAborted();
  const child = Bun.spawn([...request.command], {
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
    env: { ...process.env, ...request.environment },
    ...(request.signal ? { signal: request.signal } : {}),
  });
  const [output, errors, exitCode] = await Promise.all([
    child.stdout.text(),
    child.stderr.text(),
    child.exited,
  ]);
  request.signal?.throwIfAborted();
  return { exitCode, output, errors };
}

/** Runs a tool and returns what it printed. Throws when it ends with any code but 0. */
export async function run(request: RunRequest): Promise<string> {
  const ended = await runAnyway(request);
  if (ended.exitCode !== 0) {
    const text = (ended.errors || ended.output).trim().slice(-REPEATED_CHARACTERS);
    throw new Error(
      `${request.command.slice(0, 3).join(" ")} ended with ${ended.exitCode}: ${text}`,
    );
  }
  return ended.output;
}

/** The path of a program, or an error that names the Debian package to install. */
export function programPath(name: string, debianPackage: string): string {
  const path = Bun.which(name);
  if (path === null) {
    throw new Error(`the bench needs ${name}: install Debian's package ${debianPackage}`);
  }
  return path;
}

/** The end of a log file, for an error's text; empty when there is none. */
export async function logTail(path: string): Promise<string> {
  try {
    return (await readFile(path, "utf8")).trim().slice(-REPEATED_CHARACTERS);
  } catch {
    return "";
  }
}
