// Takes a volume away from its storage and its row from the state, so that a crash at any step
// heals.
import type { TrashCapable, VolumeDriver } from "../core/driver.ts";
import { EngineError } from "../core/errors.ts";
import type { Host } from "../core/host.ts";
import { makeTrashId, type VolumeName } from "../core/names.ts";
import type { Operation } from "../core/operation.ts";
import type { RetiredEntry, StateStore, VolumeEntry } from "../core/state-store.ts";
import { historyEntry } from "./history-entry.ts";
import type { Purger } from "./purger.ts";
import type { UnfinishedRemovals } from "./unfinished-removals.ts";

export interface RemovalParts {
  readonly state: StateStore;
  readonly host: Host;
  readonly purger: Purger;
  readonly unfinished: UnfinishedRemovals;
}

/** What is to go: nobody holds it, and the caller has the volume's lease. */
export interface Removal {
  readonly driver: VolumeDriver;
  readonly entry: VolumeEntry;
  readonly action: RemovalAction;
}

/** "release", "undo": what is left here of a volume whose data is with another engine. */
export type RemovalAction = "remove" | "prune" | "release" | "undo";

/**
 * Removes the row and has the data moved into the trash, or destroyed where there is none. When it
 * throws, the volume is there as before. Throws `volume.unknown`, `storage.*`.
 */
export async function removeData(
  parts: RemovalParts,
  removal: Removal,
  operation: Operation,
): Promise<void> {
  operation.signal.throwIfAborted();
  const { trash } = removal.driver;
  if (trash === undefined) await destroy(parts, removal, operation);
  else await retire(parts, { ...removal, trash }, operation);
}

/** The row goes first, so that a crash leaves a directory which recovery knows by its identity. */
async function retire(
  { state, host, purger, unfinished }: RemovalParts,
  { driver, trash, entry, action }: Removal & { readonly trash: TrashCapable },
  operation: Operation,
): Promise<void> {
  const presence = await driver.get(entry.name, operation);
  if (presence.state === "unknown") {
    throw new EngineError("volume.unknown", `remove ${entry.name}: ${presence.reason}`);
  }
  const identity = presence.state === "found" ? presence.record.identity : "";
  const retired: RetiredEntry = {
    id: makeTrashId(host.randomHex(8)),
    volume: { ...entry, identity },
    retiredAtMs: host.nowMs(),
  };
  await state.write((transaction) => {
    transaction.removeVolume(entry.name);
    transaction.putRetired(retired);
    transaction.addHistory(historyEntry(host, { action, entry, subject: retired.id }, operation));
  });
  try {
    await trash.retire(entry.name, retired.id, operation);
  } catch (error) {
    // Where only the answer was lost, what was asked for has been done.
    if (identity === "" || !(await isAbsent(driver, entry.name, operation))) {
      const undone = state.write((transaction) => {
        transaction.removeRetired(retired.id);
        // What was not found is known by the identity that it had.
        transaction.putVolume(identity === "" ? entry : retired.volume);
        transaction.addHistory(historyEntry(host, { action: "undo", entry }, operation));
      });
      // Where that fails too the volume stays removed, and its data has still to follow.
      await undone.catch((failure: unknown) => {
        unfinished.add(retired);
        throw failure;
      });
      throw error;
    }
  }
  purger.add(retired);
}

async function destroy(
  { state, host }: RemovalParts,
  { driver, entry, action }: Removal,
  operation: Operation,
): Promise<void> {
  await state.write((transaction) => transaction.putVolume({ ...entry, phase: "removing" }));
  try {
    if (entry.origin === "made") await driver.destroy(entry.name, operation);
    else await driver.forget(entry.name, operation);
  } catch (error) {
    await state.write((transaction) => transaction.putVolume(entry));
    throw error;
  }
  await state.write((transaction) => {
    transaction.removeVolume(entry.name);
    transaction.addHistory(historyEntry(host, { action, entry }, operation));
  });
}

/** A driver that does not answer has not said that it is gone. */
async function isAbsent(
  driver: VolumeDriver,
  name: VolumeName,
  operation: Operation,
): Promise<boolean> {
  const presence = await driver.get(name, operation).catch(() => undefined);
  return presence?.state === "absent";
}
