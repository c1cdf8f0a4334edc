// Processes that outlive the daemon: the file systems in user space that it starts.
import { closeSync, constants, openSync, readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { storageError } from "../core/errors.ts";
import type { Host, KeptProcess, KeptRequest } from "../core/host.ts";
import { isAtOrBelow } from "../core/mount-of.ts";
import { processStart } from "./processes.ts";
import { feed, findProgram, programEnvironment, programMissing } from "./programs.ts";

const LOG_FLAGS =
  constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT | constants.O_NOFOLLOW;

/** `start` of what ended before anybody could look. */
const NOBODY = "ended at once";

/** The `startKept` of core/host.ts. Its end is waited for by the runtime while it is our child. */
function startKept({ program, args, environment, log, input }: KeptRequest): KeptProcess {
  const found = findProgram(program);
  if (found === undefined) throw programMissing(program);
  let output: number | undefined;
  try {
    output = openSync(log, LOG_FLAGS, 0o600);
    const child = Bun.spawn([found, ...args], {
      cwd: "/",
      env: { ...programEnvironment, ...environment },
      stdin: input === undefined ? "ignore" : "pipe",
      stdout: output,
      stderr: output,
      // A session of its own: no signal to the daemon's group reaches it.
      detached: true,
    });
    feed(child.stdin, input);
    child.unref();
    return { pid: child.pid, start: processStart(child.pid) ?? NOBODY };
  } catch (thrown) {
    throw storageError(thrown, `starting ${program} with its log at ${log}`);
  } finally {
    if (output !== undefined) closeSync(output);
  }
}

/** The `signalKept` of core/host.ts. */
const signalKept: Host["signalKept"] = ({ pid, start }, signal) => {
  if (processStart(pid) !== start) return false;
  try {
    // It leads its group: what it started (ssh of sshfs) ends with it.
    process.kill(-pid, signal);
    return true;
  } catch {
    return false;
  }
};

/** The `findKept` of core/host.ts. */
const findKept: Host["findKept"] = (directory) =>
  readdirSync("/proc")
    .filter((entry) => /^\d+$/.test(entry) && Number(entry) !== process.pid)
    .flatMap((entry) => {
      const [name = "", ...args] = argumentsOf(entry);
      // As a word of its own, or within one (`--config=PATH`, `ssh_command=ssh -F PATH`).
      const words = args.flatMap((each) => [each, ...each.split(/[=,\s]/)]);
      const found = words.find((each) => isAtOrBelow(each, directory));
      const start = processStart(Number(entry));
      if (found === undefined || start === undefined) return [];
      return [{ pid: Number(entry), start, program: path.basename(name), path: found }];
    });

/** None of what has ended, and of the kernel's own. */
function argumentsOf(pid: string): readonly string[] {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0");
  } catch {
    return [];
  }
}

export const keptProcesses = { startKept, signalKept, findKept } as const;
