// The StateStore over an open database: writes, the view, the history, the end.
import type { Database } from "../core/database.ts";
import { EngineError } from "../core/errors.ts";
import type { StateOrigin, StateStore } from "../core/state-store.ts";
import { type CommitParts, GroupCommit, translated } from "./group-commit.ts";
import { prepareHistory } from "./history.ts";
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
    write(work, { isLazy } = { isLazy: false }) {
      if (closing !== undefined) return Promise.reject(stopping());
      const recorder = new Recorder(memory);
      try {
        const result = work(recorder);
        return commits.add(recorder.finish(), isLazy).then(() => result);
      } catch (error) {
        recorder.finish();
        return Promise.reject(error);
      }
    },
    history(query) {
      if (closing !== undefined) throw stopping();
      try {
        return history(query, memory.next.history);
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

function stopping(): EngineError {
  return new EngineError("engine.stopping", "the state is closed: the daemon is shutting down");
}
