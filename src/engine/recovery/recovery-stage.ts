// What recovery knows of one driver while it settles it, and what it says in the end.
import type { RetiredRecord, VolumeDriver, VolumeRecord } from "../../core/driver.ts";
import { toEngineError } from "../../core/errors.ts";
import type { DriverName, TrashId, VolumeName } from "../../core/names.ts";
import type { Operation } from "../../core/operation.ts";
import type { VolumeEntry } from "../../core/state-store.ts";
import type { MoveParts } from "./recovery-moves.ts";

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
  /** Volumes whose directories were found, by identity, in the trash or moved out of it by hand. */
  readonly restored: readonly VolumeName[];
  /** Volumes of an older copy whose directories lie in the trash: they stay removed. */
  readonly leftRemoved: readonly VolumeName[];
  /** Renames that a crash had cut short were finished: the new names. */
  readonly renamed: readonly VolumeName[];
  /** What lay in the trash without a row and says itself what it is: it can be restored. */
  readonly trashFound: readonly TrashId[];
  /** What lies in the trash without a row, and does not say what it is: kept. */
  readonly strays: readonly TrashId[];
  /** Drivers that could not list what they have: nothing of theirs was touched. */
  readonly unlisted: readonly DriverName[];
  /** Volumes whose storage failed meanwhile: their rows are as they were. */
  readonly failed: readonly VolumeName[];
}

export interface RecoveryParts extends MoveParts {
  readonly drivers: ReadonlyMap<string, VolumeDriver>;
}

export type Mutable<T> = {
  -readonly [Key in keyof T]: T[Key] extends readonly (infer Item)[] ? Item[] : never;
};

export interface Stage {
  readonly parts: RecoveryParts;
  readonly driver: VolumeDriver;
  readonly report: Mutable<RecoveryReport>;
  readonly present: Map<VolumeName, VolumeRecord>;
  /** What lies in the trash, with a row or without. */
  readonly inTrash: ReadonlyMap<TrashId, RetiredRecord>;
  /** What lies in the trash without a row, by its id. */
  readonly strays: Map<TrashId, RetiredRecord>;
  /** Those of them that are whole, by their identity, and by `nameKey` where they say it. */
  readonly strayKeys: ReadonlyMap<string, TrashId>;
}

/** One volume whose storage fails must not keep all others from being served. */
export async function attempt(
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

export function isIdentical(found: string, recorded: string): boolean {
  return found !== "" && found === recorded;
}

/** Tells a volume from others of its name, where no identity does. No identity looks like it. */
export function nameKey({ name, createdAtMs }: Pick<VolumeEntry, "name" | "createdAtMs">): string {
  return `${name} of ${createdAtMs}`;
}
