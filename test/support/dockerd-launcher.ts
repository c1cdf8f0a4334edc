// Runs inside a mount namespace of its own: hides /run/docker behind a tmpfs, then runs dockerd.
//
// Started by test/support/dockerd.ts as `unshare -m --propagation slave bun dockerd-launcher.ts
// PLAN`. Each line "start" on its standard input starts dockerd once more. It ends everything when
// its standard input closes, so nothing outlives a test run that was killed. What dockerd leaves
// behind (shims, processes of containers) becomes its child and is reaped: PID 1 may not do it.
import { dlopen } from "bun:ffi";
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { stopChild } from "./child.ts";

/** What dockerd.ts asks for, as JSON in the only argument. */
export interface LaunchPlan {
  readonly logPath: string;
  /** A folder that dockerd sees as /run/docker/plugins. */
  readonly pluginFolder: string | null;
  readonly sharesRoot: boolean;
  /** The content of /etc/subuid and /etc/subgid; null: the machine's own. */
  readonly subordinateIds: string | null;
  /** Its loopback is to be switched on. */
  readonly hasOwnNetwork: boolean;
  readonly dockerd: readonly string[];
  /** Arguments of a containerd that outlives dockerd, and its socket; null: dockerd starts one. */
  readonly containerd: { readonly parameters: readonly string[]; readonly socket: string } | null;
  /** Left behind by a killed dockerd, it makes the next one adopt a stranger. */
  readonly stalePidFiles: readonly string[];
}

const PR_SET_CHILD_SUBREAPER = 36;
const WNOHANG = 1;
const reapEveryMs = 50;
const waitEveryMs = 20;
const containerdWaitMs = 20_000;

if (import.meta.main) await main();

async function main(): Promise<void> {
  // Written by dockerd.ts.
  const plan = JSON.parse(process.argv[2] ?? "") as LaunchPlan;
  prepareMounts(plan);
  if (plan.sharesRoot) must("mount", ["--make-rshared", "/"]);
  if (plan.hasOwnNetwork) must("ip", ["link", "set", "lo", "up"]);
  const ours: ChildProcess[] = [];
  adoptOrphans(ours);
  const log = openSync(plan.logPath, "a");
  const run = (program: string, parameters: readonly string[]) => {
    const child = spawn(program, parameters, { stdio: ["ignore", log, log] });
    child.on("error", (error) => fail(error.message));
    ours.push(child);
    return child;
  };
  if (plan.containerd !== null) {
    run("containerd", plan.containerd.parameters);
    await waitForFile(plan.containerd.socket);
  }
  let dockerd: ChildProcess | undefined;
  const start = () => {
    for (const path of plan.stalePidFiles) rmSync(path, { force: true });
    dockerd = run("dockerd", plan.dockerd);
    console.log(`dockerd ${dockerd.pid}`);
    dockerd.on("exit", (code) => console.log(`ended ${code}`));
  };
  let isEnding = false;
  const end = async () => {
    if (isEnding) return;
    isEnding = true;
    if (dockerd !== undefined) await stopChild(dockerd);
    await Promise.all(ours.map(stopChild));
    await endOrphans();
    process.exit(0);
  };
  process.on("SIGTERM", end);
  process.on("SIGINT", end);
  createInterface(process.stdin).on("line", start).on("close", end);
  start();
}

function prepareMounts({ pluginFolder, subordinateIds }: LaunchPlan): void {
  must("mount", ["-t", "tmpfs", "-o", "mode=0700", "tmpfs", "/run/docker"]);
  if (subordinateIds !== null) {
    writeFileSync("/run/docker/ids", subordinateIds);
    for (const path of ["/etc/subuid", "/etc/subgid"])
      must("mount", ["--bind", "/run/docker/ids", path]);
  }
  if (pluginFolder === null) return;
  mkdirSync("/run/docker/plugins");
  must("mount", ["--bind", pluginFolder, "/run/docker/plugins"]);
}

function must(program: string, parameters: readonly string[]): void {
  const { status, stderr } = spawnSync(program, parameters);
  if (status !== 0) throw new Error(`${program} ${parameters.join(" ")}: ${stderr}`);
}

function fail(message: string): void {
  console.error(message);
  process.exit(1);
}

async function waitForFile(path: string): Promise<void> {
  for (let waitedMs = 0; !existsSync(path); waitedMs += waitEveryMs) {
    if (waitedMs > containerdWaitMs) fail(`${path} does not appear`);
    await Bun.sleep(waitEveryMs);
  }
}

/** Only orphans are waited for: the runtime waits for what it started itself. */
function adoptOrphans(ours: readonly ChildProcess[]): void {
  const { symbols } = dlopen("libc.so.6", {
    prctl: { args: ["i32", "u64", "u64", "u64", "u64"], returns: "i32" },
    waitpid: { args: ["i32", "ptr", "i32"], returns: "i32" },
  });
  if (symbols.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) !== 0) throw new Error("no subreaper");
  const reap = () => {
    for (const pid of children()) {
      if (!ours.some((child) => child.pid === pid)) symbols.waitpid(pid, null, WNOHANG);
    }
  };
  setInterval(reap, reapEveryMs);
}

function children(): readonly number[] {
  const text = readFileSync(`/proc/self/task/${process.pid}/children`, "utf8");
  return text.split(" ").filter(Boolean).map(Number);
}

/** The children of what is killed become ours in turn. */
async function endOrphans(): Promise<void> {
  for (let pids = children(); pids.length > 0; pids = children()) {
    for (const pid of pids) {
      try {
        process.kill(pid, "SIGKILL");
      } catch {
        // It has just been reaped.
      }
    }
    await Bun.sleep(waitEveryMs);
  }
}
