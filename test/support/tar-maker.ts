// Tar archives for tests, byte by byte: what no program makes, too.

export interface TarPart {
  /** Bytes as Latin-1, 100 at most: longer ones by `pax` or type "L". */
  readonly name: string;
  /** As in the header: "0" a file, "1" a hard link, "2" a symbolic link, "5" a directory, …. */
  readonly type?: string;
  readonly data?: string | Uint8Array;
  /** What the header says of it, instead of the length of `data`. */
  readonly size?: number;
  readonly linkName?: string;
  readonly mode?: number;
  readonly userId?: number;
  readonly groupId?: number;
  readonly seconds?: number;
  readonly major?: number;
  readonly minor?: number;
  /** An extended header before it. */
  readonly pax?: Readonly<Record<string, string | Uint8Array>>;
  /** "ustar\0" of POSIX, otherwise GNU's or an older one. */
  readonly magic?: string;
  /** In front of the name, in POSIX archives. */
  readonly front?: string;
  /** Added to the checksum: it is wrong then. */
  readonly damage?: number;
}

export const tarEndBlocks = Buffer.alloc(1024);

/** A whole archive. */
export function tarOf(...parts: readonly TarPart[]): Buffer {
  return Buffer.concat([...parts.map(tarPart), tarEndBlocks]);
}

/** One entry, with its extended header before it and its data behind. */
export function tarPart(part: TarPart): Buffer {
  const data = Buffer.from(part.data ?? "");
  const header = tarHeader({ size: data.length, ...part });
  const padding = Buffer.alloc(-data.length & 511);
  const before = part.pax === undefined ? [] : [tarPart(paxPart(part.pax))];
  return Buffer.concat([...before, header, data, padding]);
}

/** As base-256, where octal digits have no room. */
export function tarNumber(number: number, bytes: number): Buffer {
  const field = Buffer.alloc(bytes);
  if (number >= 0 && number < 8 ** (bytes - 1)) {
    field.write(number.toString(8).padStart(bytes - 1, "0"), "latin1");
    return field;
  }
  let left = BigInt(number);
  for (let at = bytes - 1; at >= 0; at--, left >>= 8n) field[at] = Number(left & 0xffn);
  field[0] = number < 0 ? 0xff : 0x80;
  return field;
}

function tarHeader(part: TarPart): Buffer {
  const block = Buffer.alloc(512);
  block.write(part.name, 0, 100, "latin1");
  tarNumber(part.mode ?? 0o644, 8).copy(block, 100);
  tarNumber(part.userId ?? 0, 8).copy(block, 108);
  tarNumber(part.groupId ?? 0, 8).copy(block, 116);
  tarNumber(part.size ?? 0, 12).copy(block, 124);
  tarNumber(part.seconds ?? 1_600_000_000, 12).copy(block, 136);
  block.write(part.type ?? "0", 156, 1, "latin1");
  block.write(part.linkName ?? "", 157, 100, "latin1");
  block.write(part.magic ?? "ustar\x0000", 257, 8, "latin1");
  tarNumber(part.major ?? 0, 8).copy(block, 329);
  tarNumber(part.minor ?? 0, 8).copy(block, 337);
  block.write(part.front ?? "", 345, 155, "latin1");
  block.fill(0x20, 148, 156);
  const sum = block.reduce((total, byte) => total + byte, part.damage ?? 0);
  block.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148, "latin1");
  return block;
}

function paxPart(records: NonNullable<TarPart["pax"]>): TarPart {
  const lines = Object.entries(records).map(([key, value]) => {
    const bytes = Buffer.from(value);
    const rest = key.length + bytes.length + 3;
    let length = rest + String(rest).length;
    length = rest + String(length).length;
    return Buffer.concat([Buffer.from(`${length} ${key}=`), bytes, Buffer.from("\n")]);
  });
  return { name: "PaxHeaders/x", type: "x", data: Buffer.concat(lines) };
}
