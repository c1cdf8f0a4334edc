// Starts a real dockerd for a test or a benchmark, apart from any other on the machine.
//
// It has a mount namespace of its own with a tmpfs on /run/docker (the plugin directory there is
// fixed in dockerd), a data root of the caller's choice, an exec root that lasts as long as the
// `RunningDockerd` (so a restart finds its containers), and touches no network.
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  answersPing,
  descendants,
  type Ended,
  eventually,
  hasEnded,
  runToEnd,
  signalAll,
  startChild,
  stopChild,
} from "./child.ts";
import type { LaunchPlan } from "./dockerd-launcher.ts";

/** How long dockerd and its containerd may take until the socket answers. */
const startTimeoutMs = 60_000;

/** How long a command of the docker command line may take. */
const commandTimeoutMs = 60_000;

/** How much of the log stands in an error. */
const logTailCharacters = 2_000;

export interface DockerdOptions {
  /** An absolute path. What lies there from an earlier start is used again. */
  readonly dataRoot: string;
  /** "vfs" unless said otherwise: it works on every file system. */
  readonly storageDriver?: string;
  /** Further arguments of dockerd. */
  readonly parameters?: readonly string[];
  /** A folder that this dockerd sees as /run/docker/plugins, with what comes into it later. */
  readonly pluginFolder?: string;
  /** How mounts come into its namespace: "slave" unless said otherwise. */
  readonly propagation?: "slave" | "private";
  /** Its `/` is shared, as systemd makes it: containers may have it inside as a slave. */
  readonly sharesRoot?: boolean;
  /**
   * What this dockerd sees as /etc/subuid and /etc/subgid, for `--userns-remap`. The machine has
   * both files.
   */
  readonly subordinateIds?: string;
  /** Containers live on without dockerd: `--live-restore`, and a containerd of their own. */
  readonly liveRestore?: boolean;
  /** A network of its own, with nothing but loopback: for a Swarm. Needs the program ip. */
  readonly ownNetwork?: boolean;
}

/** A dockerd that answers. Disposing of it stops it. */
export interface RunningDockerd extends AsyncDisposable {
  readonly socketPath: string;
  readonly dataRoot: string;
  readonly logPath: string;
  /** The process id of dockerd itself, which a restart changes: for its memory, or for a kill. */
  readonly pid: number;
  /**
   * SIGTERM, then waits until dockerd, its containerd and all containers are gone and reaped.
   * Without `liveRestore` dockerd stops its containers first: one that ignores SIGTERM takes 10 s.
   */
  stop(): Promise<void>;
  /** SIGKILL to dockerd, its containerd and its containers: for an engine that is thrown away. */
  kill(): Promise<void>;
  /**
   * SIGKILL to dockerd itself, and waits for its end. Containers live on; the containerd that
   * dockerd started dies with it, the one of `liveRestore` lives on too.
   */
  killEngineOnly(): Promise<void>;
  /** SIGTERM where it runs, then starts it again and waits for its socket. */
  restart(): Promise<void>;
  /** The docker command line on this engine. Killed after 60 s. */
  docker(...parameters: readonly string[]): Promise<Ended>;
}

/** Starts dockerd and waits for its socket. Needs root, dockerd and unshare. */
export async function startDockerd(options: DockerdOptions): Promise<RunningDockerd> {
  mkdirSync(options.dataRoot, { recursive: true });
  mkdirSync("/run/docker", { recursive: true });
  const dockerd = new Dockerd(options.dataRoot, mkdtempSync(join(tmpdir(), "hfd-")), options);
  try {
    await dockerd.answers();
    return dockerd;
  } catch (error) {
    await dockerd.stop();
    throw error;
  }
}

class Dockerd implements RunningDockerd {
  readonly dataRoot: string;
  readonly socketPath: string;
  readonly logPath: string;
  readonly #folder: string;
  readonly #launcher: ReturnType<typeof startChild>;
  readonly #heard: () => string;

  constructor(dataRoot: string, folder: string, options: DockerdOptions) {
    this.dataRoot = dataRoot;
    this.#folder = folder;
    this.socketPath = join(folder, "docker.sock");
    this.logPath = join(folder, "dockerd.log");
    this.#launcher = startChild("unshare", [
      "--mount",
      "--propagation",
      options.propagation ?? "slave",
      ...(options.ownNetwork === true ? ["--net"] : []),
      process.execPath,
      join(import.meta.dir, "dockerd-launcher.ts"),
      JSON.stringify(planOf(options, folder, this)),
    ]);
    this.#heard = listen(this.#launcher);
  }

  get pid(): number {
    return Number(this.#starts().at(-1));
  }

  /** Waits until the start that is under way has led to a socket that answers. */
  async answers(startsBefore = 0): Promise<void> {
    const otherwise = () => whyNot(this.#heard(), this.logPath);
    await eventually(
      async () => {
        if (hasEnded(this.#launcher)) throw new Error(otherwise());
        if (this.#starts().length <= startsBefore) return undefined;
        if (await isGone(this.pid)) throw new Error(otherwise());
        return (await answersPing(this.socketPath)) ? true : undefined;
      },
      { timeoutMs: startTimeoutMs, otherwise },
    );
  }

  readonly stop = () => this.#end(false);

  readonly kill = () => this.#end(true);

  readonly killEngineOnly = async () => {
    signalAll([this.pid], "SIGKILL");
    await waitForEnd(this.pid);
  };

  readonly restart = async () => {
    const before = this.#starts().length;
    signalAll([this.pid], "SIGTERM");
    await waitForEnd(this.pid);
    this.#launcher.stdin?.write("start\n");
    await this.answers(before);
  };

  readonly docker = (...parameters: readonly string[]) =>
    runToEnd("docker", ["--host", `unix://${this.socketPath}`, ...parameters], {
      timeoutMs: commandTimeoutMs,
    });

  readonly [Symbol.asyncDispose] = this.stop;

  async #end(killsAtOnce: boolean): Promise<void> {
    const { pid } = this.#launcher;
    const family = pid === undefined ? [] : (await descendants(pid)).slice(1);
    if (killsAtOnce) signalAll(family, "SIGKILL");
    await stopChild(this.#launcher);
    await Promise.all(family.map(waitForEnd));
    rmSync(this.#folder, { recursive: true, force: true });
  }

  #starts(): readonly (string | undefined)[] {
    return [...this.#heard().matchAll(/^dockerd (\d+)$/gm)].map(([, pid]) => pid);
  }
}

function planOf(
  options: DockerdOptions,
  folder: string,
  { logPath, socketPath }: Pick<RunningDockerd, "logPath" | "socketPath">,
): LaunchPlan {
  const containerd = options.liveRestore === true ? containerdIn(folder) : null;
  const further =
    containerd === null ? [] : ["--live-restore", `--containerd=${containerd.socket}`];
  return {
    logPath,
    pluginFolder: options.pluginFolder ?? null,
    sharesRoot: options.sharesRoot ?? false,
    subordinateIds: options.subordinateIds ?? null,
    hasOwnNetwork: options.ownNetwork === true,
    dockerd: [...dockerdParameters(options, folder, socketPath), ...further],
    containerd,
    stalePidFiles: [join(folder, "docker.pid"), join(folder, "x/containerd/containerd.pid")],
  };
}

function containerdIn(folder: string): LaunchPlan["containerd"] {
  const socket = join(folder, "containerd.sock");
  const configuration = join(folder, "containerd.toml");
  writeFileSync(
    configuration,
    `version = 2
root = "${folder}/c"
state = "${folder}/s"
disabled_plugins = ["io.containerd.grpc.v1.cri"]
[grpc]
address = "${socket}"
`,
  );
  return { parameters: ["--config", configuration], socket };
}

function dockerdParameters(
  options: DockerdOptions,
  folder: string,
  socketPath: string,
): readonly string[] {
  return [
    `--data-root=${options.dataRoot}`,
    `--exec-root=${join(folder, "x")}`,
    `--pidfile=${join(folder, "docker.pid")}`,
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

/** The first thread of a killed process is a zombie while others still keep its sockets open. */
async function isGone(pid: number): Promise<boolean> {
  const status = await Bun.file(`/proc/${pid}/stat`)
    .text()
    .catch(() => undefined);
  if (status === undefined) return true;
  if (!status.includes(") Z ")) return false;
  const threads = await readdir(`/proc/${pid}/task`).catch(() => []);
  return threads.length <= 1;
}
