// One row of the history: what happened to a volume, and on whose behalf.
import type { Host } from "../core/host.ts";
import type { Operation } from "../core/operation.ts";
import type { HistoryAction, HistoryEntry, VolumeEntry } from "../core/state-store.ts";

/** The change as of now, by the operation's caller. */
export function historyEntry(
  host: Pick<Host, "nowMs">,
  action: HistoryAction,
  { name, driver }: Pick<VolumeEntry, "name" | "driver">,
  { caller, id }: Operation,
): HistoryEntry {
  return { atMs: host.nowMs(), action, volume: name, driver, caller, operation: id };
}
