// Volumes on their way from or to another engine: they are in nobody's use until they arrive.
import { EngineError } from "../../core/errors.ts";
import type { VolumeEntry } from "../../core/state-store.ts";

/** Whether the volume is being adopted or released. */
export function isMoving({ phase }: VolumeEntry): boolean {
  return phase === "adopting" || phase === "releasing";
}

/** `volume.moving`: what is to be used or removed is on its way. */
export function moving({ name, phase }: VolumeEntry): EngineError {
  return new EngineError("volume.moving", `volume ${name} is in the middle of ${phase}`, {
    details: { name, phase },
  });
}

/** Throws `volume.moving` for one on its way. */
export function refuseMoving(entry: VolumeEntry): void {
  if (isMoving(entry)) throw moving(entry);
}
