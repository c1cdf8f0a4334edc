// At most one mount or unmount program per target, abandoned ones included.
//
// A program that is stuck in the kernel cannot be killed. Its caller gets an error at once, and its
// target stays closed until it has ended and what it left behind is undone.
import { EngineError } from "../core/errors.ts";
import type { ProgramResult } from "../core/host.ts";
import {
  type ProgramStreams,
  type StartProgram,
  throwIfAborted,
  untilAborted,
} from "./programs.ts";

/** A program that was killed mostly needs a moment to end: that is not yet "stuck". */
const LAST_PROGRAM_GRACE_MS = 1_000;

interface TargetProgram {
  readonly program: string;
  readonly pid: number;
  /** Resolves when it has ended and what it left behind is undone. */
  readonly ended: Promise<void>;
}

/** What else there is to a program. */
export interface TargetRun {
  /** What is to be done when it ends and nobody waits for it any more. */
  afterAbandoned?(): Promise<void>;
  readonly streams?: ProgramStreams | undefined;
  /** What messages call it; missing: the program's name. */
  readonly label?: string | undefined;
}

export class TargetPrograms {
  readonly #start: StartProgram;
  readonly #running = new Map<string, TargetProgram>();

  constructor(start: StartProgram) {
    this.#start = start;
  }

  /** Waits a moment for the target's last program: until then the mount table may change. */
  async untilFree(target: string, signal: AbortSignal): Promise<void> {
    throwIfAborted(signal, "mount");
    const last = this.#running.get(target);
    if (last === undefined) return;
    const { promise: over, resolve } = Promise.withResolvers<void>();
    const giveUp = () => resolve();
    const timer = setTimeout(giveUp, LAST_PROGRAM_GRACE_MS);
    signal.addEventListener("abort", giveUp, { once: true });
    await Promise.race([last.ended, over]);
    clearTimeout(timer);
    signal.removeEventListener("abort", giveUp);
    throwIfAborted(signal, "mount");
  }

  /** Whether the target's last program has not ended. */
  isBusy(target: string): boolean {
    return this.#running.has(target);
  }

  /** Starts the target's one program at once. Throws `driver.timed_out` while there is another. */
  async run(
    target: string,
    [program, ...args]: readonly [program: string, ...args: string[]],
    signal: AbortSignal,
    { afterAbandoned, streams, label = program }: TargetRun = {},
  ): Promise<ProgramResult> {
    const last = this.#running.get(target);
    if (last !== undefined) {
      throw new EngineError(
        "driver.timed_out",
        `an earlier ${last.program} (pid ${last.pid}) of ${target} has not ended yet`,
        { details: { target, pid: last.pid } },
      );
    }
    const running = this.#start(program, args, streams);
    let isAbandoned = false;
    const ended = running.result
      .then(() => (isAbandoned ? afterAbandoned?.() : undefined))
      // Whoever waits for `running.result` gets its error; here only the end counts.
      .catch(() => undefined)
      .finally(() => this.#running.delete(target));
    this.#running.set(target, { program: label, pid: running.pid, ended });
    try {
      return await untilAborted(running, signal, label);
    } catch (thrown) {
      isAbandoned = true;
      throw thrown;
    }
  }
}
