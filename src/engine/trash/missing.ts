// What is said of something that is not in the trash: whether it was, and where it went.
import { EngineError } from "../../core/errors.ts";
import { parseTrashId } from "../../core/names.ts";
import type { HistoryEntry, StateStore } from "../../core/state-store.ts";

/** How many changes are looked at, the newest: some milliseconds. */
const SPAN_COUNT = 2_000;

/** Shortest beginning of an id that means one, in characters. */
export const PREFIX_LENGTH_MIN = 3;

type Seen = Pick<StateStore, "history" | "read">;

/** `trash.not_found` for an id or a name; where the history still knows, it says what happened. */
export function notInTrash(state: Seen, ref: string): EngineError {
  const end = endOf(state, ref);
  const what = end === undefined ? "" : `: ${saying(end)}`;
  const message = `nothing in the trash is called ${ref}${what}`;
  return new EngineError("trash.not_found", message, { details: { ref } });
}

/**
 * The newest change that took it out of the trash, or the removal that left nothing of it there;
 * undefined where nobody can say.
 */
function endOf(state: Seen, ref: string): HistoryEntry | undefined {
  const isBeginning = ref.length >= PREFIX_LENGTH_MIN && ref.startsWith("t-");
  /** How each entry that was in the trash has left it. */
  const endings = new Map<string, HistoryEntry>();
  /** Of these the change before was taken back. */
  const undone = new Set<string>();
  try {
    const query = { order: "newest first", countMax: SPAN_COUNT, spanMax: SPAN_COUNT } as const;
    for (const row of state.history(query).entries) {
      const { action, outcome, subject, volume } = row;
      if (outcome !== "done" || undone.delete(volume)) continue;
      if (action === "undo") undone.add(volume);
      const isIt = volume === ref || (isBeginning && subject.startsWith(ref));
      if (isEnding(action)) {
        if (isIt) return row;
        if (!endings.has(subject)) endings.set(subject, row);
      } else if (isRemoval(action) && isIt && !isInTrash(state, subject)) {
        return endings.get(subject) ?? row;
      }
    }
  } catch {
    // The history cannot be read: it is not there, and that is all that can be said.
  }
  return undefined;
}

/** It may be there under another name: a restore as that one has failed. */
function isInTrash(state: Seen, subject: string): boolean {
  const id = parseTrashId(subject);
  return id !== undefined && state.read((view) => view.retiredEntry(id)) !== undefined;
}

function isEnding(action: HistoryEntry["action"]): boolean {
  return action === "evict" || action === "purge" || action === "restore";
}

function isRemoval(action: HistoryEntry["action"]): boolean {
  return action === "remove" || action === "prune";
}

function saying({ action, atMs, by, volume }: HistoryEntry): string {
  const at = new Date(atMs).toISOString();
  const whom = by === "" ? "" : ` by ${by}`;
  switch (action) {
    case "evict":
      return `it was evicted at ${at}, because space was wanted`;
    case "restore":
      return `it was restored as ${volume} at ${at}`;
    case "purge":
      return `it was purged at ${at}${whom}`;
    default:
      return `it was removed for good at ${at}${whom}`;
  }
}
