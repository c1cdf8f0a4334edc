// Rows of removed volumes, and engines whose trash is on and whose timers a test fires.
import { parseDriverName, parseVolumeName } from "../../src/core/names.ts";
import type { VolumeEntry } from "../../src/core/state-store.ts";

/** A row as the state may have it. */
export function volumeRow(name: string, more: Partial<VolumeEntry> = {}): VolumeEntry {
  return {
    ...{ name: parseVolumeName(name), driver: parseDriverName("local"), scope: "local" },
    ...{ labels: null, options: null, createdAtMs: 1, origin: "made", phase: "ready" },
    ...{ mountpoint: `/volumes/${name}/_data`, identity: "1 2", usedAtMs: null },
    ...{ lastUse: null, note: null, protection: null },
    ...more,
  };
}
