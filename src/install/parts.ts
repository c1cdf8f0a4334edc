// What an installation needs of the program that assembles it, and how it runs programs.
import { existsSync } from "node:fs";
import path from "node:path";
import { EngineError } from "../core/errors.ts";
import type { Host } from "../core/host.ts";
import type { StepReport } from "../core/installation.ts";
import type { Operation } from "../core/operation.ts";

export interface InstallParts {
  readonly host: Host;
  readonly operation: Operation;
  /** This very program, as an absolute path; undefined: it runs from its sources. */
  readonly executable: string | undefined;
  readonly version: string;
  /** The data root that the installed daemon will have. */
  readonly root: string;
  /** Where it will have the key of its secrets. */
  readonly secretKey: string;
  /** Where this machine's files lie: "" unless a test says otherwise. */
  readonly machineRoot: string;
  /** Is there while systemd is the service manager (sd_booted(3)). */
  readonly systemdFolder: string;
}

/**
 * "" for the root directory, else absolute without a slash at its end. Throws `install.failed`
 * for "": a variable that is not set, which would be the working directory.
 */
export function baseOf(destdir: string | undefined, { machineRoot }: InstallParts): string {
  if (destdir === undefined) return machineRoot;
  if (destdir === "") {
    throw new EngineError("install.failed", "--destdir is empty: a directory is needed");
  }
  const folder = path.resolve(destdir);
  return folder === "/" ? "" : folder;
}

export function hasSystemd({ systemdFolder }: InstallParts): boolean {
  return existsSync(systemdFolder);
}

/** Runs a program that must succeed. Throws `install.failed` with its words. */
export async function mustRun(parts: InstallParts, words: readonly string[]): Promise<StepReport> {
  const [program = "", ...args] = words;
  const what = words.join(" ");
  const result = await parts.host.run(program, args, parts.operation);
  if (result.exitCode === 0) return { state: "done", what };
  const said = `${result.stderr}${result.stdout}`.trim().replaceAll(/\s*\n\s*/g, "; ");
  throw new EngineError("install.failed", `${what} ended with status ${result.exitCode}: ${said}`);
}

/** Whether a program that only answers a question says yes. */
export async function says(parts: InstallParts, words: readonly string[]): Promise<boolean> {
  const [program = "", ...args] = words;
  return (await parts.host.run(program, args, parts.operation)).exitCode === 0;
}
