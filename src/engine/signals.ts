// One signal for several reasons to stop, which leaves nothing behind on those that live on.

/** Must be disposed of. */
export interface EitherSignal extends Disposable {
  /** Fires with the reason of the one that fired, an `Error`; else with `otherwise()`. */
  readonly signal: AbortSignal;
}

/** Of those that there are. */
export function anyOf(
  signals: readonly (AbortSignal | undefined)[],
  otherwise: () => Error,
): EitherSignal {
  const controller = new AbortController();
  const known = signals.filter((each) => each !== undefined);
  const listeners = known.map((each) => {
    const fire = () => {
      const reason: unknown = each.reason;
      // What `abort()` gives without a reason says nothing.
      const isOurs = reason instanceof Error && reason.name !== "AbortError";
      controller.abort(isOurs ? reason : otherwise());
    };
    if (each.aborted) fire();
    else each.addEventListener("abort", fire, { once: true });
    return { each, fire };
  });
  return {
    signal: controller.signal,
    [Symbol.dispose]() {
      for (const { each, fire } of listeners) each.removeEventListener("abort", fire);
    },
  };
}
