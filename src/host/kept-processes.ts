// Processes that outlive the daemon: the file systems in user space that it starts.
import { closeSync, constants, openSync, readdirSync, readFileSync } from "node:fs";
import { storageError } from "../core/errors.ts";
import type { Host, KeptProcess, KeptRequest } from "../core/host.ts";
import { processStart } from "./processes.ts";
import { feed, findProgram, programEnvironment, programMissing } from "./programs.ts";

const LOG_FLAGS =
  constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT | constants.O_NOFOLLOW;

/** `start` of what ended before anybody could look. */
const NOBODY = "ended at once";

/** The `startKept` of core/host.ts. Its end is waited for by the runtime while it is our child. */
function startKept({ program, args, environment, log, input }: KeptRequest): KeptProcess {
  const path = findProgram(program);
  if (path === undefined) throw programMissing(program);
  let output: number | undefined;
  try {
    output = openSync(log, LOG_FLAGS, 0o600);
    const child = Bun.spawn([path, ...args], {
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
    process.kill(signal === "SIGHUP" ? pid : -pid, signal);
    return true;
  } catch {
    return false;
  }
};

/** The `keptNaming` of core/host.ts. */
function keptNaming(directory: string): readonly KeptProcess[] {
  const pids = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
  return pids
    .filter((pid) => argumentsOf(pid).includes(`${directory}/`))
    .map(Number)
    .filter((pid) => pid !== process.pid)
    .flatMap((pid) => {
      const start = processStart(pid);
      return start === undefined ? [] : [{ pid, start }];
    });
}

/** "": it has ended. */
function argumentsOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8");
  } catch {
    return "";
  }
}

export const keptProcesses = {
  startKept,
  signalKept,
  keptNaming,
} satisfies Partial<Host>;
