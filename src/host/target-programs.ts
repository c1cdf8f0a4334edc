// At most one mount or unmount program per target, abandoned ones included.
//
// A program that is stuck in the kernel cannot be killed. Its caller gets an error at once, and its
// target stays closed until it has ended and what it left behind is undone.
import { EngineError } from "../core/errors.ts";
import type { ProgramResult } from "../core/host.ts";
import { type StartProgram, throwIfAborted, untilAborted } from "./programs.ts";

/** A program that was killed mostly needs a moment to end: that is not yet "stuck". */
const LAST_PROGRAM_GRACE_MS = 1_000;

interface TargetProgram {
  readonly program: string;
  readonly pid: number;
  /** Resolves when it has ended and what it left behind is undone. */
  readonly ended: Promise<void>;
}

/** What is to be done when a program ends that nobody waits for any more. */
export interface Aftermath {
  afterAbandoned(): Promise<void>;
}

const noAftermath: Aftermath = { afterAbandoned: async () => undefined };

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
    { afterAbandoned }: Aftermath = noAftermath,
  ): Promise<ProgramResult> {
    const last = this.#running.get(target);
    if (last !== undefined) {
      throw new EngineError(
        "driver.timed_out",
        `an earlier ${last.program} (pid ${last.pid}) of ${target} has not ended yet`,
        { details: { target, pid: last.pid } },
      );
    }
    const running = this.#start(program, args);
    let isAbandoned = false;
    const ended = running.result
      .then(() => (isAbandoned ? afterAbandoned() : undefined))
      // Whoever waits for `running.result` gets its error; here only the end counts.
      .catch(() => undefined)
      .finally(() => this.#running.delete(target));
    this.#running.set(target, { program, pid: running.pid, ended });
    try {
      return await untilAborted(running, signal, program);
    } catch (thrown) {
      isAbandoned = true;
      throw thrown;
    }
  }
}
