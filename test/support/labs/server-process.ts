// A server of the labs: one program that a test kills, freezes and starts again.
import { type ChildProcess, spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { descendants, eventually, hasEnded, signalAll, stopChild } from "../child.ts";

const usualStartTimeoutMs = 20_000;
const endTimeoutMs = 20_000;
const outputCharactersMax = 8_000;

/** A test run that is killed takes its servers along. */
const [outer, ...more] = ["setpriv", "--pdeathsig", "KILL"] as const;

/** What a test may do to a server. */
export interface ServerSwitches extends AsyncDisposable {
  /** SIGKILL to all its processes, then waits for the end. */
  kill(): Promise<void>;
  /** Starts it after `kill`, and waits until it serves. */
  start(): Promise<void>;
  /** SIGSTOP and SIGCONT: connections stay open, and nothing answers on them. */
  freeze(): Promise<void>;
  thaw(): Promise<void>;
}

export interface ServerProgram {
  /** Looked at for each start: where it listens may have changed. */
  command(): readonly [string, ...string[]];
  /** The first process only enters a network and waits for the server (nsenter). */
  readonly isEntered: boolean;
  /** Whether it serves; `pid` is in its network. Asked again until it says so. */
  isReady(pid: number): boolean | Promise<boolean>;
  readonly environment?: Readonly<Record<string, string>>;
  /** Where it writes what it has to say, if not to its output. */
  readonly log?: string;
  /** 20 seconds unless given. */
  readonly startTimeoutMs?: number;
}

/** Starts it. Disposing of it kills it; what it printed is in the error when it does not start. */
export async function startServer(server: ServerProgram): Promise<ServerSwitches> {
  let running: ChildProcess | undefined;

  const start = async () => {
    const [program, ...parameters] = server.command();
    const child = spawn(outer, [...more, program, ...parameters], {
      // A socket as standard input makes smbd serve that one alone.
      stdio: ["ignore", "pipe", "pipe"],
      // And it ends by killing its whole process group.
      detached: true,
      env: { ...process.env, ...server.environment },
    });
    running = child;
    let said = "";
    const keep = (chunk: Buffer) => {
      said = (said + chunk.toString("utf8")).slice(-outputCharactersMax);
    };
    child.stdout?.on("data", keep);
    child.stderr?.on("data", keep);
    const logged = () => (server.log === undefined ? "" : readFileSync(server.log, "utf8"));
    const otherwise = () =>
      `${[program, ...parameters].join(" ")} does not start:\n${said}${logged()}`;
    await eventually(
      async () => {
        if (child.pid === undefined || hasEnded(child)) throw new Error(otherwise());
        return (await server.isReady(child.pid)) ? true : undefined;
      },
      { timeoutMs: server.startTimeoutMs ?? usualStartTimeoutMs, otherwise },
    );
  };
  const signal = async (name: NodeJS.Signals): Promise<readonly number[]> => {
    if (running?.pid === undefined || hasEnded(running)) return [];
    const [first, ...others] = await descendants(running.pid);
    const signalled = server.isEntered || first === undefined ? others : [first, ...others];
    signalAll(signalled, name);
    // nsenter stops itself when the server stops, and would not notice its end.
    if (first !== undefined && name !== "SIGSTOP") signalAll([first], "SIGCONT");
    return signalled;
  };
  const kill = async () => {
    const killed = await signal("SIGKILL");
    // nsenter ends before a server that is still dying, and keeps its files and ports.
    await eventually(() => (killed.some(isAlive) ? undefined : true), {
      timeoutMs: endTimeoutMs,
      otherwise: () => `${server.command().join(" ")} does not end`,
    });
    if (running !== undefined) await stopChild(running);
    running = undefined;
  };
  try {
    await start();
  } catch (error) {
    await kill();
    throw error;
  }
  return {
    kill,
    start,
    freeze: async () => void (await signal("SIGSTOP")),
    thaw: async () => void (await signal("SIGCONT")),
    [Symbol.asyncDispose]: kill,
  };
}

/** Not even its locks and ports are left of what only waits for its parent to ask how it ended. */
function isAlive(pid: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    return !stat.slice(stat.lastIndexOf(")")).startsWith(") Z");
  } catch {
    return false;
  }
}

/** Whether somebody in the network of process `pid` listens on this TCP port (IPv4). */
export async function listensOn(pid: number, port: number): Promise<boolean> {
  const wanted = `:${port.toString(16).toUpperCase().padStart(4, "0")}`;
  const table = await Bun.file(`/proc/${pid}/net/tcp`).text();
  return table.split("\n").some((line) => {
    const [, local = "", , state] = line.trim().split(/ +/);
    return state === "0A" && local.endsWith(wanted);
  });
}

/** A port of 127.0.0.1 that was free a moment ago, for servers that cannot choose one. */
export function freePort(): number {
  const probe = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
  const { port } = probe;
  probe.stop(true);
  return port;
}
