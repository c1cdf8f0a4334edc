// The view in memory: everything but the history, as it stands on disk.
import assert from "node:assert";
import type { TrashId, VolumeName } from "../core/names.ts";
import type {
  AliasEntry,
  HolderEntry,
  KnownEngine,
  RetiredEntry,
  StateView,
  VolumeEntry,
} from "../core/state-store.ts";
import type { NextRowIds, RowChange } from "./change.ts";

/** An entry and the id of its row. */
export interface Slot<Entry> {
  readonly rowId: number;
  readonly entry: Entry;
}

const noHolders: readonly HolderEntry[] = [];
const noAliases: ReadonlySet<VolumeName> = new Set();

/** Changes only through `apply`, with what has been committed. */
export class Memory implements StateView {
  readonly #volumes = new Map<string, Slot<VolumeEntry>>();
  /** Only volumes that have holders; each list is replaced and never changed. */
  readonly #holders = new Map<string, readonly HolderEntry[]>();
  readonly #aliases = new Map<string, AliasEntry>();
  /** Only volumes that have aliases. */
  readonly #aliasesOf = new Map<string, Set<VolumeName>>();
  readonly #retired = new Map<string, Slot<RetiredEntry>>();
  readonly #engines = new Map<string, KnownEngine>();
  readonly #next = { volume: 1, retired: 1, history: 1 };

  get next(): NextRowIds {
    return { ...this.#next };
  }

  get volumeCount(): number {
    return this.#volumes.size;
  }

  volume(name: string): VolumeEntry | undefined {
    return this.#volumes.get(name)?.entry;
  }

  *volumes(): Generator<VolumeEntry> {
    for (const slot of this.#volumes.values()) yield slot.entry;
  }

  holders(name: VolumeName): readonly HolderEntry[] {
    return this.#holders.get(name) ?? noHolders;
  }

  get retiredCount(): number {
    return this.#retired.size;
  }

  alias(name: string): AliasEntry | undefined {
    return this.#aliases.get(name);
  }

  aliases(): Iterable<AliasEntry> {
    return this.#aliases.values();
  }

  aliasesOf(name: string): ReadonlySet<VolumeName> {
    return this.#aliasesOf.get(name) ?? noAliases;
  }

  *retired(): Generator<RetiredEntry> {
    for (const slot of this.#retired.values()) yield slot.entry;
  }

  engines(): readonly KnownEngine[] {
    return byFirstContact(this.#engines.values());
  }

  /** All of it at this moment, as lists: a hundred thousand volumes in a few milliseconds. */
  snapshot(): {
    readonly volumes: readonly VolumeEntry[];
    readonly holders: readonly HolderEntry[];
    readonly aliases: readonly AliasEntry[];
    readonly retired: readonly RetiredEntry[];
    readonly engines: readonly KnownEngine[];
  } {
    return {
      volumes: Array.from(this.#volumes.values(), (slot) => slot.entry),
      holders: [...this.#holders.values()].flat(),
      aliases: [...this.#aliases.values()],
      retired: Array.from(this.#retired.values(), (slot) => slot.entry),
      engines: this.engines(),
    };
  }

  volumeRowId(name: string): number | undefined {
    return this.#volumes.get(name)?.rowId;
  }

  /** The row of the volume that the alias means. */
  aliasRowId(alias: string): number | undefined {
    const volume = this.#aliases.get(alias)?.volume;
    return volume === undefined ? undefined : this.volumeRowId(volume);
  }

  retiredEntry(id: TrashId): RetiredEntry | undefined {
    return this.#retired.get(id)?.entry;
  }

  retiredRowId(id: TrashId): number | undefined {
    return this.#retired.get(id)?.rowId;
  }

  /** After loading: the history is not in memory, only the id of its next row. */
  startHistoryAt(rowId: number): void {
    this.#next.history = rowId;
  }

  apply(change: RowChange): void {
    switch (change.kind) {
      case "putVolume":
        this.#volumes.set(change.entry.name, { rowId: change.rowId, entry: change.entry });
        if (change.isNew) this.#next.volume = change.rowId + 1;
        return;
      case "removeVolume":
        this.#removeVolume(change.name);
        return;
      case "putAlias":
        this.#putAlias(change.entry);
        return;
      case "removeAlias":
        this.#removeAlias(change.alias);
        return;
      case "putHolder":
        this.#putHolder(change.entry);
        return;
      case "removeHolder":
        this.#removeHolder(change.volume, change.holder);
        return;
      case "putRetired":
        this.#retired.set(change.entry.id, { rowId: change.rowId, entry: change.entry });
        if (change.isNew) this.#next.retired = change.rowId + 1;
        return;
      case "removeRetired":
        this.#retired.delete(change.id);
        return;
      case "putEngine":
        this.#engines.set(change.entry.key, change.entry);
        return;
      case "removeEngine":
        this.#engines.delete(change.key);
        return;
      case "addHistory":
        this.#next.history = change.rowId + 1;
        return;
      default:
        assert.fail(`unknown change ${JSON.stringify(change satisfies never)}`);
    }
  }

  #removeVolume(name: VolumeName): void {
    this.#volumes.delete(name);
    this.#holders.delete(name);
    for (const alias of this.aliasesOf(name)) this.#aliases.delete(alias);
    this.#aliasesOf.delete(name);
  }

  #putAlias(entry: AliasEntry): void {
    this.#removeAlias(entry.alias);
    this.#aliases.set(entry.alias, entry);
    const others = this.#aliasesOf.get(entry.volume) ?? new Set();
    this.#aliasesOf.set(entry.volume, others.add(entry.alias));
  }

  #removeAlias(alias: VolumeName): void {
    const volume = this.#aliases.get(alias)?.volume;
    if (volume === undefined) return;
    this.#aliases.delete(alias);
    const others = this.#aliasesOf.get(volume);
    others?.delete(alias);
    if (others?.size === 0) this.#aliasesOf.delete(volume);
  }

  #putHolder(entry: HolderEntry): void {
    this.#holders.set(entry.volume, withHolder(this.holders(entry.volume), entry));
  }

  #removeHolder(volume: VolumeName, holder: string): void {
    const held = this.holders(volume).filter((entry) => entry.holder !== holder);
    if (held.length === 0) this.#holders.delete(volume);
    else this.#holders.set(volume, held);
  }
}

/** The list with `entry` in the place of the same holder's older one, or at its end. */
export function withHolder(
  held: readonly HolderEntry[],
  entry: HolderEntry,
): readonly HolderEntry[] {
  const index = held.findIndex((other) => other.holder === entry.holder);
  return index < 0 ? [...held, entry] : held.with(index, entry);
}

/** The first contact first; of two in one moment the smaller key, so that the order lasts. */
export function byFirstContact(engines: Iterable<KnownEngine>): readonly KnownEngine[] {
  return [...engines].sort((a, b) => a.sinceMs - b.sinceMs || (a.key < b.key ? -1 : 1));
}
