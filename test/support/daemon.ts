// Starts a Holdfast daemon for a test: a process of its own, on a Unix socket in a fresh directory.
//
// HOLDFAST_UNDER_TEST=PATH runs that executable; otherwise the sources are run as they are.
import type { ChildProcess } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { answersPing, eventually, hasEnded, startChild, stopChild } from "./child.ts";

/** How long the daemon may take until it says that it is ready and answers. */
const startTimeoutMs = 30_000;

/** How much of its output is kept for errors. */
const outputCharactersMax = 64_000;

/** A test run that is killed takes its daemons along: setpriv(1) becomes the daemon, same pid. */
const diesWithParent = Bun.which("setpriv") === null ? [] : ["setpriv", "--pdeathsig", "KILL"];

const repository = resolve(import.meta.dir, "../..");

export interface DaemonOptions {
  /** The root directory; made when missing, left in place when the daemon stops. */
  readonly root: string;
  /** A path of at most 107 bytes. A fresh one unless given. */
  readonly socketPath?: string;
  /** The socket of the volume driver. None unless given: Docker's own place is the machine's. */
  readonly pluginSocketPath?: string;
  /** Where the containers' socket for locks is. Nowhere unless given, for the same reason. */
  readonly lockDirectory?: string;
  /** Where other plugins are looked for. Nowhere unless given, for the same reason. */
  readonly pluginSockets?: string;
  readonly pluginSpecs?: string;
  /** The key of the secrets. Beside the root unless given: the default is the machine's. */
  readonly secretKey?: string;
  /** Further arguments after `daemon --root … --host …`. */
  readonly parameters?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  /** The program and first arguments; `holdfastCommand()` unless given. */
  readonly command?: readonly [string, ...string[]];
}

/** A daemon that has said that it is ready. Disposing of it stops it. */
export interface RunningDaemon extends AsyncDisposable {
  readonly socketPath: string;
  readonly root: string;
  readonly pid: number;
  /** The last of what it printed, both streams. */
  output(): string;
  /** SIGTERM, then waits for the end; killed after 20 seconds. Repeatable. */
  stop(): Promise<void>;
  /** SIGKILL, then waits for the end. */
  kill(): Promise<void>;
}

/** The program and first arguments that are Holdfast on this machine. */
export function holdfastCommand(): readonly [string, ...string[]] {
  const given = process.env["HOLDFAST_UNDER_TEST"];
  return given === undefined ? [process.execPath, join(repository, "src/main.ts")] : [given];
}

/** The words of a daemon that is no plugin of engines, looks for none, and serves no containers. */
export const withoutPlugins = [
  "--plugin-socket=none",
  "--plugin-sockets=none",
  "--lock-directory=none",
] as const;

/** A directory in memory where the machine has one: the disk is slow for many small files. */
export function temporaryDirectory(): string {
  const parent = existsSync("/dev/shm") ? "/dev/shm" : tmpdir();
  return mkdtempSync(join(parent, "holdfast-test-"));
}

/** Starts the daemon; throws, with what it printed, when it ends early or is not ready in 30 s. */
export async function startDaemon(options: DaemonOptions): Promise<RunningDaemon> {
  mkdirSync(options.root, { recursive: true });
  const own = mkdtempSync(join(tmpdir(), "hf-"));
  const socketPath = options.socketPath ?? join(own, "holdfast.sock");
  const [program, ...first] = options.command ?? holdfastCommand();
  const plugin = ["--plugin-socket", options.pluginSocketPath ?? "none"];
  const others = [`--lock-directory=${options.lockDirectory ?? "none"}`];
  others.push(`--plugin-sockets=${options.pluginSockets ?? "none"}`);
  others.push(`--plugin-specs=${options.pluginSpecs ?? "none"}`);
  others.push(`--secret-key=${options.secretKey ?? `${options.root}.key`}`);
  const place = ["--root", options.root, "--host", `unix://${socketPath}`, ...plugin, ...others];
  const command = [program, ...first, "daemon", ...place, ...(options.parameters ?? [])];
  const [outer = program, ...rest] = [...diesWithParent, ...command];
  const child = startChild(outer, rest, options.environment);
  const output = listen(child);
  async function end(signal: "SIGTERM" | "SIGKILL"): Promise<void> {
    if (signal === "SIGKILL") child.kill(signal);
    if (child.pid !== undefined) await stopChild(child);
    rmSync(own, { recursive: true, force: true });
  }
  const stop = () => end("SIGTERM");
  try {
    await untilReady(child, socketPath, output);
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    socketPath,
    root: options.root,
    pid: child.pid ?? 0,
    output,
    stop,
    kill: () => end("SIGKILL"),
    [Symbol.asyncDispose]: stop,
  };
}

/** Keeps the last of what the child prints, and drains its pipes. */
function listen(child: ChildProcess): () => string {
  let text = "";
  const keep = (more: string) => {
    text = (text + more).slice(-outputCharactersMax);
  };
  child.stdout?.on("data", (chunk: Buffer) => keep(chunk.toString("utf8")));
  child.stderr?.on("data", (chunk: Buffer) => keep(chunk.toString("utf8")));
  child.on("error", (error) => keep(error.message));
  return () => text;
}

async function untilReady(
  child: ChildProcess,
  socketPath: string,
  output: () => string,
): Promise<void> {
  const otherwise = () => `the Holdfast daemon is not ready:\n${output()}`;
  await eventually(
    async () => {
      if (child.pid === undefined || hasEnded(child)) throw new Error(otherwise());
      return output().includes("ready") && (await answersPing(socketPath)) ? true : undefined;
    },
    { timeoutMs: startTimeoutMs, otherwise },
  );
}
