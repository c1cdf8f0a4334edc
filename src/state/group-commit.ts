// Collects the writes of one turn of the event loop and commits them together.
//
// Planned → (refused for want of room) → committed → applied to the view → settled. What is on disk
// is never rejected, and what was rejected is never on disk: only writes that got through the plan
// are tried a second time, and what comes after a commit has no say in its outcome.
import type { Database } from "../core/database.ts";
import { DatabaseCorrupt } from "../core/database.ts";
import { EngineError } from "../core/errors.ts";
import type { Log } from "../core/operation.ts";
import type { HistoryAction } from "../core/state-store.ts";
import { BatchPlan, type PendingWrite, type PlannedWrite, type Refusal } from "./batch.ts";
import type { PlannedRow } from "./change.ts";
import type { CopyKeeper } from "./copy-keeper.ts";
import type { Memory } from "./memory.ts";
import { HOLDER_FLOOR_PAGES, RESERVE_FLOOR_PAGES, type Room, TRASH_FLOOR_PAGES } from "./room.ts";
import type { RowWriter } from "./row-writer.ts";
import { bytesOf } from "./rows.ts";

/** A batch of more row changes than this begins with an empty log, so that it fits in. */
const LARGE_BATCH_ROWS = 64;
/** So does one that stores more bytes than this: a quarter of the log. */
const LARGE_BATCH_BYTES = 512 * 1024;
/** What a row of the history sets free when it is removed, at the least. */
const HISTORY_ROW_BYTES = 64;

export interface CommitParts {
  readonly database: Database;
  readonly memory: Memory;
  readonly writer: RowWriter;
  readonly room: Room;
  readonly copies: CopyKeeper;
  readonly log: Log;
}

export class GroupCommit {
  readonly #parts: CommitParts;
  #waiting: PendingWrite[] = [];
  #isSealed = false;
  /** After it disk and view may differ: only a new start finds out what is there. */
  #failure: unknown;

  constructor(parts: CommitParts) {
    this.#parts = parts;
  }

  add(changes: PendingWrite["changes"], isLazy = false): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    // Everything that has arrived is handled before the commit that all of it shares.
    if (this.#waiting.length === 0) setImmediate(() => this.flush());
    this.#waiting.push({ changes, isLazy, resolve, reject });
    return promise;
  }

  /** After the last flush: what is called later finds nothing to do. */
  seal(): void {
    this.#isSealed = true;
  }

  flush(): void {
    if (this.#waiting.length === 0 || this.#isSealed) return;
    const writes = this.#waiting;
    this.#waiting = [];
    this.#parts.room.beginTurn();
    const planned = this.#plan(writes, (write) => this.#refusal(write));
    const failure = this.#commit(planned);
    if (failure === undefined) return;
    if (planned.length === 1 || !isOfOneWrite(failure)) {
      for (const { write } of planned) write.reject(translated(failure));
      return;
    }
    // One of them was too large for the room that is left, or wrong: the others are not to suffer.
    for (const { write } of planned) {
      const ownFailure = this.#commit(this.#plan([write]));
      if (ownFailure !== undefined) write.reject(translated(ownFailure));
    }
  }

  /** Rejects what cannot be done. */
  #plan(writes: readonly PendingWrite[], refusal?: Refusal): readonly PlannedWrite[] {
    const plan = new BatchPlan(this.#parts.memory);
    const planned: PlannedWrite[] = [];
    for (const write of writes) {
      const next = plan.add(write, refusal);
      if (next instanceof EngineError) write.reject(next);
      else planned.push(next);
    }
    return planned;
  }

  /** Why the write gets no room, if so. What adds nothing always has room. */
  #refusal(planned: PlannedWrite): EngineError | undefined {
    if (this.#failure !== undefined) return undefined;
    try {
      if (this.#parts.room.take(planned.bytes, floorOf(planned))) return undefined;
    } catch (error) {
      // The commit meets it too, and knows what to make of it.
      this.#parts.log.warn("the room for a change of the state could not be counted", { error });
      return undefined;
    }
    return new EngineError(
      "storage.full",
      "the file system of the data root is full; what is left is kept for removals",
    );
  }

  /** Commits, tells the view and the callers; or why nothing was done. */
  #commit(planned: readonly PlannedWrite[]): unknown {
    if (this.#failure !== undefined) return this.#failure;
    const rows = planned.flatMap((write) => write.rows);
    if (rows.length > 0) {
      try {
        const isLazy = planned.every(({ write }) => write.isLazy);
        this.#write(rows, isLazy);
      } catch (error) {
        if (isLasting(error)) this.#failure = error;
        return error;
      }
      this.#apply(rows);
    }
    for (const { write } of planned) write.resolve();
    if (rows.length > 0) this.#tidyUp(rows);
    return undefined;
  }

  #write(rows: readonly PlannedRow[], isLazy: boolean): void {
    const { database, memory, room, writer } = this.#parts;
    if (isLarge(rows)) room.tryCheckpoint();
    const { oldest, next } = historyAfter(rows, memory.next.history);
    // Removals make their own room: the history pays for its new row and for the trash's, because
    // what leaves the volumes frees a page only when most of that page's rows are gone.
    const extraRows = room.isShort()
      ? 2 * (next - oldest) + Math.ceil(trashBytes(rows) / HISTORY_ROW_BYTES)
      : 0;
    const trimmed = database.transaction(
      () => {
        for (const row of rows) writer.write(row);
        return writer.trimHistory(next, extraRows);
      },
      { isLazy },
    );
    writer.trimmed(trimmed);
  }

  /** What is on disk is done, whatever happens here: a view that cannot follow ends all writing. */
  #apply(rows: readonly PlannedRow[]): void {
    try {
      for (const row of rows) this.#parts.memory.apply(row.change);
    } catch (error) {
      this.#failure = new EngineError(
        "internal.bug",
        "the view of the state is behind the disk: restart the daemon",
        { cause: error },
      );
      this.#parts.log.error("the view of the state could not follow a commit", { error });
    }
  }

  #tidyUp(rows: readonly PlannedRow[]): void {
    try {
      this.#parts.copies.changed(rows.some(isUrgent));
      if (isLarge(rows)) this.#parts.room.trimLog();
    } catch (error) {
      this.#parts.log.warn("the state was changed, but not tidied up afterwards", { error });
    }
  }
}

/** What nobody does often, and would not do again by himself after a state was lost. */
const urgentActions: readonly HistoryAction[] = [
  "forget",
  "protect",
  "restore",
  "unprotect",
  "update",
];

/**
 * Whether the copy is not to wait: with the row a client's removal puts one into the trash; its
 * purge is nothing to hurry for.
 */
function isUrgent({ change }: PlannedRow): boolean {
  if (change.kind === "addHistory") return urgentActions.includes(change.entry.action);
  return change.kind === "removeVolume";
}

function isLarge(rows: readonly PlannedRow[]): boolean {
  if (rows.length > LARGE_BATCH_ROWS) return true;
  let bytes = 0;
  for (const { values } of rows) bytes += bytesOf(values);
  return bytes > LARGE_BATCH_BYTES;
}

/** What comes into the trash takes there. */
function trashBytes(rows: readonly PlannedRow[]): number {
  let bytes = 0;
  for (const { change, values } of rows) {
    if (change.kind === "putRetired" && change.isNew) bytes += bytesOf(values);
  }
  return bytes;
}

/** The history's next row before and after these rows. */
function historyAfter(
  rows: readonly PlannedRow[],
  oldest: number,
): { oldest: number; next: number } {
  let next = oldest;
  for (const { change } of rows) if (change.kind === "addHistory") next = change.rowId + 1;
  return { oldest, next };
}

function floorOf({ volumeGrowth, holderGrowth, trashGrowth }: PlannedWrite): number {
  if (volumeGrowth > 0) return RESERVE_FLOOR_PAGES;
  if (volumeGrowth === 0 && holderGrowth > 0) return HOLDER_FLOOR_PAGES;
  return trashGrowth > 0 ? TRASH_FLOOR_PAGES : 0;
}

/** A disk that fails: whether the failed commit is there is known at the next start only. */
function isLasting(failure: unknown): boolean {
  if (failure instanceof DatabaseCorrupt) return true;
  return failure instanceof EngineError && failure.code === "storage.failed";
}

/** Whether a failure may be one write's own, so that the others of its turn deserve a try. */
function isOfOneWrite(failure: unknown): boolean {
  if (failure instanceof EngineError) return failure.code === "storage.full";
  return !(failure instanceof DatabaseCorrupt);
}

/** Damage found while running: the view is right, the file is not. */
export function translated(failure: unknown): unknown {
  if (!(failure instanceof DatabaseCorrupt)) return failure;
  return new EngineError("storage.failed", `the state is damaged: ${failure.message}`, {
    cause: failure,
  });
}
