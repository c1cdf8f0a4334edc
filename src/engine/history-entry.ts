// One row of the history: what happened to a volume, on whose behalf, and how it ended.
import type { Host } from "../core/host.ts";
import type { Operation } from "../core/operation.ts";
import type { HistoryAction, HistoryEntry, VolumeEntry } from "../core/state-store.ts";

/** Who changed what Holdfast changed on its own account. */
export const OWN_PROGRAM = "holdfast";

/** Longest `HistoryEntry.subject`, in characters. */
export const SUBJECT_LENGTH_MAX = 1_000;

/** What is written down of a change. */
export interface Change {
  readonly action: HistoryAction;
  readonly entry: Pick<VolumeEntry, "name" | "driver">;
  /** See `HistoryEntry.subject`; "" when it is not given. What is too long is cut. */
  readonly subject?: string;
  /** "done" when it is not given. */
  readonly outcome?: HistoryEntry["outcome"];
}

/** The change as of now, by the operation's caller. */
export function historyEntry(
  host: Pick<Host, "nowMs" | "programOf">,
  { action, entry, subject = "", outcome = "done" }: Change,
  operation: Operation,
): HistoryEntry {
  return {
    atMs: host.nowMs(),
    action,
    volume: entry.name,
    driver: entry.driver,
    caller: operation.caller,
    by: byOf(host, operation),
    subject: subject.slice(0, SUBJECT_LENGTH_MAX),
    outcome,
    operation: operation.id,
  };
}

/** The program that asked, as the kernel names it; "" when it is gone. See `HistoryEntry.by`. */
export function byOf(host: Pick<Host, "programOf">, { caller }: Pick<Operation, "caller">): string {
  return caller.kind === "system" ? OWN_PROGRAM : host.programOf(caller.pid);
}
