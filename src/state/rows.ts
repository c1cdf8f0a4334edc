// Between entries and rows, both ways, with the checksum that proves a row is what was stored.
import { crc32 } from "node:zlib";
import type { SqlValue } from "../core/database.ts";
import { DatabaseCorrupt } from "../core/database.ts";
import {
  makeOperationId,
  parseDriverName,
  parseHolderId,
  parseTrashId,
  parseVolumeName,
} from "../core/names.ts";
import {
  type HistoryEntry,
  type HolderEntry,
  historyActions,
  type KnownEngine,
  type RetiredEntry,
  type VolumeEntry,
  volumePhases,
} from "../core/state-store.ts";

/** How long the key of a container engine gets. */
const ENGINE_KEY_LENGTH_MAX = 1024;
/** How much of a large row may share a page with others, or fill its last one: two pages. */
const SHARED_BYTES_MAX = 2 * 4096;

/** An entry's fields before they are parsed: from columns, or from a line of the copy. */
export interface VolumeFields {
  readonly name: string;
  readonly driver: string;
  readonly scope: string;
  readonly labels: Readonly<Record<string, string>> | null;
  readonly options: Readonly<Record<string, string>> | null;
  readonly createdAtMs: number;
  readonly origin: string;
  readonly phase: string;
  readonly mountpoint: string;
  readonly identity: string;
  readonly usedAtMs: number | null;
}

export interface HolderFields {
  readonly volume: string;
  readonly holder: string;
  readonly kind: string;
  readonly sinceMs: number;
}

export interface VolumeRow {
  readonly id: number;
  readonly name: string;
  readonly driver: string;
  readonly scope: string;
  readonly labels: string | null;
  readonly options: string | null;
  readonly created_at_ms: number;
  readonly origin: string;
  readonly phase: string;
  readonly mountpoint: string;
  readonly identity: string;
  readonly used_at_ms: number | null;
  readonly sum: number;
}

export interface RetiredRow extends VolumeRow {
  readonly trash_id: string;
  readonly retired_at_ms: number;
}

export interface HolderRow {
  readonly volume_id: number;
  readonly holder: string;
  readonly kind: string;
  readonly since_ms: number;
  readonly sum: number;
}

export interface EngineRow {
  readonly key: string;
  readonly since_ms: number;
  readonly sum: number;
}

export interface HistoryRow {
  readonly at_ms: number;
  readonly action: string;
  readonly volume: string;
  readonly driver: string;
  readonly caller_uid: number | null;
  readonly caller_gid: number | null;
  readonly caller_pid: number | null;
  readonly operation: string;
}

/** The columns of `volumes` after `id`, without the checksum. */
function volumeValues(entry: VolumeEntry): SqlValue[] {
  return [
    entry.name,
    entry.driver,
    entry.scope,
    entry.labels === null ? null : JSON.stringify(entry.labels),
    entry.options === null ? null : JSON.stringify(entry.options),
    entry.createdAtMs,
    entry.origin,
    entry.phase,
    entry.mountpoint.toWellFormed(),
    entry.identity.toWellFormed(),
    entry.usedAtMs,
  ];
}

/** All columns of a row of `volumes` after `id`. */
export function encodeVolume(rowId: number, entry: VolumeEntry): readonly SqlValue[] {
  return withSum(rowId, volumeValues(entry));
}

/** All columns of a row of `retired` after `id`. */
export function encodeRetired(rowId: number, entry: RetiredEntry): readonly SqlValue[] {
  return withSum(rowId, [entry.id, entry.retiredAtMs, ...volumeValues(entry.volume)]);
}

/** All columns of a row of `holders` after `volume_id`. */
export function encodeHolder(volumeRowId: number, entry: HolderEntry): readonly SqlValue[] {
  return withSum(volumeRowId, [entry.holder.toWellFormed(), entry.kind, entry.sinceMs]);
}

/** All columns of a row of `engines`; its key stands where other rows have their id. */
export function encodeEngine(entry: KnownEngine): readonly SqlValue[] {
  return [entry.key, ...withSum(entry.key, [entry.sinceMs])];
}

/** All columns of a row of `history` after `id`. */
export function encodeHistory(entry: HistoryEntry): readonly SqlValue[] {
  const { caller } = entry;
  const who = caller.kind === "process" ? [caller.uid, caller.gid, caller.pid] : [null, null, null];
  const { atMs, action, volume, driver, operation } = entry;
  return [atMs, action, volume, driver, ...who, operation.toWellFormed()];
}

/** How much room the values take in a file, roughly and rather too much, in bytes. */
export function bytesOf(values: readonly SqlValue[]): number {
  let bytes = 0;
  for (const value of values) bytes += typeof value === "string" ? Buffer.byteLength(value) + 2 : 9;
  return bytes;
}

/**
 * How much of a volume's row lies in pages of its own, roughly and rather too little, in bytes: the
 * write that takes the row away can use them at once. What shares a page does not count.
 */
export function ownPagesBytes(entry: VolumeEntry): number {
  if (entry.labels === null && entry.options === null) return 0;
  return Math.max(0, bytesOf(volumeValues(entry)) - SHARED_BYTES_MAX);
}

/** Rows to entries. The few words that every row repeats stand in memory once. */
export class Decoder {
  readonly #shared = new Map<string, string>();

  volume(row: VolumeRow): VolumeEntry {
    prove("volumes", row.id, row.sum, columnsOf(row));
    return parsed("volumes", row.id, () => this.#volumeOf(row));
  }

  retired(row: RetiredRow): RetiredEntry {
    prove("retired", row.id, row.sum, [row.trash_id, row.retired_at_ms, ...columnsOf(row)]);
    return parsed("retired", row.id, () => {
      const id = parseTrashId(row.trash_id);
      if (id === undefined) throw new TypeError(`no trash id: ${row.trash_id}`);
      return { id, retiredAtMs: row.retired_at_ms, volume: this.#volumeOf(row) };
    });
  }

  holder(row: HolderRow, volume: VolumeEntry | undefined): HolderEntry {
    prove("holders", row.volume_id, row.sum, [row.holder, row.kind, row.since_ms]);
    return parsed("holders", row.volume_id, () => {
      if (volume === undefined) throw new TypeError("there is no such volume");
      const { holder, since_ms: sinceMs } = row;
      return holderOfFields({ volume: volume.name, holder, kind: row.kind, sinceMs });
    });
  }

  engine(row: EngineRow): KnownEngine {
    prove("engines", row.key, row.sum, [row.since_ms]);
    return parsed("engines", row.key, () =>
      engineOfFields({ key: row.key, sinceMs: row.since_ms }),
    );
  }

  #volumeOf(row: VolumeRow): VolumeEntry {
    return volumeOfFields({
      name: row.name,
      driver: this.#share(row.driver),
      scope: this.#share(row.scope),
      labels: row.labels === null ? null : JSON.parse(row.labels),
      options: row.options === null ? null : JSON.parse(row.options),
      createdAtMs: row.created_at_ms,
      origin: this.#share(row.origin),
      phase: this.#share(row.phase),
      mountpoint: row.mountpoint,
      identity: row.identity,
      usedAtMs: row.used_at_ms,
    });
  }

  #share(text: string): string {
    const known = this.#shared.get(text);
    if (known !== undefined) return known;
    this.#shared.set(text, text);
    return text;
  }
}

/** The entry, its names parsed and its words checked. Throws what says which field is wrong. */
export function volumeOfFields(fields: VolumeFields): VolumeEntry {
  return {
    name: parseVolumeName(fields.name),
    driver: parseDriverName(fields.driver),
    scope: oneOf(fields.scope, ["local", "global"]),
    labels: fields.labels,
    options: fields.options,
    createdAtMs: fields.createdAtMs,
    origin: oneOf(fields.origin, ["made", "adopted"]),
    phase: oneOf(fields.phase, volumePhases),
    mountpoint: fields.mountpoint,
    identity: fields.identity,
    usedAtMs: fields.usedAtMs,
  };
}

/** The same for a holder. Its kind is one of the words in the code, which stand in memory once. */
export function holderOfFields(fields: HolderFields): HolderEntry {
  return {
    volume: parseVolumeName(fields.volume),
    holder: parseHolderId(fields.holder),
    kind: oneOf(fields.kind, ["client", "engine"]),
    sinceMs: fields.sinceMs,
  };
}

/** The same for a container engine. */
export function engineOfFields(fields: KnownEngine): KnownEngine {
  const { key, sinceMs } = fields;
  // What is not well formed would be another key on disk, perhaps one that is there already.
  if (key.length === 0 || key.length > ENGINE_KEY_LENGTH_MAX || !key.isWellFormed()) {
    throw new TypeError(`"${key}" is no key of an engine`);
  }
  return { key, sinceMs };
}

export function decodeHistory(row: HistoryRow): HistoryEntry {
  const { caller_uid: uid, caller_gid: gid, caller_pid: pid } = row;
  const isProcess = uid !== null && gid !== null && pid !== null;
  return {
    atMs: row.at_ms,
    action: oneOf(row.action, historyActions),
    volume: parseVolumeName(row.volume),
    driver: parseDriverName(row.driver),
    caller: isProcess ? { kind: "process", uid, gid, pid } : { kind: "system" },
    operation: makeOperationId(row.operation),
  };
}

function columnsOf(row: VolumeRow): SqlValue[] {
  return [
    row.name,
    row.driver,
    row.scope,
    row.labels,
    row.options,
    row.created_at_ms,
    row.origin,
    row.phase,
    row.mountpoint,
    row.identity,
    row.used_at_ms,
  ];
}

/** What stands before the columns that a sum proves: the row's number, or its key. */
type RowId = number | string;

/**
 * The id is part of the sum: a row in another's place is noticed too. It never changes: migrations
 * prove old rows with it.
 */
function sumOf(rowId: RowId, values: readonly SqlValue[]): number {
  return crc32(`${rowId}${JSON.stringify(values)}`);
}

/** The values with their checksum behind them. */
export function withSum(rowId: RowId, values: readonly SqlValue[]): readonly SqlValue[] {
  return [...values, sumOf(rowId, values)];
}

/** Throws `DatabaseCorrupt` when `sum` is not that of the values. */
export function prove(table: string, rowId: RowId, sum: number, values: readonly SqlValue[]): void {
  if (sumOf(rowId, values) !== sum) {
    throw new DatabaseCorrupt(`row ${rowId} of ${table} is not what was stored`);
  }
}

function parsed<T>(table: string, rowId: RowId, parse: () => T): T {
  try {
    return parse();
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new DatabaseCorrupt(`row ${rowId} of ${table}: ${why}`, { cause });
  }
}

function oneOf<const Word extends string>(text: string, words: readonly Word[]): Word {
  const word = words.find((candidate) => candidate === text);
  if (word === undefined) throw new TypeError(`"${text}" is none of ${words.join(", ")}`);
  return word;
}
