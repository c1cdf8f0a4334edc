// A driver over one kind of remote storage: everything that is the same for all kinds.
import type { VolumeDriver } from "../core/driver.ts";
import { EngineError } from "../core/errors.ts";
import { parseDriverName } from "../core/names.ts";
import type { RemoteKind } from "./kind.ts";
import { readOptions } from "./options.ts";
import type { RemoteDriverParts } from "./parts.ts";

export type { RemoteDriverParts } from "./parts.ts";

/** A `VolumeDriver` of a kind. Throws `storage.*` when its directories cannot be made. */
export function remoteDriver<Options>(
  kind: RemoteKind<Options>,
  _parts: RemoteDriverParts,
): VolumeDriver {
  const unfinished = async (): Promise<never> => {
    throw new EngineError("internal.bug", "not built yet");
  };
  return {
    name: parseDriverName(kind.name),
    scope: "global",
    validate: (options) => void readOptions(kind, options),
    create: unfinished,
    get: unfinished,
    async *list() {
      yield* [];
    },
    forget: unfinished,
    destroy: unfinished,
    mount: unfinished,
    unmount: unfinished,
  };
}
