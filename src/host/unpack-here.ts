// Unpacks a layer in this process, which is good for nothing else afterwards: its root directory
// is the layer's.
//
// Nothing may be loaded after the change of the root directory: what would be found then is the
// layer's.
import { createHash } from "node:crypto";
import { closeSync, openSync, readdirSync, readSync } from "node:fs";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createGunzip, createZstdDecompress } from "node:zlib";
import { EngineError, errnoOf, messageOf, storageError } from "../core/errors.ts";
import type { LayerRequest } from "../core/host.ts";
import { compressionOf, tarInvalid } from "../core/tar-header.ts";
import { TarReader, type TarSink } from "../core/tar-reader.ts";
import { hideLayersBefore, LayerWriter } from "./layer-writer.ts";
import { type FileCalls, loadFileCalls } from "./libc-files.ts";

/** Large enough that calls do not count, small enough for the processor's cache. */
const CHUNK_BYTES = 256 * 1024;

export interface UnpackedLayer {
  /** `sha256:…` of the plain tar. */
  readonly diffId: string;
  /** See `LayerWriter.ignored`. */
  readonly ignored: readonly string[];
}

/** The `unpackLayer` of core/host.ts, with the same errors. To be called once in a process. */
export async function unpackHere(request: LayerRequest): Promise<UnpackedLayer> {
  const calls = loadFileCalls();
  const archive = attempt("opening the layer", () => openSync(request.archive, "r"));
  attempt("entering the place of the layer", () => enter(calls, request.into));
  const passOver = async (sink: TarSink): Promise<string> => {
    const reader = new TarReader(sink, request);
    const hash = createHash("sha256");
    await readPlain(archive, (chunk) => {
      hash.update(chunk);
      reader.push(chunk);
    });
    reader.end();
    return `sha256:${hash.digest("hex")}`;
  };
  // A layer hides nothing of its own, wherever in it the whiteouts stand.
  if (readdirSync("/").length > 0) await passOver(hideLayersBefore(calls));
  const writer = new LayerWriter(calls);
  const diffId = await passOver(writer);
  writer.finish();
  attempt("syncing the layer", () => syncAll(calls));
  return { diffId, ignored: writer.ignored };
}

function enter(calls: FileCalls, into: string): void {
  process.umask(0);
  process.chdir(into);
  calls.changeRoot(Buffer.from(".\0"));
  process.chdir("/");
}

function syncAll(calls: FileCalls): void {
  const root = openSync("/", "r");
  try {
    calls.syncFileSystem(root);
  } finally {
    closeSync(root);
  }
}

/** Calls `use` with the whole plain tar in pieces, each of which is valid during the call only. */
async function readPlain(archive: number, use: (chunk: Uint8Array) => void): Promise<void> {
  const start = Buffer.alloc(4);
  attempt("reading the layer", () => readSync(archive, start, 0, start.length, 0));
  const compression = compressionOf(start);
  if (compression === "none") {
    for (const chunk of chunksOf(archive)) use(chunk);
    return;
  }
  const options = { chunkSize: CHUNK_BYTES };
  const unpacker = compression === "gzip" ? createGunzip(options) : createZstdDecompress(options);
  const useAll = async (plain: AsyncIterable<Uint8Array>): Promise<void> => {
    for await (const chunk of plain) use(chunk);
  };
  try {
    await pipeline(Readable.from(chunksOf(archive)), unpacker, useAll);
  } catch (thrown) {
    if (!/^(?:Z_|ZSTD_|ERR_)/.test(errnoOf(thrown))) throw thrown;
    throw tarInvalid(`its ${compression} is damaged: ${messageOf(thrown)}`);
  }
}

function* chunksOf(archive: number): Generator<Uint8Array> {
  for (let position = 0; ; ) {
    // A new one each time: the one before may still be read.
    const chunk = Buffer.allocUnsafe(CHUNK_BYTES);
    const count = attempt("reading the layer", () =>
      readSync(archive, chunk, 0, chunk.length, position),
    );
    if (count === 0) return;
    position += count;
    yield chunk.subarray(0, count);
  }
}

function attempt<T>(doing: string, work: () => T): T {
  try {
    return work();
  } catch (thrown) {
    if (thrown instanceof EngineError) throw thrown;
    throw storageError(thrown, doing);
  }
}
