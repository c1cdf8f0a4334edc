// One entry of the trash for whoever changes it: its row, its driver, and all of it in one place.
import type { TrashCapable, VolumeDriver } from "../../core/driver.ts";
import { EngineError } from "../../core/errors.ts";
import type { TrashId } from "../../core/names.ts";
import type { Operation } from "../../core/operation.ts";
import type { RetiredEntry, StateStore } from "../../core/state-store.ts";
import { notInTrash } from "./missing.ts";
import type { TrashParts } from "./trash.ts";

/** Throws `trash.not_found`. */
export function inspected(state: StateStore, id: TrashId): RetiredEntry {
  const entry = state.read((view) => view.retiredEntry(id));
  if (entry === undefined) throw notInTrash(state, id);
  return entry;
}

/** What is whole. `what` is to be done with it. Throws `trash.not_found`, `trash.purging`. */
export function keptEntry(state: StateStore, id: TrashId, what: string): RetiredEntry {
  const entry = inspected(state, id);
  if (entry.phase === "kept") return entry;
  throw new EngineError(
    "trash.purging",
    `${what} ${id}: ${entry.volume.name} is being purged, and is not whole any more`,
    { details: { id, name: entry.volume.name } },
  );
}

/** The driver that has its data. Throws `driver.not_found`. */
export function drivenBy(
  { drivers }: Pick<TrashParts, "drivers">,
  { volume }: RetiredEntry,
): { readonly driver: VolumeDriver; readonly trash: TrashCapable } {
  const driver = drivers.get(volume.driver);
  if (driver?.trash !== undefined) return { driver, trash: driver.trash };
  throw new EngineError(
    "driver.not_found",
    `the driver ${volume.driver} is not here, or has no trash`,
    { details: { driver: volume.driver } },
  );
}

/** What a failed removal or restore has left under a name goes into the trash first. */
export async function settlePlace(
  parts: Pick<TrashParts, "drivers" | "leases" | "unfinished">,
  entry: RetiredEntry,
  operation: Operation,
): Promise<void> {
  const { unfinished, leases } = parts;
  const place = unfinished.placeOf(entry.id);
  if (place === undefined) return;
  await using _lease = await leases.acquire(`volume:${place}`, "exclusive", operation);
  await unfinished.finish(drivenBy(parts, entry).driver, place, operation);
}
