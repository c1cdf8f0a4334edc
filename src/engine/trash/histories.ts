// The history of removed volumes, for what is written beside their data: one walk for many of them.
import type { TrashId } from "../../core/names.ts";
import type {
  HistoryEntry,
  RetiredEntry,
  StateStore,
  StoredHistoryEntry,
} from "../../core/state-store.ts";
import { isOf, type Place, placeBefore } from "../history-place.ts";
import { DESCRIBED_HISTORY_COUNT_MAX } from "./retired-description.ts";

/** How many changes are read before others get their turn. */
const SLICE_COUNT = 500;

/** What is being collected of one volume, from its removal back to its creation. */
interface Trail {
  readonly rows: HistoryEntry[];
  /** Where it is at this time. */
  place: Place;
}

/**
 * The newest changes of each, newest first: from its removal back, through renames and restores, to
 * its creation. Reads the history in slices, as far back as the oldest of them goes.
 */
export async function historiesOf(
  state: Pick<StateStore, "history">,
  entries: readonly RetiredEntry[],
): Promise<ReadonlyMap<TrashId, readonly HistoryEntry[]>> {
  const found = new Map(entries.map(({ id }): [TrashId, HistoryEntry[]] => [id, []]));
  let trails: readonly Trail[] = entries.map((entry) => ({
    place: { in: "trash", id: entry.id },
    rows: found.get(entry.id) ?? [],
  }));
  const oldestMs = Math.min(...entries.map(({ volume }) => volume.createdAtMs));
  let before: number | undefined;
  while (trails.length > 0) {
    const page = state.history({
      order: "newest first",
      countMax: SLICE_COUNT,
      spanMax: SLICE_COUNT,
      ...(before === undefined ? {} : { before }),
    });
    for (const row of page.entries) trails = follow(trails, row);
    const isOver = (page.entries.at(-1)?.atMs ?? oldestMs) < oldestMs;
    if (page.next === null || isOver) break;
    before = page.next;
    await new Promise((resolve) => setImmediate(resolve));
  }
  return found;
}

/** Takes up the row where it belongs, and returns the trails that go on. */
function follow(trails: readonly Trail[], stored: StoredHistoryEntry): readonly Trail[] {
  const { cursor: _, ...row } = stored;
  const ended = new Set<Trail>();
  for (const trail of trails) {
    // Before its removal nothing of that name was this volume.
    if (!isOf(trail.place, row)) continue;
    trail.place = placeBefore(trail.place, row);
    trail.rows.push(row);
    if (isLast(trail, row)) ended.add(trail);
  }
  return ended.size === 0 ? trails : trails.filter((trail) => !ended.has(trail));
}

/** Whether nothing before it belongs to the volume, or enough is known. */
function isLast(trail: Trail, row: HistoryEntry): boolean {
  const isBorn = row.action === "create" || row.action === "adopt";
  return isBorn || trail.rows.length >= DESCRIBED_HISTORY_COUNT_MAX;
}
