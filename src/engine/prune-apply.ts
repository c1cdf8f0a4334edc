// Applies a prune plan: exactly its volumes, and of each that stays the reason in words.
import { type EngineError, toEngineError } from "../core/errors.ts";
import type { TrashId, VolumeName } from "../core/names.ts";
import type { Operation } from "../core/operation.ts";
import type { StateStore, VolumeEntry } from "../core/state-store.ts";
import type { EventLog } from "./event-log.ts";
import type { PlannedVolume, PlanOfPrune } from "./prune-plans.ts";
import type { UseGuard } from "./use-guard.ts";
import type { VolumeEngine } from "./volumes.ts";

/** How many volumes are removed side by side: they share commits. */
const CONCURRENCY_COUNT = 8;

export interface ApplyParts {
  readonly state: StateStore;
  readonly volumes: VolumeEngine;
  readonly events: EventLog;
  readonly guard: UseGuard;
}

export interface RemovedVolume {
  readonly name: VolumeName;
  /** Under which it can be restored; null: it cannot. */
  readonly trashId: TrashId | null;
  /** As planned. */
  readonly sizeBytes: number | null;
}

export interface SkippedVolume {
  readonly name: VolumeName;
  /** "used since: db (docker, running)", "protected since: prod", "gone", … */
  readonly why: string;
}

/** Each volume of the plan stands in one of the two. */
export interface PlanResult {
  readonly removed: readonly RemovedVolume[];
  readonly skipped: readonly SkippedVolume[];
}

/**
 * Removes each planned volume under its lease, where its row is the very one that was planned and
 * nobody has it or names it. One that resists does not end the others. Throws the reason of an
 * operation that was cancelled; what was removed by then stays removed.
 */
export async function applyPlan(
  parts: ApplyParts,
  plan: PlanOfPrune,
  operation: Operation,
): Promise<PlanResult> {
  const removed: PlannedVolume[] = [];
  const skipped: SkippedVolume[] = [];
  const pending = plan.volumes.values();
  const worker = async (): Promise<void> => {
    for (const planned of pending) {
      operation.signal.throwIfAborted();
      const why = await removeOne(parts, planned.entry, operation);
      if (why === undefined) removed.push(planned);
      else skipped.push({ name: planned.entry.name, why });
    }
  };
  await Promise.all(Array.from({ length: CONCURRENCY_COUNT }, worker));
  const trashIds = trashIdsOf(parts.state, removed);
  const report = removed.map(({ entry, sizeBytes }): RemovedVolume => {
    return { name: entry.name, trashId: trashIds.get(entry.name) ?? null, sizeBytes };
  });
  const freed = report.filter(({ trashId }) => trashId === null);
  parts.events.pruned(freed.reduce((sum, { sizeBytes }) => sum + (sizeBytes ?? 0), 0));
  return { removed: report, skipped };
}

/** Why it stays; undefined: it is removed. */
async function removeOne(
  { state, volumes, guard }: ApplyParts,
  planned: VolumeEntry,
  operation: Operation,
): Promise<string | undefined> {
  try {
    await using _lease = await volumes.lease(planned.name, operation);
    const now = state.read((view) => view.volume(planned.name));
    if (now !== planned) return changeOf(planned, now);
    await guard.refuseServed(planned, operation);
    await volumes.removeHeld(planned, "prune", operation);
    return undefined;
  } catch (thrown) {
    operation.signal.throwIfAborted();
    const error = toEngineError(thrown);
    if (error.code === "volume.in_use") return `used since: ${holdersOf(error)}`;
    const { code, message } = error;
    operation.log.warn("prune left a volume", { volume: planned.name, code, error: message });
    return message;
  }
}

/** What is different about a volume since it was planned. */
function changeOf(planned: VolumeEntry, now: VolumeEntry | undefined): string {
  if (now === undefined) return "gone";
  const isAnother =
    now.createdAtMs !== planned.createdAtMs ||
    now.driver !== planned.driver ||
    (planned.identity !== "" && now.identity !== planned.identity);
  if (isAnother) return "gone: another volume has its name";
  if (now.protection !== null) return `protected since: ${now.protection.reason}`;
  if (now.lastUse?.atMs !== planned.lastUse?.atMs || now.usedAtMs !== planned.usedAtMs) {
    return now.lastUse === null ? "used since" : `used since: ${now.lastUse.holder}`;
  }
  return now.phase === "ready" ? "changed since" : `changed since: ${now.phase}`;
}

function holdersOf({ details }: EngineError): string {
  const { holders } = details;
  return Array.isArray(holders) ? holders.join(", ") : "";
}

/** One look through the trash for all of them: it may be long. */
function trashIdsOf(
  state: StateStore,
  removed: readonly PlannedVolume[],
): ReadonlyMap<VolumeName, TrashId> {
  const entries = new Map(removed.map(({ entry }) => [entry.name, entry]));
  const found = new Map<VolumeName, TrashId>();
  state.read((view) => {
    for (const { id, volume, phase } of view.retired()) {
      const isOurs = entries.get(volume.name)?.createdAtMs === volume.createdAtMs;
      if (isOurs && phase === "kept") found.set(volume.name, id);
    }
  });
  return found;
}
