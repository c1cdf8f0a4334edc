// What the daemon does before it serves: storage is brought to what the rows say. It never
// destroys.
import type { DriverOptions, VolumeDriver, VolumeRecord } from "../core/driver.ts";
import type { TrashId, VolumeName } from "../core/names.ts";
import type { Operation } from "../core/operation.ts";
import type { RetiredEntry, StateStore, VolumeEntry } from "../core/state-store.ts";

/** What recovery found and did, for the log and `info`. Lists name volumes. */
export interface RecoveryReport {
  /** Directories without a row became volumes. */
  readonly adopted: readonly VolumeName[];
  /** Volumes that were never used and lost their directory in a power cut were made again. */
  readonly rebuilt: readonly VolumeName[];
  /** Removals whose rename was lost were finished. */
  readonly retired: readonly VolumeName[];
  /** Creations that never ended were forgotten. */
  readonly forgotten: readonly VolumeName[];
  /** Volumes that were used and have no directory: their rows stay, using them is an error. */
  readonly missing: readonly VolumeName[];
  /** What lies in the trash without a row: kept. */
  readonly strays: readonly TrashId[];
}

export interface RecoveryParts {
  readonly state: StateStore;
  readonly drivers: ReadonlyMap<string, VolumeDriver>;
  readonly nowMs: () => number;
}

type Mutable<T> = {
  -readonly [Key in keyof T]: T[Key] extends readonly (infer Item)[] ? Item[] : never;
};

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
    strays: [],
  };
  for (const driver of parts.drivers.values()) {
    const present = new Map<VolumeName, VolumeRecord>();
    for await (const record of driver.list(operation)) present.set(record.name, record);
    await finishRemovals({ parts, driver, present, report }, operation);
    await reconcileRows({ parts, driver, present, report }, operation);
    await adoptRest({ parts, driver, present, report }, operation);
  }
  return report;
}

interface Stage {
  readonly parts: RecoveryParts;
  readonly driver: VolumeDriver;
  readonly present: Map<VolumeName, VolumeRecord>;
  readonly report: Mutable<RecoveryReport>;
}

/** A removal is acknowledged by its row; here the directory follows, found by its identity. */
async function finishRemovals(stage: Stage, operation: Operation): Promise<void> {
  const { parts, driver, present, report } = stage;
  const { trash } = driver;
  if (trash === undefined) return;
  const retired = parts.state.read((view) =>
    [...view.retired()].filter((entry) => entry.volume.driver === driver.name),
  );
  const inTrash = new Set<TrashId>();
  for await (const record of trash.list(operation)) inTrash.add(record.id);
  const known = new Set(retired.map((entry) => entry.id));
  report.strays.push(...[...inTrash].filter((id) => !known.has(id)));
  for (const entry of retired) {
    if (inTrash.has(entry.id) || !isThatDirectory(entry, present.get(entry.volume.name))) continue;
    await trash.retire(entry.volume.name, entry.id, operation);
    present.delete(entry.volume.name);
    report.retired.push(entry.volume.name);
  }
}

function isThatDirectory(entry: RetiredEntry, record: VolumeRecord | undefined): boolean {
  return (
    record !== undefined && record.identity !== "" && record.identity === entry.volume.identity
  );
}

async function reconcileRows(stage: Stage, operation: Operation): Promise<void> {
  const { parts, driver, present, report } = stage;
  const rows = parts.state.read((view) =>
    [...view.volumes()].filter((entry) => entry.driver === driver.name),
  );
  for (const row of rows) {
    if (row.phase === "creating") {
      await driver.forget(row.name, operation);
      await parts.state.write((transaction) => transaction.removeVolume(row.name));
      present.delete(row.name);
      report.forgotten.push(row.name);
    } else if (!present.has(row.name)) {
      await reconcileAbsent(stage, row, operation);
    } else if (row.phase === "removing") {
      // Nobody was told that it is gone, and it is not.
      await parts.state.write((transaction) => transaction.putVolume({ ...row, phase: "ready" }));
    } else {
      await reconcileOptions(stage, row, operation);
    }
  }
}

/**
 * A crash may leave a directory without the options that its row has: as long as it was not used,
 * they are written again. Otherwise the directory's own word counts, because it decides what is
 * mounted: a row from an older copy of the state may be of an earlier volume of that name.
 */
async function reconcileOptions(
  stage: Stage,
  row: VolumeEntry,
  operation: Operation,
): Promise<void> {
  const { parts, driver, present, report } = stage;
  const wanted = row.options ?? {};
  let record = present.get(row.name);
  if (record === undefined || haveEqualOptions(record.options, wanted)) return;
  if (Object.keys(record.options).length === 0 && row.usedAtMs === null && driver.rebuild) {
    record = await driver.rebuild.rebuild({ ...row, options: wanted }, operation);
    report.rebuilt.push(row.name);
  }
  const { options } = record;
  if (haveEqualOptions(options, wanted)) return;
  await parts.state.write((transaction) => transaction.putVolume({ ...row, options }));
}

function haveEqualOptions(left: DriverOptions, right: DriverOptions): boolean {
  const names = new Set([...Object.keys(left), ...Object.keys(right)]);
  return [...names].every((name) => left[name] === right[name]);
}

async function reconcileAbsent(
  stage: Stage,
  row: VolumeEntry,
  operation: Operation,
): Promise<void> {
  const { parts, driver, report } = stage;
  const presence = await driver.get(row.name, operation);
  if (presence.state !== "absent") return;
  if (row.phase === "removing") {
    await parts.state.write((transaction) => transaction.removeVolume(row.name));
  } else if (row.usedAtMs === null && driver.rebuild !== undefined) {
    await driver.rebuild.rebuild({ ...row, options: row.options ?? {} }, operation);
    report.rebuilt.push(row.name);
  } else {
    report.missing.push(row.name);
  }
}

/** What lies below the root and has no row was there before the state: it is shown, not hidden. */
async function adoptRest(stage: Stage, operation: Operation): Promise<void> {
  const { parts, driver, present, report } = stage;
  const rest = parts.state.read((view) =>
    [...present.values()].filter((record) => view.volume(record.name) === undefined),
  );
  if (rest.length === 0) return;
  const atMs = parts.nowMs();
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
      });
      transaction.addHistory({
        atMs,
        action: "adopt",
        volume: record.name,
        driver: driver.name,
        caller: operation.caller,
        operation: operation.id,
      });
    }
  });
  report.adopted.push(...rest.map((record) => record.name));
}
