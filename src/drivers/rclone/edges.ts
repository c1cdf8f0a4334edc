// What is in blocks that a file has in part: bytes that were written, and zeros that nobody wrote.
import type { FileHandle } from "node:fs/promises";
import type { FileSpan as Span } from "../../core/host.ts";
import { gaps } from "./spans.ts";

/** Of file systems and of the kernel's pages: what is written in part shows zeros beside it. */
const BLOCK_BYTES = 4096;

/**
 * What a writer may have left out in blocks at the edges of what was written and not noted: the
 * zeros before its first byte that is none, and those behind its last one. A block of nothing but
 * zeros was written as such.
 */
export async function unwritten(
  handle: FileHandle,
  have: readonly Span[],
  known: readonly Span[],
): Promise<readonly Span[]> {
  const found: Span[] = [];
  for (const { start, end } of have) {
    const first = { start, end: Math.min(end, blockOf(start) + BLOCK_BYTES) };
    const last = { start: Math.max(start, blockOf(end - 1)), end };
    const leading = await firstByte(handle, first, 1);
    const trailing = await firstByte(handle, last, -1);
    if (leading !== undefined) found.push({ start, end: leading });
    if (trailing !== undefined) found.push({ start: trailing + 1, end });
  }
  return found.flatMap((span) => {
    return gaps(known, span.end).map((gap) => ({ ...gap, start: Math.max(gap.start, span.start) }));
  });
}

function blockOf(at: number): number {
  return Math.floor(at / BLOCK_BYTES) * BLOCK_BYTES;
}

/** Where the first byte is that is not zero, from the front or (-1) from the back. */
async function firstByte(
  handle: FileHandle,
  { start, end }: Span,
  from: 1 | -1,
): Promise<number | undefined> {
  const bytes = Buffer.alloc(end - start);
  await handle.read(bytes, 0, bytes.length, start);
  const isByte = (byte: number) => byte !== 0;
  const at = from === 1 ? bytes.findIndex(isByte) : bytes.findLastIndex(isByte);
  return at < 0 ? undefined : start + at;
}
