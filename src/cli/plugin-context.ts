// The directory of `holdfast plugin create` as a tar, read as it is sent: config.json and rootfs.
import { createReadStream, type Stats } from "node:fs";
import { lstat, readdir, readFile, readlink } from "node:fs/promises";
import { join, resolve } from "node:path";
import { createGzip } from "node:zlib";
import { CliFailure } from "./failure.ts";
import { type TarEntryHead, tarEnd, tarHeader, tarPadding } from "./tar-writer.ts";

/**
 * Looks at the directory, and returns its tar, compressed if that is wanted. Names are in the order
 * of their bytes; hard links stay links; sockets are left out, as Docker does it. File capabilities
 * and other extended attributes are not sent. Throws a `CliFailure` in Docker's words.
 */
export async function openContext(
  given: string,
  { isCompressed }: { readonly isCompressed: boolean },
): Promise<AsyncIterable<Uint8Array>> {
  const directory = resolve(given);
  const status = await looked("lstat", directory, () => lstat(directory));
  if (!status.isDirectory()) throw new CliFailure("context must be a directory");
  const config = join(given, "config.json");
  checkJson(await looked("open", config, () => readFile(config, "utf8")));
  const tar = tarOf(directory);
  return isCompressed ? compressed(tar) : tar;
}

async function* tarOf(directory: string): AsyncGenerator<Uint8Array> {
  const linked = new Map<string, string>();
  yield* entriesBelow(directory, "", linked);
  yield tarEnd();
}

async function* entriesBelow(
  directory: string,
  prefix: string,
  linked: Map<string, string>,
): AsyncGenerator<Uint8Array> {
  const names = (await readdir(join(directory, prefix))).sort(byBytes);
  for (const name of names) {
    const path = `${prefix}${name}`;
    const whole = join(directory, path);
    const status = await lstat(whole);
    const head = await headOf(path, whole, { status, linked });
    if (head === undefined) continue;
    yield tarHeader(head);
    if (head.type === "file") yield* dataOf(whole, head.sizeBytes);
    if (head.type === "directory") yield* entriesBelow(directory, `${path}/`, linked);
  }
}

function byBytes(one: string, other: string): number {
  return Buffer.compare(Buffer.from(one), Buffer.from(other));
}

interface Looked {
  readonly status: Stats;
  /** Names of files that have more than one, by what tells them apart. */
  readonly linked: Map<string, string>;
}

async function headOf(
  path: string,
  whole: string,
  { status, linked }: Looked,
): Promise<TarEntryHead | undefined> {
  const common = {
    name: path,
    mode: status.mode,
    userId: status.uid,
    groupId: status.gid,
    modifiedMs: status.mtimeMs,
    sizeBytes: 0,
    target: "",
    major: 0,
    minor: 0,
  };
  if (status.isDirectory()) return { ...common, name: `${path}/`, type: "directory" };
  if (status.isSymbolicLink()) {
    return { ...common, type: "symlink", target: await readlink(whole) };
  }
  if (status.isFIFO()) return { ...common, type: "fifo" };
  if (status.isBlockDevice() || status.isCharacterDevice()) {
    const type = status.isBlockDevice() ? "blockDevice" : "characterDevice";
    return { ...common, ...deviceNumbers(status.rdev), type };
  }
  if (!status.isFile()) return undefined;
  const key = `${status.dev} ${status.ino}`;
  const first = status.nlink > 1 ? linked.get(key) : undefined;
  if (first !== undefined) return { ...common, type: "link", target: first };
  linked.set(key, path);
  return { ...common, type: "file", sizeBytes: status.size };
}

/** Linux: the bits of a device's number. */
function deviceNumbers(rdev: number): { readonly major: number; readonly minor: number } {
  const number = BigInt(rdev);
  const major = ((number >> 8n) & 0xfffn) | ((number >> 32n) & 0xfffff000n);
  const minor = (number & 0xffn) | ((number >> 12n) & 0xffffff00n);
  return { major: Number(major), minor: Number(minor) };
}

/** Exactly so many bytes: a file that changes meanwhile must not spoil what comes behind it. */
async function* dataOf(path: string, sizeBytes: number): AsyncGenerator<Uint8Array> {
  let sent = 0;
  if (sizeBytes > 0) {
    const stream = createReadStream(path, { end: sizeBytes - 1 });
    for await (const chunk of stream as AsyncIterable<Uint8Array>) {
      sent += chunk.length;
      yield chunk;
    }
  }
  if (sent !== sizeBytes) throw new CliFailure(`${path} has become smaller while it was sent`);
  yield tarPadding(sizeBytes);
}

async function* compressed(tar: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const { Readable } = await import("node:stream");
  yield* Readable.from(tar, { objectMode: false }).pipe(createGzip()) as AsyncIterable<Uint8Array>;
}

/** What Go says of a system call that failed. */
async function looked<T>(call: string, path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error);
    const reason = /^\w+: ([^,]*)/.exec(text)?.[1] ?? text;
    throw new CliFailure(`${call} ${path}: ${reason}`);
  }
}

/** Go's decoder's text for a key without quotes; the daemon checks what is in it. */
function checkJson(text: string): void {
  try {
    JSON.parse(text);
  } catch (error) {
    const odd = /^\s*\{\s*([^"\s}])/.exec(text)?.[1];
    if (odd !== undefined) {
      throw new CliFailure(`invalid character '${odd}' looking for beginning of object key string`);
    }
    throw new CliFailure(`config.json: ${error instanceof Error ? error.message : String(error)}`);
  }
}
