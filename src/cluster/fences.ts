// Fences: one counter of all keys, of which no number is ever given twice (decision 0012).
//
// A life begins above all that may have been given before: above what is written down, and above
// the microseconds since the epoch. Numbers are written down in blocks before they are given, so
// that a grant costs no disk. A block is small in time: a new life must not run ahead of the clock,
// which makes good a lost file only as long as it is the later of the two.
import fs from "node:fs";
import zlib from "node:zlib";
import { isErrno, messageOf } from "../core/errors.ts";
import type { Log } from "../core/operation.ts";

/** How many numbers are written down at once: microseconds of less time than any start takes. */
export const FENCE_BLOCK = 50_000n;

const MICROSECONDS_PER_MS = 1_000;
/** After what could not be written down it is tried again, with the next grant from then on. */
const RETRY_MS = 1_000;
/** Nothing that this program wrote is longer. */
const FILE_BYTES_MAX = 100;
const FILE_MODE = 0o600;
const DIRECTORY_MODE = 0o700;

/** What is written down, of which nothing is believed that is not whole. */
export interface FenceFile {
  /** The text as it was put last; undefined: there is none. */
  read(): string | undefined;
  /** Puts a text in its place; on disk, whole, when it resolves. */
  put(text: string): Promise<void>;
}

export interface FenceParts {
  readonly file: FenceFile;
  /** Wall clock in milliseconds since the epoch. */
  nowMs(): number;
  readonly log: Pick<Log, "warn" | "error">;
}

export interface Fences {
  /** Larger than all before it, in this life and in those before. Never waits. */
  next(): bigint;
  /** The next ones are larger than this one, which was found elsewhere. */
  passOver(fence: bigint): void;
}

/** A counter that nobody writes down: for leases that end with their process, and for tests. */
export function memoryFences(last = 0n): Fences {
  let fence = last;
  return {
    next() {
      fence += 1n;
      return fence;
    },
    passOver(found) {
      if (found > fence) fence = found;
    },
  };
}

/**
 * Begins a life of the counter: reads what is written down, and writes down the first block. A
 * damaged or missing file is made good by the clock and logged; so is one that cannot be written:
 * leases go on, and the clock vouches for them.
 */
export async function openFences(parts: FenceParts): Promise<Fences> {
  const written = readMark(parts);
  const ofClock = BigInt(Math.floor(parts.nowMs() * MICROSECONDS_PER_MS));
  const first = written !== undefined && written >= ofClock ? written + 1n : ofClock;
  const fences = new WrittenFences(parts, first);
  await fences.reserve();
  return fences;
}

class WrittenFences implements Fences {
  readonly #parts: FenceParts;
  #next: bigint;
  /** From here on the next block is written down: half of one is left then. */
  #reserveAt = 0n;
  #isReserving = false;
  /** Wall clock, while the last try has failed. */
  #failedAtMs: number | undefined;

  constructor(parts: FenceParts, first: bigint) {
    this.#parts = parts;
    this.#next = first;
  }

  next(): bigint {
    const fence = this.#next;
    this.#next = fence + 1n;
    this.#reserveInTime();
    return fence;
  }

  passOver(fence: bigint): void {
    if (fence < this.#next) return;
    this.#next = fence + 1n;
    this.#reserveInTime();
  }

  /** Never rejects. One at a time. */
  async reserve(): Promise<void> {
    this.#isReserving = true;
    const { file, log, nowMs } = this.#parts;
    const mark = this.#next + FENCE_BLOCK;
    try {
      await file.put(markText(mark));
      this.#reserveAt = mark - FENCE_BLOCK / 2n;
      this.#failedAtMs = undefined;
    } catch (error) {
      if (this.#failedAtMs === undefined) {
        const why = { error: messageOf(error) };
        log.error("fences cannot be written down: the clock alone vouches for them", why);
      }
      this.#failedAtMs = nowMs();
    }
    this.#isReserving = false;
  }

  #reserveInTime(): void {
    if (this.#isReserving || this.#next < this.#reserveAt) return;
    const failedAtMs = this.#failedAtMs;
    // A clock that was set back since counts as time that has passed.
    const isDue = failedAtMs === undefined || Math.abs(this.#parts.nowMs() - failedAtMs) > RETRY_MS;
    if (isDue) void this.reserve();
  }
}

function readMark({ file, log }: FenceParts): bigint | undefined {
  try {
    const text = file.read();
    if (text === undefined) return undefined;
    const mark = parseMark(text);
    if (mark === undefined) log.warn("the file of fences is damaged: the clock makes it good");
    return mark;
  } catch (error) {
    const why = { error: messageOf(error) };
    log.warn("the file of fences cannot be read: the clock makes it good", why);
    return undefined;
  }
}

/** The number, and a sum over it, so that half a file is no number. */
function markText(mark: bigint): string {
  return `${mark}\n${sumOf(mark)}\n`;
}

function parseMark(text: string): bigint | undefined {
  const [, digits, sum] = /^(\d{1,18})\n([0-9a-f]{8})\n$/.exec(text) ?? [];
  if (digits === undefined) return undefined;
  const mark = BigInt(digits);
  return sumOf(mark) === sum ? mark : undefined;
}

function sumOf(mark: bigint): string {
  return zlib.crc32(`fence ${mark}`).toString(16).padStart(8, "0");
}

/**
 * The file `fence` of a directory, which is made. Written beside, synced, read again, renamed; the
 * directory is synced. Throws what the file system throws.
 */
export function fenceFile(directory: string): FenceFile {
  const file = `${directory}/fence`;
  return {
    read() {
      try {
        const text = fs.readFileSync(file, "latin1");
        return text.slice(0, FILE_BYTES_MAX);
      } catch (error) {
        if (isErrno(error, "ENOENT")) return undefined;
        throw error;
      }
    },
    async put(text) {
      await fs.promises.mkdir(directory, { recursive: true, mode: DIRECTORY_MODE });
      const beside = `${file}.new`;
      await writeSynced(beside, text);
      await fs.promises.rename(beside, file);
      await syncDirectory(directory);
    },
  };
}

async function writeSynced(file: string, text: string): Promise<void> {
  const handle = await fs.promises.open(file, "w+", FILE_MODE);
  try {
    await handle.writeFile(text);
    await handle.sync();
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(FILE_BYTES_MAX), 0, undefined, 0);
    if (buffer.toString("latin1", 0, bytesRead) === text) return;
    throw new Error(`${file} does not hold what was written to it`);
  } finally {
    await handle.close();
  }
}

async function syncDirectory(directory: string): Promise<void> {
  const handle = await fs.promises.open(directory, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
