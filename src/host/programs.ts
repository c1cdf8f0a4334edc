// Runs programs: exact arguments, no shell, bounded output, no waiting for what is stuck.
import { readFileSync } from "node:fs";
import { EngineError } from "../core/errors.ts";
import { type Pace, PROGRAM_OUTPUT_BYTES_MAX, type ProgramResult } from "../core/host.ts";

/** Where programs are looked for, whatever the daemon's own PATH says. */
const PROGRAM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** Of all programs: messages in English, and nothing of the daemon's own environment. */
export const programEnvironment = { LC_ALL: "C", PATH: PROGRAM_PATH };

/** A daemon that a program left behind may keep its output open: we wait no longer than this. */
const OUTPUT_AFTER_EXIT_MS = 250;

/** Which Debian package brings a program that this daemon may want. */
const debianPackages: Readonly<Record<string, string>> = {
  mount: "mount",
  umount: "mount",
  rm: "coreutils",
  ls: "coreutils",
  env: "coreutils",
  nice: "coreutils",
  ionice: "util-linux",
  setpriv: "util-linux",
  podman: "podman",
  conmon: "conmon",
  runc: "runc",
  crun: "crun",
  groupadd: "passwd",
  groupdel: "passwd",
  "mount.nfs": "nfs-common",
  "mount.cifs": "cifs-utils",
  stat: "coreutils",
  sshfs: "sshfs",
  ssh: "openssh-client",
  rclone: "rclone",
};

/** A program that has been started. */
export interface RunningProgram {
  readonly pid: number;
  /** Settles when the process has really ended, which a process stuck in the kernel never does. */
  readonly result: Promise<ProgramResult>;
  /** SIGKILL to the program and to all that it started. Never throws, never waits. */
  kill(): void;
  /** Has it and all that it started pause, or go on. Never throws, never waits. */
  rest(isResting: boolean): void;
}

/** What a program reads and who listens to it, where that is not nothing and its caller. */
export interface ProgramStreams {
  /**
   * All of its standard input. What throws in the middle of it has the program killed before it
   * sees an end.
   */
  readonly input?: Uint8Array | AsyncIterable<Uint8Array> | undefined;
  /** Gets what it prints as it comes; then `ProgramResult.stdout` is "". */
  readonly heard?: ((chunk: Uint8Array) => void) | undefined;
}

export type StartProgram = (
  program: string,
  args: readonly string[],
  streams?: ProgramStreams,
) => RunningProgram;

/** `host.program_missing` with the package that brings the program. `words` may say more. */
export function programMissing(program: string, words = ""): EngineError {
  const debianPackage = debianPackages[program];
  const hint = debianPackage === undefined ? "" : ` (Debian package ${debianPackage})`;
  return new EngineError(
    "host.program_missing",
    `the program ${program}${hint} is missing${words}`,
    {
      details: { program, debianPackage },
    },
  );
}

/** The program's absolute path, or undefined when it is not installed. */
export function findProgram(program: string): string | undefined {
  return Bun.which(program, { PATH: PROGRAM_PATH }) ?? undefined;
}

/**
 * Starts a program in a session of its own, in `/`; its standard input is empty unless it is given.
 * Descriptors of the daemon are not handed on. Throws `host.program_missing`.
 */
export const startProgram: StartProgram = (program, args, { input, heard } = {}) => {
  const path = findProgram(program);
  if (path === undefined) throw programMissing(program);
  const child = Bun.spawn([path, ...args], {
    cwd: "/",
    env: programEnvironment,
    stdin: input === undefined ? "ignore" : "pipe",
    stdout: "pipe",
    stderr: "pipe",
    // A process group of its own, so that what the program starts is ended with it.
    detached: true,
  });
  let failure: { readonly thrown: unknown } | undefined;
  if (input instanceof Uint8Array || input === undefined) feed(child.stdin, input);
  else {
    feedAll(child.stdin, input).catch((thrown: unknown) => {
      failure = { thrown };
      signalGroup(child, "SIGKILL");
    });
  }
  return {
    pid: child.pid,
    result: collect(child, heard).then((result) => {
      if (failure !== undefined) throw failure.thrown;
      return result;
    }),
    rest: (isResting) => signalGroup(child, isResting ? "SIGSTOP" : "SIGCONT"),
    kill() {
      if (hasEnded(child)) return;
      signalGroup(child, "SIGKILL");
      // Stuck in the kernel or not: our own end does not wait for it.
      child.unref();
    },
  };
};

/**
 * Has a program read all of it and then the end. Given to the runtime as bytes, it would keep a
 * descriptor until garbage is collected. A program that ends before it has read it may.
 */
export function feed(stdin: Bun.FileSink | undefined, input: Uint8Array | undefined): void {
  if (stdin === undefined || input === undefined) return;
  const end = async (): Promise<void> => {
    await stdin.write(input);
    await stdin.end();
  };
  end().catch(() => undefined);
}

/** As `feed`, no faster than the program reads. Rejects with what the input throws. */
async function feedAll(
  stdin: Bun.FileSink | undefined,
  input: AsyncIterable<Uint8Array>,
): Promise<void> {
  if (stdin === undefined) return;
  let isOpen = true;
  for await (const chunk of input) {
    isOpen = await taken(stdin, chunk);
    if (!isOpen) return;
  }
  if (isOpen) await taken(stdin, undefined);
}

/** Of undefined: the end. False: the program reads no more. */
async function taken(stdin: Bun.FileSink, chunk: Uint8Array | undefined): Promise<boolean> {
  try {
    if (chunk === undefined) await stdin.end();
    else {
      await stdin.write(chunk);
      await stdin.flush();
    }
    return true;
  } catch {
    return false;
  }
}

/** Once it has been waited for, its number may be somebody else's. */
function hasEnded(child: Child): boolean {
  return child.exitCode !== null || child.signalCode !== null;
}

function signalGroup(child: Child, signal: "SIGKILL" | "SIGSTOP" | "SIGCONT"): void {
  if (hasEnded(child)) return;
  try {
    process.kill(-child.pid, signal);
  } catch {
    // It ended in this moment.
  }
}

/** `Host.run` over `startProgram` or a test's own. */
export function runWith(start: StartProgram) {
  return async (
    program: string,
    args: readonly string[],
    operation: { readonly signal: AbortSignal },
    pace?: Pace,
  ): Promise<ProgramResult> => {
    throwIfAborted(operation.signal, program);
    const running = start(program, args);
    const stopPacing = pace === undefined ? undefined : startPacing(running, pace);
    try {
      return await untilAborted(running, operation.signal, program);
    } finally {
      stopPacing?.();
    }
  };
}

/** Has it work and rest by turns until the result is called, which leaves it as it is then. */
function startPacing(running: RunningProgram, pace: Pace): () => void {
  const { workMs, restMs, program, isUrgent } = pace;
  let timer = setTimeout(rest, workMs);
  function rest(): void {
    // What still prepares may not end with the daemon yet: stopped now, it would stay for ever.
    const isResting = isUrgent?.() !== true && nameOf(running.pid) === program;
    if (isResting) running.rest(true);
    timer = isResting ? setTimeout(work, restMs) : setTimeout(rest, workMs);
  }
  function work(): void {
    running.rest(false);
    timer = setTimeout(rest, workMs);
  }
  return () => clearTimeout(timer);
}

/** What the process is at this moment, as the kernel names it; "" when it is gone. */
function nameOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/comm`, "utf8").trimEnd();
  } catch {
    return "";
  }
}

/** Waits for the end or the signal, whichever comes first; the signal kills, and does not wait. */
export async function untilAborted(
  running: RunningProgram,
  signal: AbortSignal,
  program: string,
): Promise<ProgramResult> {
  const { promise, reject } = Promise.withResolvers<never>();
  const onAbort = () => {
    running.kill();
    reject(abortError(signal, program));
  };
  if (signal.aborted) onAbort();
  else signal.addEventListener("abort", onAbort, { once: true });
  try {
    return await Promise.race([running.result, promise]);
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}

/** Throws what `untilAborted` would, before anything is started. */
export function throwIfAborted(signal: AbortSignal, program: string): void {
  if (signal.aborted) throw abortError(signal, program);
}

/** The engine's own reason where it gave one, otherwise the two codes that operation.ts names. */
function abortError(signal: AbortSignal, program: string): EngineError {
  const reason: unknown = signal.reason;
  if (reason instanceof EngineError) return reason;
  return reason instanceof Error && reason.name === "TimeoutError"
    ? new EngineError("operation.timed_out", `${program} did not end in time`, { cause: reason })
    : new EngineError("operation.cancelled", `${program} was cancelled`, { cause: reason });
}

type Child = Bun.Subprocess<"ignore" | "pipe", "pipe", "pipe">;

async function collect(child: Child, heard: ProgramStreams["heard"]): Promise<ProgramResult> {
  const stdout = new BoundedText(child.stdout, heard);
  const stderr = new BoundedText(child.stderr);
  const exitCode = await child.exited;
  await Promise.race([
    Promise.all([stdout.ended, stderr.ended]),
    // The timer only runs where somebody still has the pipes.
    new Promise((resolve) => setTimeout(resolve, OUTPUT_AFTER_EXIT_MS).unref()),
  ]);
  await Promise.all([stdout.stop(), stderr.stop()]);
  return { exitCode, stdout: stdout.text(), stderr: stderr.text() };
}

/** What is used of a reader: the types of node: and of the runtime do not agree on the rest. */
interface Reader {
  read(): Promise<{ readonly done: boolean; readonly value?: Uint8Array | undefined }>;
  cancel(): Promise<void>;
}

/** Reads a stream to its end and keeps the first `PROGRAM_OUTPUT_BYTES_MAX` bytes. */
class BoundedText {
  readonly ended: Promise<void>;
  readonly #reader: Reader;
  readonly #heard: ProgramStreams["heard"];
  readonly #kept: Uint8Array[] = [];
  #bytes = 0;

  constructor(stream: Child["stdout"], heard?: ProgramStreams["heard"]) {
    this.#reader = stream.getReader();
    this.#heard = heard;
    this.ended = this.#read();
  }

  async stop(): Promise<void> {
    await this.#reader.cancel().catch(() => undefined);
  }

  text(): string {
    return new TextDecoder().decode(Buffer.concat(this.#kept));
  }

  async #read(): Promise<void> {
    for (;;) {
      const { done, value } = await this.#reader.read();
      if (done || value === undefined) return;
      if (this.#heard !== undefined) {
        this.#heard(value);
        continue;
      }
      const room = PROGRAM_OUTPUT_BYTES_MAX - this.#bytes;
      if (room <= 0) continue;
      const part = value.subarray(0, room);
      this.#kept.push(part);
      this.#bytes += part.byteLength;
    }
  }
}
