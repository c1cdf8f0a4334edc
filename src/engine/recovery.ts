// What the daemon does before it serves: storage is brought to what the rows say. It never
// destroys.
import type { DriverOptions, RetiredRecord, VolumeDriver, VolumeRecord } from "../core/driver.ts";
import { toEngineError } from "../core/errors.ts";
import type { DriverName, TrashId, VolumeName } from "../core/names.ts";
import type { Operation } from "../core/operation.ts";
import type {
  HistoryAction,
  HistoryEntry,
  RetiredEntry,
  VolumeEntry,
} from "../core/state-store.ts";
import { unsaid } from "./description.ts";
import { driverOptions, withDriverOptions } from "./engine-options.ts";
import { OWN_PROGRAM } from "./history-entry.ts";
import { isMoving } from "./moving.ts";
import { type MoveParts, movingRows, settleMove } from "./recovery-moves.ts";

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
  /** Volumes whose directories lay in the trash without a row, known by identity, are back. */
  readonly restored: readonly VolumeName[];
  /** Volumes of an older copy whose directories lie in the trash: they stay removed. */
  readonly leftRemoved: readonly VolumeName[];
  /** What lies in the trash without a row: kept. */
  readonly strays: readonly TrashId[];
  /** Drivers that could not list what they have: nothing of theirs was touched. */
  readonly unlisted: readonly DriverName[];
  /** Volumes whose storage failed meanwhile: their rows are as they were. */
  readonly failed: readonly VolumeName[];
}

/**
 * How much older than the clock a file system's time stamps may be, in milliseconds: they are taken
 * once per tick of the kernel, 10 ms at the most.
 */
const CLOCK_GRAIN_MS = 20;

export interface RecoveryParts extends MoveParts {
  readonly drivers: ReadonlyMap<string, VolumeDriver>;
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
    restored: [],
    leftRemoved: [],
    strays: [],
    unlisted: [],
    failed: [],
  };
  for (const driver of parts.drivers.values()) {
    const stage = await look({ parts, driver, report }, operation);
    if (stage === undefined) continue;
    for (const row of movingRows(stage)) {
      await attempt(stage, row.name, operation, () => settleMove(stage, row, operation));
    }
    await finishRemovals(stage, operation);
    await reconcileRows(stage, operation);
    await adoptRest(stage, operation);
    report.strays.push(...stage.strays.keys());
  }
  return report;
}

interface Stage {
  readonly parts: RecoveryParts;
  readonly driver: VolumeDriver;
  readonly report: Mutable<RecoveryReport>;
  readonly present: Map<VolumeName, VolumeRecord>;
  readonly inTrash: ReadonlySet<TrashId>;
  /** What lies in the trash without a row, by its id. */
  readonly strays: Map<TrashId, RetiredRecord>;
}

/** What the driver has; undefined when it cannot say: one dead driver must not stop the others. */
async function look(
  known: Pick<Stage, "parts" | "driver" | "report">,
  operation: Operation,
): Promise<Stage | undefined> {
  const { parts, driver, report } = known;
  const present = new Map<VolumeName, VolumeRecord>();
  const strays = new Map<TrashId, RetiredRecord>();
  try {
    for await (const record of driver.list(operation)) present.set(record.name, record);
    for await (const record of driver.trash?.list(operation) ?? []) strays.set(record.id, record);
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
  const inTrash = new Set(strays.keys());
  for (const { id } of parts.state.read((view) => [...view.retired()])) strays.delete(id);
  return { ...known, present, inTrash, strays };
}

/** One volume whose storage fails must not keep all others from being served. */
async function attempt(
  { report }: Stage,
  name: VolumeName,
  operation: Operation,
  work: () => Promise<void>,
): Promise<void> {
  try {
    await work();
  } catch (error) {
    report.failed.push(name);
    const { code, message } = toEngineError(error);
    operation.log.error("a volume could not be recovered; it is left as it was", {
      volume: name,
      code,
      error: message,
    });
  }
}

/** A removal is acknowledged by its row; here the directory follows, found by its identity. */
async function finishRemovals(stage: Stage, operation: Operation): Promise<void> {
  const { parts, driver, present, inTrash, report } = stage;
  const { trash } = driver;
  if (trash === undefined) return;
  const retired = parts.state.read((view) =>
    [...view.retired()].filter((entry) => entry.volume.driver === driver.name),
  );
  for (const entry of retired) {
    const { name } = entry.volume;
    const record = present.get(name);
    if (inTrash.has(entry.id) || !isThatDirectory(entry, record)) continue;
    const row = parts.state.read((view) => view.volume(name));
    const isUsedSince = row !== undefined && isIdentical(row.identity, entry.volume.identity);
    let isKept = isUsedSince;
    await attempt(stage, name, operation, async () => {
      const movedAtMs = isUsedSince ? 0 : await trash.movedAtMs(name, operation);
      // A volume has used this directory since, or somebody has moved it back out of the trash:
      // whatever was removed, this is not to go with it.
      isKept = isUsedSince || movedAtMs > entry.retiredAtMs + CLOCK_GRAIN_MS;
      if (isKept) {
        operation.log.warn("what was removed has been brought back by hand and is kept", {
          volume: name,
          trash: entry.id,
        });
        await parts.state.write((transaction) => transaction.removeRetired(entry.id));
        return;
      }
      operation.log.info("a removal is finished that the last stop had cut short", {
        volume: name,
        trash: entry.id,
      });
      await trash.retire(name, entry.id, operation);
      report.retired.push(name);
    });
    // Also when it failed: nobody may take it for a volume again.
    if (!isKept) present.delete(name);
  }
}

function isThatDirectory(entry: RetiredEntry, record: VolumeRecord | undefined): boolean {
  return record !== undefined && isIdentical(record.identity, entry.volume.identity);
}

function isIdentical(found: string, recorded: string): boolean {
  return found !== "" && found === recorded;
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

async function reconcileAbsent(
  stage: Stage,
  row: VolumeEntry,
  operation: Operation,
): Promise<void> {
  const { parts, driver, report, strays } = stage;
  const presence = await driver.get(row.name, operation);
  if (presence.state === "unknown") report.failed.push(row.name);
  if (presence.state !== "absent") return;
  const stray = [...strays.values()].find((one) => isIdentical(one.identity, row.identity));
  if (stray !== undefined && parts.state.origin.kind === "salvaged") {
    // Rows of an older copy do not know of removals since. What is left of the data is kept.
    await parts.state.write((transaction) => {
      transaction.removeVolume(row.name);
      transaction.addHistory(change(row, "remove", parts.nowMs(), operation));
    });
    report.leftRemoved.push(row.name);
  } else if (stray !== undefined && driver.trash !== undefined) {
    // A removal that was taken back, because its answer was lost: the data had been moved.
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
        ...unsaid,
      });
      const volume = { name: record.name, driver: driver.name };
      transaction.addHistory(change(volume, "adopt", atMs, operation));
    }
  });
  report.adopted.push(...rest.map((record) => record.name));
}

function change(
  { name, driver }: Pick<VolumeEntry, "name" | "driver">,
  action: HistoryAction,
  atMs: number,
  { caller, id }: Operation,
): HistoryEntry {
  const own = { by: OWN_PROGRAM, subject: "", outcome: "done" } as const;
  return { atMs, action, volume: name, driver, caller, ...own, operation: id };
}
