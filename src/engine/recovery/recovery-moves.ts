// The part of recovery about volumes on their way from or to another engine (decision 0008).
import path from "node:path";
import type { VolumeDriver, VolumeRecord } from "../../core/driver.ts";
import type { DataPlaces } from "../../core/foreign-volumes.ts";
import type { Host } from "../../core/host.ts";
import { makeTrashId, type VolumeName } from "../../core/names.ts";
import type { Operation } from "../../core/operation.ts";
import type { StateStore, VolumeEntry } from "../../core/state-store.ts";
import { isMoving } from "../adoption/moving.ts";
import { driverOptions } from "../engine-options.ts";
import { historyEntry, OWN_PROGRAM } from "../history-entry.ts";

export interface MoveParts {
  readonly state: StateStore;
  readonly places: DataPlaces;
  readonly host: Pick<Host, "nowMs" | "programOf" | "randomHex">;
}

export interface MoveStage {
  readonly parts: MoveParts;
  readonly driver: VolumeDriver;
  readonly present: ReadonlyMap<VolumeName, VolumeRecord>;
}

/**
 * Decides by the identity of the data where each volume is that the last life left on its way. At
 * the other engine's place: it is that engine's, and our row goes. Here: it is ours, and stays in
 * its phase until the engine has been asked, after the start. What is found at neither place keeps
 * its row as it is. Moves no data, and asks nobody.
 */
export async function settleMove(
  { parts, driver, present }: MoveStage,
  row: VolumeEntry,
  operation: Operation,
): Promise<void> {
  const { state, places, host } = parts;
  const record = present.get(row.name);
  const spec = { name: row.name, options: driverOptions(row.options) };
  const ours = driver.rebuild?.describe(spec).mountpoint ?? row.mountpoint;
  const isOurs =
    places.look(ours)?.identity === row.identity ||
    row.mountpoint === ours ||
    (record !== undefined && record.identity === row.identity);
  if (isOurs) {
    const identity = record?.identity ?? row.identity;
    await state.write((transaction) =>
      transaction.putVolume({ ...row, mountpoint: ours, identity }),
    );
    return;
  }
  if (!path.isAbsolute(row.mountpoint)) return;
  if (places.look(row.mountpoint)?.identity !== row.identity) return;
  operation.log.info("a volume that was on its way is with the other engine", {
    volume: row.name,
    phase: row.phase,
    path: row.mountpoint,
  });
  const atMs = host.nowMs();
  await state.write((transaction) => {
    transaction.removeVolume(row.name);
    // What was made here for it is empty, and goes the way of any removed volume.
    if (record !== undefined) {
      transaction.putRetired({
        id: makeTrashId(host.randomHex(8)),
        volume: { ...row, mountpoint: ours, identity: record.identity },
        phase: "purging",
        ...{ retiredAtMs: atMs, purgeAtMs: atMs, removedBy: OWN_PROGRAM, sizeBytes: null },
        // It is purged: nothing comes back.
        aliases: [],
      });
    }
    const action = row.phase === "releasing" ? "release" : "undo";
    transaction.addHistory(historyEntry(host, { action, entry: row }, operation));
  });
}

/** The rows of a driver that are on their way. */
export function movingRows({ parts, driver }: Pick<MoveStage, "parts" | "driver">) {
  return parts.state.read((view) =>
    [...view.volumes()].filter((row) => row.driver === driver.name && isMoving(row)),
  );
}
