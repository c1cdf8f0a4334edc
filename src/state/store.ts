// The StateStore over an open database: group commit, the view, the history.
import type { Database, Statement } from "../core/database.ts";
import { DatabaseCorrupt } from "../core/database.ts";
import { EngineError } from "../core/errors.ts";
import type { VolumeName } from "../core/names.ts";
import type { Log } from "../core/operation.ts";
import { HISTORY_ROWS_MAX, type StateOrigin, type StateStore } from "../core/state-store.ts";
import { BatchPlan, type PendingWrite, type PlannedWrite } from "./batch.ts";
import type { PlannedRow } from "./change.ts";
import type { CopyKeeper } from "./copy-keeper.ts";
import type { Memory } from "./memory.ts";
import { HOLDER_FLOOR_PAGES, RESERVE_FLOOR_PAGES, type Room } from "./room.ts";
import type { RowWriter } from "./row-writer.ts";
import { decodeHistory, type HistoryRow } from "./rows.ts";
import { Recorder } from "./transaction.ts";

/** A batch of more row changes than this begins with an empty log, so that it fits in. */
const LARGE_BATCH_ROWS = 64;

export interface StoreParts {
  readonly origin: StateOrigin;
  readonly database: Database;
  readonly memory: Memory;
  readonly writer: RowWriter;
  readonly room: Room;
  readonly copies: CopyKeeper;
  readonly log: Log;
}

/** Takes over the database: `close` closes it. */
export function createStore(parts: StoreParts): StateStore {
  const { memory, database } = parts;
  const commits = new GroupCommit(parts);
  const history = prepareHistory(database);
  let closing: Promise<void> | undefined;

  const close = async (): Promise<void> => {
    commits.flush();
    const isCopied = await parts.copies.close();
    commits.seal();
    try {
      database.transaction(() => setMeta(database, isCopied ? "closed" : "closed_without_copy"));
      parts.room.checkpoint();
    } catch (error) {
      // Everything acknowledged is in the log: the next start goes on from there.
      parts.log.error("the state could not be closed cleanly", { error });
    } finally {
      database.close();
    }
  };

  return {
    origin: parts.origin,
    read: (work) => work(memory),
    write(work) {
      if (closing !== undefined) return Promise.reject(stopping());
      const recorder = new Recorder(memory);
      try {
        const result = work(recorder);
        return commits.add(recorder.finish()).then(() => result);
      } catch (error) {
        recorder.finish();
        return Promise.reject(error);
      }
    },
    history(query) {
      if (closing !== undefined) throw stopping();
      // Rows that wait to be trimmed are no longer part of the history.
      const oldest = memory.next.history - HISTORY_ROWS_MAX;
      try {
        return history(oldest, query.volume, query.countMax).map(decodeHistory);
      } catch (error) {
        throw translated(error);
      }
    },
    close() {
      closing ??= close();
      return closing;
    },
  };
}

/** "open" while a daemon has it: a log that is missing then has taken changes with it. */
export type Closing = "open" | "closed" | "closed_without_copy";

/** Inside a transaction. */
export function setMeta(database: Database, value: Closing): void {
  database.prepare<never, [string]>("INSERT OR REPLACE INTO meta VALUES ('closing', ?)").run(value);
}

type ReadHistory = (
  oldest: number,
  volume: VolumeName | undefined,
  countMax: number,
) => readonly HistoryRow[];

function prepareHistory(database: Database): ReadHistory {
  const columns = "at_ms, action, volume, driver, caller_uid, caller_gid, caller_pid, operation";
  const all: Statement<HistoryRow, [number, number]> = database.prepare(
    `SELECT ${columns} FROM history WHERE id >= ? ORDER BY id DESC LIMIT ?`,
  );
  const ofOne: Statement<HistoryRow, [number, string, number]> = database.prepare(
    `SELECT ${columns} FROM history WHERE id >= ? AND volume = ? ORDER BY id DESC LIMIT ?`,
  );
  return (oldest, volume, countMax) =>
    volume === undefined ? all.all(oldest, countMax) : ofOne.all(oldest, volume, countMax);
}

/** Collects the writes of one turn of the event loop and commits them together. */
class GroupCommit {
  readonly #parts: StoreParts;
  #waiting: PendingWrite[] = [];
  #isSealed = false;
  /** After it nobody knows what is on disk: only a new start finds out. */
  #failure: unknown;

  constructor(parts: StoreParts) {
    this.#parts = parts;
  }

  add(changes: PendingWrite["changes"]): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    // Everything that has arrived is handled before the commit that all of it shares.
    if (this.#waiting.length === 0) setImmediate(() => this.flush());
    this.#waiting.push({ changes, resolve, reject });
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
    const planned = this.#plan(writes);
    const failure = this.#commit(planned);
    if (failure === undefined) return;
    if (planned.length === 1 || !isOfOneWrite(failure)) {
      for (const { write } of planned) write.reject(translated(failure));
      return;
    }
    // One of them was too large for the room that is left, or wrong: the others are not to suffer.
    for (const { write } of planned) {
      const alone = this.#plan([write]);
      const ownFailure = this.#commit(alone);
      if (ownFailure !== undefined) write.reject(translated(ownFailure));
    }
  }

  #plan(writes: readonly PendingWrite[]): readonly PlannedWrite[] {
    const plan = new BatchPlan(this.#parts.memory);
    const planned: PlannedWrite[] = [];
    for (const write of writes) {
      const next = plan.add(write);
      if (next instanceof EngineError) write.reject(next);
      else planned.push(next);
    }
    return planned;
  }

  /** Commits what there is room for, tells the view and the callers; or why nothing was done. */
  #commit(planned: readonly PlannedWrite[]): unknown {
    const { database, memory, room, writer, copies } = this.#parts;
    if (this.#failure !== undefined) return this.#failure;
    try {
      const allowed = planned.filter((write) => this.#hasRoom(write));
      const rows = allowed.flatMap((write) => write.rows);
      if (rows.length > LARGE_BATCH_ROWS) room.tryCheckpoint();
      if (rows.length > 0) {
        const { oldest, next } = historyAfter(rows, memory.next.history);
        const extraRows = room.isShort() ? 2 * (next - oldest) : 0;
        const trimmed = database.transaction(() => {
          for (const row of rows) writer.write(row);
          return writer.trimHistory(next, extraRows);
        });
        writer.trimmed(trimmed);
        for (const row of rows) memory.apply(row.change);
        if (rows.length > LARGE_BATCH_ROWS) room.trimLog();
        copies.changed();
      }
      for (const { write } of allowed) write.resolve();
      return undefined;
    } catch (error) {
      if (isLasting(error)) this.#failure = error;
      return error;
    }
  }

  /** Rejects the write when not. What adds nothing always has room. */
  #hasRoom(planned: PlannedWrite): boolean {
    const { bytes, volumeGrowth, holderGrowth } = planned;
    if (this.#parts.room.take(bytes, floorOf(volumeGrowth, holderGrowth))) return true;
    planned.write.reject(
      new EngineError(
        "storage.full",
        "the file system of the data root is full; what is left is kept for removals",
      ),
    );
    return false;
  }
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

function floorOf(volumeGrowth: number, holderGrowth: number): number {
  if (volumeGrowth > 0) return RESERVE_FLOOR_PAGES;
  return volumeGrowth === 0 && holderGrowth > 0 ? HOLDER_FLOOR_PAGES : 0;
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
function translated(failure: unknown): unknown {
  if (!(failure instanceof DatabaseCorrupt)) return failure;
  return new EngineError("storage.failed", `the state is damaged: ${failure.message}`, {
    cause: failure,
  });
}

function stopping(): EngineError {
  return new EngineError("engine.stopping", "the state is closed: the daemon is shutting down");
}
