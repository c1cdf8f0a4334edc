// A new state file beside the old one, filled from the copies, and the damaged one put aside.
import { closeSync, constants, copyFileSync, fsyncSync, openSync, renameSync } from "node:fs";
import type { Database, OpenDatabase } from "../core/database.ts";
import type { Log } from "../core/operation.ts";
import type { StateOrigin } from "../core/state-store.ts";
import { BatchPlan } from "./batch.ts";
import type { Change } from "./change.ts";
import { type CopyContent, readCopy } from "./copy-format.ts";
import { copyFileName, olderCopyFileName } from "./copy-writer.ts";
import {
  damagedName,
  logSuffix,
  moveIfThere,
  removeUnfinished,
  syncDirectory,
  whatIsAt,
} from "./files.ts";
import { Memory } from "./memory.ts";
import { makeSchema } from "./migrations.ts";
import { RowWriter } from "./row-writer.ts";

/**
 * More changes than a lost log can have had: it was brought into the file after 384 pages of 4,096
 * bytes, and a row of the history takes more than 64.
 */
export const LOST_CHANGES_MAX = 32_768;

export interface Salvage {
  readonly directory: string;
  readonly path: string;
  readonly openDatabase: OpenDatabase;
  nowMs(): number;
  readonly log: Log;
}

/** Where there is no state file: the first start, or one that was lost. */
export function makeState(salvage: Salvage): StateOrigin {
  const { path } = salvage;
  const copy = bestCopy(salvage);
  const isLost = copy.foundCount > 0 || whatIsAt(path + logSuffix) !== "nothing";
  buildBeside(salvage, copy.content, isLost);
  // A log without its file must not be taken for the new one's.
  const damaged = damagedName(path, salvage.nowMs());
  const isLogThere = moveIfThere(path + logSuffix, damaged + logSuffix);
  putInPlace(salvage);
  if (!isLogThere && copy.foundCount === 0) return { kind: "created" };
  return {
    kind: "salvaged",
    reason: `${copy.note}${path} is missing`,
    copiedAtMs: copy.content?.copiedAtMs ?? null,
    damagedPath: isLogThere ? damaged + logSuffix : null,
  };
}

/**
 * Puts the damaged file and its log aside and a new one in place. With `onlyNewerThan`: only if a
 * copy knows more changes than that; undefined when none does, and nothing was touched. `release`
 * is called before anything is renamed.
 */
export function replaceState(
  salvage: Salvage,
  how: {
    readonly reason: string;
    readonly onlyNewerThan: number | null;
    release(): void;
  },
): StateOrigin | undefined {
  const { path } = salvage;
  const { content, note } = bestCopy(salvage);
  if (how.onlyNewerThan !== null && (content?.changeCount ?? 0) <= how.onlyNewerThan) {
    return undefined;
  }
  how.release();
  buildBeside(salvage, content, true);
  const damagedPath = damagedName(path, salvage.nowMs());
  renameSync(path, damagedPath);
  moveIfThere(path + logSuffix, damagedPath + logSuffix);
  putInPlace(salvage);
  return {
    kind: "salvaged",
    reason: note + how.reason,
    copiedAtMs: content?.copiedAtMs ?? null,
    damagedPath,
  };
}

/** A copy of the file and its damaged log as they are, before the log is written to. */
export function keepDamagedLog(salvage: Salvage): string {
  const { path } = salvage;
  const damaged = damagedName(path, salvage.nowMs());
  for (const suffix of [logSuffix, ""]) {
    copyFileSync(path + suffix, damaged + suffix, constants.COPYFILE_EXCL);
    syncFile(damaged + suffix);
  }
  syncDirectory(salvage.directory);
  return damaged;
}

/** From where the count of changes goes on. */
export function setChangesBefore(database: Database, count: number): void {
  database.transaction(() =>
    database
      .prepare<never, [string]>("INSERT OR REPLACE INTO meta VALUES ('changes_before', ?)")
      .run(String(count)),
  );
}

interface FoundCopy {
  readonly content: CopyContent | undefined;
  readonly foundCount: number;
  /** Words to set before a reason when it is not the newest copy, which may be much older then. */
  readonly note: string;
}

/** The newest copy that can be proven, and how many there are. */
function bestCopy(salvage: Salvage): FoundCopy {
  let foundCount = 0;
  for (const name of [copyFileName, olderCopyFileName]) {
    const path = `${salvage.directory}/${name}`;
    if (whatIsAt(path) === "nothing") continue;
    foundCount++;
    try {
      const isNewest = foundCount === 1;
      const note = isNewest ? "" : "its newest copy too: ";
      return { content: readCopy(path), foundCount, note };
    } catch (error) {
      salvage.log.error("a copy of the state cannot be used", { path, error });
    }
  }
  return { content: undefined, foundCount, note: "" };
}

function unfinishedPath(salvage: Salvage): string {
  return `${salvage.path}.new`;
}

/**
 * How many changes a salvaged state says there were before: more than the lost one can have had,
 * so that cursors of the history only grow. Nobody knows how old the copy is, but no state counts
 * a thousand changes a second for long: milliseconds since the epoch are ahead of any count.
 */
function changesBefore(salvage: Salvage, copied: number): number {
  return Math.max(copied + LOST_CHANGES_MAX, Math.floor(salvage.nowMs()));
}

/** A whole and closed state file: only then does it get its name. `isLost`: there was one. */
function buildBeside(salvage: Salvage, content: CopyContent | undefined, isLost: boolean): void {
  const path = unfinishedPath(salvage);
  removeUnfinished(path);
  // Options may hold passwords. The log gets the mode of its database.
  closeSync(openSync(path, "wx", 0o600));
  const database = salvage.openDatabase(path, { mode: "create", exclusive: true });
  try {
    makeSchema(database);
    if (content !== undefined) {
      const writer = new RowWriter(database, 1);
      const plan = new BatchPlan(new Memory());
      const changes = changesOf(content);
      const planned = plan.add({ changes, isLazy: false, resolve() {}, reject() {} });
      if (planned instanceof Error) throw planned;
      database.transaction(() => {
        for (const row of planned.rows) writer.write(row);
      });
    }
    if (isLost) setChangesBefore(database, changesBefore(salvage, content?.changeCount ?? 0));
    // Closing would do this too, but says nothing when the disk is full, and leaves half a file.
    database.prepare("PRAGMA wal_checkpoint(TRUNCATE)").get();
  } finally {
    database.close();
  }
  syncFile(path);
}

function* entriesOf(content: CopyContent): Generator<Change> {
  for (const entry of content.volumes) yield { kind: "putVolume", entry };
  for (const entry of content.holders) yield { kind: "putHolder", entry };
  for (const entry of content.aliases) yield { kind: "putAlias", entry };
  for (const entry of content.retired) yield { kind: "putRetired", entry };
  for (const entry of content.engines) yield { kind: "putEngine", entry };
}

function changesOf(content: CopyContent): readonly Change[] {
  return [...entriesOf(content)];
}

function putInPlace(salvage: Salvage): void {
  renameSync(unfinishedPath(salvage), salvage.path);
  syncDirectory(salvage.directory);
}

function syncFile(path: string): void {
  const descriptor = openSync(path, "r");
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}
