// The lines between the chunks of a chunked body: where one ends, and the size that it says.
import type { Buffer } from "node:buffer";
import { CHUNK_LINE_BYTES_MAX } from "./limits.ts";
import { malformed } from "./refusal.ts";

const CR = 0x0d;
const LF = 0x0a;
const TAB = 0x09;
const SPACE = 0x20;
const SEMICOLON = 0x3b;
const DELETE = 0x7f;

/**
 * Where the CR of the line is that begins at `start`; undefined if it has not come up to `end`.
 * Throws `HttpRefusal` for what can be no such line.
 */
export function chunkLineEnd(buffer: Buffer, start: number, end: number): number | undefined {
  const stop = Math.min(end, start + CHUNK_LINE_BYTES_MAX);
  for (let index = start; index < stop; index++) {
    const byte = buffer[index] ?? 0;
    if ((byte >= SPACE && byte !== DELETE) || byte === TAB) {
      continue;
    }
    if (byte !== CR) {
      throw malformed("a control character or LF alone in the framing of the body");
    }
    if (index + 1 === end) {
      return undefined;
    }
    if (buffer[index + 1] !== LF) {
      throw malformed("a CR without LF in the framing of the body");
    }
    return index;
  }
  if (end - start >= CHUNK_LINE_BYTES_MAX) {
    throw malformed(`a chunk line is longer than ${CHUNK_LINE_BYTES_MAX} bytes`);
  }
  return undefined;
}

/** The size in bytes that a line says, inexact beyond 2^53; extensions are ignored. */
export function chunkSize(buffer: Buffer, lineStart: number, lineEnd: number): number {
  let index = lineStart;
  let size = 0;
  for (; index < lineEnd; index++) {
    const digit = hexDigit(buffer[index] ?? 0);
    if (digit < 0) {
      break;
    }
    size = size * 16 + digit;
  }
  const after = buffer[index];
  const isExtended = after === SEMICOLON || after === SPACE || after === TAB;
  if (index === lineStart || (index < lineEnd && !isExtended)) {
    throw malformed("a chunk size is not a hexadecimal number");
  }
  return size;
}

function hexDigit(byte: number): number {
  if (byte >= 0x30 && byte <= 0x39) {
    return byte - 0x30;
  }
  const lower = byte | 0x20;
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -1;
}
