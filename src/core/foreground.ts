// A command in the foreground: what `lock run` starts in its own place, as flock(1) and env(1) do.

/** An flock(2) that the command has from its first instruction to its end. */
export interface HeldFile {
  /** The directory that nothing leads out of. */
  readonly directory: string;
  /** Below it, without a slash in front; made when it is missing. */
  readonly path: string;
  readonly mode: "shared" | "exclusive";
  /** How long the storage may take to open it, in milliseconds. */
  readonly openMs: number;
  /** How long to wait for the lock then, in milliseconds; undefined: without a limit. */
  readonly waitMs: number | undefined;
}

export interface ForegroundRequest {
  /** The program, looked for in PATH where it has no slash, and its arguments. Never a shell's. */
  readonly words: readonly [string, ...string[]];
  /** What its environment has besides ours. */
  readonly environment: Readonly<Record<string, string>>;
  readonly file?: HeldFile | undefined;
  /** Gives up before the command runs. */
  readonly signal: AbortSignal;
}

/** Why nothing was started. */
export interface NotStarted {
  readonly outcome: "missing" | "not executable" | "timed out" | "silent" | "failed" | "given up";
  /** A sentence without its full stop. */
  readonly reason: string;
}

export interface ForegroundCommand {
  readonly outcome: "running";
  readonly pid: number;
  /** The exit code as shells give it: 128 + n where signal n ended it. Never rejects. */
  readonly ended: Promise<number>;
  /**
   * Sends a signal to it and to all that descends from it now, and has what is stopped go on, which
   * gets it then. Never throws.
   */
  signalAll(name: "SIGTERM" | "SIGKILL"): void;
}

/**
 * Starts one command, which has our terminal, our process group, our open files and limits, and
 * gets the signals that we get. The kernel ends it with SIGKILL when we end; what it has started by
 * then goes on.
 */
export interface Foreground {
  start(request: ForegroundRequest): Promise<ForegroundCommand | NotStarted>;
}
