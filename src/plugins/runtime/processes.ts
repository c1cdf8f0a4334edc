// Processes that are nobody's children here: killed by their number, waited for by looking.
import { setTimeout as pause } from "node:timers/promises";
import type { Host } from "../../core/host.ts";

const LOOK_AGAIN_MS = 5;

/** Sends SIGKILL; one that has ended in this moment is none to care about. */
export function kill(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // It has ended.
  }
}

/**
 * Looks again and again, every few milliseconds, whether it is so. Resolves with false when it is
 * not after `patienceMs`. The clock is asked after each look: there is one look at the least.
 */
export async function becomesSo(
  { monotonicMs }: Pick<Host, "monotonicMs">,
  isSo: () => boolean,
  patienceMs: number,
): Promise<boolean> {
  const untilMs = monotonicMs() + patienceMs;
  while (!isSo()) {
    if (monotonicMs() > untilMs) return false;
    await pause(LOOK_AGAIN_MS);
  }
  return true;
}
