// Applies a prune plan: exactly its volumes, and of each that stays the reason in words.
import { type EngineError, toEngineError } from "../../core/errors.ts";
import type { TrashId, VolumeName } from "../../core/names.ts";
import type { Operation } from "../../core/operation.ts";
import type { RetiredEntry, StateStore, VolumeEntry } from "../../core/state-store.ts";
import type { EventLog } from "../event-log.ts";
import { isOwnStorage } from "../trash/policy.ts";
import type { UseGuard } from "../use-guard.ts";
import type { VolumeEngine } from "../volumes.ts";
import type { PrunePlan } from "./prune-plans.ts";

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
  plan: PrunePlan,
  operation: Operation,
): Promise<PlanResult> {
  const removed: RemovedVolume[] = [];
  const skipped: SkippedVolume[] = [];
  const pending = plan.volumes.values();
  let freedBytes = 0;
  const worker = async (): Promise<void> => {
    for (const { entry, sizeBytes } of pending) {
      const { name } = entry;
      const end = await removeOne(parts, entry, operation);
      if (end.why === undefined) {
        const trashId = end.retired?.phase === "kept" ? end.retired.id : null;
        if (trashId === null && isOwnStorage(entry)) freedBytes += sizeBytes ?? 0;
        removed.push({ name, trashId, sizeBytes });
      } else {
        skipped.push({ name, why: end.why });
      }
    }
  };
  await Promise.all(Array.from({ length: CONCURRENCY_COUNT }, worker));
  parts.events.pruned(freedBytes);
  return { removed, skipped };
}

/** What became of one volume; `why` it stays. */
interface End {
  readonly why?: string;
  readonly retired?: RetiredEntry | undefined;
}

async function removeOne(
  { state, volumes, guard }: ApplyParts,
  planned: VolumeEntry,
  operation: Operation,
): Promise<End> {
  try {
    await using _lease = await volumes.lease(planned.name, operation);
    const now = state.read((view) => view.volume(planned.name));
    if (now !== planned) return { why: changeOf(planned, now) };
    await guard.refuseServed(planned, operation);
    return { retired: await volumes.removeHeld(planned, "prune", operation) };
  } catch (thrown) {
    operation.signal.throwIfAborted();
    const error = toEngineError(thrown);
    if (error.code === "volume.in_use") return { why: `used since: ${holdersOf(error)}` };
    const { code, message } = error;
    operation.log.warn("prune left a volume", { volume: planned.name, code, error: message });
    return { why: message };
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
