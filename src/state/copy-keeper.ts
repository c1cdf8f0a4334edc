// When the automatic copy is written: some time after a change, and at close.
import type { Log } from "../core/operation.ts";
import type { CopyContent } from "./copy-format.ts";
import { writeCopy } from "./copy-writer.ts";

/** How old a copy gets at most while things change, unless the caller says otherwise. */
export const COPY_INTERVAL_MS = 60_000;

/** One copy at a time; while nothing changes there is nothing to do. */
export class CopyKeeper {
  readonly #parts: CopyKeeperParts;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #writing: Promise<void> | undefined;
  #isStale = false;
  #isClosed = false;

  constructor(parts: CopyKeeperParts) {
    this.#parts = parts;
  }

  /** To be called after every change. */
  changed(): void {
    this.#isStale = true;
    if (this.#timer !== undefined || this.#writing !== undefined || this.#isClosed) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#writing = this.#write();
    }, this.#parts.intervalMs);
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
    try {
      await writeCopy(this.#parts.directory, this.#parts.content());
    } catch (error) {
      this.#isStale = true;
      this.#parts.log.warn("the copy of the state could not be written; the older one stays", {
        error,
      });
    }
    this.#writing = undefined;
    if (this.#isStale) this.changed();
  }
}

export interface CopyKeeperParts {
  readonly directory: string;
  readonly intervalMs: number;
  readonly log: Log;
  /** The state of this moment. */
  content(): CopyContent;
}
