// One write while its work runs: reads see what is committed and the write's own changes.

import { EngineError } from "../core/errors.ts";
import type { HolderId, TrashId, VolumeName } from "../core/names.ts";
import type {
  AliasEntry,
  HistoryEntry,
  HolderEntry,
  KnownEngine,
  RetiredEntry,
  StateTransaction,
  VolumeEntry,
} from "../core/state-store.ts";
import type { Change } from "./change.ts";
import { byFirstContact, type Memory, withHolder } from "./memory.ts";
import { engineOfFields } from "./rows.ts";

/** Records changes; nothing reaches the disk or the view before the commit. */
export class Recorder implements StateTransaction {
  readonly #base: Memory;
  readonly #changes: Change[] = [];
  /** What this write put; null: what it removed. */
  readonly #volumes = new Map<string, VolumeEntry | null>();
  readonly #holders = new Map<string, readonly HolderEntry[]>();
  readonly #aliases = new Map<string, AliasEntry | null>();
  readonly #retired = new Map<string, RetiredEntry | null>();
  readonly #engines = new Map<string, KnownEngine | null>();
  #isOpen = true;
  #volumeCount: number;
  #retiredCount: number;

  constructor(base: Memory) {
    this.#base = base;
    this.#volumeCount = base.volumeCount;
    this.#retiredCount = base.retiredCount;
  }

  /** Ends the recording: a transaction that its work kept changes nothing any more. */
  finish(): readonly Change[] {
    this.#isOpen = false;
    return this.#changes;
  }

  get volumeCount(): number {
    return this.#volumeCount;
  }

  volume(name: string): VolumeEntry | undefined {
    const own = this.#volumes.get(name);
    return own === undefined ? this.#base.volume(name) : (own ?? undefined);
  }

  *volumes(): Generator<VolumeEntry> {
    yield* overlaid(this.#base.volumes(), this.#volumes, (entry) => entry.name);
  }

  holders(name: VolumeName): readonly HolderEntry[] {
    return this.#holders.get(name) ?? this.#base.holders(name);
  }

  *retired(): Generator<RetiredEntry> {
    yield* overlaid(this.#base.retired(), this.#retired, (entry) => entry.id);
  }

  retiredEntry(id: TrashId): RetiredEntry | undefined {
    const own = this.#retired.get(id);
    return own === undefined ? this.#base.retiredEntry(id) : (own ?? undefined);
  }

  get retiredCount(): number {
    return this.#retiredCount;
  }

  alias(name: string): AliasEntry | undefined {
    const own = this.#aliases.get(name);
    return own === undefined ? this.#base.alias(name) : (own ?? undefined);
  }

  *aliases(): Generator<AliasEntry> {
    yield* overlaid(this.#base.aliases(), this.#aliases, (entry) => entry.alias);
  }

  engines(): readonly KnownEngine[] {
    return byFirstContact(overlaid(this.#base.engines(), this.#engines, (entry) => entry.key));
  }

  putVolume(entry: VolumeEntry): void {
    assertVolume(entry);
    if (this.alias(entry.name) !== undefined) throw nameOfAlias(entry.name);
    if (this.volume(entry.name) === undefined) this.#volumeCount++;
    // What was removed before in this write comes back at the end, as it will on disk.
    if (this.#volumes.get(entry.name) === null) this.#volumes.delete(entry.name);
    this.#volumes.set(entry.name, entry);
    this.#record({ kind: "putVolume", entry });
  }

  removeVolume(name: VolumeName): void {
    if (this.volume(name) !== undefined) this.#volumeCount--;
    this.#volumes.set(name, null);
    this.#holders.set(name, []);
    for (const alias of [...this.#base.aliasesOf(name), ...this.#aliases.keys()]) {
      if (this.alias(alias)?.volume === name) this.#aliases.set(alias, null);
    }
    this.#record({ kind: "removeVolume", name });
  }

  putAlias(entry: AliasEntry): void {
    assertTimes(entry.sinceMs);
    if (this.volume(entry.volume) === undefined) throw aliasOfNothing(entry);
    if (this.volume(entry.alias) !== undefined) throw nameOfAlias(entry.alias);
    this.#aliases.set(entry.alias, entry);
    this.#record({ kind: "putAlias", entry });
  }

  removeAlias(alias: VolumeName): void {
    this.#aliases.set(alias, null);
    this.#record({ kind: "removeAlias", alias });
  }

  putHolder(entry: HolderEntry): void {
    assertTimes(entry.sinceMs);
    if (this.volume(entry.volume) === undefined) throw holderOfNothing(entry);
    this.#holders.set(entry.volume, withHolder(this.holders(entry.volume), entry));
    this.#record({ kind: "putHolder", entry });
  }

  removeHolder(volume: VolumeName, holder: HolderId): void {
    const others = this.holders(volume).filter((entry) => entry.holder !== holder);
    this.#holders.set(volume, others);
    this.#record({ kind: "removeHolder", volume, holder });
  }

  putRetired(entry: RetiredEntry): void {
    assertTimes(entry.retiredAtMs, entry.purgeAtMs);
    assertSize(entry.sizeBytes);
    assertVolume(entry.volume);
    if (this.retiredEntry(entry.id) === undefined) this.#retiredCount++;
    if (this.#retired.get(entry.id) === null) this.#retired.delete(entry.id);
    this.#retired.set(entry.id, entry);
    this.#record({ kind: "putRetired", entry });
  }

  removeRetired(id: TrashId): void {
    if (this.retiredEntry(id) !== undefined) this.#retiredCount--;
    this.#retired.set(id, null);
    this.#record({ kind: "removeRetired", id });
  }

  putEngine(entry: KnownEngine): void {
    assertTimes(entry.sinceMs);
    assertKey(entry);
    this.#engines.set(entry.key, entry);
    this.#record({ kind: "putEngine", entry });
  }

  removeEngine(key: string): void {
    this.#engines.set(key, null);
    this.#record({ kind: "removeEngine", key });
  }

  addHistory(entry: HistoryEntry): void {
    assertTimes(entry.atMs);
    this.#record({ kind: "addHistory", entry });
  }

  #record(change: Change): void {
    if (!this.#isOpen) {
      throw new EngineError("internal.bug", "a transaction was used after its write had ended");
    }
    this.#changes.push(change);
  }
}

/** What a holder's volume not being there is: the caller's mistake. */
export function holderOfNothing(entry: HolderEntry): EngineError {
  return new EngineError(
    "internal.bug",
    `holder ${entry.holder} of volume ${entry.volume}, of which there is no row`,
  );
}

/** What an alias's volume not being there is: the same. */
export function aliasOfNothing(entry: AliasEntry): EngineError {
  return new EngineError(
    "internal.bug",
    `alias ${entry.alias} of volume ${entry.volume}, of which there is no row`,
  );
}

/** What a name of two volumes is. */
export function nameOfAlias(name: string): EngineError {
  return new EngineError("internal.bug", `${name} is a volume's name and another's alias`);
}

function assertVolume(entry: VolumeEntry): void {
  const { lastUse, protection } = entry;
  assertTimes(entry.createdAtMs, entry.usedAtMs);
  assertTimes(lastUse?.atMs ?? null, protection?.sinceMs ?? null);
}

function assertSize(bytes: number | null): void {
  if (bytes === null || (Number.isSafeInteger(bytes) && bytes >= 0)) return;
  throw new EngineError("internal.bug", `${bytes} is no number of bytes`);
}

function assertTimes(...times: readonly (number | null)[]): void {
  for (const time of times) {
    if (time !== null && !Number.isFinite(time)) {
      throw new EngineError("internal.bug", `${time} is no time in milliseconds`);
    }
  }
}

function assertKey(entry: KnownEngine): void {
  try {
    engineOfFields(entry);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new EngineError("internal.bug", why, { cause });
  }
}

/** The base in its order with replaced entries in place, removed ones left out, new ones last. */
function* overlaid<Entry>(
  base: Iterable<Entry>,
  own: ReadonlyMap<string, Entry | null>,
  keyOf: (entry: Entry) => string,
): Generator<Entry> {
  if (own.size === 0) {
    yield* base;
    return;
  }
  const left = new Map(own);
  for (const entry of base) {
    const key = keyOf(entry);
    const replaced = left.get(key);
    left.delete(key);
    if (replaced === undefined) yield entry;
    else if (replaced !== null) yield replaced;
  }
  for (const entry of left.values()) if (entry !== null) yield entry;
}
