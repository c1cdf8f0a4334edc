// The StateStore over an open database: writes, the view, the history, the end.
import type { Database, Statement } from "../core/database.ts";
import { EngineError } from "../core/errors.ts";
import type { VolumeName } from "../core/names.ts";
import { HISTORY_ROWS_MAX, type StateOrigin, type StateStore } from "../core/state-store.ts";
import { type CommitParts, GroupCommit, translated } from "./group-commit.ts";
import { decodeHistory, type HistoryRow } from "./rows.ts";
import { Recorder } from "./transaction.ts";

export interface StoreParts extends CommitParts {
  readonly origin: StateOrigin;
  readonly id: string;
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
    id: parts.id,
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

function stopping(): EngineError {
  return new EngineError("engine.stopping", "the state is closed: the daemon is shutting down");
}
