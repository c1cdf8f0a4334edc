// What is said of something that is not in the trash: whether it was, and where it went.
import { EngineError } from "../../core/errors.ts";
import type { HistoryEntry, StateStore } from "../../core/state-store.ts";

/** How many changes are looked at, the newest: some milliseconds. */
const SPAN_COUNT = 2_000;

/** Shortest beginning of an id that means one, in characters. */
export const PREFIX_LENGTH_MIN = 3;

/** `trash.not_found` for an id or a name; where the history still knows, it says what happened. */
export function notInTrash(state: Pick<StateStore, "history">, ref: string): EngineError {
  const end = endOf(state, ref);
  const what = end === undefined ? "" : `: ${saying(end)}`;
  const message = `nothing in the trash is called ${ref}${what}`;
  return new EngineError("trash.not_found", message, { details: { ref } });
}

/** The newest change that took it out of the trash; undefined where nobody can say. */
function endOf({ history }: Pick<StateStore, "history">, ref: string): HistoryEntry | undefined {
  const isBeginning = ref.length >= PREFIX_LENGTH_MIN && ref.startsWith("t-");
  try {
    return history({
      order: "newest first",
      countMax: SPAN_COUNT,
      spanMax: SPAN_COUNT,
    }).entries.find(
      ({ action, outcome, subject, volume }) =>
        outcome === "done" &&
        isEnding(action) &&
        (volume === ref || (isBeginning && subject.startsWith(ref))),
    );
  } catch {
    return undefined;
  }
}

function isEnding(action: HistoryEntry["action"]): boolean {
  return action === "evict" || action === "purge" || action === "restore";
}

function saying({ action, atMs, by, volume }: HistoryEntry): string {
  const at = new Date(atMs).toISOString();
  switch (action) {
    case "evict":
      return `it was evicted at ${at}, because space was wanted`;
    case "restore":
      return `it was restored as ${volume} at ${at}`;
    default:
      return by === "" ? `it was purged at ${at}` : `it was purged at ${at} by ${by}`;
  }
}
