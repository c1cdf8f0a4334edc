// Some of many at a time; the first failure ends the others.
import { EngineError } from "../../core/errors.ts";
import type { Operation } from "../../core/operation.ts";

/**
 * Runs `work` for each item, `count` at once, in order. Rejects with the first failure, when all
 * that was begun has ended: the operation that `work` gets is told to.
 */
export async function eachInParallel<Item>(
  items: readonly Item[],
  count: number,
  operation: Operation,
  work: (item: Item, operation: Operation) => Promise<void>,
): Promise<void> {
  const stop = new AbortController();
  const signal = AbortSignal.any([operation.signal, stop.signal]);
  const queue = items.values();
  let failure: { readonly error: unknown } | undefined;
  const run = async () => {
    for (const item of queue) {
      if (failure !== undefined) return;
      try {
        signal.throwIfAborted();
        await work(item, { ...operation, signal });
      } catch (error) {
        failure ??= { error };
        stop.abort(new EngineError("operation.cancelled", "another part of it failed"));
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(count, items.length) }, run));
  operation.signal.throwIfAborted();
  if (failure !== undefined) throw failure.error;
}
