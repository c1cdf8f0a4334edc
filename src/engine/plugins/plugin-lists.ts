// One answer of a plugin's List, and the rows that follow from it.
//
// What a plugin lists and no row has becomes a row; what a crash left half done is settled; nothing
// is forgotten. Each row is changed under its volume's lease, and whatever was made, removed or
// renamed since the plugin was asked is left alone: the answer may be older.
import type { VolumeDriver, VolumeRecord } from "../../core/driver.ts";
import type { Host } from "../../core/host.ts";
import type { Lease, LeaseService } from "../../core/lease-service.ts";
import { isVolumeName, type VolumeName } from "../../core/names.ts";
import type { Operation } from "../../core/operation.ts";
import type { StateStore, StateView, VolumeEntry } from "../../core/state-store.ts";
import { Turns } from "../../core/turns.ts";
import { isFree } from "../aliases.ts";
import { unmade } from "../creation.ts";
import { historyEntry } from "../history-entry.ts";

/**
 * How many volumes of one plugin are looked at, of more the first that it lists; and how many rows
 * are made of them.
 */
export const LISTED_COUNT_MAX = 100_000;
/** How many rows are changed in one commit, whose leases are held together. */
const BATCH_COUNT = 2_000;
/** How long a volume's lease is waited for: who has it knows better than this List. */
const LEASE_MS_MAX = 50;
/** Of more volumes that are found at once the history does not tell: it would lose all else. */
const HISTORY_COUNT_MAX = 1_000;

export interface PluginListParts {
  readonly state: StateStore;
  readonly leases: LeaseService;
  readonly host: Pick<Host, "nowMs" | "programOf">;
  /** Whether a volume of this name is just being made. */
  readonly isMaking: (name: string) => boolean;
}

/** What a plugin has. */
export interface PluginList {
  readonly records: ReadonlyMap<VolumeName, VolumeRecord>;
  /** There are more than `LISTED_COUNT_MAX`: what is not in it may be there. */
  readonly isCut: boolean;
  /** How many have names that no volume can have here. */
  readonly badNameCount: number;
}

/** Asks the plugin. Throws what its driver throws. */
export async function readList(driver: VolumeDriver, operation: Operation): Promise<PluginList> {
  const records = new Map<VolumeName, VolumeRecord>();
  const turns = new Turns();
  let badNameCount = 0;
  for await (const record of driver.list(operation)) {
    if (records.size === LISTED_COUNT_MAX) return { records, isCut: true, badNameCount };
    if (isVolumeName(record.name)) records.set(record.name, record);
    else badNameCount += 1;
    while (turns.isOver()) await turns.next();
  }
  return { records, isCut: false, badNameCount };
}

/** A List, and what is known of the time since it was asked for. */
export interface ListToFollow {
  readonly driver: VolumeDriver;
  readonly list: PluginList;
  /** Whether a volume of this name was made, removed or renamed since. */
  readonly hasChanged: (name: VolumeName) => boolean;
}

/** Makes rows follow the List. Returns how many volumes were found. */
export async function followList(
  parts: PluginListParts,
  followed: ListToFollow,
  operation: Operation,
): Promise<number> {
  const names = parts.state.read((view) => namesToChange(view, followed));
  const isTold = names.length <= HISTORY_COUNT_MAX;
  let foundCount = 0;
  for (let start = 0; start < names.length; start += BATCH_COUNT) {
    operation.signal.throwIfAborted();
    const batch = names.slice(start, start + BATCH_COUNT);
    foundCount += await changeBatch(parts, { ...followed, names: batch, isTold }, operation);
  }
  return foundCount;
}

function namesToChange(
  view: StateView,
  { driver, list }: Pick<ListToFollow, "driver" | "list">,
): readonly VolumeName[] {
  const names: VolumeName[] = [];
  // Rows stay: a plugin that lists other names each time must not fill the state with them.
  let room = LISTED_COUNT_MAX;
  for (const row of view.volumes()) if (row.driver === driver.name) room -= 1;
  for (const [name, record] of list.records) {
    const row = view.volume(name);
    if (row !== undefined) {
      if (isBehind(row, driver, record)) names.push(name);
    } else if (room > 0 && isFree(view, name)) {
      names.push(name);
      room -= 1;
    }
  }
  if (list.isCut) return names;
  for (const row of view.volumes()) {
    const isHalf = row.driver === driver.name && row.phase !== "ready";
    if (isHalf && !list.records.has(row.name)) names.push(row.name);
  }
  return names;
}

/** A row of this plugin that the List can correct. The name on record wins over other drivers. */
function isBehind(row: VolumeEntry, driver: VolumeDriver, { mountpoint }: VolumeRecord): boolean {
  if (row.driver !== driver.name) return false;
  return row.phase !== "ready" || (mountpoint !== "" && mountpoint !== row.mountpoint);
}

interface Batch extends ListToFollow {
  readonly names: readonly VolumeName[];
  /** The history tells of those that are found. */
  readonly isTold: boolean;
}

/** All in one commit. Returns how many volumes were found. */
async function changeBatch(
  parts: PluginListParts,
  { names, driver, list, hasChanged, isTold }: Batch,
  operation: Operation,
): Promise<number> {
  const { state, host } = parts;
  await using leases = new AsyncDisposableStack();
  const held: VolumeName[] = [];
  const turns = new Turns();
  for (const name of names) {
    while (turns.isOver()) await turns.next();
    if (parts.isMaking(name)) continue;
    const lease = await tryLease(parts.leases, name, operation);
    if (lease === undefined) continue;
    leases.use(lease);
    if (!hasChanged(name)) held.push(name);
  }
  if (held.length === 0) return 0;
  const atMs = host.nowMs();
  return await state.write((transaction) => {
    let foundCount = 0;
    for (const name of held) {
      const record = list.records.get(name);
      const row = transaction.volume(name);
      if (row === undefined && record !== undefined && isFree(transaction, name)) {
        const entry = foundEntry(driver, record, atMs);
        transaction.putVolume(entry);
        if (isTold) {
          transaction.addHistory(historyEntry(host, { action: "adopt", entry }, operation));
        }
        foundCount += 1;
      } else if (row?.driver === driver.name && record !== undefined) {
        const mountpoint = record.mountpoint === "" ? row.mountpoint : record.mountpoint;
        transaction.putVolume({ ...row, mountpoint, phase: "ready" });
      } else if (row?.driver === driver.name && row.phase !== "ready") {
        // Nobody was told that it is there, or it was being removed and is gone.
        transaction.removeVolume(name);
      }
    }
    return foundCount;
  });
}

function foundEntry(driver: VolumeDriver, record: VolumeRecord, atMs: number): VolumeEntry {
  return {
    ...unmade,
    name: record.name,
    driver: driver.name,
    scope: driver.scope,
    labels: null,
    options: null,
    createdAtMs: record.createdAtMs > 0 ? record.createdAtMs : atMs,
    mountpoint: record.mountpoint,
    phase: "ready",
  };
}

/** undefined: somebody else has it, and keeps it. */
async function tryLease(
  leases: LeaseService,
  name: VolumeName,
  operation: Operation,
): Promise<Lease | undefined> {
  const givingUp = new AbortController();
  const timer = setTimeout(() => givingUp.abort(), LEASE_MS_MAX);
  try {
    const brief = { ...operation, signal: givingUp.signal };
    return await leases.acquire(`volume:${name}`, "exclusive", brief);
  } catch {
    return undefined;
  } finally {
    clearTimeout(timer);
  }
}
