// Puts SQLite's write-ahead log on disk after a commit, with fdatasync where SQLite would fsync.
//
// Bun's SQLite calls fsync, which on ext4 commits the journal whenever the log's time stamp moved:
// that is at every commit. fdatasync of a log that is overwritten in place writes its blocks and
// nothing else; measured here: 0.5 instead of 1.2 ms for a commit with two mkdirs beside it. With
// `synchronous=NORMAL` SQLite leaves the sync of a commit to us and keeps those that order the log
// and the database at a checkpoint. (Closing this descriptor drops no lock: SQLite locks other
// files.)
import fs from "node:fs";
import { EngineError } from "../core/errors.ts";

export interface LogSync {
  /**
   * Returns when everything written to the log is on disk. After a failure nobody knows what is on
   * disk, so that every later call fails too, until the database is opened anew (crash-only).
   */
  sync(): void;
  close(): void;
}

/** For a database that is no file. */
export const noLogSync: LogSync = { sync() {}, close() {} };

/** The log of the database at `path`; its file need not exist before the first commit. */
export function logSync(path: string): LogSync {
  let descriptor: number | undefined;
  let failure: EngineError | undefined;
  return {
    sync() {
      if (failure !== undefined) throw failure;
      try {
        descriptor ??= fs.openSync(`${path}-wal`, "r");
        fs.fdatasyncSync(descriptor);
      } catch (thrown) {
        failure = new EngineError(
          "storage.failed",
          `database ${path}: a commit could not be put on disk (${String(thrown)}); ` +
            "restart the daemon when the disk works again",
          { cause: thrown },
        );
        throw failure;
      }
    },
    close() {
      if (descriptor !== undefined) fs.closeSync(descriptor);
      descriptor = undefined;
    },
  };
}
