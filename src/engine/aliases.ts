// Aliases: names that volumes had before they were renamed, and that still mean them.
//
// Leases, holders and holds know real names only: each verb of the engine resolves first.
import { EngineError } from "../core/errors.ts";
import type { Host } from "../core/host.ts";
import type { Lease } from "../core/lease-service.ts";
import type { VolumeName } from "../core/names.ts";
import type { Operation } from "../core/operation.ts";
import type { AliasEntry, StateStore, StateTransaction, StateView } from "../core/state-store.ts";
import type { EventLog } from "./event-log.ts";
import { historyEntry } from "./history-entry.ts";
import type { UseGuard } from "./use-guard.ts";

/** The volume that an alias means; any other name as it is, whether or not a volume has it. */
export function resolved(view: Pick<StateView, "alias">, name: string): string {
  return view.alias(name)?.volume ?? name;
}

/** A volume's aliases, sorted. O(aliases). */
export function aliasesOf(
  view: Pick<StateView, "aliases">,
  name: VolumeName,
): readonly VolumeName[] {
  const found: VolumeName[] = [];
  for (const { alias, volume } of view.aliases()) if (volume === name) found.push(alias);
  return found.sort();
}

/** The aliases of each volume that has any, sorted. O(aliases · log). */
export function aliasesByVolume(
  aliases: Iterable<AliasEntry>,
): ReadonlyMap<string, readonly VolumeName[]> {
  const found = Map.groupBy(aliases, ({ volume }): string => volume);
  return new Map([...found].map(([volume, own]) => [volume, own.map(({ alias }) => alias).sort()]));
}

/**
 * What meant a volume when it was removed means it again, where neither a volume nor an alias has
 * the name; the volume's row is there. Returns the names that mean something else by now.
 */
export function putAliasesBack(
  transaction: StateTransaction,
  { aliases, volume, sinceMs }: AliasesBack,
): readonly VolumeName[] {
  const taken: VolumeName[] = [];
  for (const alias of aliases) {
    if (alias === volume) continue;
    if (isFree(transaction, alias)) transaction.putAlias({ alias, volume, sinceMs });
    else taken.push(alias);
  }
  return taken;
}

/** Whether neither a volume nor an alias has the name. */
export function isFree(view: Pick<StateView, "alias" | "volume">, name: VolumeName): boolean {
  return view.volume(name) === undefined && view.alias(name) === undefined;
}

/** To be called when the write is done. */
export function tellTaken(
  taken: readonly VolumeName[],
  volume: VolumeName,
  operation: Operation,
): void {
  if (taken.length === 0) return;
  const message = "some aliases do not come back with their volume: they mean something else now";
  operation.log.warn(message, { volume, aliases: taken });
}

export interface AliasesBack {
  readonly aliases: readonly VolumeName[];
  readonly volume: VolumeName;
  /** Milliseconds since the epoch: of now. */
  readonly sinceMs: number;
}

export interface AliasParts {
  readonly state: StateStore;
  readonly host: Pick<Host, "nowMs" | "programOf">;
  readonly events: EventLog;
  readonly guard: Pick<UseGuard, "refuseAliasInUse">;
}

/** See `VolumeEngine.lease`. */
type LeaseOf = (name: string, operation: Operation) => Promise<Lease>;

/**
 * Ends an alias; its volume stays. Returns false when it is none any more. Throws `volume.in_use`
 * when a container names the volume so, `containers.unreachable`, `storage.*`.
 */
export async function dropAlias(
  { state, host, events, guard }: AliasParts,
  { alias, lease }: { readonly alias: string; readonly lease: LeaseOf },
  operation: Operation,
): Promise<boolean> {
  if (state.read((view) => view.alias(alias)) === undefined) return false;
  // The volume's: a rename that is under way takes its aliases with it.
  await using _lease = await lease(alias, operation);
  await guard.refuseAliasInUse(alias, operation);
  const dropped = await state.write((transaction) => {
    const found = transaction.alias(alias);
    const entry = found === undefined ? undefined : transaction.volume(found.volume);
    if (found === undefined || entry === undefined) return undefined;
    transaction.removeAlias(found.alias);
    transaction.addHistory(
      historyEntry(host, { action: "forget", entry, subject: alias }, operation),
    );
    return { found, entry };
  });
  if (dropped === undefined) return false;
  const { found, entry } = dropped;
  // To a follower that knows volumes by their names this one is gone.
  events.volume("destroy", found.alias, { driver: entry.driver, "alias-of": entry.name });
  return true;
}

/** `request.invalid`: what is about the volume's data wants its own name. */
export function refuseAlias(entry: AliasEntry | undefined, what: string): void {
  if (entry === undefined) return;
  const { alias, volume } = entry;
  throw new EngineError(
    "request.invalid",
    `${what} ${alias}: it is an alias of the volume ${volume}: give the volume's own name`,
    { details: { field: "name", value: alias, volume } },
  );
}
