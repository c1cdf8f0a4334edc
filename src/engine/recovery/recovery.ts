// What the daemon does before it serves: storage is brought to what the rows say. It never
// destroys.
import type { DriverOptions, RetiredRecord, VolumeRecord } from "../../core/driver.ts";
import { toEngineError } from "../../core/errors.ts";
import type { TrashId, VolumeName } from "../../core/names.ts";
import type { Operation } from "../../core/operation.ts";
import type { VolumeEntry } from "../../core/state-store.ts";
import { isMoving } from "../adoption/moving.ts";
import { unsaid } from "../description.ts";
import { driverOptions, withDriverOptions } from "../engine-options.ts";
import { historyEntry } from "../history-entry.ts";
import { parseRetired } from "../trash/retired-description.ts";
import { isHistoryLost, takeHistories } from "./recovery-history.ts";
import { movingRows, settleMove } from "./recovery-moves.ts";
import { finishRenames } from "./recovery-renames.ts";
import {
  attempt,
  type Mutable,
  nameKey,
  type RecoveryParts,
  type RecoveryReport,
  type Stage,
} from "./recovery-stage.ts";
import { finishRemovals, nameStrays } from "./recovery-trash.ts";

/**
 * Runs once, before the first request. Safe to repeat and to interrupt anywhere. Cost: one listing
 * per driver and a few system calls per volume.
 */
export async function recover(parts: RecoveryParts, operation: Operation): Promise<RecoveryReport> {
  const report: Mutable<RecoveryReport> = {
    adopted: [],
    rebuilt: [],
    retired: [],
    forgotten: [],
    missing: [],
    restored: [],
    leftRemoved: [],
    renamed: [],
    trashFound: [],
    strays: [],
    unlisted: [],
    failed: [],
  };
  const needsHistory = isHistoryLost(parts.state);
  for (const driver of parts.drivers.values()) {
    const stage = await look({ parts, driver, report }, operation);
    if (stage === undefined) continue;
    if (needsHistory) await takeHistories(stage, operation);
    for (const row of movingRows(stage)) {
      await attempt(stage, row.name, operation, () => settleMove(stage, row, operation));
    }
    await finishRemovals(stage, operation);
    await finishRenames(stage, operation);
    await reconcileRows(stage, operation);
    await adoptRest(stage, operation);
    await nameStrays(stage, operation);
    report.strays.push(...stage.strays.keys());
  }
  return report;
}

/** What the driver has; undefined when it cannot say: one dead driver must not stop the others. */
async function look(
  known: Pick<Stage, "parts" | "driver" | "report">,
  operation: Operation,
): Promise<Stage | undefined> {
  const { parts, driver, report } = known;
  const present = new Map<VolumeName, VolumeRecord>();
  const strays = new Map<TrashId, RetiredRecord>();
  const rows = parts.state.read((view) => [...view.retired()]);
  // A file for each, on a disk that is cold: only a lost state needs what stands there.
  const isWhole = parts.state.origin.kind === "opened";
  const described = new Set(isWhole ? rows.map(({ id }) => id) : []);
  try {
    for await (const record of driver.list(operation)) present.set(record.name, record);
    for await (const record of driver.trash?.list(operation, described) ?? []) {
      strays.set(record.id, record);
    }
  } catch (error) {
    report.unlisted.push(driver.name);
    const { code, message } = toEngineError(error);
    operation.log.error("a driver cannot list its volumes; they are left as they were", {
      driver: driver.name,
      code,
      error: message,
    });
    return undefined;
  }
  const inTrash = new Map(strays);
  for (const { id } of rows) strays.delete(id);
  return { ...known, present, inTrash, strays, strayKeys: keysOf(strays.values()) };
}

function keysOf(strays: Iterable<RetiredRecord>): ReadonlyMap<string, TrashId> {
  const keys = new Map<string, TrashId>();
  for (const { id, identity, description, isPurging } of strays) {
    if (isPurging) continue;
    if (identity !== "") keys.set(identity, id);
    const entry = description === null ? undefined : parseRetired(description)?.entry;
    if (entry?.id === id) keys.set(nameKey(entry.volume), id);
  }
  return keys;
}

async function reconcileRows(stage: Stage, operation: Operation): Promise<void> {
  const { parts, driver } = stage;
  const rows = parts.state.read((view) =>
    [...view.volumes()].filter((entry) => entry.driver === driver.name),
  );
  for (const row of rows) {
    await attempt(stage, row.name, operation, () => reconcileRow(stage, row, operation));
  }
  await reconcilePlaces(stage);
}

/** The data root may have been moved as a whole: its volumes are where they are found now. */
async function reconcilePlaces(stage: Stage): Promise<void> {
  const { parts, driver, present } = stage;
  const placeOf = ({ name, options }: VolumeEntry): string | undefined =>
    present.get(name)?.mountpoint ??
    driver.rebuild?.describe({ name, options: driverOptions(options) }).mountpoint;
  const moved = parts.state.read((view) =>
    [...view.volumes()].flatMap((row) => {
      if (row.driver !== driver.name || isMoving(row)) return [];
      const mountpoint = placeOf(row);
      return mountpoint === undefined || mountpoint === row.mountpoint
        ? []
        : [{ ...row, mountpoint }];
    }),
  );
  if (moved.length === 0) return;
  await parts.state.write((transaction) => {
    for (const row of moved) transaction.putVolume(row);
  });
}

async function reconcileRow(stage: Stage, row: VolumeEntry, operation: Operation): Promise<void> {
  const { parts, driver, present, report } = stage;
  if (isMoving(row)) {
    // Its data may be at another engine's place: nothing is made or written here.
    if (!present.has(row.name)) report.missing.push(row.name);
    return;
  }
  if (row.phase === "creating") {
    present.delete(row.name);
    await driver.forget(row.name, operation);
    await parts.state.write((transaction) => transaction.removeVolume(row.name));
    report.forgotten.push(row.name);
  } else if (!present.has(row.name)) {
    await reconcileAbsent(stage, row, operation);
  } else if (isOfAnother(stage, row)) {
    // What is in its place is a later volume of that name, and is adopted as one.
    await leaveRemoved(stage, row, operation);
  } else if (row.phase === "removing") {
    // Nobody was told that it is gone, and it is not.
    await parts.state.write((transaction) => transaction.putVolume({ ...row, phase: "ready" }));
  } else {
    await reconcileOptions(stage, row, operation);
  }
}

/**
 * A crash, or somebody's hand, may leave a directory without the options that its row has: they are
 * written again. Only where the rows came back from an older copy of the state, which may be of an
 * earlier volume of that name, the directory's own word counts for what was used. Where both have
 * options that differ nothing is done, and mounting is refused. All this is about the driver's
 * options; no directory has the engine's.
 */
async function reconcileOptions(
  stage: Stage,
  row: VolumeEntry,
  operation: Operation,
): Promise<void> {
  const { parts, driver, present, report } = stage;
  const wanted = driverOptions(row.options);
  let record = present.get(row.name);
  if (record === undefined || haveEqualOptions(record.options, wanted)) return;
  const isTrusted = row.usedAtMs === null || parts.state.origin.kind !== "salvaged";
  if (Object.keys(record.options).length === 0 && isTrusted && driver.rebuild) {
    record = await driver.rebuild.rebuild({ ...row, options: wanted }, operation);
    report.rebuilt.push(row.name);
  }
  if (haveEqualOptions(record.options, wanted)) return;
  if (parts.state.origin.kind !== "salvaged") {
    report.failed.push(row.name);
    return;
  }
  const options = withDriverOptions(row.options, record.options);
  await parts.state.write((transaction) => transaction.putVolume({ ...row, options }));
}

function haveEqualOptions(left: DriverOptions, right: DriverOptions): boolean {
  const names = new Set([...Object.keys(left), ...Object.keys(right)]);
  return [...names].every((name) => left[name] === right[name]);
}

function isSalvaged({ parts }: Pick<Stage, "parts">): boolean {
  return parts.state.origin.kind === "salvaged";
}

/** What lies in the trash without a row and is this volume, whole. */
function strayOf(stage: Stage, row: VolumeEntry): RetiredRecord | undefined {
  const { strays, strayKeys } = stage;
  // A volume that was never used has no identity in its row; only what lies beside its data tells.
  const key = row.identity === "" && isSalvaged(stage) ? nameKey(row) : row.identity;
  const id = strayKeys.get(key);
  return id === undefined ? undefined : strays.get(id);
}

/** A row of an older copy whose volume is in the trash, while another one is in its place. */
function isOfAnother(stage: Stage, row: VolumeEntry): boolean {
  if (!isSalvaged(stage)) return false;
  const stray = strayOf(stage, row);
  return stray !== undefined && stray.identity !== stage.present.get(row.name)?.identity;
}

/**
 * Rows of an older copy do not know of removals since. What is left of the data is kept, and is an
 * entry of the trash where it says what it is.
 */
async function leaveRemoved(stage: Stage, row: VolumeEntry, operation: Operation): Promise<void> {
  const { parts, report } = stage;
  await parts.state.write((transaction) => {
    transaction.removeVolume(row.name);
    const removal = { action: "remove", entry: row } as const;
    transaction.addHistory(historyEntry(parts.host, removal, operation));
  });
  report.leftRemoved.push(row.name);
}

async function reconcileAbsent(
  stage: Stage,
  row: VolumeEntry,
  operation: Operation,
): Promise<void> {
  const { parts, driver, report, strays } = stage;
  const presence = await driver.get(row.name, operation);
  if (presence.state === "unknown") report.failed.push(row.name);
  if (presence.state !== "absent") return;
  const stray = strayOf(stage, row);
  if (stray !== undefined && isSalvaged(stage)) {
    await leaveRemoved(stage, row, operation);
  } else if (stray !== undefined && driver.trash !== undefined) {
    // A restore that was cut short, or a removal that was taken back because its answer was lost.
    await driver.trash.restore(stray.id, row.name, operation);
    strays.delete(stray.id);
    report.restored.push(row.name);
  } else if (row.phase === "removing") {
    await parts.state.write((transaction) => transaction.removeVolume(row.name));
  } else if (row.usedAtMs === null && driver.rebuild !== undefined) {
    await driver.rebuild.rebuild({ ...row, options: driverOptions(row.options) }, operation);
    report.rebuilt.push(row.name);
  } else {
    report.missing.push(row.name);
  }
}

/**
 * What lies below the root and has no row was there before the state: it is shown, not hidden. Not
 * so under a name that means another volume: whoever uses that name must not get other data.
 */
async function adoptRest(stage: Stage, operation: Operation): Promise<void> {
  const { parts, driver, present, report } = stage;
  const unknown = parts.state.read((view) =>
    [...present.values()].filter((record) => view.volume(record.name) === undefined),
  );
  const isAlias = ({ name }: VolumeRecord): boolean =>
    parts.state.read((view) => view.alias(name) !== undefined);
  for (const { name } of unknown.filter(isAlias)) {
    report.failed.push(name);
    operation.log.error("a directory has the name of an alias, and is left as it was", {
      volume: name,
    });
  }
  const rest = unknown.filter((record) => !isAlias(record));
  if (rest.length === 0) return;
  const atMs = parts.host.nowMs();
  await parts.state.write((transaction) => {
    for (const record of rest) {
      const options = Object.keys(record.options).length > 0 ? record.options : null;
      transaction.putVolume({
        ...record,
        driver: driver.name,
        scope: driver.scope,
        labels: null,
        options,
        phase: "ready",
        // It may hold data: should its directory vanish, it is not made again.
        usedAtMs: atMs,
        ...unsaid,
      });
      const entry = { name: record.name, driver: driver.name };
      transaction.addHistory(historyEntry(parts.host, { action: "adopt", entry }, operation));
    }
  });
  report.adopted.push(...rest.map((record) => record.name));
}
