// What `plugin create` sends, a tar of config.json and rootfs/, taken apart as it comes.
import { createWriteStream, openSync, rmSync } from "node:fs";
import { pipeline } from "node:stream/promises";
import { createGunzip, createGzip } from "node:zlib";
import { EngineError, errnoOf, messageOf, storageError } from "../../core/errors.ts";
import type { Operation } from "../../core/operation.ts";
import { compressionOf, type TarEntry, type TarText, tarInvalid } from "../../core/tar-header.ts";
import { TarReader, type TarSink } from "../../core/tar-reader.ts";
import { rewriteTarHeader, tarEnd, tarPadding } from "./tar-rewrite.ts";

const CONFIG = "config.json";
const ROOTFS = "rootfs";

/** Of everything that is sent. */
const ENTRY_COUNT_MAX = 1_000_000;

export interface ContextRequest {
  /** Absolute: becomes the layer, a tar with gzip. It is not synced. */
  readonly layerPath: string;
  readonly configBytesMax: number;
  /** Of all that is in the tar, unpacked. */
  readonly bytesMax: number;
}

type Chunks = AsyncIterable<Uint8Array>;

/**
 * Takes config.json out of a tar, plain or with gzip, and makes what is in rootfs/ a layer. Headers
 * stay as they are but for the names. Waits for whoever sends; keeps no more than a piece of it.
 * Throws `plugin.image_invalid` in Docker's words, `plugin.config_invalid`, `storage.*`, and what
 * `context` throws; then there is no layer.
 */
export async function splitContext(
  context: Chunks,
  request: ContextRequest,
  operation: Operation,
): Promise<{ readonly config: Uint8Array }> {
  const { signal } = operation;
  const source = watched(context);
  const splitter = new Splitter(request.configBytesMax);
  try {
    signal.throwIfAborted();
    await untilAborted(writeLayer(source.chunks, splitter, request, signal), signal);
    const { config } = splitter;
    if (config === undefined) throw tarInvalid("config not found");
    return { config };
  } catch (thrown) {
    rmSync(request.layerPath, { force: true });
    signal.throwIfAborted();
    throw source.failure() ?? failureOf(thrown);
  }
}

async function writeLayer(
  context: Chunks,
  splitter: Splitter,
  request: ContextRequest,
  signal: AbortSignal,
): Promise<void> {
  // At once: what is opened later would come after the end.
  const layer = createWriteStream("", { fd: openSync(request.layerPath, "w", 0o600) });
  try {
    const { chunks, compression } = await sniff(context);
    const split = (plain: Chunks) => splitAll(plain, splitter, request);
    if (compression === "gzip") {
      await pipeline(chunks, createGunzip(), split, createGzip(), layer, { signal });
    } else await pipeline(chunks, split, createGzip(), layer, { signal });
  } finally {
    layer.destroy();
  }
}

/** Whoever sends may do nothing at all, and then nothing of ours comes to an end. */
async function untilAborted(work: Promise<void>, signal: AbortSignal): Promise<void> {
  const { promise, reject } = Promise.withResolvers<never>();
  const onAbort = () => reject(signal.reason);
  signal.addEventListener("abort", onAbort, { once: true });
  work.catch(() => undefined);
  try {
    await Promise.race([work, promise]);
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}

/** Knows whether it was the sender that failed. */
function watched(context: Chunks): { readonly chunks: Chunks; failure(): unknown } {
  let failure: unknown;
  async function* chunks(): AsyncGenerator<Uint8Array> {
    try {
      yield* context;
    } catch (thrown) {
      failure = thrown;
      throw thrown;
    }
  }
  return { chunks: chunks(), failure: () => failure };
}

/** The same pieces, and how they are packed. */
async function sniff(context: Chunks) {
  const iterator = context[Symbol.asyncIterator]();
  let start: Uint8Array = new Uint8Array();
  while (start.length < 4) {
    const { done, value } = await iterator.next();
    if (done === true) break;
    start = Buffer.concat([start, value]);
  }
  async function* chunks(): AsyncGenerator<Uint8Array> {
    yield start;
    yield* { [Symbol.asyncIterator]: () => iterator };
  }
  return { chunks: chunks(), compression: compressionOf(start) };
}

async function* splitAll(
  plain: Chunks,
  splitter: Splitter,
  { bytesMax }: ContextRequest,
): AsyncGenerator<Uint8Array> {
  const reader = new TarReader(splitter, { bytesMax, entryCountMax: ENTRY_COUNT_MAX });
  for await (const chunk of plain) {
    reader.push(chunk);
    const layer = splitter.take();
    if (layer.length > 0) yield layer;
  }
  try {
    reader.end();
  } catch (thrown) {
    throw tarInvalid("failed to read from tar: unexpected EOF", "", thrown);
  }
  if (!splitter.hasRootfs) throw tarInvalid("no rootfs found: EOF");
  yield tarEnd;
}

/** Keeps config.json, and what the layer gets, until it is taken. */
class Splitter implements TarSink {
  readonly #configBytesMax: number;
  #config: Buffer[] | undefined;
  #layer: Uint8Array[] = [];
  #entry: { readonly kind: "config" | "layer" | "other"; readonly size: number } = other;
  hasRootfs = false;

  constructor(configBytesMax: number) {
    this.#configBytesMax = configBytesMax;
  }

  /** undefined: there was none. */
  get config(): Uint8Array | undefined {
    return this.#config === undefined ? undefined : Buffer.concat(this.#config);
  }

  take(): Uint8Array {
    const taken = Buffer.concat(this.#layer);
    this.#layer = [];
    return taken;
  }

  entry(entry: TarEntry): void {
    const { name, size } = entry;
    const parts = cleanParts(name);
    if (parts.length === 1 && parts[0] === CONFIG) {
      if (size > this.#configBytesMax) {
        const words = `${CONFIG} is larger than ${this.#configBytesMax} bytes`;
        throw new EngineError("plugin.config_invalid", words);
      }
      this.#config = [];
      this.#entry = { kind: "config", size };
    } else if (parts[0] === ROOTFS) {
      this.#layer.push(reroot(entry, parts));
      this.hasRootfs = true;
      this.#entry = { kind: "layer", size };
    } else this.#entry = other;
  }

  data(bytes: Uint8Array): void {
    if (this.#entry.kind === "config") this.#config?.push(Buffer.from(bytes));
    if (this.#entry.kind === "layer") this.#layer.push(bytes);
  }

  entryEnd(): void {
    if (this.#entry.kind === "layer") this.#layer.push(tarPadding(this.#entry.size));
  }
}

const other = { kind: "other", size: 0 } as const;

function reroot(entry: TarEntry, parts: readonly string[]): Uint8Array {
  const name = parts.slice(1).join("/");
  return rewriteTarHeader(entry, name === "" ? "." : name, linkInside(entry));
}

/** Hard links are names in the archive, others are what the plugin is to see. */
function linkInside({ type, linkName }: TarEntry): TarText {
  if (type !== "hardLink") return linkName;
  const [first, ...rest] = cleanParts(linkName);
  return first?.toLowerCase() === ROOTFS && rest.length > 0 ? rest.join("/") : linkName;
}

/** As Go's path.Clean, of a path that begins at the archive's root. */
function cleanParts(name: TarText): readonly string[] {
  const parts: string[] = [];
  for (const part of name.split("/")) {
    if (part === "" || part === ".") continue;
    if (part === ".." && parts.length > 0 && parts.at(-1) !== "..") parts.pop();
    else parts.push(part);
  }
  return parts;
}

function failureOf(thrown: unknown): unknown {
  if (thrown instanceof EngineError) {
    const isDocker = /^(?:failed to read from tar|no rootfs found|config not found)/;
    if (thrown.code !== "plugin.image_invalid" || isDocker.test(thrown.message)) return thrown;
    return tarInvalid(`failed to read from tar: ${thrown.message}`, "", thrown);
  }
  if (errnoOf(thrown).startsWith("Z_")) {
    return tarInvalid(`failed to read from tar: ${messageOf(thrown)}`);
  }
  const isSystems = thrown instanceof Error && "syscall" in thrown;
  return isSystems ? storageError(thrown, "writing the layer of a plugin") : thrown;
}
