// The blobs of plugins: each a file named by its digest, shared by the plugins that name it.
//
// <directory>/sha256/<64 hex>   a whole blob: what stands here was verified; it is durable when it
//                               was settled, which is before any plugin names it
// <directory>/partial/<n>       one that is being written; of no use to anybody after a crash
import { createHash } from "node:crypto";
import fs from "node:fs";
import { open, readFile, rename } from "node:fs/promises";
import path from "node:path";
import { EngineError, isErrno, storageError } from "../../core/errors.ts";
import { type Ingest, openIngest, syncPlace } from "./ingest.ts";

const DIRECTORY_MODE = 0o700;
const FILE_MODE = 0o600;
const READ_BYTES = 1024 * 1024;
const digestPattern = /^sha256:([0-9a-f]{64})$/;

/** Two stores of one directory disturb each other. */
export class BlobStore {
  readonly #whole: string;
  readonly #partial: string;
  /** Names in `partial` that are being written. */
  readonly #open = new Set<string>();
  readonly #pins = new Map<string, number>();
  #count = 0;

  /** `directory` is absolute; it is made when it is missing. Throws `storage.*`. */
  constructor(directory: string) {
    this.#whole = path.join(directory, "sha256");
    this.#partial = path.join(directory, "partial");
    try {
      fs.mkdirSync(this.#whole, { recursive: true, mode: DIRECTORY_MODE });
      fs.mkdirSync(this.#partial, { recursive: true, mode: DIRECTORY_MODE });
    } catch (error) {
      throw storageError(error, "making the directories of blobs");
    }
  }

  has(digest: string): boolean {
    return fs.existsSync(this.path(digest));
  }

  /** Where a blob is or would be: absolute. Throws `plugin.image_invalid` for what is no digest. */
  path(digest: string): string {
    const hex = digestPattern.exec(digest)?.[1];
    if (hex !== undefined) return path.join(this.#whole, hex);
    throw new EngineError("plugin.image_invalid", "invalid checksum digest format");
  }

  /** In bytes. Throws `storage.failed` when there is no such blob. */
  size(digest: string): number {
    try {
      return fs.statSync(this.path(digest)).size;
    } catch (error) {
      throw storageError(error, `looking at the blob ${digest}`);
    }
  }

  /** A small blob, verified once more. Throws `plugin.image_invalid` (damaged), `storage.*`. */
  async read(digest: string): Promise<Uint8Array> {
    const bytes = await readFile(this.path(digest)).catch((error: unknown) => {
      throw storageError(error, `reading the blob ${digest}`);
    });
    if (digestOf(bytes) === digest) return bytes;
    throw new EngineError("plugin.image_invalid", `the blob ${digest} is damaged on disk`);
  }

  /** Keeps what is in memory, and resolves with its digest. Throws `storage.*`. */
  async put(bytes: Uint8Array): Promise<string> {
    const digest = digestOf(bytes);
    if (this.has(digest)) return digest;
    const ingest = await this.ingest();
    try {
      await ingest.write(bytes);
      return await ingest.commit({ digest, size: bytes.byteLength });
    } finally {
      await ingest.discard();
    }
  }

  /** A blob that comes in pieces. Whoever asks for it discards it at last. Throws `storage.*`. */
  ingest(): Promise<Ingest> {
    this.#count += 1;
    const name = String(this.#count);
    this.#open.add(name);
    return openIngest({
      partial: path.join(this.#partial, name),
      place: (digest) => this.path(digest),
      ended: () => void this.#open.delete(name),
    });
  }

  /**
   * Takes a file that was made elsewhere on the same file system, and that nobody writes any more;
   * resolves with its digest and size in bytes. Throws `storage.*`; then the file is where it was.
   */
  async adopt(file: string): Promise<{ readonly digest: string; readonly size: number }> {
    try {
      const found = await hashFile(file);
      const target = this.path(found.digest);
      fs.chmodSync(file, FILE_MODE);
      await rename(file, target);
      await syncPlace(this.#whole);
      return found;
    } catch (error) {
      throw storageError(error, "keeping a blob");
    }
  }

  /**
   * Resolves when these blobs are on disk. Once for all of a plugin: each sync waits for the disk,
   * and in between it had time to be written. Throws `storage.*`.
   */
  async settle(digests: readonly string[]): Promise<void> {
    try {
      for (const digest of new Set(digests)) await syncPlace(this.path(digest));
      await syncPlace(this.#whole);
    } catch (error) {
      throw storageError(error, "keeping blobs");
    }
  }

  /**
   * `collect` leaves these until the returned object is disposed of: blobs of an installation that
   * is not yet written down.
   */
  pin(digests: readonly string[]): Disposable {
    for (const digest of digests) this.#pins.set(digest, (this.#pins.get(digest) ?? 0) + 1);
    return {
      [Symbol.dispose]: () => {
        for (const digest of digests) {
          const count = (this.#pins.get(digest) ?? 0) - 1;
          if (count > 0) this.#pins.set(digest, count);
          else this.#pins.delete(digest);
        }
      },
    };
  }

  /**
   * Removes every blob that is neither in `keep` nor pinned, and returns their digests. Throws
   * `storage.*`, with the others removed.
   */
  collect(keep: ReadonlySet<string>): readonly string[] {
    const removed: string[] = [];
    try {
      for (const hex of fs.readdirSync(this.#whole)) {
        const digest = `sha256:${hex}`;
        if (keep.has(digest) || this.#pins.has(digest)) continue;
        fs.rmSync(path.join(this.#whole, hex), { force: true });
        removed.push(digest);
      }
    } catch (error) {
      throw storageError(error, "removing blobs that no plugin names");
    }
    return removed;
  }

  /** Removes what a crash left half written. Throws `storage.*`. */
  clearPartial(): void {
    try {
      for (const name of fs.readdirSync(this.#partial)) {
        if (!this.#open.has(name)) fs.rmSync(path.join(this.#partial, name), { force: true });
      }
    } catch (error) {
      if (isErrno(error, "ENOENT")) return;
      throw storageError(error, "removing blobs that were never finished");
    }
  }
}

/** `sha256:…` of what is in memory. */
export function digestOf(bytes: Uint8Array): string {
  return `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
}

async function hashFile(file: string): Promise<{ readonly digest: string; readonly size: number }> {
  const handle = await open(file, "r");
  try {
    const hash = createHash("sha256");
    const buffer = Buffer.allocUnsafe(READ_BYTES);
    for (let size = 0; ; ) {
      const { bytesRead } = await handle.read(buffer, 0, READ_BYTES, size);
      if (bytesRead === 0) {
        await handle.sync();
        return { digest: `sha256:${hash.digest("hex")}`, size };
      }
      hash.update(buffer.subarray(0, bytesRead));
      size += bytesRead;
    }
  } finally {
    await handle.close();
  }
}
