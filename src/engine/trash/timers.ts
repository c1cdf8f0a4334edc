// The timers of the trash, which tests replace by their own.

/** Calls `fire` after `delayMs` milliseconds unless the result is called first. */
export type StartTimer = (delayMs: number, fire: () => void) => () => void;

/** Node's. The process lives on for it: what was given up is purged soon after. */
export function startTimer(delayMs: number, fire: () => void): () => void {
  const timer = setTimeout(fire, delayMs);
  return () => clearTimeout(timer);
}

/** Node's, for what comes again and again: it alone keeps no process from ending. */
export function startIdleTimer(delayMs: number, fire: () => void): () => void {
  const timer = setTimeout(fire, delayMs);
  timer.unref();
  return () => clearTimeout(timer);
}
