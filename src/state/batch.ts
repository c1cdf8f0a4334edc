// All writes of one turn, made into one list of row changes.
import assert from "node:assert";
import type { SqlValue } from "../core/database.ts";
import type { EngineError } from "../core/errors.ts";
import type { TrashId, VolumeName } from "../core/names.ts";
import type { AliasEntry, RetiredEntry, VolumeEntry } from "../core/state-store.ts";
import type { Change, NextRowIds, PlannedRow, RowChange } from "./change.ts";
import { encodeHistory } from "./history.ts";
import type { Memory } from "./memory.ts";
import {
  bytesOf,
  encodeAlias,
  encodeEngine,
  encodeHolder,
  encodeRetired,
  encodeVolume,
  ownPagesBytes,
} from "./rows.ts";
import { aliasOfNothing, holderOfNothing, nameOfAlias } from "./transaction.ts";

/** One write that waits for the commit. */
export interface PendingWrite {
  readonly changes: readonly Change[];
  /** It need not be on disk when it is settled. */
  readonly isLazy: boolean;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/** A write with its rows, or why it cannot be done. */
export interface PlannedWrite {
  readonly write: PendingWrite;
  readonly rows: readonly PlannedRow[];
  /** New rows less removed ones, of volumes and of the trash. */
  readonly volumeGrowth: number;
  /** The same of the trash alone. */
  readonly trashGrowth: number;
  /**
   * The same of holders. Engines and aliases among them, and volumes about which more is said than
   * before: what is used or described, and not removed, with them.
   */
  readonly holderGrowth: number;
  /** What the rows take in the file, at most, less the pages that the write itself sets free. */
  readonly bytes: number;
}

/** Why a planned write is not to be done, if it is not. */
export type Refusal = (planned: PlannedWrite) => EngineError | undefined;

/** Gives writes their rows, one after another, as if each had been committed before the next. */
export class BatchPlan {
  readonly #memory: Memory;
  #next: NextRowIds;
  /** Rows as they will be; null: gone. Only what this batch touches. */
  readonly #volumes = new Map<string, number | null>();
  readonly #retired = new Map<string, number | null>();
  /** By alias, the row of its volume. */
  readonly #aliases = new Map<VolumeName, number | null>();

  constructor(memory: Memory) {
    this.#memory = memory;
    this.#next = memory.next;
  }

  /**
   * The write's rows; an error when another write of the turn took away what it builds on, or when
   * `refusal` has one: then nothing builds on this write.
   */
  add(write: PendingWrite, refusal?: Refusal): PlannedWrite | EngineError {
    const draft: Draft = {
      next: this.#next,
      volumes: new Map(),
      retired: new Map(),
      aliases: new Map(),
      rows: [],
      bytes: 0,
      freedBytes: 0,
      volumeGrowth: 0,
      trashGrowth: 0,
      holderGrowth: 0,
    };
    for (const change of write.changes) {
      const refused = this.#plan(change, draft);
      if (refused !== undefined) return refused;
    }
    const { rows, volumeGrowth, trashGrowth, holderGrowth } = draft;
    const bytes = Math.max(0, draft.bytes - draft.freedBytes);
    const planned = { write, rows, bytes, volumeGrowth, trashGrowth, holderGrowth };
    const refused = refusal?.(planned);
    if (refused !== undefined) return refused;
    this.#next = draft.next;
    for (const [name, rowId] of draft.volumes) this.#volumes.set(name, rowId);
    for (const [id, rowId] of draft.retired) this.#retired.set(id, rowId);
    for (const [alias, rowId] of draft.aliases) this.#aliases.set(alias, rowId);
    return planned;
  }

  #volumeRow(draft: Draft, name: string): number | undefined {
    const own = draft.volumes.has(name) ? draft.volumes.get(name) : this.#volumes.get(name);
    return own === undefined ? this.#memory.volumeRowId(name) : (own ?? undefined);
  }

  #retiredRow(draft: Draft, id: TrashId): number | undefined {
    const own = draft.retired.has(id) ? draft.retired.get(id) : this.#retired.get(id);
    return own === undefined ? this.#memory.retiredRowId(id) : (own ?? undefined);
  }

  /** The row of the volume that the alias means. */
  #aliasRow(draft: Draft, alias: VolumeName): number | undefined {
    const own = draft.aliases.has(alias) ? draft.aliases.get(alias) : this.#aliases.get(alias);
    return own === undefined ? this.#memory.aliasRowId(alias) : (own ?? undefined);
  }

  /** What the row of now leaves free when it is replaced or removed. */
  #volumeBytes(name: string, rowId: number): number {
    const entry = this.#memory.volume(name);
    const isThatRow = entry !== undefined && this.#memory.volumeRowId(name) === rowId;
    return isThatRow ? ownPagesBytes(entry) : 0;
  }

  #retiredBytes(id: TrashId, rowId: number): number {
    const entry = this.#memory.retiredEntry(id);
    const isThatRow = entry !== undefined && this.#memory.retiredRowId(id) === rowId;
    return isThatRow ? ownPagesBytes(entry.volume) : 0;
  }

  #plan(change: Change, draft: Draft): EngineError | undefined {
    switch (change.kind) {
      case "putVolume":
        return this.#putVolume(change.entry, draft);
      case "removeVolume":
        this.#removeVolume(change.name, draft);
        return undefined;
      case "putAlias":
        return this.#putAlias(change.entry, draft);
      case "removeAlias":
        this.#removeAlias(change.alias, draft);
        return undefined;
      case "putHolder": {
        const { entry } = change;
        const volumeRowId = this.#volumeRow(draft, entry.volume);
        if (volumeRowId === undefined) return holderOfNothing(entry);
        push(draft, { ...change, volumeRowId }, encodeHolder(volumeRowId, entry));
        draft.holderGrowth++;
        return undefined;
      }
      case "removeHolder": {
        const volumeRowId = this.#volumeRow(draft, change.volume);
        if (volumeRowId === undefined) return undefined;
        push(draft, { ...change, volumeRowId });
        draft.holderGrowth--;
        return undefined;
      }
      case "putRetired":
        this.#putRetired(change.entry, draft);
        return undefined;
      case "removeRetired": {
        const rowId = this.#retiredRow(draft, change.id);
        if (rowId === undefined) return undefined;
        push(draft, { ...change, rowId });
        draft.freedBytes += this.#retiredBytes(change.id, rowId);
        draft.retired.set(change.id, null);
        draft.volumeGrowth--;
        draft.trashGrowth--;
        // Where they become rows of their own again nothing has grown.
        draft.holderGrowth -= this.#memory.retiredEntry(change.id)?.aliases.length ?? 0;
        return undefined;
      }
      case "putEngine":
        push(draft, change, encodeEngine(change.entry));
        draft.holderGrowth++;
        return undefined;
      case "removeEngine":
        push(draft, change);
        draft.holderGrowth--;
        return undefined;
      case "addHistory": {
        const rowId = draft.next.history;
        push(draft, { ...change, rowId }, encodeHistory(change.entry));
        draft.next = { ...draft.next, history: rowId + 1 };
        return undefined;
      }
      default:
        assert.fail(`unknown change ${JSON.stringify(change satisfies never)}`);
    }
  }

  #putVolume(entry: VolumeEntry, draft: Draft): EngineError | undefined {
    if (this.#aliasRow(draft, entry.name) !== undefined) return nameOfAlias(entry.name);
    const known = this.#volumeRow(draft, entry.name);
    const isNew = known === undefined;
    const rowId = known ?? draft.next.volume;
    push(draft, { kind: "putVolume", rowId, isNew, entry }, encodeVolume(rowId, entry));
    if (!isNew) draft.freedBytes += this.#volumeBytes(entry.name, rowId);
    if (!isNew && isSaidMore(entry, this.#memory.volume(entry.name))) draft.holderGrowth++;
    draft.volumes.set(entry.name, rowId);
    if (!isNew) return undefined;
    draft.next = { ...draft.next, volume: rowId + 1 };
    draft.volumeGrowth++;
    return undefined;
  }

  #removeVolume(name: VolumeName, draft: Draft): void {
    const rowId = this.#volumeRow(draft, name);
    if (rowId === undefined) return;
    push(draft, { kind: "removeVolume", rowId, name });
    draft.freedBytes += this.#volumeBytes(name, rowId);
    draft.volumes.set(name, null);
    draft.volumeGrowth--;
    const known = this.#memory.aliasesOf(name);
    for (const alias of [...known, ...this.#aliases.keys(), ...draft.aliases.keys()]) {
      if (this.#aliasRow(draft, alias) === rowId) draft.aliases.set(alias, null);
    }
  }

  #putAlias(entry: AliasEntry, draft: Draft): EngineError | undefined {
    const volumeRowId = this.#volumeRow(draft, entry.volume);
    if (volumeRowId === undefined) return aliasOfNothing(entry);
    if (this.#volumeRow(draft, entry.alias) !== undefined) return nameOfAlias(entry.alias);
    // It may have meant another volume: that is another row.
    this.#removeAlias(entry.alias, draft);
    push(draft, { kind: "putAlias", volumeRowId, entry }, encodeAlias(volumeRowId, entry));
    draft.aliases.set(entry.alias, volumeRowId);
    draft.holderGrowth++;
    return undefined;
  }

  #removeAlias(alias: VolumeName, draft: Draft): void {
    const volumeRowId = this.#aliasRow(draft, alias);
    if (volumeRowId === undefined) return;
    push(draft, { kind: "removeAlias", volumeRowId, alias });
    draft.aliases.set(alias, null);
    draft.holderGrowth--;
  }

  #putRetired(entry: RetiredEntry, draft: Draft): void {
    const known = this.#retiredRow(draft, entry.id);
    const isNew = known === undefined;
    const rowId = known ?? draft.next.retired;
    push(draft, { kind: "putRetired", rowId, isNew, entry }, encodeRetired(rowId, entry));
    if (!isNew) draft.freedBytes += this.#retiredBytes(entry.id, rowId);
    const before = isNew ? undefined : this.#memory.retiredEntry(entry.id)?.volume;
    if (!isNew && isSaidMore(entry.volume, before)) draft.holderGrowth++;
    draft.retired.set(entry.id, rowId);
    if (!isNew) return;
    draft.next = { ...draft.next, retired: rowId + 1 };
    draft.volumeGrowth++;
    draft.trashGrowth++;
  }
}

function push(draft: Draft, change: RowChange, values: readonly SqlValue[] = []): void {
  draft.rows.push({ change, values });
  draft.bytes += bytesOf(values);
}

/** What people say of it takes more room than it did; the end of a use does not count. */
function isSaidMore(entry: VolumeEntry, before: VolumeEntry | undefined): boolean {
  if (before === undefined || saysTheSame(entry, before)) return false;
  return saidBytes(entry) > saidBytes(before);
}

/** Without a look at what may be long: an entry that says the same has it from its predecessor. */
function saysTheSame(entry: VolumeEntry, before: VolumeEntry): boolean {
  return (
    entry.labels === before.labels &&
    entry.options === before.options &&
    entry.note === before.note &&
    entry.protection === before.protection
  );
}

function saidBytes({ labels, options, note, protection }: VolumeEntry): number {
  return Buffer.byteLength(JSON.stringify([labels, options, note, protection]));
}

interface Draft {
  next: NextRowIds;
  readonly volumes: Map<string, number | null>;
  readonly retired: Map<string, number | null>;
  readonly aliases: Map<VolumeName, number | null>;
  readonly rows: PlannedRow[];
  bytes: number;
  freedBytes: number;
  volumeGrowth: number;
  trashGrowth: number;
  holderGrowth: number;
}
