// Where a volume was before each change of it, from the newest back: the step of every such walk.
import type { VolumeName } from "../core/names.ts";
import type { HistoryEntry } from "../core/state-store.ts";

/** Under a name, or in the trash: the removal that put it there says the name. */
export type Place =
  | { readonly in: "volumes"; readonly name: VolumeName }
  | { readonly in: "trash"; readonly id: string };

/** Whether the change is one of what is there. */
export function isOf(place: Place, { volume, subject }: HistoryEntry): boolean {
  return place.in === "trash" ? subject === place.id : volume === place.name;
}

/** Its place before that change of it; nothing was taken back. */
export function placeBefore(place: Place, row: HistoryEntry): Place {
  if (row.outcome !== "done") return place;
  switch (row.action) {
    case "rename":
      return { in: "volumes", name: row.subject as VolumeName }; // See `HistoryEntry.subject`.
    case "restore":
      return { in: "trash", id: row.subject };
    case "remove":
    case "prune":
      return { in: "volumes", name: row.volume };
    default:
      return place;
  }
}
