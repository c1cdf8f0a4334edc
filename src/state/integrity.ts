// A cheap look at the structure of a state file; its rows are proven when they are loaded.
import { type Database, DatabaseCorrupt } from "../core/database.ts";

/**
 * Larger files are not checked as a whole: see docs/decisions/0003-state.md for what that costs.
 */
const QUICK_CHECK_PAGES_MAX = 16_384;

/** Throws `DatabaseCorrupt` with SQLite's own words. */
export function checkFile(database: Database): void {
  const pages = database.prepare<{ readonly page_count: number }>("PRAGMA page_count").get();
  if ((pages?.page_count ?? 0) > QUICK_CHECK_PAGES_MAX) return;
  const result = database
    .prepare<{ readonly quick_check: string }>("PRAGMA quick_check(1)")
    .get()?.quick_check;
  if (result !== "ok") throw new DatabaseCorrupt(`${database.path}: ${result}`);
}
