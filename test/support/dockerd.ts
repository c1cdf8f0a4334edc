// Starts a real dockerd for a test or a benchmark, apart from any other on the machine.
//
// It has a mount namespace of its own with a tmpfs on /run/docker (the plugin directory there is
// fixed in dockerd), a data root of the caller's choice, a fresh exec root for each start (a stale
// containerd.pid would make it adopt a stranger's containerd), and touches no network.
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { answersPing, descendants, eventually, hasEnded, startChild, stopChild } from "./child.ts";

/** How long dockerd and its containerd may take until the socket answers. */
const startTimeoutMs = 60_000;

/** How much of the log stands in an error. */
const logTailCharacters = 2_000;

export interface DockerdOptions {
  /** An absolute path. What lies there from an earlier start is used again. */
  readonly dataRoot: string;
  /** "vfs" unless said otherwise: it works on every file system. */
  readonly storageDriver?: string;
  /** Further arguments of dockerd. */
  readonly parameters?: readonly string[];
}

/** A dockerd that answers. Disposing of it stops it. */
export interface RunningDockerd extends AsyncDisposable {
  readonly socketPath: string;
  readonly dataRoot: string;
  readonly logPath: string;
  /** The process id of dockerd itself: for its memory, or for a kill. */
  readonly pid: number;
  /** SIGTERM, then waits until dockerd and its containerd are gone and reaped. Repeatable. */
  stop(): Promise<void>;
  /** SIGKILL to dockerd and its containerd: for an engine that is thrown away. */
  kill(): Promise<void>;
}

/** Starts dockerd and waits for its socket. Needs root, dockerd and unshare. */
export async function startDockerd(options: DockerdOptions): Promise<RunningDockerd> {
  mkdirSync(options.dataRoot, { recursive: true });
  mkdirSync("/run/docker", { recursive: true });
  const execRoot = mkdtempSync(join(tmpdir(), "hfd-"));
  const socketPath = join(execRoot, "docker.sock");
  const logPath = join(execRoot, "dockerd.log");
  const launcher = startChild("unshare", [
    "--mount",
    "--propagation",
    "slave",
    process.execPath,
    join(import.meta.dir, "dockerd-launcher.ts"),
    logPath,
    ...dockerdParameters(options, execRoot, socketPath),
  ]);
  const heard = listen(launcher);
  async function end(killsAtOnce: boolean): Promise<void> {
    const family = launcher.pid === undefined ? [] : await descendants(launcher.pid);
    if (killsAtOnce) for (const pid of family.slice(1)) process.kill(pid, "SIGKILL");
    await stopChild(launcher);
    await Promise.all(family.slice(1).map(waitForEnd));
    rmSync(execRoot, { recursive: true, force: true });
  }
  const stop = () => end(false);
  try {
    const pid = await eventually(
      async () => {
        if (hasEnded(launcher)) throw new Error(whyNot(heard(), logPath));
        const said = /^dockerd (\d+)$/m.exec(heard());
        return said !== null && (await answersPing(socketPath)) ? Number(said[1]) : undefined;
      },
      { timeoutMs: startTimeoutMs, otherwise: () => whyNot(heard(), logPath) },
    );
    return {
      socketPath,
      dataRoot: options.dataRoot,
      logPath,
      pid,
      stop,
      kill: () => end(true),
      [Symbol.asyncDispose]: stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

function dockerdParameters(
  options: DockerdOptions,
  execRoot: string,
  socketPath: string,
): readonly string[] {
  return [
    `--data-root=${options.dataRoot}`,
    `--exec-root=${join(execRoot, "x")}`,
    `--pidfile=${join(execRoot, "docker.pid")}`,
    `--host=unix://${socketPath}`,
    `--storage-driver=${options.storageDriver ?? "vfs"}`,
    "--iptables=false",
    "--ip6tables=false",
    "--bridge=none",
    ...(options.parameters ?? []),
  ];
}

/** Keeps what the launcher prints, and drains its pipes. */
function listen(launcher: ReturnType<typeof startChild>): () => string {
  let text = "";
  const keep = (chunk: Buffer) => {
    text += chunk.toString("utf8");
  };
  launcher.stdout?.on("data", keep);
  launcher.stderr?.on("data", keep);
  return () => text;
}

function whyNot(heard: string, logPath: string): string {
  let log = "";
  try {
    log = readFileSync(logPath, "utf8").slice(-logTailCharacters);
  } catch {
    log = "(no log)";
  }
  return `dockerd does not answer. ${heard.trim()}\n${log}`;
}

/** A process that is not our child cannot be reaped by us: its place in /proc tells the end. */
async function waitForEnd(pid: number): Promise<void> {
  await eventually(async () => ((await isGone(pid)) ? true : undefined), {
    timeoutMs: startTimeoutMs,
    otherwise: () => `process ${pid} of dockerd does not end`,
  });
}

async function isGone(pid: number): Promise<boolean> {
  const status = await Bun.file(`/proc/${pid}/stat`)
    .text()
    .catch(() => undefined);
  return status === undefined || status.includes(") Z ");
}
