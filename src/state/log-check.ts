// Whether a write-ahead log has lost something in its middle, which SQLite takes for its end.
//
// SQLite stops at the first frame whose checksum is wrong. That is right for the last transaction,
// torn by a power cut before it was acknowledged. But each commit is synced before the next begins,
// so two or more commits of the same generation behind the first wrong frame prove damage.
import { closeSync, openSync, readSync, statSync } from "node:fs";

const HEADER_BYTES = 32;
const FRAME_HEADER_BYTES = 24;
/** The last bit of the magic number says in which byte order the checksums were made. */
const MAGIC = 0x377f0682;

export type LogVerdict =
  /** Everything that was acknowledged is there. */
  | { readonly state: "whole" }
  /** There is none. */
  | { readonly state: "missing" }
  | { readonly state: "damaged"; readonly reason: string };

/** Reads the log once; 2 MiB take some milliseconds. */
export function checkLog(path: string): LogVerdict {
  const bytes = statSync(path, { throwIfNoEntry: false })?.size;
  if (bytes === undefined) return { state: "missing" };
  // A process that exits without closing has its databases closed by Bun, which brings the whole
  // log into the file and then empties it.
  if (bytes === 0) return { state: "whole" };
  if (bytes < HEADER_BYTES) return { state: "damaged", reason: "it is cut within its header" };
  const descriptor = openSync(path, "r");
  try {
    return checkFrames((position, length) => {
      const buffer = Buffer.alloc(length);
      const read = readSync(descriptor, buffer, 0, length, position);
      return read === length ? buffer : undefined;
    });
  } finally {
    closeSync(descriptor);
  }
}

type ReadAt = (position: number, length: number) => Buffer | undefined;

function checkFrames(readAt: ReadAt): LogVerdict {
  const header = readAt(0, HEADER_BYTES);
  const magic = header?.readUInt32BE(0) ?? 0;
  if (header === undefined || (magic & ~1) >>> 0 !== MAGIC) {
    return { state: "damaged", reason: "its header is no log's" };
  }
  const isBigEndian = (magic & 1) === 1;
  let sum: Sum = checksum(header.subarray(0, 24), [0, 0], isBigEndian);
  if (!isSumAt(header, 24, sum)) {
    return { state: "damaged", reason: "its header's checksum is wrong" };
  }
  const pageBytes = header.readUInt32BE(8);
  const frameBytes = FRAME_HEADER_BYTES + pageBytes;
  let isBroken = false;
  let commitsBehind = 0;
  for (let index = 0; ; index++) {
    const frame = readAt(HEADER_BYTES + index * frameBytes, frameBytes);
    if (frame === undefined) break;
    const isOfThisGeneration = frame.compare(header, 16, 24, 8, 16) === 0;
    if (!isBroken) {
      const next = checksum(frame.subarray(0, 8), sum, isBigEndian);
      sum = checksum(frame.subarray(FRAME_HEADER_BYTES), next, isBigEndian);
      isBroken = !isOfThisGeneration || !isSumAt(frame, 16, sum);
    }
    if (isBroken && isOfThisGeneration && frame.readUInt32BE(4) !== 0) commitsBehind++;
  }
  if (commitsBehind < 2) return { state: "whole" };
  return { state: "damaged", reason: `${commitsBehind} commits lie behind a damaged place` };
}

type Sum = readonly [number, number];

function checksum(bytes: Buffer, from: Sum, isBigEndian: boolean): Sum {
  let [first, second] = from;
  for (let at = 0; at < bytes.length; at += 8) {
    const left = isBigEndian ? bytes.readUInt32BE(at) : bytes.readUInt32LE(at);
    const right = isBigEndian ? bytes.readUInt32BE(at + 4) : bytes.readUInt32LE(at + 4);
    first = (first + left + second) >>> 0;
    second = (second + right + first) >>> 0;
  }
  return [first, second];
}

function isSumAt(bytes: Buffer, at: number, sum: Sum): boolean {
  return bytes.readUInt32BE(at) === sum[0] && bytes.readUInt32BE(at + 4) === sum[1];
}
