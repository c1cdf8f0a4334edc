// When the automatic copy is written: some time after a change, and at close.
import type { Log } from "../core/operation.ts";
import type { CopyContent } from "./copy-format.ts";
import { writeCopy } from "./copy-writer.ts";

/** How old a copy gets at most while things change, unless the caller says otherwise. */
export const COPY_INTERVAL_MS = 60_000;

/** The same after a removal: what a copy still has comes back when the state is lost. */
export const REMOVAL_COPY_INTERVAL_MS = 5_000;

/** One copy at a time; while nothing changes there is nothing to do. */
export class CopyKeeper {
  readonly #parts: CopyKeeperParts;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #writing: Promise<void> | undefined;
  #isStale = false;
  /** When the timer fires, by the monotonic clock. */
  #dueMs = 0;
  /** Something urgent is not copied yet. */
  #isUrgent = false;
  #isClosed = false;

  constructor(parts: CopyKeeperParts) {
    this.#parts = parts;
  }

  /** To be called after every change; `isUrgent`: a volume was removed, protected or the like. */
  changed(isUrgent: boolean): void {
    this.#isStale = true;
    if (isUrgent) this.#isUrgent = true;
    if (this.#writing !== undefined || this.#isClosed) return;
    const { intervalMs, removalIntervalMs } = this.#parts;
    this.#startTimer(this.#isUrgent ? Math.min(intervalMs, removalIntervalMs) : intervalMs);
  }

  /** Where one runs already, whichever is due first counts. */
  #startTimer(delayMs: number): void {
    const dueMs = performance.now() + delayMs;
    if (this.#timer !== undefined && this.#dueMs <= dueMs) return;
    clearTimeout(this.#timer);
    this.#dueMs = dueMs;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#writing = this.#write();
    }, delayMs);
    // A copy that waits keeps no process alive: `close` writes it.
    this.#timer.unref();
  }

  /** Writes what is not copied yet; whether the copy on disk is complete then. */
  async close(): Promise<boolean> {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    await this.#writing;
    if (this.#isStale) await this.#write();
    return !this.#isStale;
  }

  async #write(): Promise<void> {
    this.#isStale = false;
    this.#isUrgent = false;
    try {
      await writeCopy(this.#parts.directory, this.#parts.content());
    } catch (error) {
      this.#isStale = true;
      this.#parts.log.warn("the copy of the state could not be written; the older one stays", {
        error,
      });
    }
    this.#writing = undefined;
    if (this.#isStale) this.changed(false);
  }
}

export interface CopyKeeperParts {
  readonly directory: string;
  readonly intervalMs: number;
  /** After a removal, if that is less. */
  readonly removalIntervalMs: number;
  readonly log: Log;
  /** The state of this moment. */
  content(): CopyContent;
}
