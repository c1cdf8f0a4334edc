// Protection: a volume that somebody wants kept is not removed, renamed, released or purged.
import { EngineError } from "../core/errors.ts";
import type { VolumeEntry } from "../core/state-store.ts";

/**
 * Throws `volume.protected`, with the reason that was given, when the volume is protected. `what`
 * begins the message, as in Docker's words: "remove" of `remove pgdata: volume is protected: …`.
 * The caller has the volume's lease, so that nobody protects it in between.
 */
export function refuseProtected({ name, protection }: VolumeEntry, what: string): void {
  if (protection === null) return;
  const { reason, sinceMs, by } = protection;
  throw new EngineError("volume.protected", `${what} ${name}: volume is protected: ${reason}`, {
    details: { name, reason, sinceMs, by },
  });
}
