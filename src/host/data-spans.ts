// Where a sparse file has data: lseek(2) with SEEK_DATA and SEEK_HOLE, which node: does not have.
import { closeSync, fstatSync, openSync } from "node:fs";
import { storageError } from "../core/errors.ts";
import type { FileSpan } from "../core/host.ts";
import { loadLibc } from "./libc.ts";

/** From <unistd.h> of Linux. */
const SEEK_DATA = 3;
const SEEK_HOLE = 4;

const signatures = { lseek: { args: ["i32", "i64", "i32"], returns: "i64" } } as const;

let loaded: ReturnType<typeof loadLibc<typeof signatures>> | undefined;

/** The `dataSpans` of core/host.ts. */
export function dataSpans(file: string): readonly FileSpan[] {
  loaded ??= loadLibc(signatures);
  const spans: FileSpan[] = [];
  let descriptor: number | undefined;
  try {
    descriptor = openSync(file, "r");
    const { size } = fstatSync(descriptor);
    for (let at = 0; at < size; ) {
      const start = Number(loaded.lseek(descriptor, at, SEEK_DATA));
      // ENXIO: nothing but a hole comes behind.
      if (start < 0 || start >= size) break;
      const hole = Number(loaded.lseek(descriptor, start, SEEK_HOLE));
      const end = hole < 0 ? size : Math.min(hole, size);
      spans.push({ start, end });
      at = end;
    }
    return spans;
  } catch (thrown) {
    throw storageError(thrown, `looking for holes in ${file}`);
  } finally {
    if (descriptor !== undefined) closeSync(descriptor);
  }
}
