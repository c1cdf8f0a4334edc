// Timers that fire when a test says so, over a clock that only the test moves.

/** A timer that was started and has neither fired nor been cancelled. */
interface RunningTimer {
  /** When it fires, in milliseconds of the test's clock, which starts at 0. */
  readonly atMs: number;
  readonly fire: () => void;
}

/** A clock and its timers, as `localLeases` and `withDeadlines` take them. */
export function manualTimers() {
  const running = new Set<RunningTimer>();
  let nowMs = 0;
  return {
    running,
    monotonicMs: () => nowMs,
    startTimer(delayMs: number, fire: () => void) {
      const timer = { atMs: nowMs + delayMs, fire };
      running.add(timer);
      return () => void running.delete(timer);
    },
    /** Moves the clock, and fires what is due by then in the order of its start. */
    pass(ms: number) {
      nowMs += ms;
      for (const timer of [...running]) {
        if (timer.atMs > nowMs) continue;
        running.delete(timer);
        timer.fire();
      }
    },
  };
}
