// Room on disk that is ours before it is needed: a log of fixed size, and free pages in the file.
//
// The log is written once to its full length and then overwritten for ever, so a commit syncs data
// and no file metadata. Free pages in the file are what a full disk leaves us to work with:
// removals find room in the log and in the pages, purging always does. When the free pages run low
// they are replenished; when the disk does not give them, what needs more room is refused (`take`).
import { closeSync, fsyncSync, openSync, rmSync, statSync, writeSync } from "node:fs";
import type { Database, Statement } from "../core/database.ts";
import type { Log } from "../core/operation.ts";
import { logSuffix } from "./files.ts";

const PAGE_BYTES = 4096;
const FRAME_BYTES = PAGE_BYTES + 24;
const LOG_HEADER_BYTES = 32;

/** Length of the log, in pages: 2 MiB. */
const LOG_PAGES = 512;
/** The log is emptied into the file when a commit has filled this many of its pages. */
const CHECKPOINT_PAGES = 384;
/** Free pages after replenishing: 2 MiB. */
const RESERVE_PAGES = 512;
/** Fewer free pages than this are replenished. */
const RESERVE_LOW_PAGES = 256;
/** New volumes need this many free pages to be left; what mounts and removals can count on. */
export const RESERVE_FLOOR_PAGES = 128;
/** New holders need this many; what removals can count on. */
export const HOLDER_FLOOR_PAGES = 64;
/**
 * New rows of the trash, which stay, need this many; what purging can count on. What leaves the
 * volumes frees a page only when most rows of the page are gone, so that many removals can take
 * more than they give. Without a floor they would fill the log with pages that the file has no room
 * for, and no start could bring them in.
 */
export const TRASH_FLOOR_PAGES = 32;
/** After a full disk, a new attempt is made when this many more pages are used up. */
const RETRY_PAGES = 16;
/** How much of a page new rows fill, at the least; splitting leaves the rest. */
const PAGE_FILL_BYTES = 2048;

/** Length of the log file in bytes. */
export const LOG_BYTES = LOG_HEADER_BYTES + LOG_PAGES * FRAME_BYTES;

/** A log that a large batch has made longer than this is cut to its length again. */
const LOG_BYTES_MAX = 2 * LOG_BYTES;

interface CheckpointRow {
  readonly busy: number;
}

export class Room {
  readonly #database: Database;
  readonly #directory: string;
  readonly #log: Log;
  readonly #checkpoint: Statement<CheckpointRow>;
  readonly #freePages: Statement<{ readonly freelist_count: number }>;
  /** What is free at the least: counted, less what was taken since. */
  #freeBytes = 0;
  /** What this turn has taken and the file does not know yet. */
  #turnBytes = 0;
  /** How few free pages make the next attempt to get more; lower after a failed one. */
  #attemptBelowPages = RESERVE_LOW_PAGES;

  #isWarned = false;

  constructor(parts: { database: Database; directory: string; log: Log }) {
    this.#database = parts.database;
    this.#directory = parts.directory;
    this.#log = parts.log;
    this.#database.exec(`PRAGMA wal_autocheckpoint = ${CHECKPOINT_PAGES}`);
    this.#checkpoint = this.#database.prepare("PRAGMA wal_checkpoint(RESTART)");
    this.#freePages = this.#database.prepare("PRAGMA freelist_count");
  }

  /**
   * After opening: the log to its length and the free pages to their number, if the disk allows.
   */
  prepare(): void {
    this.checkpoint();
    if (this.#logBytes() < LOG_BYTES || this.#countFree() < RESERVE_LOW_PAGES) {
      if (!this.#replenish(RESERVE_PAGES)) this.#attemptBelowPages = RESERVE_FLOOR_PAGES;
    }
    this.#countFree();
    // A migration of a large state has made it long.
    this.trimLog();
  }

  /** Begins a turn: what is taken from now on is not in the file until the turn's commit. */
  beginTurn(): void {
    this.#turnBytes = 0;
  }

  /**
   * Takes room for rows of `bytes`, after having tried to get more when it runs low. False when
   * fewer than `floorPages` would be left; with a floor of 0 it is always true, and the commit says
   * whether there is room.
   */
  take(bytes: number, floorPages: number): boolean {
    if (bytes === 0) return true;
    if (this.#freeBytes - bytes >= this.#attemptBelowPages * PAGE_FILL_BYTES) {
      this.#note(bytes);
      return true;
    }
    const needed = Math.ceil(bytes / PAGE_FILL_BYTES);
    const left = this.#countFree() - needed;
    if (left >= RESERVE_LOW_PAGES) this.#attemptBelowPages = RESERVE_LOW_PAGES;
    if (left < this.#attemptBelowPages && !this.#getMore(needed, left, floorPages)) {
      this.#attemptBelowPages = Math.max(left - RETRY_PAGES, RESERVE_FLOOR_PAGES);
      if (floorPages > 0 && left < floorPages) return false;
    }
    this.#note(bytes);
    return true;
  }

  #note(bytes: number): void {
    this.#freeBytes -= bytes;
    this.#turnBytes += bytes;
  }

  #getMore(needed: number, left: number, floorPages: number): boolean {
    // Removals do not ask a disk again and again that is known to be full, unless they have to.
    const isRemoval = floorPages <= TRASH_FLOOR_PAGES;
    const isWorthAsking = !isRemoval || left >= RESERVE_FLOOR_PAGES || left < floorPages;
    if (!isWorthAsking) return false;
    const turnPages = Math.ceil(this.#turnBytes / PAGE_FILL_BYTES);
    if (!this.#replenish(needed + turnPages + RESERVE_PAGES)) return false;
    this.#attemptBelowPages = RESERVE_LOW_PAGES;
    this.#countFree();
    return true;
  }

  /** Whether removals have to make their own room. */
  isShort(): boolean {
    return this.#attemptBelowPages < RESERVE_LOW_PAGES;
  }

  /** Brings the whole log into the file; the next commit overwrites it from its beginning. */
  checkpoint(): void {
    this.#checkpoint.get();
  }

  /** The same where it is only useful: a failure is met again when it matters. */
  tryCheckpoint(): void {
    try {
      this.checkpoint();
    } catch (error) {
      this.#log.warn("the state's log could not be brought into its file", { error });
    }
  }

  /** After a batch that may have made the log longer. */
  trimLog(): void {
    if (this.#logBytes() <= LOG_BYTES_MAX) return;
    this.tryCheckpoint();
    try {
      this.#cutLogWith("INSERT OR REPLACE INTO meta VALUES ('log_cut', '')");
    } catch (error) {
      this.#log.warn("the state's log stays longer than it should be", { error });
    }
  }

  #logBytes(): number {
    return statSync(this.#database.path + logSuffix, { throwIfNoEntry: false })?.size ?? 0;
  }

  /**
   * The first commit after a checkpoint cuts the log to the limit, if there is one. There is none
   * at other times: with one, closing would cut the log to nothing, which a full disk cannot undo.
   */
  #cutLogWith(sql: string): void {
    this.#database.exec(`PRAGMA journal_size_limit = ${LOG_BYTES}`);
    try {
      // A transaction, so that it is synced before the next one like every other.
      this.#database.transaction(() => this.#database.exec(sql));
    } finally {
      this.#database.exec("PRAGMA journal_size_limit = -1");
    }
  }

  /** Free pages, less what this turn has taken; below 0 when it has taken more than there is. */
  #countFree(): number {
    const free = this.#freePages.get()?.freelist_count ?? 0;
    this.#freeBytes = free * PAGE_FILL_BYTES - this.#turnBytes;
    return Math.floor(this.#freeBytes / PAGE_FILL_BYTES);
  }

  /**
   * Brings the free pages to `pages`, with real blocks below them, by writing that many into the
   * log, from there into the file, and freeing them. First it makes sure that the disk has the
   * room: pages that stay in the log because the file cannot grow would fill it. The file that
   * proves it is kept for as long as somebody else could still take the room.
   */
  #replenish(pages: number): boolean {
    const probe = `${this.#directory}/state.probe`;
    try {
      writeZeros(probe, pages * PAGE_BYTES);
      this.checkpoint();
      this.#database.exec(
        `INSERT INTO ballast VALUES (zeroblob(${(pages - 1) * (PAGE_BYTES - 4)}))`,
      );
      this.#checkpointWith(probe);
      this.#isWarned = false;
      return true;
    } catch (error) {
      if (!this.#isWarned) {
        this.#log.warn("no room to set aside for the state; soon only removals will work", {
          error,
        });
      }
      this.#isWarned = true;
      return false;
    } finally {
      rmSync(probe, { force: true });
      this.#dropBallast();
    }
  }

  #checkpointWith(probe: string): void {
    try {
      this.checkpoint();
    } catch {
      rmSync(probe, { force: true });
      this.checkpoint();
    }
  }

  #dropBallast(): void {
    try {
      this.#cutLogWith("DELETE FROM ballast");
    } catch (error) {
      this.#log.warn("the state's ballast stays until the next start", { error });
    }
  }
}

function writeZeros(path: string, bytes: number): void {
  const zeros = new Uint8Array(256 * 1024);
  const descriptor = openSync(path, "w", 0o600);
  try {
    for (let left = bytes; left > 0; left -= zeros.length) {
      writeSync(descriptor, zeros, 0, Math.min(left, zeros.length));
    }
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}
