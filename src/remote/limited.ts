// Work with less time than the operation has, and failures in the words of the person who waits.
import { EngineError, toEngineError } from "../core/errors.ts";
import type { Operation } from "../core/operation.ts";

/** Does `work` with an operation that is timed out after `limitMs` (`driver.timed_out`). */
export async function within<T>(
  { limitMs, what }: { readonly limitMs: number; readonly what: string },
  operation: Operation,
  work: (operation: Operation) => Promise<T>,
): Promise<T> {
  const controller = new AbortController();
  const timer = setTimeout(() => {
    const message = `${what} did not end in ${limitMs} ms`;
    controller.abort(new EngineError("driver.timed_out", message, { details: { limitMs } }));
  }, limitMs);
  const signal = AbortSignal.any([operation.signal, controller.signal]);
  try {
    return await work({ ...operation, signal });
  } catch (thrown) {
    // What was said of the storage in the last moment is worth more than that its time is over.
    const isOver = controller.signal.aborted && !operation.signal.aborted;
    throw isOver && isOfSignal(thrown) ? controller.signal.reason : thrown;
  } finally {
    clearTimeout(timer);
  }
}

/** Whoever was ended by a signal says so in one of these ways. */
function isOfSignal(thrown: unknown): boolean {
  const { code } = toEngineError(thrown);
  return /^(?:internal\.bug|operation\.(?:cancelled|timed_out)|driver\.timed_out)$/.test(code);
}

/** Resolves as `work` does, or rejects when the signal fires first: `work` is left to itself. */
export async function orAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>();
  const onAbort = () => reject(toEngineError(signal.reason));
  if (signal.aborted) onAbort();
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    return await Promise.race([work, promise]);
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}
