// Idle moments: after a busy time, memory is given back once nothing has happened for a while.

/** How long nothing may have happened before the daemon counts as idle, in milliseconds. */
export const IDLE_AFTER_MS = 2_000;

export interface IdleParts {
  /** Grows with all that may leave garbage: every request, and every connection that ends. */
  readonly workCount: () => number;
  /** Called once per idle time, never while there is work. */
  readonly onIdle: () => void;
}

/** Watches until the returned function is called. */
export function watchIdle(parts: IdleParts): () => void {
  let lastCount = parts.workCount();
  let isDone = true;
  const timer = setInterval(() => {
    const count = parts.workCount();
    if (count !== lastCount) {
      lastCount = count;
      isDone = false;
    } else if (!isDone) {
      isDone = true;
      parts.onIdle();
    }
  }, IDLE_AFTER_MS);
  timer.unref();
  return () => clearInterval(timer);
}
