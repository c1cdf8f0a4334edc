// Arithmetic of a file's spans: what is there, and what is missing.
import type { FileSpan } from "../../core/host.ts";

/** Sorted spans without overlaps. */
export function united(spans: readonly FileSpan[]): readonly FileSpan[] {
  const result: FileSpan[] = [];
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
export function gaps(spans: readonly FileSpan[], end: number): readonly FileSpan[] {
  const result: FileSpan[] = [];
  let at = 0;
  for (const span of spans) {
    if (span.start >= end) break;
    if (span.start > at) result.push({ start: at, end: span.start });
    at = Math.max(at, span.end);
  }
  if (at < end) result.push({ start: at, end });
  return result;
}
