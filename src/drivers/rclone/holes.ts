// Where a sparse file has data: lseek(2) with SEEK_DATA and SEEK_HOLE, which node: does not have.
import { dlopen } from "bun:ffi";

/** From <unistd.h> of Linux. */
const SEEK_DATA = 3;
const SEEK_HOLE = 4;

/** Debian's name, then musl's on the machines Bun runs on. */
const libraryNames = ["libc.so.6", "libc.musl-x86_64.so.1", "libc.musl-aarch64.so.1"];

const signatures = { lseek: { args: ["i32", "i64", "i32"], returns: "i64" } } as const;

let loaded: ReturnType<typeof load> | undefined;

function load() {
  let failure: unknown;
  for (const name of libraryNames) {
    try {
      return dlopen(name, signatures).symbols;
    } catch (thrown) {
      failure ??= thrown;
    }
  }
  throw failure;
}

/** From `start` up to, and without, `end`. */
export interface Span {
  readonly start: number;
  readonly end: number;
}

/**
 * The parts of an open file of `size` bytes that are no holes, in order; of a file system without
 * holes it is the whole. In blocks of the file system: at the edges there may be zeros that nobody
 * wrote.
 */
export function dataSpans(fd: number, size: number): readonly Span[] {
  loaded ??= load();
  const spans: Span[] = [];
  for (let at = 0; at < size; ) {
    const start = Number(loaded.lseek(fd, at, SEEK_DATA));
    // ENXIO: nothing but a hole comes behind.
    if (start < 0 || start >= size) break;
    const hole = Number(loaded.lseek(fd, start, SEEK_HOLE));
    const end = hole < 0 ? size : Math.min(hole, size);
    spans.push({ start, end });
    at = end;
  }
  return spans;
}

/** Sorted spans without overlaps. */
export function united(spans: readonly Span[]): readonly Span[] {
  const result: Span[] = [];
  for (const span of [...spans].sort((one, other) => one.start - other.start)) {
    const last = result.at(-1);
    if (last !== undefined && span.start <= last.end) {
      result[result.length - 1] = { start: last.start, end: Math.max(last.end, span.end) };
    } else if (span.end > span.start) {
      result.push(span);
    }
  }
  return result;
}

/** What `spans` leave free of [0, end). They are sorted and do not overlap. */
export function gaps(spans: readonly Span[], end: number): readonly Span[] {
  const result: Span[] = [];
  let at = 0;
  for (const span of spans) {
    if (span.start >= end) break;
    if (span.start > at) result.push({ start: at, end: span.start });
    at = Math.max(at, span.end);
  }
  if (at < end) result.push({ start: at, end });
  return result;
}
