// A limited number of places; whoever finds none waits in line.

export class Places {
  #freeCount: number;
  readonly #waiting = new Set<() => void>();

  constructor(count: number) {
    this.#freeCount = count;
  }

  /** Resolves with a place that is given back by disposing of it. Rejects as the signal says. */
  async take(signal: AbortSignal): Promise<Disposable> {
    signal.throwIfAborted();
    if (this.#freeCount > 0) this.#freeCount -= 1;
    else await this.#wait(signal);
    let isMine = true;
    return {
      [Symbol.dispose]: () => {
        if (isMine) this.#give();
        isMine = false;
      },
    };
  }

  async #wait(signal: AbortSignal): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const mine = () => resolve();
    const leave = () => {
      // Once it has been called, the place is taken and will be given back.
      if (this.#waiting.delete(mine)) reject(signal.reason);
    };
    this.#waiting.add(mine);
    signal.addEventListener("abort", leave, { once: true });
    try {
      await promise;
    } finally {
      signal.removeEventListener("abort", leave);
    }
  }

  #give(): void {
    const [next] = this.#waiting;
    if (next === undefined) {
      this.#freeCount += 1;
      return;
    }
    this.#waiting.delete(next);
    next();
  }
}
