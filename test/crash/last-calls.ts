// An engine that dies within its next few calls of the driver and commits, in this same process.
import type { VolumeDriver } from "../../src/core/driver.ts";
import { EngineError } from "../../src/core/errors.ts";
import { surround } from "../../src/layers/around.ts";

/** What a dead process does: nothing, so nothing that it began is taken back either. */
export class LastCalls {
  /** After so many calls and commits nothing happens any more; undefined: it lives on. */
  left: number | undefined;

  /** Before each call and commit. Throws `storage.failed` when the engine is dead. */
  spend(): void {
    if (this.left === undefined) return;
    if (this.left === 0) throw new EngineError("storage.failed", "the engine is dead");
    this.left -= 1;
  }

  /** A driver each of whose calls is spent. */
  driver(inner: VolumeDriver): VolumeDriver {
    return surround(inner, {
      call: async (_site, operation, work) => {
        this.spend();
        return await work(operation);
      },
      items: (_site, operation, open) => {
        this.spend();
        return open(operation);
      },
      now: (_volume, work) => {
        this.spend();
        return work();
      },
    });
  }
}

/** A purge that never ends: when one runs depends on timers, and a run must depend on its seed. */
export function untilStopped(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
  });
}
