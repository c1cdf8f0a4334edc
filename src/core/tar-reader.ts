// Reads a tar archive that comes in pieces, without waiting and without keeping data.
import {
  checkTarHeader,
  metaSizeOf,
  metaTypeOf,
  readLongName,
  readPaxRecords,
  readTarEntry,
  TAR_BLOCK_BYTES,
  type TarEntry,
  type TarMetaType,
  type TarOverrides,
  tarInvalid,
} from "./tar-header.ts";

/** Is told of the entries in order. What it throws, `TarReader.push` throws. */
export interface TarSink {
  /** An entry begins, whose `size` bytes follow. */
  entry(entry: TarEntry): void;
  /** The next of its bytes; they are somebody else's after the call. */
  data(bytes: Uint8Array): void;
  /** All of them have come. */
  entryEnd(): void;
}

export interface TarLimits {
  /** Of the data of all entries, their extended headers and what follows the end, together. */
  readonly bytesMax: number;
  readonly entryCountMax: number;
  /** An archive that comes without the mark of its end counts as cut off. */
  readonly mustEnd?: boolean | undefined;
}

/** An extended header is kept whole. As in Go's archive/tar. */
const META_BYTES_MAX = 1024 * 1024;

const noOverrides: TarOverrides = { records: [] };

/** Reading goes on after the end: what follows must be empty, and is counted. */
type Part = "header" | "meta" | "data" | "padding" | "end";

/**
 * Throws `plugin.image_invalid` from `push` and `end` when the archive is none, is cut off within
 * an entry or exceeds a limit, which is seen before the data come. An archive without a mark of
 * its end is whole, as for Docker.
 */
export class TarReader {
  readonly #sink: TarSink;
  readonly #limits: TarLimits;
  readonly #block = new Uint8Array(TAR_BLOCK_BYTES);
  #part: Part = "header";
  /** How much of the part is still to come. */
  #left = TAR_BLOCK_BYTES;
  #bytes = 0;
  #entryCount = 0;
  #emptyBlockCount = 0;
  #overrides = noOverrides;
  #meta: { readonly type: TarMetaType; readonly bytes: Uint8Array } | undefined;
  /** What follows the data, to the next block. */
  #padding = 0;

  constructor(sink: TarSink, limits: TarLimits) {
    this.#sink = sink;
    this.#limits = limits;
  }

  push(chunk: Uint8Array): void {
    let at = 0;
    while (at < chunk.length) {
      if (this.#part === "end") {
        this.#afterEnd(chunk.subarray(at));
        return;
      }
      const count = Math.min(this.#left, chunk.length - at);
      const bytes = chunk.subarray(at, at + count);
      at += count;
      if (this.#part === "header") this.#block.set(bytes, TAR_BLOCK_BYTES - this.#left);
      else if (this.#part === "data") this.#sink.data(bytes);
      else if (this.#part === "meta") {
        this.#meta?.bytes.set(bytes, this.#meta.bytes.length - this.#left);
      }
      this.#left -= count;
      if (this.#left === 0) this.#next();
    }
  }

  /** There is no more. */
  end(): void {
    const isBetween = this.#part === "header" && this.#left === TAR_BLOCK_BYTES;
    const mayStop = isBetween && this.#overrides === noOverrides && !this.#limits.mustEnd;
    const isWhole = this.#part === "end" || mayStop;
    if (!isWhole) throw tarInvalid("the archive is cut off");
  }

  /** A part has come whole. */
  #next(): void {
    if (this.#part === "header") this.#header();
    else if (this.#part === "padding") this.#expect("header", TAR_BLOCK_BYTES);
    else {
      if (this.#part === "data") this.#sink.entryEnd();
      else this.#applyMeta();
      this.#pad();
    }
  }

  #expect(part: Part, bytes: number): void {
    this.#part = part;
    this.#left = bytes;
  }

  #pad(): void {
    if (this.#padding === 0) this.#expect("header", TAR_BLOCK_BYTES);
    else this.#expect("padding", this.#padding);
  }

  #header(): void {
    const block = this.#block;
    if (isEmpty(block)) {
      this.#emptyBlockCount++;
      this.#expect(this.#emptyBlockCount === 2 ? "end" : "header", TAR_BLOCK_BYTES);
      return;
    }
    if (this.#emptyBlockCount > 0) throw tarInvalid("something follows the end of the archive");
    checkTarHeader(block);
    const type = metaTypeOf(block);
    if (type === undefined) this.#beginEntry(readTarEntry(block, this.#overrides));
    else this.#beginMeta(type, metaSizeOf(block));
  }

  #beginEntry(entry: TarEntry): void {
    this.#overrides = noOverrides;
    if (++this.#entryCount > this.#limits.entryCountMax) {
      throw tarInvalid(`the archive has more than ${this.#limits.entryCountMax} entries`);
    }
    this.#spend(entry.size);
    this.#padding = -entry.size & (TAR_BLOCK_BYTES - 1);
    this.#sink.entry(entry);
    if (entry.size > 0) this.#expect("data", entry.size);
    else {
      this.#sink.entryEnd();
      this.#pad();
    }
  }

  #beginMeta(type: TarMetaType, size: number): void {
    if (size > META_BYTES_MAX) {
      throw tarInvalid(`an extended header is larger than ${META_BYTES_MAX} bytes`);
    }
    this.#spend(TAR_BLOCK_BYTES + size);
    this.#meta = { type, bytes: new Uint8Array(size) };
    this.#padding = -size & (TAR_BLOCK_BYTES - 1);
    if (size > 0) this.#expect("meta", size);
    else {
      this.#applyMeta();
      this.#pad();
    }
  }

  #applyMeta(): void {
    if (this.#meta === undefined) return;
    const { type, bytes } = this.#meta;
    this.#meta = undefined;
    const before = this.#overrides;
    if (type === "L") this.#overrides = { ...before, longName: readLongName(bytes) };
    if (type === "K") this.#overrides = { ...before, longLinkName: readLongName(bytes) };
    // As for Docker: what is for the whole archive is ignored, and a second one for the same entry
    // replaces the first.
    if (type === "x") this.#overrides = { ...before, records: readPaxRecords(bytes) };
  }

  #afterEnd(bytes: Uint8Array): void {
    if (!isEmpty(bytes)) throw tarInvalid("something follows the end of the archive");
    this.#spend(bytes.length);
  }

  #spend(bytes: number): void {
    this.#bytes += bytes;
    if (this.#bytes <= this.#limits.bytesMax) return;
    throw tarInvalid(`the archive is larger than ${this.#limits.bytesMax} bytes, unpacked`);
  }
}

function isEmpty(bytes: Uint8Array): boolean {
  return bytes.every((byte) => byte === 0);
}
