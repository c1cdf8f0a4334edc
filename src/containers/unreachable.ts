// The one failure of a container engine that others see: it could not be asked in time.
import { EngineError } from "../core/errors.ts";
import type { Operation } from "../core/operation.ts";

/** `containers.unreachable`, naming the engine by its key and saying why. */
export function unreachable(key: string, reason: string, cause?: unknown): EngineError {
  return new EngineError("containers.unreachable", `${key} cannot be asked: ${reason}`, {
    details: { engine: key, reason },
    cause,
  });
}

/**
 * Gives `ask` a signal that also fires at the deadline. What it throws becomes
 * `containers.unreachable`; an operation that was cancelled from outside rejects with its own
 * reason.
 */
export async function inTime<T>(
  { key, deadlineMs }: { readonly key: string; readonly deadlineMs: number },
  operation: Operation,
  ask: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  operation.signal.throwIfAborted();
  const deadline = AbortSignal.timeout(deadlineMs);
  try {
    return await ask(AbortSignal.any([operation.signal, deadline]));
  } catch (thrown) {
    operation.signal.throwIfAborted();
    if (deadline.aborted) throw unreachable(key, `no answer within ${deadlineMs} ms`, thrown);
    if (thrown instanceof EngineError && thrown.code === "containers.unreachable") throw thrown;
    throw unreachable(key, thrown instanceof Error ? thrown.message : String(thrown), thrown);
  }
}
