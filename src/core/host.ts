// The machine: time, randomness, programs, mounts. Tests bring their own.
import type { Operation } from "./operation.ts";

/** The outcome of a program that ended by itself. */
export interface ProgramResult {
  /** Exit status, 128 + n when signal n ended it. */
  readonly exitCode: number;
  /** Output as text, cut to `PROGRAM_OUTPUT_BYTES_MAX`. */
  readonly stdout: string;
  readonly stderr: string;
}

/** How much of a program's output is kept, in bytes each for stdout and stderr. */
export const PROGRAM_OUTPUT_BYTES_MAX = 64 * 1024;

/** One line of the kernel's mount table (/proc/self/mountinfo). */
export interface MountInfo {
  readonly mountId: number;
  readonly parentId: number;
  /** `major:minor` of the mount's device. */
  readonly device: string;
  /** The path inside that file system which is mounted. */
  readonly root: string;
  readonly target: string;
  readonly options: readonly string[];
  /** `shared:N`, `master:N`, … */
  readonly propagation: readonly string[];
  readonly fileSystem: string;
  readonly source: string;
}

/** What is to be mounted, in the words of mount(8). */
export interface MountRequest {
  readonly type: string;
  readonly device: string;
  /** Absolute; an existing directory. */
  readonly target: string;
  /** The comma-separated words after `-o`; "" for none. May hold secrets: never printed. */
  readonly options: string;
}

export interface Host {
  /** Wall clock in milliseconds since the epoch. */
  nowMs(): number;
  /** A clock that only goes forward, in milliseconds with fractions. */
  monotonicMs(): number;
  /** `bytes` random bytes as lower-case hex. */
  randomHex(bytes: number): string;

  /**
   * Runs a program with exact arguments: no shell. A signal that fires ends it with SIGKILL and
   * rejects at once, whether or not the kernel lets it die: a process stuck in the kernel is
   * abandoned. Throws `host.program_missing` when it is not installed.
   */
  run(program: string, args: readonly string[], operation: Operation): Promise<ProgramResult>;

  /** The mount table as the daemon sees it. Reading it never blocks on storage. */
  mounts(): readonly MountInfo[];
  /**
   * Mounts through a helper process and proves it by the mount table. Throws `volume.mount_failed`
   * with the program's own words, secrets masked. A target whose last helper is stuck is refused
   * with `driver.timed_out`: at most one stuck helper per target.
   */
  mount(request: MountRequest, operation: Operation): Promise<void>;
  /** Unmounts what is mounted at `target` (the topmost). Succeeds when nothing is. */
  unmount(target: string, operation: Operation): Promise<void>;
}
