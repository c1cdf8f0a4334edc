// Between entries and rows, both ways, with the checksum that proves a row is what was stored.
import { crc32 } from "node:zlib";
import type { SqlValue } from "../core/database.ts";
import { DatabaseCorrupt } from "../core/database.ts";
import { parseDriverName, parseHolderId, parseTrashId, parseVolumeName } from "../core/names.ts";
import {
  type AliasEntry,
  type HolderEntry,
  type KnownEngine,
  type LastUse,
  type Protection,
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
  readonly lastUse: LastUse | null;
  readonly note: string | null;
  readonly protection: Protection | null;
}

export interface RetiredFields {
  readonly id: string;
  readonly volume: VolumeFields;
  readonly phase: string;
  readonly retiredAtMs: number;
  readonly removedBy: string;
  readonly purgeAtMs: number | null;
  readonly sizeBytes: number | null;
  readonly aliases: readonly string[];
}

export interface AliasFields {
  readonly alias: string;
  readonly volume: string;
  readonly sinceMs: number;
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
  readonly last_use_at_ms: number | null;
  readonly last_use_holder: string | null;
  readonly note: string | null;
  readonly protected_reason: string | null;
  readonly protected_since_ms: number | null;
  readonly protected_by: string | null;
  readonly sum: number;
}

export interface RetiredRow extends VolumeRow {
  readonly trash_id: string;
  readonly retired_at_ms: number;
  readonly trash_phase: string;
  readonly removed_by: string;
  readonly purge_at_ms: number | null;
  readonly size_bytes: number | null;
  readonly aliases: string;
}

export interface AliasRow {
  readonly volume_id: number;
  readonly alias: string;
  readonly since_ms: number;
  readonly sum: number;
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

/** The columns of `volumes` after `id`, without the checksum. */
function volumeValues(entry: VolumeEntry): SqlValue[] {
  const { lastUse, protection } = entry;
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
    lastUse?.atMs ?? null,
    lastUse?.holder.toWellFormed() ?? null,
    entry.note?.toWellFormed() ?? null,
    protection?.reason.toWellFormed() ?? null,
    protection?.sinceMs ?? null,
    protection?.by.toWellFormed() ?? null,
  ];
}

/** All columns of a row of `volumes` after `id`. */
export function encodeVolume(rowId: number, entry: VolumeEntry): readonly SqlValue[] {
  return withSum(rowId, volumeValues(entry));
}

/** All columns of a row of `retired` after `id`. */
export function encodeRetired(rowId: number, entry: RetiredEntry): readonly SqlValue[] {
  const { id, retiredAtMs, phase, removedBy, purgeAtMs, sizeBytes } = entry;
  const trash = [id, retiredAtMs, phase, removedBy.toWellFormed(), purgeAtMs, sizeBytes];
  return withSum(rowId, [...trash, JSON.stringify(entry.aliases), ...volumeValues(entry.volume)]);
}

/** All columns of a row of `holders` after `volume_id`. */
export function encodeHolder(volumeRowId: number, entry: HolderEntry): readonly SqlValue[] {
  return withSum(volumeRowId, [entry.holder.toWellFormed(), entry.kind, entry.sinceMs]);
}

/** All columns of a row of `aliases` after `volume_id`. */
export function encodeAlias(volumeRowId: number, entry: AliasEntry): readonly SqlValue[] {
  return withSum(volumeRowId, [entry.alias, entry.sinceMs]);
}

/** All columns of a row of `engines`; its key stands where other rows have their id. */
export function encodeEngine(entry: KnownEngine): readonly SqlValue[] {
  return [entry.key, ...withSum(entry.key, [entry.sinceMs])];
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
    const { trash_id: id, retired_at_ms: retiredAtMs, trash_phase: phase } = row;
    const { removed_by: removedBy, purge_at_ms: purgeAtMs, size_bytes: sizeBytes } = row;
    const trash = [id, retiredAtMs, phase, removedBy, purgeAtMs, sizeBytes, row.aliases];
    prove("retired", row.id, row.sum, [...trash, ...columnsOf(row)]);
    return parsed("retired", row.id, () => {
      const fields = { id, phase, retiredAtMs, removedBy, purgeAtMs, sizeBytes };
      const entry = trashOfFields({ ...fields, aliases: JSON.parse(row.aliases) });
      return { ...entry, volume: this.#volumeOf(row) };
    });
  }

  alias(row: AliasRow, volume: VolumeEntry | undefined): AliasEntry {
    prove("aliases", row.volume_id, row.sum, [row.alias, row.since_ms]);
    return parsed("aliases", row.volume_id, () => {
      if (volume === undefined) throw new TypeError("there is no such volume");
      return aliasOfFields({ alias: row.alias, volume: volume.name, sinceMs: row.since_ms });
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
      lastUse: lastUseOf(row),
      note: row.note,
      protection: protectionOf(row),
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
    lastUse: stated("lastUse", fields.lastUse),
    note: stated("note", fields.note),
    protection: stated("protection", fields.protection),
  };
}

/** The same for an entry of the trash. */
export function retiredOfFields(fields: RetiredFields): RetiredEntry {
  return { ...trashOfFields(fields), volume: volumeOfFields(fields.volume) };
}

function trashOfFields(fields: Omit<RetiredFields, "volume">): Omit<RetiredEntry, "volume"> {
  const id = parseTrashId(fields.id);
  if (id === undefined) throw new TypeError(`no trash id: ${fields.id}`);
  return {
    id,
    phase: oneOf(fields.phase, ["kept", "purging"]),
    retiredAtMs: fields.retiredAtMs,
    removedBy: stated("removedBy", fields.removedBy),
    purgeAtMs: stated("purgeAtMs", fields.purgeAtMs),
    sizeBytes: stated("sizeBytes", fields.sizeBytes),
    aliases: stated("aliases", fields.aliases).map(parseVolumeName),
  };
}

/** The same for an alias. */
export function aliasOfFields(fields: AliasFields): AliasEntry {
  return {
    alias: parseVolumeName(fields.alias),
    volume: parseVolumeName(fields.volume),
    sinceMs: fields.sinceMs,
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
    row.last_use_at_ms,
    row.last_use_holder,
    row.note,
    row.protected_reason,
    row.protected_since_ms,
    row.protected_by,
  ];
}

function lastUseOf(row: VolumeRow): LastUse | null {
  const { last_use_at_ms: atMs, last_use_holder: holder } = row;
  return atMs === null || holder === null ? null : { atMs, holder };
}

function protectionOf(row: VolumeRow): Protection | null {
  const { protected_reason: reason, protected_since_ms: sinceMs, protected_by: by } = row;
  return reason === null || sinceMs === null || by === null ? null : { reason, sinceMs, by };
}

/** A line of a copy that leaves out what it should say is damaged, and means nothing else. */
function stated<Value>(field: string, value: Value): Value {
  if (value === undefined) throw new TypeError(`${field} is missing`);
  return value;
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

/** The word as it stands in the code. Throws `TypeError` when it is none of them. */
export function oneOf<const Word extends string>(text: string, words: readonly Word[]): Word {
  const word = words.find((candidate) => candidate === text);
  if (word === undefined) throw new TypeError(`"${text}" is none of ${words.join(", ")}`);
  return word;
}
