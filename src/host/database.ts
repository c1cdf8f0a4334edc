// core/database.ts over bun:sqlite, with SQLite's failures in the words of the error table.
import { constants, SQLiteError, Database as SqliteDatabase } from "bun:sqlite";
import { accessSync, constants as fileConstants, statfsSync } from "node:fs";
import { dirname } from "node:path";
import {
  type Database,
  DatabaseCorrupt,
  type DatabaseOptions,
  type OpenDatabase,
  type SqlValue,
  type Statement,
} from "../core/database.ts";
import type { ErrorCode } from "../core/error-table.ts";
import { EngineError, storageCode } from "../core/errors.ts";
import { logSync, noLogSync } from "./log-sync.ts";

/** How long a lock of a foreign process (a curious `sqlite3`) may stop this thread. */
const BUSY_TIMEOUT_MS = 1_000;

const IN_MEMORY = ":memory:";

/** SQLite reports some full disks as input/output errors; with less free space we know why. */
const FULL_BELOW_BYTES = 64 * 1024;

/** See core/database.ts. `:memory:` makes one that nothing keeps. */
export const openDatabase: OpenDatabase = (path, options) => {
  const translated = <T>(work: () => T): T => {
    try {
      return work();
    } catch (thrown) {
      throw translate(thrown, path);
    }
  };
  const sqlite = translated(() => open(path, options));
  const finalizers: (() => void)[] = [];

  const statement = <Row, Parameters extends readonly SqlValue[]>(
    sql: string,
  ): Statement<Row, Parameters> => {
    // bun:sqlite takes mutable lists of parameters; it does not change them.
    const prepared = translated(() => sqlite.prepare<Row, SqlValue[]>(sql));
    finalizers.push(() => prepared.finalize());
    return {
      run: (...parameters) =>
        translated(() => {
          const done = prepared.run(...parameters);
          return { changes: done.changes, lastRowId: Number(done.lastInsertRowid) };
        }),
      get: (...parameters) => translated(() => prepared.get(...parameters) ?? undefined),
      all: (...parameters) => translated(() => prepared.all(...parameters)),
      *iterate(...parameters) {
        try {
          yield* prepared.iterate(...parameters);
        } catch (thrown) {
          throw translate(thrown, path);
        }
      },
    };
  };
  const log = path === IN_MEMORY || options.mode === "read_only" ? noLogSync : logSync(path);
  const begin = statement("BEGIN IMMEDIATE");
  const commit = statement("COMMIT");

  const database: Database = {
    path,
    prepare: statement,
    exec(sql) {
      translated(() => sqlite.run(sql));
    },
    transaction(work, { isLazy } = { isLazy: false }) {
      begin.run();
      try {
        const result = work();
        commit.run();
        if (!isLazy) log.sync();
        return result;
      } catch (thrown) {
        // SQLite has rolled back by itself after some failures of the disk.
        if (sqlite.inTransaction) translated(() => sqlite.run("ROLLBACK"));
        throw thrown;
      }
    },
    close() {
      for (const finalize of finalizers.splice(0)) finalize();
      translated(() => sqlite.close(true));
      log.close();
    },
  };
  return database;
};

function open(path: string, options: DatabaseOptions): SqliteDatabase {
  if (options.mode === "read_only") return openCopy(path);
  const sqlite = new SqliteDatabase(path, {
    readwrite: true,
    create: options.mode === "create",
    strict: true,
  });
  try {
    if (path !== IN_MEMORY) refuseReadOnly(path);
    sqlite.run(`PRAGMA busy_timeout = ${BUSY_TIMEOUT_MS}`);
    if (options.keepLog === true) sqlite.fileControl(constants.SQLITE_FCNTL_PERSIST_WAL, 1);
    // Before the log is touched: only then its index stays in memory.
    if (options.exclusive === true) sqlite.run("PRAGMA locking_mode = EXCLUSIVE");
    const journal = sqlite.prepare<{ journal_mode: string }, []>("PRAGMA journal_mode = WAL");
    const mode = firstOf(journal)?.journal_mode;
    if (mode !== "wal" && path !== IN_MEMORY) {
      throw new EngineError(
        "storage.failed",
        `database ${path}: its file system cannot keep a write-ahead log (mode ${mode})`,
      );
    }
    // Commits are synced by src/host/log-sync.ts, checkpoints by SQLite.
    sqlite.run("PRAGMA synchronous = NORMAL");
    return sqlite;
  } catch (thrown) {
    sqlite.close();
    throw thrown;
  }
}

/** Finalized also when it fails: a statement that is left keeps the file open. */
function firstOf<Row>(statement: { get(): Row | null; finalize(): void }): Row | null {
  try {
    return statement.get();
  } finally {
    statement.finalize();
  }
}

/** "immutable" keeps SQLite from making files beside the copy; a log beside it is not read. */
function openCopy(path: string): SqliteDatabase {
  const uri = `file:${encodeURI(path).replaceAll("?", "%3f").replaceAll("#", "%23")}?immutable=1`;
  return new SqliteDatabase(uri, constants.SQLITE_OPEN_READONLY | constants.SQLITE_OPEN_URI);
}

function translate(thrown: unknown, path: string): unknown {
  if (!(thrown instanceof SQLiteError)) return thrown;
  const code = thrown.code ?? "";
  const message = `database ${path}: ${thrown.message} (${code})`;
  const family = /^SQLITE_[A-Z]+/.exec(code)?.[0];
  switch (family) {
    case "SQLITE_FULL":
      return new EngineError("storage.full", message, { cause: thrown });
    case "SQLITE_READONLY":
      return new EngineError("storage.read_only", message, { cause: thrown });
    case "SQLITE_BUSY":
    case "SQLITE_LOCKED":
      return new EngineError("state.locked", `${message}: another program has it open`, {
        cause: thrown,
      });
    case "SQLITE_IOERR":
    case "SQLITE_CANTOPEN":
      return new EngineError(whyNot(dirname(path)), message, { cause: thrown });
    case "SQLITE_PERM":
      return new EngineError("host.denied", message, { cause: thrown });
    case "SQLITE_CORRUPT":
    case "SQLITE_NOTADB":
      return new DatabaseCorrupt(message, { cause: thrown });
    default:
      return thrown;
  }
}

/** SQLite opens what it may not write for reading, and says so only at the first change. */
function refuseReadOnly(path: string): void {
  try {
    accessSync(path, fileConstants.W_OK);
  } catch (thrown) {
    const message = `database ${path} cannot be written: ${thrown}`;
    throw new EngineError(storageCode(thrown), message, { cause: thrown });
  }
}

/** What the file system itself says when SQLite only knows that something did not work. */
function whyNot(folder: string): ErrorCode {
  try {
    accessSync(folder, fileConstants.W_OK);
    const { bavail, bsize } = statfsSync(folder);
    return bavail * bsize < FULL_BELOW_BYTES ? "storage.full" : "storage.failed";
  } catch (thrown) {
    return storageCode(thrown);
  }
}
