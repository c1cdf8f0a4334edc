// The history: what happened to one volume under all its names, and each change as it is stored.
import { toEngineError } from "../core/errors.ts";
import type { Host } from "../core/host.ts";
import type { VolumeName } from "../core/names.ts";
import type { Operation } from "../core/operation.ts";
import type {
  HistoryEntry,
  HistoryPage,
  HistoryQuery,
  StateStore,
  StoredHistoryEntry,
} from "../core/state-store.ts";
import { Turns } from "../core/turns.ts";
import { resolved } from "./aliases.ts";
import { type Change, historyEntry } from "./history-entry.ts";
import { isOf, type Place, placeBefore } from "./history-place.ts";

/** How many changes are looked at without letting others work: some 4 ms. */
const SPAN_COUNT = 4_000;
/** How many changes are read at once for those who follow. */
const FOLLOW_COUNT = 256;

export interface HistoryParts {
  readonly state: StateStore;
  readonly host: Pick<Host, "nowMs" | "programOf">;
  /** A fresh operation on the daemon's own account. */
  readonly operation: () => Operation;
}

/** Which changes are wanted, newest first. */
export interface PageQuery {
  /** Only older ones than this cursor. */
  readonly before?: number;
  readonly countMax: number;
  /** Looks at so many changes, of all volumes; by default at all. */
  readonly spanMax?: number;
}

interface Follower {
  /** The newest change that it has, or that was there before it. */
  cursor: number;
  readonly listener: (entry: StoredHistoryEntry) => void;
}

export class History {
  readonly #parts: HistoryParts;
  readonly #followers = new Set<Follower>();
  #isDue = false;

  constructor(parts: HistoryParts) {
    this.#parts = parts;
  }

  /** The cursor of the newest change; 0: there is none. Reads the disk. */
  get newest(): number {
    const newest = this.#parts.state.history({ order: "newest first", countMax: 1 });
    return newest.entries[0]?.cursor ?? 0;
  }

  /**
   * A volume's changes, newest first, by its name or an alias; also those of a volume that is gone.
   * Where it was renamed its older changes are those of its older name. A name's changes are those
   * of all volumes that had it. Lets others work in between. O(changes kept) for each page, where
   * `spanMax` does not end it: then `next` is where it ended.
   */
  async of(
    name: string,
    { before = Number.POSITIVE_INFINITY, countMax, spanMax }: PageQuery,
    operation: Operation,
  ): Promise<HistoryPage> {
    const { state } = this.#parts;
    const end = spanMax === undefined ? nowhere : endAfter(this.newest, spanMax);
    const turns = new Turns();
    const entries: StoredHistoryEntry[] = [];
    // An alias's target is a name, and a text that is no name has no changes.
    let volume = state.read((view) => resolved(view, name)) as VolumeName;
    let cursor = spanMax === undefined ? Number.POSITIVE_INFINITY : this.newest + 1;
    /** The change before the last one that was looked at was taken back. */
    let isUndo = false;
    for (;;) {
      operation.signal.throwIfAborted();
      const span = { spanMax: Math.min(SPAN_COUNT, Math.max(1, cursor - end)) };
      const page = state.history({ ...newestFirst, ...span, ...olderThan(cursor), volume });
      cursor = page.next ?? 0;
      for (const entry of page.entries) {
        if (entry.cursor < before) {
          if (entries.length >= countMax) return { entries, next: entries.at(-1)?.cursor ?? null };
          entries.push(entry);
        }
        const isUndone = isUndo;
        isUndo = entry.action === "undo";
        if (isUndone) continue;
        const place = placeBefore({ in: "volumes", name: volume }, entry);
        if (place.in === "trash") {
          const way = { from: entry.cursor, end };
          const removal = await this.#removalOf(place, way, operation);
          if (removal === "ended") return { entries, next: end };
          if (removal === undefined) continue;
          volume = removal.volume;
          cursor = removal.cursor + 1;
          break;
        }
        if (place.name === volume) continue;
        volume = place.name;
        cursor = entry.cursor;
        break;
      }
      if (cursor === 0) return { entries, next: null };
      if (cursor <= end) return { entries, next: cursor };
      while (turns.isOver()) await turns.next();
    }
  }

  /** What has put it into the trash, before a cursor: it may have been of another name. */
  async #removalOf(
    place: Place,
    { from, end }: { readonly from: number; readonly end: number },
    operation: Operation,
  ): Promise<StoredHistoryEntry | "ended" | undefined> {
    const turns = new Turns();
    for (let before: number | null = from; before !== null; ) {
      operation.signal.throwIfAborted();
      if (before <= end) return "ended";
      const page: HistoryPage = this.#parts.state.history({ ...newestFirst, before });
      const isIt = (row: HistoryEntry): boolean =>
        isOf(place, row) && placeBefore(place, row).in === "volumes";
      const found = page.entries.find(isIt);
      if (found !== undefined) return found;
      before = page.next;
      while (turns.isOver()) await turns.next();
    }
    return undefined;
  }

  /** All changes, newest first. */
  all({ before = Number.POSITIVE_INFINITY, countMax }: PageQuery): HistoryPage {
    const query: HistoryQuery = { order: "newest first", countMax };
    return this.#parts.state.history({ ...query, ...olderThan(before) });
  }

  /** Changes behind a cursor, oldest first. */
  after(cursor: number, countMax: number): HistoryPage {
    return this.#parts.state.history({ order: "oldest first", after: cursor, countMax });
  }

  /**
   * Calls `listener` for every change that is stored from now on, once, in order, when it is on
   * disk, until the returned function is called. A listener must not throw.
   */
  follow(listener: (entry: StoredHistoryEntry) => void): () => void {
    const follower: Follower = { cursor: this.newest, listener };
    this.#followers.add(follower);
    return () => void this.#followers.delete(follower);
  }

  /**
   * Notes a removal, purge or rename that was refused or has failed, of something that is there:
   * `entry` is what it is, and of a rename `subject` the name that was wanted. Nobody waits for it,
   * and where it cannot be written that is no further failure.
   */
  refused(change: Omit<Change, "outcome">, thrown: unknown, operation: Operation): void {
    const { state, host } = this.#parts;
    const row = historyEntry(host, { ...change, outcome: toEngineError(thrown).code }, operation);
    const writing = Promise.resolve().then(() =>
      state.write((transaction) => transaction.addHistory(row)),
    );
    writing.then(
      () => this.stored(),
      (error: unknown) =>
        operation.log.debug("a refusal is not in the history", {
          volume: change.entry.name,
          error: toEngineError(error).message,
        }),
    );
  }

  /** Something was written: those who follow are told soon. Costs nothing while nobody does. */
  stored(): void {
    if (this.#followers.size === 0 || this.#isDue) return;
    this.#isDue = true;
    setImmediate(() => {
      this.#isDue = false;
      this.#tell();
    });
  }

  #tell(): void {
    for (const follower of this.#followers) {
      try {
        this.#tellOne(follower);
      } catch (error) {
        // The next write tries again, from where this one was.
        const { message } = toEngineError(error);
        this.#parts.operation().log.warn("the history could not be read", { error: message });
      }
    }
  }

  #tellOne(follower: Follower): void {
    for (;;) {
      const { entries, next } = this.after(follower.cursor, FOLLOW_COUNT);
      for (const entry of entries) {
        if (!this.#followers.has(follower)) return;
        follower.cursor = entry.cursor;
        follower.listener(entry);
      }
      if (next === null) return;
    }
  }
}

const newestFirst = {
  order: "newest first",
  countMax: SPAN_COUNT,
  spanMax: SPAN_COUNT,
} as const satisfies HistoryQuery;

/** No cursor is as low. */
const nowhere = 0;

/** The oldest of so many changes. */
function endAfter(newest: number, spanMax: number): number {
  return newest > spanMax ? newest - spanMax + 1 : nowhere;
}

function olderThan(cursor: number): { readonly before?: number } {
  return Number.isFinite(cursor) ? { before: cursor } : {};
}

/** The state, which tells after each write, when what was written is on disk. */
export function tellingState(state: StateStore, told: () => void): StateStore {
  return {
    origin: state.origin,
    id: state.id,
    read: (work) => state.read(work),
    async write(work, how) {
      const result = await state.write(work, how);
      told();
      return result;
    },
    history: (query) => state.history(query),
    close: () => state.close(),
  };
}
