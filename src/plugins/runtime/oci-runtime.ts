// runc or crun, and conmon as the parent of what they run.
//
// conmon outlives the daemon, reaps the plugin's first process, keeps its log and writes down its
// exit status. runc is taken before crun: crun 1.8 refuses machines whose control groups are of
// both versions ("cgroups in hybrid mode not supported"), whatever it is told about them.
import { readFileSync } from "node:fs";
import { setTimeout as pause } from "node:timers/promises";
import { EngineError } from "../../core/errors.ts";
import type { Host, ProgramResult } from "../../core/host.ts";
import type { Operation } from "../../core/operation.ts";
import { LOG_BYTES_MAX } from "./plugin-log.ts";
import { exitDirectory, type RunPlaces, runtimeDirectory } from "./run-places.ts";
import { endStrays } from "./stray-programs.ts";

/** In this order. */
const runtimes = ["runc", "crun"] as const;

/** A command takes some 10 ms; more than this is a machine that stands still. */
const COMMAND_MS_MAX = 20_000;
const LOOK_AGAIN_MS = 5;

export interface OciRuntimeParts {
  readonly runDirectory: string;
  readonly host: Host;
}

/** A container that has been made and waits for its start. */
export interface MadeContainer {
  /** Of the plugin's first process, on the host. */
  readonly pid: number;
  readonly monitorPid: number;
}

export class OciRuntime {
  readonly #parts: OciRuntimeParts;

  constructor(parts: OciRuntimeParts) {
    this.#parts = parts;
  }

  /**
   * Makes the container of a bundle, with conmon above it. Throws `plugin.start_failed` with the
   * runtime's own words in Docker's form, and `host.program_missing`.
   */
  async create(id: string, places: RunPlaces, operation: Operation): Promise<MadeContainer> {
    const monitor = await this.#run("conmon", this.#monitorArguments(id, places), operation);
    if (monitor.exitCode !== 0) throw startFailed(`conmon: ${lastLine(monitor)}`);
    const monitorPid = pidIn(places.monitorPidFile);
    const { host } = this.#parts;
    const untilMs = host.monotonicMs() + COMMAND_MS_MAX;
    for (;;) {
      const isOver = monitorPid === undefined || host.processStart(monitorPid) === undefined;
      const pid = pidIn(places.pidFile);
      if (pid !== undefined && monitorPid !== undefined) return { pid, monitorPid };
      if (isOver) throw startFailed(inDockersForm("create", wordsIn(places.runtimeLog)));
      // Not the caller's signal: what is half made must not go on behind our back.
      if (host.monotonicMs() > untilMs) {
        await endStrays(host, { ...this.#parts, bundle: places.bundle });
        throw startFailed(`${this.#name()} did not make the container in time`);
      }
      await pause(LOOK_AGAIN_MS);
    }
  }

  /** Lets its process begin. Throws `plugin.start_failed`. */
  async start(id: string, places: RunPlaces, operation: Operation): Promise<void> {
    const result = await this.#command(["start", id], operation);
    if (result.exitCode === 0) return;
    const words = wordsIn(places.runtimeLog) ?? lastLine(result);
    throw startFailed(inDockersForm("start", words));
  }

  /** A process that is gone is no failure: the caller looks for itself. */
  async kill(id: string, signal: "TERM" | "KILL", operation: Operation): Promise<void> {
    await this.#command(["kill", id, signal], operation);
  }

  /** Kills what is left of it, and forgets it. A container that is half there may resist. */
  async remove(id: string, operation: Operation): Promise<void> {
    await this.#command(["delete", "--force", id], operation);
  }

  /** runc or crun. Throws `host.program_missing`. */
  #path(): string {
    const { host } = this.#parts;
    for (const name of runtimes) {
      const path = host.findProgram(name);
      if (path !== undefined) return path;
    }
    throw new EngineError(
      "host.program_missing",
      "neither the program runc nor crun is there, and plugins cannot run (Debian package runc)",
      { details: { program: "runc", debianPackage: "runc" } },
    );
  }

  #name(): string {
    return this.#path().replace(/.*\//, "");
  }

  #command(words: readonly string[], operation: Operation): Promise<ProgramResult> {
    return this.#run(this.#path(), ["--root", runtimeDirectory(this.#parts), ...words], operation);
  }

  /** What has begun is done: the caller's signal ends waiting, and no command in the middle. */
  #run(program: string, words: readonly string[], operation: Operation): Promise<ProgramResult> {
    const signal = AbortSignal.timeout(COMMAND_MS_MAX);
    return this.#parts.host.run(program, words, { ...operation, signal });
  }

  #monitorArguments(id: string, places: RunPlaces): readonly string[] {
    return [
      ...["--api-version", "1", "--cid", id, "--cuuid", id, "--name", id],
      ...["--runtime", this.#path(), "--bundle", places.bundle],
      ...["--container-pidfile", places.pidFile, "--conmon-pidfile", places.monitorPidFile],
      ...["--exit-dir", exitDirectory(this.#parts)],
      ...["--log-path", `k8s-file:${places.logLink}/log`],
      ...["--log-size-max", String(LOG_BYTES_MAX)],
      // Its own socket in the bundle by a short path, instead of one below /run/crio.
      "--full-attach",
      ...["--runtime-arg", `--root=${runtimeDirectory(this.#parts)}`],
      ...["--runtime-arg", `--log=${places.runtimeLog}`],
      ...["--runtime-arg", "--log-format=json"],
    ];
  }
}

export function startFailed(message: string, details = {}): EngineError {
  return new EngineError("plugin.start_failed", message, { details });
}

/** Recorded of Docker 20.10 and 28; what it gets from containerd ends in the name of a status. */
function inDockersForm(doing: "create" | "start", words: string | undefined): string {
  const given = words ?? "the runtime ended without a word";
  const task = doing === "create" ? "failed to create shim task: " : "";
  return `${task}OCI runtime ${doing} failed: ${given}: unknown`;
}

/** The last failure that the runtime wrote down. */
function wordsIn(runtimeLog: string): string | undefined {
  const lines = textOf(runtimeLog).split("\n");
  const failures = lines.flatMap((line) => messageIn(line) ?? []);
  return failures.at(-1);
}

function messageIn(line: string): string | undefined {
  if (line === "") return undefined;
  try {
    const entry: unknown = JSON.parse(line);
    if (typeof entry !== "object" || entry === null) return undefined;
    if (!("level" in entry && "msg" in entry)) return undefined;
    if (entry.level !== "error" || typeof entry.msg !== "string") return undefined;
    return entry.msg.trim().replaceAll("\n", "; ");
  } catch {
    return undefined;
  }
}

function lastLine({ stderr, exitCode }: ProgramResult): string {
  return stderr.trim().split("\n").at(-1) || `it ended with status ${exitCode}`;
}

function pidIn(file: string): number | undefined {
  const pid = Number.parseInt(textOf(file), 10);
  return pid > 0 ? pid : undefined;
}

function textOf(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return "";
  }
}
