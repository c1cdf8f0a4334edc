// Row changes as SQL, with the history kept to its length.
import assert from "node:assert";
import type { Database, SqlValue, Statement } from "../core/database.ts";
import { HISTORY_ROWS_MAX } from "../core/state-store.ts";
import type { PlannedRow } from "./change.ts";
import { marks } from "./schema.ts";

/** Old history rows are removed this many at a time, in a transaction that is under way anyway. */
const HISTORY_TRIM_ROWS = 256;

type Change = Statement<never, readonly SqlValue[]>;

/** Writes inside a transaction that its caller has begun. */
export class RowWriter {
  readonly #insertVolume: Change;
  readonly #replaceVolume: Change;
  readonly #removeVolume: Change;
  readonly #putAlias: Change;
  readonly #removeAlias: Change;
  readonly #putHolder: Change;
  readonly #removeHolder: Change;
  readonly #insertRetired: Change;
  readonly #replaceRetired: Change;
  readonly #removeRetired: Change;
  readonly #putEngine: Change;
  readonly #removeEngine: Change;
  readonly #addHistory: Change;
  readonly #trimHistory: Change;
  /** The oldest history row that is still there, at the latest. */
  #oldestHistory: number;

  constructor(database: Database, nextHistoryRow: number) {
    const volumeMarks = marks(19);
    const retiredMarks = marks(26);
    this.#insertVolume = database.prepare(`INSERT INTO volumes VALUES (${volumeMarks})`);
    this.#replaceVolume = database.prepare(
      `UPDATE volumes SET (${volumeNames}) = (${marks(18)}) WHERE id = ?`,
    );
    this.#removeVolume = database.prepare("DELETE FROM volumes WHERE id = ?");
    this.#putAlias = database.prepare(`INSERT OR REPLACE INTO aliases VALUES (${marks(4)})`);
    this.#removeAlias = database.prepare("DELETE FROM aliases WHERE volume_id = ? AND alias = ?");
    this.#putHolder = database.prepare(`INSERT OR REPLACE INTO holders VALUES (${marks(5)})`);
    this.#removeHolder = database.prepare("DELETE FROM holders WHERE volume_id = ? AND holder = ?");
    this.#insertRetired = database.prepare(`INSERT INTO retired VALUES (${retiredMarks})`);
    this.#replaceRetired = database.prepare(
      `INSERT OR REPLACE INTO retired VALUES (${retiredMarks})`,
    );
    this.#removeRetired = database.prepare("DELETE FROM retired WHERE id = ?");
    this.#putEngine = database.prepare(`INSERT OR REPLACE INTO engines VALUES (${marks(3)})`);
    this.#removeEngine = database.prepare("DELETE FROM engines WHERE key = ?");
    this.#addHistory = database.prepare(`INSERT INTO history VALUES (${marks(12)})`);
    this.#trimHistory = database.prepare("DELETE FROM history WHERE id < ?");
    const oldest = database
      .prepare<{ readonly id: number | null }>("SELECT min(id) AS id FROM history")
      .get();
    this.#oldestHistory = oldest?.id ?? nextHistoryRow;
  }

  write({ change, values }: PlannedRow): void {
    switch (change.kind) {
      case "putVolume":
        if (change.isNew) this.#insertVolume.run(change.rowId, ...values);
        else this.#replaceVolume.run(...values, change.rowId);
        return;
      case "removeVolume":
        // Its holders and aliases go with it: the foreign keys cascade.
        this.#removeVolume.run(change.rowId);
        return;
      case "putAlias":
        this.#putAlias.run(change.volumeRowId, ...values);
        return;
      case "removeAlias":
        this.#removeAlias.run(change.volumeRowId, change.alias);
        return;
      case "putHolder":
        this.#putHolder.run(change.volumeRowId, ...values);
        return;
      case "removeHolder":
        this.#removeHolder.run(change.volumeRowId, change.holder.toWellFormed());
        return;
      case "putRetired": {
        const statement = change.isNew ? this.#insertRetired : this.#replaceRetired;
        statement.run(change.rowId, ...values);
        return;
      }
      case "removeRetired":
        this.#removeRetired.run(change.rowId);
        return;
      case "putEngine":
        this.#putEngine.run(...values);
        return;
      case "removeEngine":
        this.#removeEngine.run(change.key);
        return;
      case "addHistory":
        this.#addHistory.run(change.rowId, ...values);
        return;
      default:
        assert.fail(`unknown change ${JSON.stringify(change satisfies never)}`);
    }
  }

  /**
   * Removes what the history no longer keeps, a step at a time. `extraRows`: that many more, where
   * the room is needed for something else. Returns the oldest row left, for `trimmed`.
   */
  trimHistory(nextHistoryRow: number, extraRows: number): number {
    const surplus = nextHistoryRow - HISTORY_ROWS_MAX - this.#oldestHistory;
    const step = surplus >= HISTORY_TRIM_ROWS ? Math.min(surplus, 2 * HISTORY_TRIM_ROWS) : 0;
    // The newest row stays: its id is the count of all changes.
    const rows = Math.min(Math.max(step, extraRows), nextHistoryRow - 1 - this.#oldestHistory);
    if (rows <= 0) return this.#oldestHistory;
    const oldest = this.#oldestHistory + rows;
    this.#trimHistory.run(oldest);
    return oldest;
  }

  /** To be told when the transaction of `trimHistory` is committed. */
  trimmed(oldestHistory: number): void {
    this.#oldestHistory = oldestHistory;
  }
}

const volumeNames =
  "name, driver, scope, labels, options, created_at_ms, origin, phase, mountpoint, identity, " +
  "used_at_ms, last_use_at_ms, last_use_holder, note, protected_reason, protected_since_ms, " +
  "protected_by, sum";
