// What outlives the daemon of its leases: grants and ends, one line each (decision 0012).
//
// Lines are written before the answer and not synced: the kernel keeps them when the daemon is
// killed, and a boot, which takes the file's worth, ends all holders as well. A line is whole by
// its sum, or is passed over. Who got a key later ended those who cannot have held it beside.
import fs from "node:fs";
import zlib from "node:zlib";
import { isErrno, messageOf } from "../core/errors.ts";
import { type LeaseMode, type LockKey, leaseModes } from "../core/lease-service.ts";
import type { Log } from "../core/operation.ts";

/** As much is appended, at least, before the file is written anew without what has ended. */
export const JOURNAL_SLACK_BYTES = 1_048_576;
/** As much, when nothing is held: then it is one line. */
const EMPTY_SLACK_BYTES = 262_144;
/** Longer than most lines. */
const SCRATCH_BYTES = 4_096;

const FORMAT = 1;
const FILE_MODE = 0o600;
const DIRECTORY_MODE = 0o700;

/** The clock and the name of this boot: the same for the next daemon, another one after a boot. */
export interface Boot {
  readonly id: string;
  /** Milliseconds since the boot. Goes only forward. */
  nowMs(): number;
}

/** Where lines are kept. Writing is synchronous: a lease is not answered before. */
export interface JournalFile {
  /** undefined: there is none. */
  read(): string | undefined;
  /**
   * When it throws, some of it may be there; the next call is `replace`. Throws where what was
   * there has been removed: nobody would read what is added to it.
   */
  append(text: string): void;
  /**
   * Puts all of it in the place of what was there, or, when it throws, leaves that. Also where the
   * directory has been removed.
   */
  replace(text: string): void;
  /** The last call: nothing of it stays open, and where `isOver` nothing of it stays. */
  close(isOver: boolean): void;
}

/** A lease with terms, as the next daemon must know it. */
export interface JournalRecord {
  readonly key: LockKey;
  readonly mode: LeaseMode;
  readonly fence: bigint;
  /** Wall clock, milliseconds since the epoch. */
  readonly sinceMs: number;
  readonly ttlMs: number;
  /** By the clock of `Boot`. */
  readonly expiresAtMs: number;
  readonly keep: string;
}

export interface JournalParts {
  readonly file: JournalFile;
  readonly boot: Boot;
  readonly log: Pick<Log, "warn">;
}

type Line =
  | readonly ["boot", format: number, id: string]
  | readonly ["grant", fence: string, LockKey, LeaseMode, number, number, number, keep: string]
  | readonly ["renew", fence: string, ttlMs: number, expiresAtMs: number]
  | readonly ["end", fence: string];

/** A grant and its last renewal; "": there was none. */
interface RecordText {
  readonly grant: string;
  renewal: string;
}

export class LeaseJournal {
  readonly #parts: JournalParts;
  /** What is held, as the next daemon would read it. */
  readonly #records = new Map<bigint, JournalRecord>();
  /** The lines of those, ready to be written anew: thousands, while everybody waits. */
  readonly #texts = new Map<bigint, RecordText>();
  /** Bytes since the file was written anew, and how long it was then. */
  #appendedBytes = 0;
  #wholeBytes = 0;
  /** A line could not be written: the file must be written anew before it is right again. */
  #isBehind = true;

  /** Reads what the last daemon left; what is damaged is logged and passed over. */
  constructor(parts: JournalParts) {
    this.#parts = parts;
    this.#read();
  }

  /** The clock by which its leases expire. */
  get boot(): Boot {
    return this.#parts.boot;
  }

  /** What is held, by fence. At the start: what the last daemon of this boot left. */
  get records(): ReadonlyMap<bigint, JournalRecord> {
    return this.#records;
  }

  /** The next daemon knows of it when this returns. Throws what the file system throws. */
  granted(record: JournalRecord): void {
    const { fence } = record;
    const grant = lineText(grantLine(record));
    this.#records.set(fence, record);
    this.#texts.set(fence, { grant, renewal: "" });
    try {
      this.#write(grant);
    } catch (error) {
      this.#records.delete(fence);
      this.#texts.delete(fence);
      throw error;
    }
  }

  /** As `granted`. When it throws, the next daemon goes by the time before. */
  renewed(fence: bigint, time: Pick<JournalRecord, "ttlMs" | "expiresAtMs">): void {
    const record = this.#records.get(fence);
    const text = this.#texts.get(fence);
    if (record === undefined || text === undefined) return;
    const { renewal } = text;
    this.#records.set(fence, { ...record, ...time });
    text.renewal = lineText(["renew", `${fence}`, time.ttlMs, time.expiresAtMs]);
    try {
      this.#write(text.renewal);
    } catch (error) {
      this.#records.set(fence, record);
      text.renewal = renewal;
      throw error;
    }
  }

  /** Never throws: what could not be written down is with the next line, or expires. */
  ended(fence: bigint): void {
    if (!this.#records.delete(fence)) return;
    this.#texts.delete(fence);
    try {
      this.#write(lineText(["end", `${fence}`]));
    } catch (error) {
      this.#parts.log.warn("the end of a lease cannot be written down", {
        fence: `${fence}`,
        error: messageOf(error),
      });
    }
  }

  /** The last call. What is held stays for the next daemon; otherwise nothing is left. */
  close(): void {
    this.#parts.file.close(this.#records.size === 0);
  }

  #write(text: string): void {
    const isEmpty = this.#records.size === 0;
    const slackBytes = isEmpty ? EMPTY_SLACK_BYTES : JOURNAL_SLACK_BYTES;
    const isLong = this.#appendedBytes > Math.max(slackBytes, isEmpty ? 0 : this.#wholeBytes);
    if (this.#isBehind || isLong) {
      this.#rewrite();
      return;
    }
    this.#isBehind = true;
    try {
      this.#parts.file.append(text);
    } catch {
      // Of a line that cannot be added everything else may still be writable: say, a new file.
      this.#rewrite();
      return;
    }
    this.#isBehind = false;
    this.#appendedBytes += text.length;
  }

  /** Everything that is held, and nothing else: also what the caller has just noted. */
  #rewrite(): void {
    let text = lineText(["boot", FORMAT, this.#parts.boot.id]);
    for (const { grant, renewal } of this.#texts.values()) text += grant + renewal;
    this.#isBehind = true;
    this.#parts.file.replace(text);
    this.#isBehind = false;
    this.#wholeBytes = text.length;
    this.#appendedBytes = 0;
  }

  #read(): void {
    const { file, boot, log } = this.#parts;
    let text: string | undefined;
    try {
      text = file.read();
    } catch (error) {
      log.warn("the journal of leases cannot be read: it begins anew", { error: messageOf(error) });
    }
    if (text === undefined) return;
    let damagedCount = 0;
    // Without its first line nobody knows of which boot the file is.
    let isOfThisBoot = false;
    for (const lineOfText of text.split("\n")) {
      if (lineOfText === "") continue;
      const line = parseLine(lineOfText);
      if (line === undefined) damagedCount += 1;
      else if (line[0] === "boot") isOfThisBoot = line[1] === FORMAT && line[2] === boot.id;
      else if (isOfThisBoot) this.#apply(line);
    }
    for (const record of this.#records.values()) {
      this.#texts.set(record.fence, { grant: lineText(grantLine(record)), renewal: "" });
    }
    if (damagedCount === 0) return;
    log.warn("lines of the journal of leases are damaged and were passed over", { damagedCount });
  }

  #apply(line: Exclude<Line, readonly ["boot", ...unknown[]]>): void {
    const fence = BigInt(line[1]);
    switch (line[0]) {
      case "grant": {
        const [, , key, mode, sinceMs, ttlMs, expiresAtMs, keep] = line;
        this.#records.set(fence, { key, mode, fence, sinceMs, ttlMs, expiresAtMs, keep });
        return;
      }
      case "renew": {
        const record = this.#records.get(fence);
        if (record === undefined) return;
        this.#records.set(fence, { ...record, ttlMs: line[2], expiresAtMs: line[3] });
        return;
      }
      case "end":
        this.#records.delete(fence);
        return;
      default:
        line satisfies never;
    }
  }
}

/**
 * Of several who cannot have held a key together those who got it last: an end is missing for the
 * others. In the order of their fences.
 */
export function latestHolders(records: Iterable<JournalRecord>): readonly JournalRecord[] {
  const held = new Map<LockKey, JournalRecord[]>();
  const inOrder = [...records].sort((left, right) => (left.fence < right.fence ? -1 : 1));
  for (const record of inOrder) {
    const before = held.get(record.key);
    const isTogether = before?.[0]?.mode === "shared" && record.mode === "shared";
    if (before !== undefined && isTogether) before.push(record);
    else held.set(record.key, [record]);
  }
  const kept = [...held.values()].flat();
  return kept.sort((left, right) => (left.fence < right.fence ? -1 : 1));
}

function grantLine(record: JournalRecord): Line {
  const { key, mode, fence, sinceMs, ttlMs, expiresAtMs, keep } = record;
  return ["grant", `${fence}`, key, mode, sinceMs, ttlMs, expiresAtMs, keep];
}

/** The sum goes first, so that a line that is cut anywhere is no line. */
function lineText(line: Line): string {
  const text = JSON.stringify(line);
  return `${sumOf(text)} ${text}\n`;
}

function parseLine(text: string): Line | undefined {
  const json = text.slice(9);
  if (text[8] !== " " || text.slice(0, 8) !== sumOf(json)) return undefined;
  try {
    const line: unknown = JSON.parse(json);
    return isLine(line) ? line : undefined;
  } catch {
    // A line of another program: its sum is right, and it says nothing to this one.
    return undefined;
  }
}

function isLine(line: unknown): line is Line {
  if (!Array.isArray(line)) return false;
  const [what, first, ...rest] = line;
  if (what === "boot") return Number.isInteger(first) && typeof rest[0] === "string";
  if (typeof first !== "string" || !/^\d{1,18}$/.test(first)) return false;
  if (what === "end") return true;
  if (what === "renew") return rest.length === 2 && rest.every(Number.isFinite);
  const [key, mode, sinceMs, ttlMs, expiresAtMs, keep] = rest;
  return (
    what === "grant" &&
    [key, keep].every((part) => typeof part === "string") &&
    leaseModes.includes(mode) &&
    [sinceMs, ttlMs, expiresAtMs].every(Number.isFinite)
  );
}

function sumOf(text: string): string {
  return zlib.crc32(text).toString(16).padStart(8, "0");
}

/**
 * The file `leases.journal` of a directory that is the daemon's alone, and is made where it is
 * missing. Opened once, and never synced.
 */
export function journalFile(directory: string): JournalFile {
  const file = `${directory}/leases.journal`;
  const { O_APPEND, O_CREAT, O_TRUNC, O_WRONLY } = fs.constants;
  let descriptor: number | undefined;
  const close = (): void => {
    if (descriptor !== undefined) fs.closeSync(descriptor);
    descriptor = undefined;
  };
  return {
    read() {
      try {
        return fs.readFileSync(file, "utf8");
      } catch (error) {
        if (isErrno(error, "ENOENT")) return undefined;
        throw error;
      }
    },
    append(text) {
      descriptor ??= fs.openSync(file, O_WRONLY | O_APPEND | O_CREAT, FILE_MODE);
      if (fs.fstatSync(descriptor).nlink === 0) throw new Error(`${file} has been removed`);
      writeWhole(descriptor, text);
    },
    replace(text) {
      const beside = `${file}.new`;
      fs.mkdirSync(directory, { recursive: true, mode: DIRECTORY_MODE });
      const opened = fs.openSync(beside, O_WRONLY | O_APPEND | O_CREAT | O_TRUNC, FILE_MODE);
      try {
        writeWhole(opened, text);
        fs.renameSync(beside, file);
      } catch (error) {
        fs.closeSync(opened);
        throw error;
      }
      close();
      descriptor = opened;
    },
    close(isOver) {
      close();
      if (isOver) fs.rmSync(file, { force: true });
    },
  };
}

const scratch = Buffer.allocUnsafeSlow(SCRATCH_BYTES);

function writeWhole(descriptor: number, text: string): void {
  const isShort = Buffer.byteLength(text) <= SCRATCH_BYTES;
  const data = isShort ? scratch.subarray(0, scratch.write(text)) : Buffer.from(text);
  for (let written = 0; written < data.length; ) {
    written += fs.writeSync(descriptor, data, written);
  }
}
