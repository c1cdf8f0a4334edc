// Reads what fanotify says of writes: which file, by its handle, and which process.
import type { WrittenFile } from "../core/write-watch.ts";

/** struct fanotify_event_metadata: event_len, vers, reserved, metadata_len, mask, fd, pid. */
const METADATA_BYTES = 24;
/** struct fanotify_event_info_header with the file system's id: type, pad, len, fsid. */
const INFO_BYTES = 12;
/** struct file_handle without its handle: handle_bytes, handle_type. */
const HANDLE_BYTES = 8;
const FAN_EVENT_INFO_TYPE_FID = 1;
const FAN_Q_OVERFLOW = 0x4000;
/** Of the file system's id, as text. */
const ID_DIGITS = 16;

export interface ParsedEvents {
  readonly written: readonly WrittenFile[];
  /** See `WriteBatch.isCut`. */
  readonly isCut: boolean;
}

/** Whole events, as read(2) gives them, each file and process once. */
export function parseEvents(bytes: Uint8Array): ParsedEvents {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const found = new Map<string, WrittenFile>();
  let isCut = false;
  for (let start = 0; start + METADATA_BYTES <= buffer.length; ) {
    const length = buffer.readUInt32LE(start);
    if (length < METADATA_BYTES || start + length > buffer.length) break;
    if ((buffer.readUInt32LE(start + 8) & FAN_Q_OVERFLOW) !== 0) isCut = true;
    else {
      const file = fileOf(buffer.subarray(start, start + length));
      const pid = buffer.readInt32LE(start + 20);
      if (file !== undefined) found.set(`${file} ${pid}`, { file, pid });
    }
    start += length;
  }
  return { written: [...found.values()], isCut };
}

/** The file system's id, and the handle, in hex. undefined: a record that we did not ask for. */
function fileOf(event: Buffer): string | undefined {
  const start = event.readUInt16LE(6);
  if (start + INFO_BYTES + HANDLE_BYTES > event.length) return undefined;
  if (event[start] !== FAN_EVENT_INFO_TYPE_FID) return undefined;
  const handle = start + INFO_BYTES;
  const end = handle + HANDLE_BYTES + event.readUInt32LE(handle);
  return end > event.length ? undefined : event.toString("hex", start + 4, end);
}

/** The struct file_handle of a file that an event told of; undefined: those are no such words. */
export function handleOf(file: string): Uint8Array | undefined {
  if (!/^[0-9a-f]{32,400}$/.test(file)) return undefined;
  return Buffer.from(file.slice(ID_DIGITS), "hex");
}
