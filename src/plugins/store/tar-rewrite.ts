// Headers of a tar archive once more, with other names; everything else in them stays as it was.
import {
  type PaxRecord,
  TAR_BLOCK_BYTES,
  type TarEntry,
  type TarText,
} from "../../core/tar-header.ts";

const NAME_BYTES = 100;

/** Those that are written anew. */
const nameKeys = ["path", "linkpath"];

/** What ends an archive. */
export const tarEnd: Uint8Array = new Uint8Array(2 * TAR_BLOCK_BYTES);

/** All blocks of an entry that come before its data. */
export function rewriteTarHeader(entry: TarEntry, name: TarText, linkName: TarText): Uint8Array {
  const block = Buffer.from(entry.block);
  const records = entry.records.filter(({ key }) => !nameKeys.includes(key));
  setField(block, 0, name);
  setField(block, 157, linkName);
  if (name.length > NAME_BYTES) records.push({ key: "path", value: bytesOf(name) });
  if (linkName.length > NAME_BYTES) records.push({ key: "linkpath", value: bytesOf(linkName) });
  clearFront(block);
  // A name with a slash at its end was enough for a directory, once.
  if (entry.type === "directory") block.write("5", 156, "latin1");
  setChecksum(block);
  return records.length === 0 ? block : Buffer.concat([paxHeader(records), block]);
}

/** What follows the data of an entry. */
export function tarPadding(size: number): Uint8Array {
  return new Uint8Array(-size & (TAR_BLOCK_BYTES - 1));
}

function bytesOf(text: TarText): Buffer {
  return Buffer.from(text, "latin1");
}

function setField(block: Buffer, at: number, text: TarText): void {
  block.fill(0, at, at + NAME_BYTES);
  block.set(bytesOf(text.slice(0, NAME_BYTES)), at);
}

/** The part of a name that has no room in its field; star(1) has two times at its end. */
function clearFront(block: Buffer): void {
  if (block.toString("latin1", 257, 263) !== "ustar\0") return;
  const isStar = block.toString("latin1", 508, 512) === "tar\0";
  block.fill(0, 345, isStar ? 476 : 500);
}

function setChecksum(block: Buffer): void {
  block.fill(0x20, 148, 156);
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148, "latin1");
}

function paxHeader(records: readonly PaxRecord[]): Buffer {
  const body = Buffer.concat(records.map(paxRecord));
  const block = Buffer.alloc(TAR_BLOCK_BYTES);
  block.write("PaxHeaders.0/entry", 0, "latin1");
  // Mode, owner, group, size and time: of no entry, but they must be there.
  for (const at of [100, 108, 116]) block.write("0000000\0", at, "latin1");
  block.write(`${body.length.toString(8).padStart(11, "0")}\0`, 124, "latin1");
  block.write("00000000000\0", 136, "latin1");
  block.write("x", 156, "latin1");
  block.write("ustar\x0000", 257, "latin1");
  setChecksum(block);
  return Buffer.concat([block, body, tarPadding(body.length)]);
}

/** The length in front counts itself. */
function paxRecord({ key, value }: PaxRecord): Buffer {
  const rest = key.length + value.length + 3;
  let length = rest + String(rest).length;
  length = rest + String(length).length;
  return Buffer.concat([bytesOf(`${length} ${key}=`), value, Buffer.from("\n")]);
}
