// A second mount of a volume, by a client of its own, for as long as somebody looks through it.
import type { DriverOptions } from "../core/driver.ts";
import { toEngineError } from "../core/errors.ts";
import { type Operation, unfired } from "../core/operation.ts";
import type { ElsewhereCapable, SecondMount } from "../core/second-mount.ts";
import type { Workshop } from "./creation.ts";
import { makePlace, removePlace } from "./layout.ts";
import { mustBeStored } from "./mounts.ts";
import type { SessionPlace } from "./sessions.ts";

/**
 * At a place as a test of options has it: what a crash leaves of it goes with what creations left.
 */
export function remoteElsewhere<Options>(shop: Workshop<Options>): ElsewhereCapable {
  const { layout, sessions, parts } = shop;
  const endAll = async (
    at: SessionPlace,
    options: DriverOptions,
    operation: Operation,
  ): Promise<void> => {
    // Whoever has given up on it still does not want it left; what that waits for has limits.
    const own = unfired(operation);
    try {
      await sessions.end(at, options, { isLost: false }, own).catch(async (thrown: unknown) => {
        // A helper that is stuck in it, or writes that nobody needs any more.
        const { message } = toEngineError(thrown);
        own.log.warn("a second mount is taken away", { volume: at.volume, error: message });
        await sessions.end(at, options, { isLost: true }, own);
      });
      removePlace(at.place, parts.host);
    } catch (thrown) {
      // The next start tries again.
      const fields = { place: at.place.directory, error: toEngineError(thrown).message };
      operation.log.warn("a second mount is left", fields);
    }
  };
  return {
    async mount(name, operation): Promise<SecondMount> {
      const { options } = mustBeStored(shop, name);
      const place = layout.fresh(parts.host.randomHex(8));
      const at: SessionPlace = { volume: name, place, isSecondClient: true };
      try {
        makePlace(place, parts.host);
        await sessions.begin(at, options, operation);
      } catch (thrown) {
        await endAll(at, options, operation);
        throw thrown;
      }
      return { path: place.data, [Symbol.asyncDispose]: () => endAll(at, options, operation) };
    },
  };
}
