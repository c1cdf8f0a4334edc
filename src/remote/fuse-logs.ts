// Keeps what FUSE processes print from filling the memory that their logs are in.
//
// What a server answers is in there, and it may answer with megabytes, as often as it is asked.
import fs from "node:fs";

/** Beyond this many bytes a log begins anew. */
const BYTES_MAX = 1024 * 1024;
/** How often they are looked at, in milliseconds. */
const LOOK_MS = 1_000;

/** The logs of one kind of storage. No timer runs while it has none. */
export class FuseLogs {
  /** Absolute paths, of processes that are there as far as this life knows. */
  readonly #logs = new Set<string>();
  #timer: ReturnType<typeof setInterval> | undefined;

  /** From now on, until `release`. To be said as often as one likes. */
  bound(log: string): void {
    this.#logs.add(log);
    this.#trim(log);
    this.#timer ??= setInterval(() => this.#trimAll(), LOOK_MS);
    this.#timer.unref();
  }

  release(log: string): void {
    this.#logs.delete(log);
    if (this.#logs.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #trimAll(): void {
    for (const log of this.#logs) this.#trim(log);
  }

  /** Its writer appends: what it prints next is at the file's beginning. */
  #trim(log: string): void {
    try {
      if (fs.statSync(log).size > BYTES_MAX) fs.truncateSync(log);
    } catch {
      // It is gone, and whoever looks at a new one says so.
      this.release(log);
    }
  }
}
