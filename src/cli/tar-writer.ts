// Writes a tar (POSIX pax), one entry after another: what a plugin's file system can hold.
import type { TarText } from "../core/tar-header.ts";

const BLOCK_BYTES = 512;
/** What the fields of a header have room for; what has more goes into a pax header. */
const NAME_BYTES_MAX = 100;
const OCTAL_MAX = 0o77777777777;
const ID_MAX = 0o7777777;

/** Type flags of the format. */
export const tarTypes = {
  file: "0",
  link: "1",
  symlink: "2",
  characterDevice: "3",
  blockDevice: "4",
  directory: "5",
  fifo: "6",
} as const;

export interface TarEntryHead {
  /** Relative, with slashes, and one at the end of a directory's. */
  readonly name: TarText;
  readonly type: keyof typeof tarTypes;
  readonly mode: number;
  readonly userId: number;
  readonly groupId: number;
  readonly modifiedMs: number;
  /** 0 of what is no file. */
  readonly sizeBytes: number;
  /** What a link means; "" of others. */
  readonly target: TarText;
  /** Of a device. */
  readonly major: number;
  readonly minor: number;
}

/** The blocks in front of an entry's data. */
export function tarHeader(head: TarEntryHead): Uint8Array {
  const extra: [string, string][] = [];
  if (bytesOf(head.name).length > NAME_BYTES_MAX) extra.push(["path", head.name]);
  if (bytesOf(head.target).length > NAME_BYTES_MAX) extra.push(["linkpath", head.target]);
  if (head.sizeBytes > OCTAL_MAX) extra.push(["size", String(head.sizeBytes)]);
  if (head.userId > ID_MAX) extra.push(["uid", String(head.userId)]);
  if (head.groupId > ID_MAX) extra.push(["gid", String(head.groupId)]);
  const own = block(head, tarTypes[head.type]);
  if (extra.length === 0) return own;
  const records = Buffer.concat(extra.map(([key, value]) => paxRecord(key, value)));
  const { name } = head;
  const ofPax = { ...head, name: `PaxHeaders/${name.slice(-50)}`, sizeBytes: records.length };
  return Buffer.concat([
    block({ ...ofPax, target: "" }, "x"),
    records,
    tarPadding(records.length),
    own,
  ]);
}

/** What fills the last block of so many bytes. */
export function tarPadding(sizeBytes: number): Uint8Array {
  return new Uint8Array((BLOCK_BYTES - (sizeBytes % BLOCK_BYTES)) % BLOCK_BYTES);
}

/** Two empty blocks. */
export function tarEnd(): Uint8Array {
  return new Uint8Array(2 * BLOCK_BYTES);
}

function block(head: TarEntryHead, type: string): Uint8Array {
  const bytes = new Uint8Array(BLOCK_BYTES);
  const put = (at: number, text: TarText, lengthMax: number) => {
    bytes.set(bytesOf(text).subarray(0, lengthMax), at);
  };
  const octal = (value: number, width: number) =>
    `${Math.max(0, Math.trunc(value))
      .toString(8)
      .padStart(width - 1, "0")}\0`;
  put(0, head.name, NAME_BYTES_MAX);
  put(100, octal(head.mode & 0o7777, 8), 8);
  put(108, octal(head.userId > ID_MAX ? 0 : head.userId, 8), 8);
  put(116, octal(head.groupId > ID_MAX ? 0 : head.groupId, 8), 8);
  put(124, octal(head.sizeBytes > OCTAL_MAX ? 0 : head.sizeBytes, 12), 12);
  put(136, octal(Math.min(head.modifiedMs / 1_000, OCTAL_MAX), 12), 12);
  put(148, " ".repeat(8), 8);
  put(156, type, 1);
  put(157, head.target, NAME_BYTES_MAX);
  put(257, "ustar\x0000", 8);
  put(329, octal(head.major, 8), 8);
  put(337, octal(head.minor, 8), 8);
  const sum = bytes.reduce((total, byte) => total + byte, 0);
  put(148, `${sum.toString(8).padStart(6, "0")}\0 `, 8);
  return bytes;
}

/** `LENGTH KEY=VALUE\n`, whose length counts its own digits. */
function paxRecord(key: TarText, value: TarText): Uint8Array {
  const rest = bytesOf(` ${key}=${value}\n`);
  let length = rest.length + String(rest.length).length;
  if (rest.length + String(length).length !== length) length += 1;
  return Buffer.concat([bytesOf(String(length)), rest]);
}

function bytesOf(text: TarText): Uint8Array {
  return Buffer.from(text, "latin1");
}
