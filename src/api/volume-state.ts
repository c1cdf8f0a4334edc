// The word for what a volume is doing, the same on every face.
import type { VolumeName } from "../core/names.ts";
import type { Engine } from "../engine/engine.ts";

export const volumeStates = ["idle", "in use", "violated", "data missing"] as const;

export type VolumeState = (typeof volumeStates)[number];

/**
 * "violated": a container has it against its sharing mode. "data missing": it was not there when it
 * was last looked for.
 */
export function volumeState(engine: Engine, name: VolumeName, holderCount: number): VolumeState {
  if (engine.holds.violationsOf(name).length > 0) return "violated";
  if (holderCount > 0) return "in use";
  return engine.volumes.missing.has(name) ? "data missing" : "idle";
}
