// Whether a daemon works: what it does in the background must not be measured with something else.
import { readFileSync } from "node:fs";
import { setTimeout as pause } from "node:timers/promises";

/** How the kernel counts processor time: a step is 10 ms on all that Bun runs on. */
const TICK_MS = 10;
/** A daemon that used no more than this in a look is quiet. */
const QUIET_PROCESSOR_MS = TICK_MS;
const LOOK_MS = 200;
const QUIET_MS_MAX = 300_000;

/** User and system time that a process has used since its start, in steps of 10 ms. */
export function processorMs(pid: number): number {
  const text = readFileSync(`/proc/${pid}/stat`, "utf8");
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) * TICK_MS;
}

/** Resolves when a process does next to nothing. Throws the signal's reason, or after 5 minutes. */
export async function quiet(pid: number, signal: AbortSignal): Promise<void> {
  const deadline = AbortSignal.any([signal, AbortSignal.timeout(QUIET_MS_MAX)]);
  for (let before = processorMs(pid); ; ) {
    await pause(LOOK_MS, undefined, { signal: deadline });
    const after = processorMs(pid);
    if (after - before <= QUIET_PROCESSOR_MS) return;
    before = after;
  }
}
