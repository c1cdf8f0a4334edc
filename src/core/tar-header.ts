// Headers of tar archives (POSIX ustar and pax, GNU) as bytes.
//
// The libraries for it decode pax records as UTF-8, which destroys what need not be text: names of
// files, and extended attributes such as the capabilities of a program.
import { EngineError } from "./errors.ts";

export const TAR_BLOCK_BYTES = 512;

/** Linux's PATH_MAX: no call takes a longer one. */
export const TAR_NAME_BYTES_MAX = 4096;

export type TarType =
  | "file"
  | "hardLink"
  | "symlink"
  | "characterDevice"
  | "blockDevice"
  | "directory"
  | "fifo";

/** Bytes as a string, each one a character: what has to be told from others, or cut, is text. */
export type TarText = string;

/** One record of an extended header. `key` is UTF-8 in practice, `value` is anything. */
export interface PaxRecord {
  readonly key: TarText;
  readonly value: Uint8Array;
}

export interface TarTime {
  /** Since the epoch; may be negative. */
  readonly seconds: number;
  /** 0 to 999 999 999, always forward. */
  readonly nanoseconds: number;
}

/** What a header says, with what extended headers before it change. */
export interface TarEntry {
  readonly type: TarType;
  /** As it stands there: may be absolute, and may have `..`. No NULs. */
  readonly name: TarText;
  /** Of symbolic and hard links, "" otherwise. No NULs. */
  readonly linkName: TarText;
  /** Permission bits, 07777 at most. */
  readonly mode: number;
  readonly userId: number;
  readonly groupId: number;
  /** Bytes that follow; 0 of everything but files. */
  readonly size: number;
  readonly modified: TarTime;
  readonly major: number;
  readonly minor: number;
  /** Of the extended header before it, in order; not of one for the whole archive. */
  readonly records: readonly PaxRecord[];
  /** The block itself. Another one's at the next entry. */
  readonly block: Uint8Array;
}

const types: Readonly<Record<string, TarType>> = {
  "\0": "file",
  "0": "file",
  // "Contiguous": nobody makes a difference.
  "7": "file",
  "1": "hardLink",
  "2": "symlink",
  "3": "characterDevice",
  "4": "blockDevice",
  "5": "directory",
  "6": "fifo",
};

/** What stands before an entry and is no entry: pax for one and for all, GNU's long names. */
const metaTypes = ["x", "g", "L", "K"] as const;

export type TarMetaType = (typeof metaTypes)[number];

/** What extended headers before an entry say of it. */
export interface TarOverrides {
  readonly records: readonly PaxRecord[];
  readonly longName?: TarText | undefined;
  readonly longLinkName?: TarText | undefined;
}

/** `plugin.image_invalid`. `entry`: the name that it is about; "" where none is known. */
export function tarInvalid(words: string, entry: TarText = "", cause?: unknown): EngineError {
  const shown = showTarText(entry);
  const message = entry === "" ? words : `${shown}: ${words}`;
  return new EngineError("plugin.image_invalid", message, { details: { entry: shown }, cause });
}

/** For messages: one line, no more than 200 characters. */
export function showTarText(text: TarText): string {
  const bytes = Uint8Array.from(text.slice(0, 400), (character) => character.charCodeAt(0));
  const decoded = new TextDecoder().decode(bytes).replaceAll(/\p{Cc}/gu, "\uFFFD");
  return decoded.length > 200 ? `${decoded.slice(0, 199)}…` : decoded;
}

/** Whether the header stands before an entry; undefined: it is an entry's own. */
export function metaTypeOf(block: Uint8Array): TarMetaType | undefined {
  const flag = String.fromCharCode(block[156] ?? 0);
  return metaTypes.find((type) => type === flag);
}

/** Throws `plugin.image_invalid` when a block is no header. */
export function checkTarHeader(block: Uint8Array): void {
  const stored = octal(block, 148, 8);
  let unsigned = 0;
  let above = 0;
  for (let at = 0; at < TAR_BLOCK_BYTES; at++) {
    const byte = at >= 148 && at < 156 ? 0x20 : (block[at] ?? 0);
    unsigned += byte;
    if (byte > 127) above++;
  }
  // Old programs summed up signed characters.
  if (stored === unsigned || stored === unsigned - 256 * above) return;
  throw tarInvalid("a header of the archive is damaged: its checksum is wrong");
}

/** The bytes of an extended header that follow it. */
export function metaSizeOf(block: Uint8Array): number {
  return sizeOf(numeric(block, 124, 12), "");
}

/** The entry that a header begins. Throws `plugin.image_invalid`. */
export function readTarEntry(block: Uint8Array, overrides: TarOverrides): TarEntry {
  const records = new Map(overrides.records.map(({ key, value }) => [key, value]));
  const name = textOf(records, "path") ?? overrides.longName ?? nameOf(block);
  for (const key of records.keys()) {
    // Their data are not as they stand there, and Docker makes none.
    if (key.startsWith("GNU.sparse.")) throw tarInvalid("a sparse file is not supported", name);
  }
  const type = typeOf(block, name);
  const linkName = textOf(records, "linkpath") ?? overrides.longLinkName ?? text(block, 157, 100);
  if (name.length > TAR_NAME_BYTES_MAX || linkName.length > TAR_NAME_BYTES_MAX) {
    throw tarInvalid("the name or the link is longer than 4096 bytes", name);
  }
  const isDevice = type === "characterDevice" || type === "blockDevice";
  const size = numberOf(records, "size", name) ?? numeric(block, 124, 12);
  return {
    type,
    name,
    linkName: type === "symlink" || type === "hardLink" ? linkName : "",
    mode: numeric(block, 100, 8) & 0o7777,
    userId: idOf(numberOf(records, "uid", name) ?? numeric(block, 108, 8), name),
    groupId: idOf(numberOf(records, "gid", name) ?? numeric(block, 116, 8), name),
    size: type === "file" ? sizeOf(size, name) : 0,
    modified: timeOf(records, name) ?? { seconds: numeric(block, 136, 12), nanoseconds: 0 },
    major: isDevice ? numeric(block, 329, 8) : 0,
    minor: isDevice ? numeric(block, 337, 8) : 0,
    records: overrides.records,
    block,
  };
}

/** The records of an extended header. Throws `plugin.image_invalid`. */
export function readPaxRecords(bytes: Uint8Array): PaxRecord[] {
  const records: PaxRecord[] = [];
  for (let at = 0; at < bytes.length; ) {
    const space = bytes.indexOf(0x20, at);
    // Nine digits are enough for all that we read.
    const digits = space < 0 || space - at > 9 ? "" : latin1(bytes, at, space);
    const end = at + (/^\d+$/.test(digits) ? Number(digits) : 0);
    const equals = bytes.indexOf(0x3d, space);
    const isSound = end > space + 1 && end <= bytes.length && bytes[end - 1] === 0x0a;
    if (!isSound || equals <= space + 1 || equals >= end || equals - space > TAR_NAME_BYTES_MAX) {
      throw tarInvalid("an extended header of the archive is damaged");
    }
    const key = latin1(bytes, space + 1, equals);
    records.push({ key, value: bytes.slice(equals + 1, end - 1) });
    at = end;
  }
  return records;
}

/** The text of GNU's long names, up to the first NUL. */
export function readLongName(bytes: Uint8Array): TarText {
  const end = bytes.indexOf(0);
  const length = end < 0 ? bytes.length : end;
  if (length > TAR_NAME_BYTES_MAX) throw tarInvalid("a name is longer than 4096 bytes");
  return latin1(bytes, 0, length);
}

const attributePrefix = "SCHILY.xattr.";

/** The extended attributes of an entry. */
export function attributesOf({ records }: TarEntry): readonly PaxRecord[] {
  return records
    .filter(({ key }) => key.startsWith(attributePrefix))
    .map(({ key, value }) => ({ key: key.slice(attributePrefix.length), value }));
}

/** How an archive is packed, by its first four bytes. */
export function compressionOf(start: Uint8Array): "gzip" | "zstd" | "none" {
  const [first, second, third, fourth] = start;
  if (first === 0x1f && second === 0x8b) return "gzip";
  const isZstd = first === 0x28 && second === 0xb5 && third === 0x2f && fourth === 0xfd;
  return isZstd ? "zstd" : "none";
}

function typeOf(block: Uint8Array, name: TarText): TarType {
  const flag = String.fromCharCode(block[156] ?? 0);
  const type = types[flag];
  if (type === undefined) {
    throw tarInvalid(`an entry of type ${JSON.stringify(flag)} is not supported`, name);
  }
  // As it was before there was a type for them.
  if (flag !== "\0" || !name.endsWith("/")) return type;
  if (numeric(block, 124, 12) !== 0) throw tarInvalid("a directory with data", name);
  return "directory";
}

/** The field, and before it that of the rest in front, which only POSIX has. */
function nameOf(block: Uint8Array): TarText {
  const name = text(block, 0, 100);
  if (latin1(block, 257, 263) !== "ustar\0") return name;
  // star(1) keeps two times at the end of the field.
  const isStar = latin1(block, 508, 512) === "tar\0";
  const front = text(block, 345, isStar ? 131 : 155);
  return front === "" ? name : `${front}/${name}`;
}

function textOf(records: ReadonlyMap<string, Uint8Array>, key: string): TarText | undefined {
  const value = records.get(key);
  // An empty one takes back what an earlier header said.
  if (value === undefined || value.length === 0) return undefined;
  if (value.length > TAR_NAME_BYTES_MAX) throw tarInvalid("a name is longer than 4096 bytes");
  if (value.includes(0)) throw tarInvalid("there is a NUL in a name");
  return latin1(value, 0, value.length);
}

function numberOf(
  records: ReadonlyMap<string, Uint8Array>,
  key: string,
  name: TarText,
): number | undefined {
  const value = records.get(key);
  if (value === undefined || value.length === 0) return undefined;
  const digits = value.length > 16 ? "" : latin1(value, 0, value.length);
  if (!/^\d+$/.test(digits)) throw tarInvalid(`its extended header has no number as ${key}`, name);
  return Number(digits);
}

function timeOf(records: ReadonlyMap<string, Uint8Array>, name: TarText): TarTime | undefined {
  const value = records.get("mtime");
  if (value === undefined || value.length === 0) return undefined;
  const written = value.length > 64 ? "" : latin1(value, 0, value.length);
  const [, sign, whole, part = ""] = /^(-?)(\d{1,15})(?:\.(\d*))?$/.exec(written) ?? [];
  if (whole === undefined) throw tarInvalid("its extended header has no time as mtime", name);
  const nanoseconds = Number(part.slice(0, 9).padEnd(9, "0"));
  if (sign !== "-") return { seconds: Number(whole), nanoseconds };
  return nanoseconds === 0
    ? { seconds: -Number(whole), nanoseconds }
    : { seconds: -Number(whole) - 1, nanoseconds: 1_000_000_000 - nanoseconds };
}

function sizeOf(size: number, name: TarText): number {
  if (Number.isSafeInteger(size) && size >= 0) return size;
  throw tarInvalid("its size is no size", name);
}

/** The highest number means "as it is" to chown(2). */
function idOf(id: number, name: TarText): number {
  if (id >= 0 && id < 0xffff_ffff) return id;
  throw tarInvalid(`${id} is no user or group`, name);
}

/** A number as GNU writes those that are too large for octal digits; or octal digits. */
function numeric(block: Uint8Array, at: number, length: number): number {
  const first = block[at] ?? 0;
  if ((first & 0x80) === 0) return octal(block, at, length);
  let number = (first & 0x40) === 0 ? first & 0x7f : (first & 0x7f) - 0x80;
  for (let index = at + 1; index < at + length; index++) {
    number = number * 256 + (block[index] ?? 0);
  }
  if (!Number.isSafeInteger(number)) throw tarInvalid("a number of a header is too large");
  return number;
}

/** Octal digits with blanks and NULs around; none of them is 0. */
function octal(block: Uint8Array, at: number, length: number): number {
  let index = at;
  const end = at + length;
  while (index < end && (block[index] === 0x20 || block[index] === 0)) index++;
  let number = 0;
  for (; index < end; index++) {
    const byte = block[index] ?? 0;
    if (byte === 0x20 || byte === 0) break;
    if (byte < 0x30 || byte > 0x37) throw tarInvalid("a number of a header is damaged");
    number = number * 8 + byte - 0x30;
  }
  return number;
}

/** A field up to its first NUL. */
function text(block: Uint8Array, at: number, length: number): TarText {
  const end = block.indexOf(0, at);
  return latin1(block, at, end < 0 || end > at + length ? at + length : end);
}

function latin1(bytes: Uint8Array, from: number, to: number): TarText {
  return String.fromCharCode(...bytes.subarray(from, to));
}
