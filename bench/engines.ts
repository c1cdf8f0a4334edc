// Starts and ends the engines that are compared: a real dockerd, and Holdfast.
import { closeSync, openSync } from "node:fs";
import { mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { childrenOf } from "./memory.ts";
import { mountNamespace } from "./namespace.ts";
import { logTail, programPath } from "./processes.ts";

const READY_DEADLINE_MS = 120_000;
/** How long a daemon has to end after SIGTERM before it is killed. */
const STOP_DEADLINE_MS = 20_000;
const POLL_MS = 2;

/** Where an engine keeps its things. Its data outlives it and serves the next start. */
export interface Place {
  /** For sockets and logs; short, because a socket's path has at most 107 bytes. */
  readonly directory: string;
  /** On the file system under test. */
  readonly data: string;
}

/** An engine that is running. Disposing of it ends it. */
export interface Engine extends AsyncDisposable {
  readonly kind: EngineKind;
  readonly pid: number;
  readonly socket: string;
  readonly place: Place;
  /** From starting the program to its first answer, and to its own word that it is ready. */
  readonly startedMs: number;
  /** Ends the engine: SIGTERM first, SIGKILL when that takes too long. */
  stop(): Promise<void>;
  /** The processes that the engine started and keeps, without itself. */
  children(): Promise<readonly number[]>;
}

/** A kind of engine. */
export interface EngineKind {
  /** As tables call it. */
  readonly name: string;
  /** Its command that lists volumes. */
  readonly listCommand: readonly string[];
  /** The environment that sends that command to an engine's socket. */
  listEnvironment(engine: Engine): Readonly<Record<string, string>>;
  start(place: Place, signal: AbortSignal): Promise<Engine>;
}

/** Debian's dockerd, with nothing but what volumes need. */
export function dockerdKind(name = "dockerd"): EngineKind {
  const docker = programPath("docker", "docker.io");
  const kind: EngineKind = {
    name,
    listCommand: [docker, "volume", "ls"],
    listEnvironment: (engine) => ({
      DOCKER_HOST: `unix://${engine.socket}`,
      DOCKER_CONFIG: join(engine.place.directory, "client"),
    }),
    async start(place, signal) {
      const path = (name: string): string => join(place.directory, name);
      await mkdir(path("client"), { recursive: true });
      await writeFile(path("daemon.json"), "{}\n");
      await rm(path("exec"), { recursive: true, force: true });
      const command = [
        programPath("dockerd", "docker.io"),
        ...["--config-file", path("daemon.json"), "--pidfile", path("pid")],
        ...["--data-root", place.data, "--exec-root", path("exec")],
        ...["--host", `unix://${path("s")}`],
        ...["--iptables=false", "--ip6tables=false", "--bridge=none"],
      ];
      return startDaemon({ kind, command, place, announces: false, signal });
    },
  };
  return kind;
}

/** Holdfast, from its executable; `parameters` are further ones of its daemon. */
export function holdfastKind(executable: string, parameters: readonly string[] = []): EngineKind {
  const kind: EngineKind = {
    name: "Holdfast",
    listCommand: [executable, "volume", "ls"],
    listEnvironment: (engine) => ({ HOLDFAST_HOST: `unix://${engine.socket}` }),
    start(place, signal) {
      const host = `unix://${join(place.directory, "s")}`;
      const none = ["--plugin-socket", "none", "--lock-directory", "none"];
      const places = ["--root", place.data, "--host", host, ...none];
      const command = [executable, "daemon", ...places, ...parameters];
      return startDaemon({ kind, command, place, announces: true, signal });
    },
  };
  return kind;
}

interface StartRequest {
  readonly kind: EngineKind;
  readonly command: readonly string[];
  readonly place: Place;
  /** Whether the daemon prints a line with `ready` on its standard output. */
  readonly announces: boolean;
  readonly signal: AbortSignal;
}

async function startDaemon(request: StartRequest): Promise<Engine> {
  const { kind, place, signal } = request;
  await mkdir(place.directory, { recursive: true });
  await mkdir(place.data, { recursive: true });
  const socket = join(place.directory, "s");
  await rm(socket, { force: true });
  await using namespace = await mountNamespace(signal);

  const began = performance.now();
  const child = spawned(request, namespace.prefix);
  let isWanted = true;
  const stop = async (): Promise<void> => {
    isWanted = false;
    await ended(child);
  };
  try {
    const announced =
      child.stdout instanceof ReadableStream ? readyLine(child.stdout) : Promise.resolve();
    const deadline = AbortSignal.any([signal, AbortSignal.timeout(READY_DEADLINE_MS)]);
    const gone = child.exited.then((code) => {
      throw new Error(`it ended with ${code}`);
    });
    await Promise.race([Promise.all([answered(socket, deadline), announced]), gone]);
  } catch (error) {
    await stop();
    signal.throwIfAborted();
    const tail = await logTail(join(place.directory, "log"));
    throw new Error(`${kind.name} did not start: ${String(error)}\n${tail}`, { cause: error });
  }
  const startedMs = performance.now() - began;
  child.exited.then(async (code) => {
    if (isWanted && !signal.aborted) {
      const tail = await logTail(join(place.directory, "log"));
      console.error(`${kind.name} ended by itself with ${code}\n${tail}`);
    }
  });
  return {
    kind,
    pid: child.pid,
    socket,
    place,
    startedMs,
    stop,
    children: () => childrenOf(child.pid),
    [Symbol.asyncDispose]: stop,
  };
}

/** Starts the program with its log in a file, so that no log costs the bench any time. */
function spawned(request: StartRequest, prefix: readonly string[]): Bun.Subprocess {
  const { place, command, announces } = request;
  const log = openSync(join(place.directory, "log"), "w");
  try {
    return Bun.spawn([...prefix, ...command], {
      stdin: "ignore",
      stdout: announces ? "pipe" : log,
      stderr: log,
      env: { ...process.env, HOME: place.directory },
    });
  } finally {
    closeSync(log);
  }
}

async function ended(child: Bun.Subprocess): Promise<void> {
  if (child.exitCode === null && child.signalCode === null) {
    child.kill("SIGTERM");
    const killer = setTimeout(() => child.kill("SIGKILL"), STOP_DEADLINE_MS);
    await child.exited;
    clearTimeout(killer);
  }
}

/** Resolves at the line with `ready`, and goes on reading, so that the daemon never blocks. */
async function readyLine(stream: ReadableStream<Uint8Array<ArrayBuffer>>): Promise<void> {
  const ready = Promise.withResolvers<void>();
  const readOn = async (): Promise<void> => {
    const decoder = new TextDecoder();
    let text = "";
    let isReady = false;
    for await (const bytes of stream) {
      if (!isReady) {
        text += decoder.decode(bytes, { stream: true });
        isReady = /\bready\b/.test(text);
        if (isReady) {
          ready.resolve();
        }
      }
    }
    ready.reject(new Error(`it closed its output without a line "ready": ${text}`));
  };
  readOn().catch(ready.reject);
  return ready.promise;
}

/** Resolves when the engine answers its first request. Rejects with the signal's reason. */
async function answered(socket: string, signal: AbortSignal): Promise<void> {
  for (;;) {
    signal.throwIfAborted();
    try {
      const reply = await fetch("http://engine/_ping", { unix: socket, signal });
      await reply.arrayBuffer();
      if (reply.ok) {
        return;
      }
    } catch {
      // Not listening yet, or not answering yet: the deadline decides how long that may last.
    }
    await pause(POLL_MS, undefined, { signal });
  }
}

/** The version that an engine says it has. */
export async function versionOf(engine: Engine): Promise<string> {
  const reply = await fetch("http://engine/version", { unix: engine.socket });
  const answer: unknown = await reply.json();
  if (typeof answer === "object" && answer !== null && "Version" in answer) {
    return String(answer.Version);
  }
  throw new Error(`${engine.kind.name} answers /version without a Version`);
}
