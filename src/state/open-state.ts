// Opens the state of a data root: makes it, migrates it, or brings it back from its copies.
import { mkdirSync } from "node:fs";
import { type Database, DatabaseCorrupt, type OpenDatabase } from "../core/database.ts";
import { storageError } from "../core/errors.ts";
import type { Log } from "../core/operation.ts";
import type { StateOrigin, StateStore } from "../core/state-store.ts";
import { COPY_INTERVAL_MS, CopyKeeper, REMOVAL_COPY_INTERVAL_MS } from "./copy-keeper.ts";
import { copyFileName } from "./copy-writer.ts";
import { logSuffix, stateFileName, whatIsAt } from "./files.ts";
import { checkFile } from "./integrity.ts";
import { loadMemory } from "./load.ts";
import { checkLog } from "./log-check.ts";
import type { Memory } from "./memory.ts";
import { migrations, runMigrations, stateVersion } from "./migrations.ts";
import { Room } from "./room.ts";
import { RowWriter } from "./row-writer.ts";
import {
  keepDamagedLog,
  LOST_CHANGES_MAX,
  makeState,
  replaceState,
  type Salvage,
  setChangesBefore,
} from "./salvage.ts";
import { type Closing, createStore, setMeta } from "./store.ts";

export interface StateOptions {
  /** The data root: made when missing, with its parents. */
  readonly directory: string;
  readonly openDatabase: OpenDatabase;
  /** Wall clock in milliseconds since the epoch. */
  nowMs(): number;
  /** A random UUID, for a state that has none yet. */
  newId(): string;
  /** How old the automatic copy gets at most while things change; by default a minute. */
  readonly copyIntervalMs?: number;
  /** The same after a removal, if that is less; by default 5 seconds. */
  readonly removalCopyIntervalMs?: number;
  readonly log: Log;
}

/**
 * Opens or makes `<directory>/state.db`. A lost or damaged one is put aside, never deleted, and its
 * rows come back from the automatic copy: `origin` says so. Throws `state.too_new`, `storage.full`,
 * `storage.read_only`, `storage.failed` and `host.denied`; then nothing was changed.
 */
export function openState(options: StateOptions): StateStore {
  try {
    mkdirSync(options.directory, { recursive: true, mode: 0o711 });
    const { opened, origin } = openOrSalvage(options);
    try {
      return assembleStore(options, opened, origin);
    } catch (error) {
      opened.database.close();
      throw error;
    }
  } catch (error) {
    // What has no code is no failure of the storage but a bug.
    if (!(error instanceof Error && "code" in error)) throw error;
    throw storageError(error, `opening the state below ${options.directory}`);
  }
}

interface Opened {
  readonly database: Database;
  readonly memory: Memory;
  /** How the last daemon left it. */
  readonly closing: Closing;
}

function openOrSalvage(options: StateOptions): { opened: Opened; origin: StateOrigin } {
  const path = `${options.directory}/${stateFileName}`;
  const salvage: Salvage = { ...options, path };
  switch (whatIsAt(path)) {
    case "nothing": {
      const origin = makeState(salvage);
      return { opened: openExisting(options, path), origin };
    }
    case "other":
      return salvaged(options, salvage, `${path} is no file`);
    case "file":
      return openFile(options, salvage);
  }
}

function openFile(
  options: StateOptions,
  salvage: Salvage,
): { opened: Opened; origin: StateOrigin } {
  const { path } = salvage;
  // Before SQLite opens it: from then on the log is in use.
  const log = checkLog(path + logSuffix);
  const damagedLogPath = log.state === "damaged" ? keepDamagedLog(salvage) : null;
  let opened: Opened;
  try {
    opened = openExisting(options, path);
  } catch (error) {
    if (!(error instanceof DatabaseCorrupt)) throw error;
    return salvaged(options, salvage, error.message);
  }
  // A log that was in use when the last daemon died had changes that are nowhere else.
  if (log.state === "whole" || opened.closing !== "open") {
    return { opened, origin: { kind: "opened" } };
  }
  const what = log.state === "missing" ? "is missing" : `is damaged: ${log.reason}`;
  const reason = `${path}${logSuffix} ${what}`;
  const replaced = replaceOlder(options, { salvage, opened, reason });
  if (replaced !== undefined) return replaced;
  const copiedAtMs = lastChangeMs(opened.database);
  skipLostChanges(opened);
  return {
    opened,
    origin: { kind: "salvaged", reason, copiedAtMs, damagedPath: damagedLogPath },
  };
}

/** What the log took along has had cursors that nothing else is to get. */
function skipLostChanges({ database, memory }: Opened): void {
  const count = memory.next.history - 1 + LOST_CHANGES_MAX;
  setChangesBefore(database, count);
  memory.startHistoryAt(count + 1);
}

/** Whichever knows more of the file without its log and the copy. */
function replaceOlder(
  options: StateOptions,
  found: { readonly salvage: Salvage; readonly opened: Opened; readonly reason: string },
): { opened: Opened; origin: StateOrigin } | undefined {
  const { salvage, opened, reason } = found;
  const changeCount = opened.memory.next.history - 1;
  const origin = replaceState(salvage, {
    reason,
    onlyNewerThan: changeCount,
    release: () => opened.database.close(),
  });
  if (origin === undefined) return undefined;
  return { opened: openExisting(options, salvage.path), origin };
}

function salvaged(
  options: StateOptions,
  salvage: Salvage,
  reason: string,
): { opened: Opened; origin: StateOrigin } {
  options.log.error("the state is damaged; it is put aside and made again from its copy", {
    reason,
  });
  const origin = replaceState(salvage, { reason, onlyNewerThan: null, release() {} });
  if (origin === undefined) throw new TypeError("a state that must be replaced was not");
  return { opened: openExisting(options, salvage.path), origin };
}

function openExisting(options: StateOptions, path: string): Opened {
  const database = options.openDatabase(path, {
    mode: "existing",
    keepLog: true,
    exclusive: true,
  });
  try {
    const version = stateVersion(database);
    // SQLite sees only here that the file was cut shorter than its log knows it.
    database.prepare("PRAGMA wal_checkpoint(PASSIVE)").get();
    checkFile(database);
    runMigrations(database, migrations, version);
    database.exec("PRAGMA foreign_keys = ON");
    return { database, memory: loadMemory(database), closing: readClosing(database) };
  } catch (error) {
    database.close();
    throw error;
  }
}

function assembleStore(options: StateOptions, opened: Opened, origin: StateOrigin): StateStore {
  const { directory, nowMs, log } = options;
  const { database, memory, closing } = opened;
  const room = new Room({ database, directory, log });
  const id = database.transaction(() => {
    setMeta(database, "open");
    return idOf(database, options);
  });
  room.prepare();
  const copies = new CopyKeeper({
    directory,
    intervalMs: options.copyIntervalMs ?? COPY_INTERVAL_MS,
    removalIntervalMs: options.removalCopyIntervalMs ?? REMOVAL_COPY_INTERVAL_MS,
    log,
    content: () => ({
      copiedAtMs: nowMs(),
      changeCount: memory.next.history - 1,
      ...memory.snapshot(),
    }),
  });
  const isCopied = closing === "closed" && whatIsAt(`${directory}/${copyFileName}`) === "file";
  if (!isCopied || origin.kind !== "opened") copies.changed(false);
  const writer = new RowWriter(database, memory.next.history);
  return createStore({ origin, id, database, memory, writer, room, copies, log });
}

function readClosing(database: Database): Closing {
  const row = database
    .prepare<{ readonly value: Closing }>("SELECT value FROM meta WHERE key = 'closing'")
    .get();
  return row?.value ?? "closed_without_copy";
}

/** Inside a transaction. */
function idOf(database: Database, options: StateOptions): string {
  const row = database
    .prepare<{ readonly value: string }>("SELECT value FROM meta WHERE key = 'id'")
    .get();
  if (row !== undefined) return row.value;
  const id = options.newId();
  database.prepare<never, [string]>("INSERT INTO meta VALUES ('id', ?)").run(id);
  return id;
}

function lastChangeMs(database: Database): number | null {
  const row = database
    .prepare<{ readonly at_ms: number }>("SELECT at_ms FROM history ORDER BY id DESC LIMIT 1")
    .get();
  return row?.at_ms ?? null;
}
