// A blob on its way into the store: written beside, hashed while it is written, then renamed.
import { createHash, type Hash } from "node:crypto";
import { type FileHandle, open, rename, rm } from "node:fs/promises";
import { EngineError, storageError } from "../../core/errors.ts";

const FILE_MODE = 0o600;
/** How much is received before the disk is made to begin: it would wait for the end else. */
const FLUSH_BYTES = 8 * 1024 ** 2;

/** What the bytes must turn out to be. */
export interface ExpectedBlob {
  /** `sha256:…` */
  readonly digest: string;
  readonly size: number;
}

export interface IngestParts {
  /** Absolute. What a crash left there is overwritten. */
  readonly partial: string;
  /** Where a whole blob belongs. */
  readonly place: (digest: string) => string;
  /** Told once, when the partial file is gone. */
  readonly ended: () => void;
}

/** Opens the partial file. Throws `storage.*`. */
export async function openIngest(parts: IngestParts): Promise<Ingest> {
  try {
    return new Ingest(parts, await open(parts.partial, "w", FILE_MODE));
  } catch (error) {
    parts.ended();
    throw storageError(error, "making the file of a blob");
  }
}

/** Ended by `commit` or `discard`, of which the second one does nothing. One caller at a time. */
export class Ingest {
  readonly #parts: IngestParts;
  readonly #file: FileHandle;
  #hash: Hash = createHash("sha256");
  #bytes = 0;
  #hasEnded = false;
  /** The disk works while more is received. */
  #flushing: Promise<void> | undefined;
  #flushedBytes = 0;
  #flushFailure: unknown;

  constructor(parts: IngestParts, file: FileHandle) {
    this.#parts = parts;
    this.#file = file;
  }

  /** How much has been written: where a transfer that was cut goes on. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Appends. Throws `storage.*`. */
  async write(chunk: Uint8Array): Promise<void> {
    this.#hash.update(chunk);
    try {
      for (let from = 0; from < chunk.byteLength; ) {
        const position = this.#bytes + from;
        const { bytesWritten } = await this.#file.write(chunk, from, undefined, position);
        from += bytesWritten;
      }
    } catch (error) {
      throw storageError(error, "writing a blob");
    }
    this.#bytes += chunk.byteLength;
    if (this.#bytes - this.#flushedBytes >= FLUSH_BYTES) this.#flush();
  }

  /** Begins again from nothing. Throws `storage.*`. */
  async restart(): Promise<void> {
    this.#hash = createHash("sha256");
    this.#bytes = 0;
    this.#flushedBytes = 0;
    try {
      await this.#file.truncate(0);
    } catch (error) {
      throw storageError(error, "writing a blob");
    }
  }

  /**
   * Puts the blob into its place and resolves with its digest; on disk it is when the store has
   * settled it. Throws `plugin.image_invalid` when it is not the one expected, and `storage.*`;
   * then it is still to be discarded.
   */
  async commit(expected?: ExpectedBlob): Promise<string> {
    const digest = `sha256:${this.#hash.copy().digest("hex")}`;
    if (expected !== undefined) this.#verify(expected, digest);
    const target = this.#parts.place(digest);
    try {
      await this.#flushing;
      // The system tells of a failure once.
      if (this.#flushFailure !== undefined) throw this.#flushFailure;
      await rename(this.#parts.partial, target);
      await this.#file.close();
    } catch (error) {
      throw storageError(error, "keeping a blob");
    }
    this.#end();
    return digest;
  }

  /** Leaves nothing of it. Never throws: what stays goes at the next start. */
  async discard(): Promise<void> {
    if (this.#hasEnded) return;
    await this.#flushing;
    await this.#file.close().catch(() => undefined);
    await rm(this.#parts.partial, { force: true }).catch(() => undefined);
    this.#end();
  }

  #flush(): void {
    if (this.#flushing !== undefined) return;
    this.#flushedBytes = this.#bytes;
    this.#flushing = this.#file
      .datasync()
      .catch((error: unknown) => {
        this.#flushFailure ??= error;
      })
      .finally(() => {
        this.#flushing = undefined;
      });
  }

  #verify(expected: ExpectedBlob, digest: string): void {
    const { size } = expected;
    if (this.#bytes === size && digest === expected.digest) return;
    const text =
      this.#bytes === size
        ? `unexpected digest ${digest}, expected ${expected.digest}`
        : `${expected.digest} has ${this.#bytes} bytes, expected ${size}`;
    throw new EngineError("plugin.image_invalid", `what was read is not what was named: ${text}`, {
      details: { expected: expected.digest, found: digest },
    });
  }

  #end(): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    this.#parts.ended();
  }
}

/** Makes a file, or the names in a directory, durable. Throws the system's error. */
export async function syncPlace(path: string): Promise<void> {
  const handle = await open(path, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
