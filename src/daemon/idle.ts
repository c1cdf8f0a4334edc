// Idle moments: after a busy time, memory is given back once nothing has been asked for a while.

/** How long nothing may have been asked before the daemon counts as idle, in milliseconds. */
export const IDLE_AFTER_MS = 2_000;

export interface IdleParts {
  /** Grows with every request. */
  readonly requestCount: () => number;
  /** Called once per idle time, never while requests keep coming. */
  readonly onIdle: () => void;
}

/** Watches until the returned function is called. */
export function watchIdle(parts: IdleParts): () => void {
  let lastCount = parts.requestCount();
  let isDone = true;
  const timer = setInterval(() => {
    const count = parts.requestCount();
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
