// The word for what a volume is doing, the same on every face.
import type { VolumeName } from "../core/names.ts";
import type { Engine } from "../engine/engine.ts";

export const volumeStates = ["idle", "in use", "violated", "not mounted", "data missing"] as const;

export type VolumeState = (typeof volumeStates)[number];

/**
 * "violated": a container has it against its sharing mode. "not mounted": it is held, and could not
 * be mounted again after a start. "data missing": it was not there when it was last looked for.
 */
export function volumeState(engine: Engine, name: VolumeName, holderCount: number): VolumeState {
  if (engine.holds.violationsOf(name).length > 0) return "violated";
  const isUnmounted = engine.volumes.isUnmounted(name);
  if (holderCount > 0 && !isUnmounted) return "in use";
  if (engine.volumes.missing.has(name)) return "data missing";
  return holderCount > 0 ? "not mounted" : "idle";
}
