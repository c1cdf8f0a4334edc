// When two containers have written the same file at nearly the same time: pure, bounded, seeded
// tests beside it.
//
// A write is known to have happened between two reads of the kernel's queue, not when. So that
// nothing is reported that was not, two writes count only when they are surely within the window,
// whenever in between they were. One report for each file and pair, until it was quiet for a while.

/** Two writes further apart are no conflict: a file was handed over. In milliseconds. */
export const WINDOW_MS = 2_000;
/** A pair that went on writing a file is reported again only after so long a quiet time. */
const QUIET_MS = 600_000;
/** How many writers of one file are remembered. */
const WRITER_COUNT_MAX = 8;
/** How many pairs are remembered of a volume after their report. */
const PAIR_COUNT_MAX = 128;
/** How much is reported of a volume in an hour; the rest is only counted. */
const REPORT_COUNT_MAX = 60;
const HOUR_MS = 3_600_000;

/** What one look at a container's mount has found. */
export interface SeenWrites {
  /** 64 hex digits. */
  readonly container: string;
  /** The files, and the program that wrote each; "" when it is not known. */
  readonly written: readonly { readonly file: string; readonly program: string }[];
  /** The look before this one: nothing here was written earlier. */
  readonly afterMs: number;
  /** This look. Both by a clock that only goes forward. */
  readonly atMs: number;
}

export interface ConflictWriter {
  readonly container: string;
  readonly program: string;
}

export interface Conflict {
  readonly file: string;
  /** Who wrote it first, and who wrote it then. */
  readonly writers: readonly [ConflictWriter, ConflictWriter];
}

/** A container's writes of one file that are within the window. */
interface Write extends ConflictWriter {
  /** The latest of them: between these two looks. */
  readonly afterMs: number;
  readonly atMs: number;
}

/** What a look has found. */
export interface Findings {
  /** To be reported. */
  readonly news: readonly Conflict[];
  /** Two have written one file; it may have been reported before. */
  readonly isConflict: boolean;
}

/** One volume's. */
export class WriteConflicts {
  /** How many files, written within the window, are remembered. */
  readonly #fileCountMax: () => number;
  /** The files written last at the end. */
  readonly #files = new Map<string, Map<string, Write>>();
  /** When each pair was last seen to write a file that it was reported for, latest at the end. */
  readonly #reported = new Map<string, number>();
  /** When the reports of the last hour were. */
  #reports: number[] = [];
  #unreportedCount = 0;
  #cutCount = 0;

  constructor(fileCountMax: () => number) {
    this.#fileCountMax = fileCountMax;
  }

  /** Conflicts that were found after so many reports in one hour, and not reported. */
  get unreportedCount(): number {
    return this.#unreportedCount;
  }

  /** How often files were forgotten within the window, because there were too many. */
  get cutCount(): number {
    return this.#cutCount;
  }

  /** Files that are remembered now. */
  get fileCount(): number {
    return this.#files.size;
  }

  /**
   * Notes what a container has written; times must not go back. O(files written), whatever was
   * written before.
   */
  note(seen: SeenWrites): Findings {
    this.#forgetBefore(seen.atMs - WINDOW_MS);
    const news: Conflict[] = [];
    let isConflict = false;
    for (const { file, program } of seen.written) {
      const { container, afterMs, atMs } = seen;
      const write: Write = { container, program, afterMs, atMs };
      const others = this.#files.get(file);
      for (const other of others?.values() ?? []) {
        if (other.container === container || !areNear(other, write)) continue;
        isConflict = true;
        if (this.#isNews(pairKey(file, other, write), atMs)) {
          news.push({ file, writers: [writerOf(other), writerOf(write)] });
        }
      }
      this.#remember(file, write);
    }
    if (dropOldest(this.#files, this.#fileCountMax())) this.#cutCount += 1;
    return { news, isConflict };
  }

  /** The container is gone: what it wrote is handed over to whoever writes next. */
  forget(container: string): void {
    for (const [file, writes] of this.#files) {
      if (writes.delete(container) && writes.size === 0) this.#files.delete(file);
    }
  }

  #remember(file: string, write: Write): void {
    const writes = this.#files.get(file) ?? new Map<string, Write>();
    this.#files.delete(file);
    this.#files.set(file, writes);
    // A program that is gone when it is looked at was mostly the one that was there before.
    const program = write.program === "" ? (writes.get(write.container)?.program ?? "") : "";
    writes.delete(write.container);
    writes.set(write.container, program === "" ? write : { ...write, program });
    dropOldest(writes, WRITER_COUNT_MAX);
  }

  /** Nothing that was written then can be part of a conflict any more. */
  #forgetBefore(ms: number): void {
    for (const [file, writes] of this.#files) {
      const latest = [...writes.values()].at(-1);
      if (latest !== undefined && latest.atMs >= ms) return;
      this.#files.delete(file);
    }
  }

  #isNews(pair: string, atMs: number): boolean {
    const lastMs = this.#reported.get(pair);
    if (lastMs !== undefined && atMs - lastMs < QUIET_MS) {
      this.#noteReported(pair, atMs);
      return false;
    }
    this.#reports = this.#reports.filter((ms) => atMs - ms < HOUR_MS);
    if (this.#reports.length >= REPORT_COUNT_MAX) {
      this.#unreportedCount += 1;
      return false;
    }
    this.#reports.push(atMs);
    this.#noteReported(pair, atMs);
    return true;
  }

  #noteReported(pair: string, atMs: number): void {
    this.#reported.delete(pair);
    this.#reported.set(pair, atMs);
    dropOldest(this.#reported, PAIR_COUNT_MAX);
  }
}

/** However early the one and however late the other was. */
function areNear(left: Write, right: Write): boolean {
  const from = Math.min(left.afterMs, right.afterMs);
  return Math.max(left.atMs, right.atMs) - from <= WINDOW_MS;
}

function writerOf({ container, program }: Write): ConflictWriter {
  return { container, program };
}

/** The same whoever of the two was first. */
function pairKey(file: string, left: Write, right: Write): string {
  const pair = [left.container, right.container].sort();
  return `${file} ${pair.join(" ")}`;
}

/** True: some had to go. */
function dropOldest(map: Map<string, unknown>, countMax: number): boolean {
  const isFull = map.size > countMax;
  for (const key of map.keys()) {
    if (map.size <= countMax) break;
    map.delete(key);
  }
  return isFull;
}
