// Reads what a plugin lists, which may be long, in turns and without a copy of all of it at once.
//
// JSON.parse of a list of 64 MiB keeps the event loop for a second and makes objects of several
// times its size. So the list is taken apart here, and one volume after another is parsed.
import { Turns } from "../../core/turns.ts";
import { badAnswer } from "./answer-reader.ts";
import { asObject, field, type JsonObject, parseJson, parseObject, textField } from "./fields.ts";
import { parseTimeMs } from "./volume-answer.ts";

/** More volumes than that are no list of volumes. */
export const LISTED_COUNT_MAX = 200_000;
/** Of one volume, and of all that is beside the list, in bytes. */
const PART_BYTES_MAX = 512 * 1024;
/** How many bytes are looked at between two looks at the clock. */
const SLICE_BYTES = 16 * 1024;

export interface ListedVolume {
  readonly name: string;
  /** As the plugin says it; "" when it says none. */
  readonly mountpoint: string;
  /** Milliseconds since the epoch; 0 when it says none, or none that can be read. */
  readonly createdAtMs: number;
}

export interface ListAnswer extends JsonObject {
  readonly Err: string;
  readonly volumes: readonly ListedVolume[];
}

/** Throws `plugin.failed` for what is no list. A volume without a name is no volume. */
export async function readList(body: Uint8Array): Promise<ListAnswer> {
  const scanner = new ListScanner(body);
  const turns = new Turns();
  for (let start = 0; start < body.length; start += SLICE_BYTES) {
    scanner.scan(start, Math.min(body.length, start + SLICE_BYTES));
    while (turns.isOver()) await turns.next();
  }
  const { rest, volumes } = scanner;
  const object = parseObject(rest);
  const others = field(object, "Volumes");
  if (others !== undefined && !Array.isArray(others)) throw badAnswer("Volumes is no list");
  return { Err: textField(object, "Err"), volumes };
}

const QUOTE = 0x22;
const COMMA = 0x2c;
const COLON = 0x3a;
const BACKSLASH = 0x5c;
const [OPEN_LIST, CLOSE_LIST, OPEN_OBJECT, CLOSE_OBJECT] = [0x5b, 0x5d, 0x7b, 0x7d];

/** Finds the list by counting brackets; whether it all is JSON, the parser says of each part. */
class ListScanner {
  readonly #body: Uint8Array;
  readonly volumes: ListedVolume[] = [];
  #depth = 0;
  #isInString = false;
  #isEscaped = false;
  #stringStart = 0;
  /** The last string in the outermost object: a key, when a colon follows. */
  #key = "";
  #isValue = false;
  /** Where the volume begins that is being read; -1 outside of the list. */
  #itemStart = -1;
  /** Where the list was; -1: none has been found. */
  #listStart = -1;
  #listEnd = -1;

  constructor(body: Uint8Array) {
    this.#body = body;
  }

  /** All but the list, which is empty here. */
  get rest(): string {
    const end = this.#listEnd < 0 ? this.#body.length : this.#listEnd;
    const start = this.#listEnd < 0 ? end : this.#listStart + 1;
    if (start + this.#body.length - end > PART_BYTES_MAX) {
      throw badAnswer(`there are more than ${PART_BYTES_MAX} bytes beside the list`);
    }
    return this.#text(0, start) + this.#text(end, this.#body.length);
  }

  scan(start: number, end: number): void {
    for (let index = start; index < end; index++) {
      const byte = this.#body[index] ?? 0;
      if (this.#isInString) this.#inString(byte, index);
      else this.#outside(byte, index);
    }
  }

  #inString(byte: number, index: number): void {
    if (this.#isEscaped) this.#isEscaped = false;
    else if (byte === BACKSLASH) this.#isEscaped = true;
    else if (byte === QUOTE) {
      this.#isInString = false;
      // Nobody's key is as long as that.
      const end = Math.min(index, this.#stringStart + 16);
      if (this.#depth === 1) this.#key = this.#text(this.#stringStart, end);
    }
  }

  #outside(byte: number, index: number): void {
    if (byte === QUOTE) {
      this.#isInString = true;
      this.#stringStart = index + 1;
    } else if (byte === OPEN_LIST || byte === OPEN_OBJECT) {
      this.#depth += 1;
      if (byte === OPEN_LIST && this.#depth === 2) this.#maybeList(index);
    } else if (byte === CLOSE_LIST || byte === CLOSE_OBJECT) {
      if (this.#depth === 2 && this.#itemStart >= 0) this.#endOfList(index);
      this.#depth -= 1;
    } else if (byte === COMMA) {
      if (this.#depth === 1) this.#isValue = false;
      else if (this.#depth === 2 && this.#itemStart >= 0) this.#endOfItem(index);
    } else if (byte === COLON && this.#depth === 1) this.#isValue = true;
  }

  #maybeList(index: number): void {
    const isIt = this.#isValue && this.#key.toLowerCase() === "volumes";
    if (!isIt || this.#listStart >= 0) return;
    this.#listStart = index;
    this.#itemStart = index + 1;
  }

  #endOfList(index: number): void {
    const isEmpty = this.volumes.length === 0 && this.#text(this.#itemStart, index).trim() === "";
    if (!isEmpty) this.#endOfItem(index);
    this.#itemStart = -1;
    this.#listEnd = index;
  }

  #endOfItem(index: number): void {
    const text = this.#text(this.#itemStart, index);
    this.#itemStart = index + 1;
    if (this.volumes.length >= LISTED_COUNT_MAX) {
      throw badAnswer(`there are more than ${LISTED_COUNT_MAX} volumes in the list`);
    }
    const volume = asObject(parseJson(text), "a volume in the list");
    const name = textField(volume, "Name");
    if (name === "") throw badAnswer("a volume in the list has no name");
    const mountpoint = textField(volume, "Mountpoint");
    const createdAt = field(volume, "CreatedAt");
    const createdAtMs = (typeof createdAt === "string" && parseTimeMs(createdAt)) || 0;
    this.volumes.push({ name, mountpoint, createdAtMs });
  }

  #text(start: number, end: number): string {
    if (end - start > PART_BYTES_MAX) throw badAnswer("a part of the list is too long");
    const { buffer, byteOffset } = this.#body;
    return Buffer.from(buffer, byteOffset + start, end - start).toString("utf8");
  }
}
