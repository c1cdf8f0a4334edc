// The directory of `holdfast plugin create` as a tar, read as it is sent: config.json and rootfs.
import { lstatSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { createGzip } from "node:zlib";
import { directoryTar, looked } from "./directory-tar.ts";
import { CliFailure } from "./failure.ts";

/**
 * Looks at the directory, and returns its tar, compressed if that is wanted: see `directoryTar`.
 * Throws a `CliFailure` in Docker's words.
 */
export async function openContext(
  given: string,
  { isCompressed }: { readonly isCompressed: boolean },
): Promise<AsyncIterable<Uint8Array>> {
  const directory = resolve(given);
  const status = looked("lstat", directory, () => lstatSync(directory));
  if (!status.isDirectory()) throw new CliFailure("context must be a directory");
  const config = join(given, "config.json");
  checkJson(looked("open", config, () => readFileSync(config, "utf8")));
  const tar = directoryTar(directory, { hasRoot: false });
  return isCompressed ? compressed(tar) : tar;
}

async function* compressed(tar: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const { Readable } = await import("node:stream");
  yield* Readable.from(tar, { objectMode: false }).pipe(createGzip()) as AsyncIterable<Uint8Array>;
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
