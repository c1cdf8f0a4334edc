// A small synchronous SQL database in one file: what the state needs of SQLite, and no more.
//
// Who opens one owns it: there is no second connection, so nothing here waits for anybody but the
// disk. Calls block the thread for the time of the disk access; keep transactions short.
//
//   const volumes = database.prepare<{ name: string }, [driver: string]>(
//     "SELECT name FROM volumes WHERE driver = ?",
//   );
//   for (const row of volumes.all("local")) …

/** What can be bound and read. Integers beyond 2^53 would lose digits: store them as text. */
export type SqlValue = string | number | bigint | boolean | null | Uint8Array;

/** What a statement that changes rows did. */
export interface SqlChanges {
  readonly changes: number;
  /** The rowid of the last insert of this connection. */
  readonly lastRowId: number;
}

/**
 * A prepared statement with positional parameters (`?`). It lives until the database is closed, so
 * it is prepared once and not per call. `Row` is what the SQL promises: nothing checks it.
 */
export interface Statement<Row, Parameters extends readonly SqlValue[] = readonly []> {
  run(...parameters: Parameters): SqlChanges;
  get(...parameters: Parameters): Row | undefined;
  all(...parameters: Parameters): readonly Row[];
  /** One row at a time, for tables that should not stand in memory twice; not while writing. */
  iterate(...parameters: Parameters): Iterable<Row>;
}

/**
 * Every member throws `storage.full`, `storage.read_only` or `storage.failed` when the disk does,
 * and `DatabaseCorrupt` when the file is not what was written; then nothing of the call was done.
 * Any other error is a bug in the SQL and is thrown as it came.
 */
export interface Database {
  readonly path: string;
  prepare<Row = never, Parameters extends readonly SqlValue[] = readonly []>(
    sql: string,
  ): Statement<Row, Parameters>;
  /** Runs one or more statements without parameters or results: schema and pragmas. */
  exec(sql: string): void;
  /**
   * Runs `work` between BEGIN IMMEDIATE and COMMIT, and rolls back when it throws. Durable when it
   * returns; with `isLazy` only the end of this process is outlived, and a power cut when the next
   * transaction has ended that is not lazy. `work` is synchronous; transactions do not nest.
   */
  transaction<T>(work: () => T, how?: { readonly isLazy: boolean }): T;
  /** Ends all statements and closes the file. Closing twice is allowed; all else then throws. */
  close(): void;
}

export interface DatabaseOptions {
  /**
   * "create": made when missing. "existing": a missing file is `storage.failed`. "read_only": for
   * looking at copies; writes nothing, not even beside the file.
   */
  readonly mode: "create" | "existing" | "read_only";
  /**
   * Keeps the write-ahead log's file on close, with the size it has: an overwritten log is synced
   * several times faster than a growing one. Default: false.
   */
  readonly keepLog?: boolean;
  /**
   * Locks every other connection out for as long as it is open, and keeps the log's index in memory
   * instead of a file of its own. Default: false.
   */
  readonly exclusive?: boolean;
}

/** Opens a database in WAL mode. What `transaction` has committed survives a power cut. */
export type OpenDatabase = (path: string, options: DatabaseOptions) => Database;

/** The file is damaged or is no database: put a copy in its place, retrying does not help. */
export class DatabaseCorrupt extends Error {
  override readonly name = "DatabaseCorrupt";
  readonly code = "corrupt";
}
