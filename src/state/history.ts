// The history: its rows, and pages of it from the disk.
import type { Database, SqlValue, Statement } from "../core/database.ts";
import { type ErrorCode, errorTable } from "../core/error-table.ts";
import { makeOperationId, parseDriverName, parseVolumeName } from "../core/names.ts";
import {
  HISTORY_ROWS_MAX,
  type HistoryEntry,
  type HistoryPage,
  type HistoryQuery,
  historyActions,
  type StoredHistoryEntry,
} from "../core/state-store.ts";

interface HistoryRow {
  readonly id: number;
  readonly at_ms: number;
  readonly action: string;
  readonly volume: string;
  readonly driver: string;
  readonly caller_uid: number | null;
  readonly caller_gid: number | null;
  readonly caller_pid: number | null;
  readonly operation: string;
  readonly program: string;
  readonly subject: string;
  readonly outcome: string;
}

/** All columns of a row of `history` after `id`. */
export function encodeHistory(entry: HistoryEntry): readonly SqlValue[] {
  const { caller } = entry;
  const who = caller.kind === "process" ? [caller.uid, caller.gid, caller.pid] : [null, null, null];
  const { atMs, action, volume, driver, operation, by, subject, outcome } = entry;
  const texts = [operation.toWellFormed(), by.toWellFormed(), subject.toWellFormed()];
  return [atMs, action, volume, driver, ...who, ...texts, outcome];
}

/** undefined: a newer program wrote it, of what this one has no word for. */
function decodeHistory(row: HistoryRow): StoredHistoryEntry | undefined {
  const action = historyActions.find((known) => known === row.action);
  const outcome = outcomeOf(row.outcome);
  if (action === undefined || outcome === undefined) return undefined;
  const { caller_uid: uid, caller_gid: gid, caller_pid: pid } = row;
  const isProcess = uid !== null && gid !== null && pid !== null;
  return {
    cursor: row.id,
    atMs: row.at_ms,
    action,
    volume: parseVolumeName(row.volume),
    driver: parseDriverName(row.driver),
    caller: isProcess ? { kind: "process", uid, gid, pid } : { kind: "system" },
    by: row.program,
    subject: row.subject,
    outcome,
    operation: makeOperationId(row.operation),
  };
}

function outcomeOf(text: string): "done" | ErrorCode | undefined {
  return text === "done" || isErrorCode(text) ? text : undefined;
}

function isErrorCode(text: string): text is ErrorCode {
  return Object.hasOwn(errorTable, text);
}

/** Reads a page; `nextRow`: the id that the next change gets. */
export type ReadHistory = (query: HistoryQuery, nextRow: number) => HistoryPage;

type Select = Statement<HistoryRow, readonly SqlValue[]>;

/** A change's cursor is the id of its row: ids follow one another, with no gap but at a salvage. */
export function prepareHistory(database: Database): ReadHistory {
  const oldestRow = database.prepare<{ readonly id: number | null }>(
    "SELECT min(id) AS id FROM history",
  );
  const select = (condition: string, order: "ASC" | "DESC"): Select =>
    database.prepare(
      `SELECT * FROM history WHERE id BETWEEN ? AND ? ${condition} ORDER BY id ${order} LIMIT ?`,
    );
  const selects = {
    "newest first": { all: select("", "DESC"), ofOne: select("AND volume = ?", "DESC") },
    "oldest first": { all: select("", "ASC"), ofOne: select("AND volume = ?", "ASC") },
  };
  return (query, nextRow) => {
    // Rows that wait to be trimmed are no longer part of the history.
    const oldest = Math.max(oldestRow.get()?.id ?? nextRow, nextRow - HISTORY_ROWS_MAX);
    const range = rangeOf(query, oldest, nextRow - 1);
    if (range === undefined) return { entries: [], next: null };
    const { volume, countMax, order } = query;
    const { all, ofOne } = selects[order];
    const rows =
      volume === undefined
        ? all.all(range.low, range.high, countMax)
        : ofOne.all(range.low, range.high, volume, countMax);
    const entries = rows.map(decodeHistory).filter((entry) => entry !== undefined);
    const lastSeen = rows.length < countMax ? range.end : (rows.at(-1)?.id ?? range.end);
    return { entries, next: lastSeen === range.last ? null : lastSeen };
  };
}

interface Range {
  readonly low: number;
  readonly high: number;
  /** Where looking at the range ends, and where looking at all that is asked for would. */
  readonly end: number;
  readonly last: number;
}

/** The ids to look at; undefined when there are none. */
function rangeOf(query: HistoryQuery, oldest: number, newest: number): Range | undefined {
  const { before = newest + 1, after = oldest - 1, spanMax = Number.POSITIVE_INFINITY } = query;
  const low = Math.max(oldest, after + 1);
  const high = Math.min(newest, before - 1);
  if (low > high) return undefined;
  if (query.order === "newest first") {
    const end = Math.max(low, high - spanMax + 1);
    return { low: end, high, end, last: low };
  }
  const end = Math.min(high, low + spanMax - 1);
  return { low, high: end, end, last: high };
}
