// Who has a volume, as Holdfast's own routes and the `Status` of Docker's inspect say it.
import type { StorageState } from "../core/driver.ts";
import type { StateView, VolumeEntry } from "../core/state-store.ts";
import type { Engine } from "../engine/engine.ts";
import { engineOptions, type SharingMode } from "../engine/engine-options.ts";
import type { VolumeHolder } from "../engine/holds/volume-holders.ts";
import { type VolumeState, volumeCondition } from "./volume-state.ts";

/** The contract's holder (src/api/holdfast/contract.ts). */
export type HolderObject = Omit<VolumeHolder, "sinceMs"> & { readonly since: string | null };

/** The contract's storage: of a volume whose storage may fall silent. */
export interface StorageObject {
  /** Whether Holdfast made its directory there: a purge destroys nothing else. */
  readonly origin: VolumeEntry["origin"];
  readonly state: StorageState;
  readonly since: string | null;
  readonly reason: string | null;
  readonly server: string;
  /** How long it took to answer the last time, in milliseconds; null: it did not. */
  readonly tookMs: number | null;
  /** null: nothing is known to be missing on the storage. */
  readonly unsaved: { readonly files: number; readonly bytes: number } | null;
  /** Of all that the storage has; null: it has not said. */
  readonly space: { readonly sizeBytes: number; readonly availableBytes: number } | null;
  /** Containers that must restart to see it again: their ids. */
  readonly mustRestart: readonly string[];
}

/** What is known of a volume's use. */
export interface UseObject {
  readonly holders: readonly HolderObject[];
  readonly lastUsedAt: string | null;
  readonly sharing: SharingMode;
  readonly state: VolumeState;
  /** Only where there is something to say of the state: see `volumeCondition`. */
  readonly stateSince?: string | null;
  readonly stateReason?: string | null;
  readonly storage?: StorageObject;
}

/** As far as is known without asking anybody: `Holds.refresh` asks. */
export function useObject(engine: Engine, entry: VolumeEntry, view: StateView): UseObject {
  const holders = engine.holds.holdersOf(entry.name, view);
  const { state, sinceMs, reason } = volumeCondition(engine, entry, holders.length);
  const since = sinceMs === null ? {} : { stateSince: instantOf(sinceMs), stateReason: reason };
  return {
    holders: holders.map(holderObject),
    lastUsedAt: instantOf(engine.lastUse.of(entry.name)),
    sharing: engineOptions(entry.options).sharing,
    ...{ state, ...since },
    ...storageObject(engine, entry),
  };
}

/** Nothing for a volume on this machine's own storage. Asks nobody. */
export function storageObject(
  engine: Engine,
  { name, origin }: VolumeEntry,
): { readonly storage?: StorageObject } {
  const health = engine.health.of(name);
  if (health === undefined) return {};
  const { state, sinceMs, reason, server, tookMs, unsaved, space } = health;
  return {
    storage: {
      origin,
      ...{ state, since: instantOf(sinceMs), reason: reason || null, server },
      tookMs: tookMs === null ? null : Math.round(tookMs * 100) / 100,
      unsaved: unsaved === undefined ? null : { files: unsaved.fileCount, bytes: unsaved.bytes },
      space: space ?? null,
      mustRestart: [...engine.care.mustRestart(name)],
    },
  };
}

/** RFC 3339 in UTC with milliseconds. */
export function instantOf(atMs: number | null): string | null {
  return atMs === null ? null : new Date(atMs).toISOString();
}

function holderObject(holder: VolumeHolder): HolderObject {
  const { id, state, name, project, engine, access, sinceMs, reason } = holder;
  return { id, state, name, project, engine, access, since: instantOf(sinceMs), reason };
}
