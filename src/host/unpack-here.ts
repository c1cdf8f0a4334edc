// Unpacks a layer in this process, which is good for nothing else afterwards: its root directory
// is the layer's.
//
// Nothing may be loaded after the change of the root directory: what would be found then is the
// layer's.
import { closeSync, openSync, readdirSync, readSync } from "node:fs";
import type { Transform } from "node:stream";
import { createGunzip, createZstdDecompress } from "node:zlib";
import { EngineError, storageError } from "../core/errors.ts";
import type { LayerRequest } from "../core/host.ts";
import { compressionOf, tarInvalid } from "../core/tar-header.ts";
import { TarReader, type TarSink } from "../core/tar-reader.ts";
import { hideLayersBefore, LayerWriter } from "./layer-writer.ts";
import { type FileCalls, loadFileCalls } from "./libc-files.ts";

/** Large enough that calls do not count, small enough for the processor's cache. */
const CHUNK_BYTES = 256 * 1024;

export interface UnpackedLayer {
  /** See `LayerWriter.ignored`. */
  readonly ignored: readonly string[];
}

/** The `unpackLayer` of core/host.ts, with the same errors. To be called once in a process. */
export async function unpackHere(request: LayerRequest): Promise<UnpackedLayer> {
  const calls = loadFileCalls();
  const archive = attempt("opening the layer", () => openSync(request.archive, "r"));
  attempt("entering the place of the layer", () => enter(calls, request.into));
  const passOver = async (sink: TarSink): Promise<void> => {
    const reader = new TarReader(sink, request);
    await readPlain(archive, (chunk) => reader.push(chunk));
    reader.end();
  };
  // A layer hides nothing of its own, wherever in it the whiteouts stand.
  if (readdirSync("/").length > 0) await passOver(hideLayersBefore(calls));
  const writer = new LayerWriter(calls);
  await passOver(writer);
  writer.finish();
  attempt("syncing the layer", () => syncAll(calls));
  return { ignored: writer.ignored };
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
  try {
    await unpackAll(unpacker, archive, use);
  } catch (thrown) {
    const code = thrown instanceof Error && "code" in thrown ? String(thrown.code) : "";
    if (!/^(?:Z_|ZSTD_|ERR_)/.test(code) || !(thrown instanceof Error)) throw thrown;
    throw tarInvalid(`its ${compression} is damaged: ${thrown.message}`);
  } finally {
    unpacker.destroy();
  }
}

/** One piece at a time: pipelines of streams took half as long again, and more memory. */
async function unpackAll(
  unpacker: Transform,
  archive: number,
  use: (chunk: Uint8Array) => void,
): Promise<void> {
  const { promise: ended, resolve, reject } = Promise.withResolvers<void>();
  unpacker.on("error", reject);
  unpacker.on("end", resolve);
  unpacker.on("data", (chunk: Uint8Array) => {
    try {
      use(chunk);
    } catch (thrown) {
      reject(thrown);
      unpacker.destroy();
    }
  });
  for (const chunk of chunksOf(archive)) {
    const used = new Promise<void>((done) => unpacker.write(chunk, () => done()));
    // What was refused is never used up.
    await Promise.race([used, ended]);
  }
  unpacker.end();
  await ended;
}

/** Each is valid until the next one is asked for. */
function* chunksOf(archive: number): Generator<Uint8Array> {
  const chunk = Buffer.allocUnsafe(CHUNK_BYTES);
  for (let position = 0; ; ) {
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
