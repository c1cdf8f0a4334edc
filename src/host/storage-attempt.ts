// Failures of steps on a volume's storage, in words for people.
import { EngineError, storageError } from "../core/errors.ts";

/** Does one thing; what fails says at which step, doing what, and why. Throws as `takeStep`. */
export function attempt<T>(step: string, doing: string, work: () => T): T {
  try {
    return work();
  } catch (thrown) {
    if (thrown instanceof EngineError) throw thrown;
    const error = storageError(thrown, doing);
    const words = plainWords(error.message.slice(`error while ${doing}: `.length));
    throw new EngineError(error.code, `error while ${doing}: ${words}`, {
      cause: thrown,
      details: { ...error.details, step, doing, words },
    });
  }
}

/** Of "ENOSPC: no space left on device, open '/proc/self/fd/6/…'" what says something to people. */
function plainWords(text: string): string {
  return /^E[A-Z0-9]+: (?<words>[^,]+), [a-z0-9_]+(?: .*)?$/s.exec(text)?.groups?.["words"] ?? text;
}
