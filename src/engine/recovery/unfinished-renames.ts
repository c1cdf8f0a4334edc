// Renames that stand in the state and whose data still lies under the old name.
import type { VolumeDriver } from "../../core/driver.ts";
import { EngineError } from "../../core/errors.ts";
import type { VolumeName } from "../../core/names.ts";
import type { Operation } from "../../core/operation.ts";

/** A rename that could neither be done nor undone. */
export interface UnfinishedRename {
  readonly driver: VolumeDriver;
  readonly from: VolumeName;
  readonly to: VolumeName;
  /** Of the data. */
  readonly identity: string;
}

/**
 * What failed twice in this life; the next start finishes it (`recovery-renames.ts`). Until then
 * the old name must not be made again: the new volume would take over the other one's directory.
 * Empty in nearly every life.
 */
export class UnfinishedRenames {
  readonly #waiting = new Map<VolumeName, UnfinishedRename>();

  add(rename: UnfinishedRename): void {
    this.#waiting.set(rename.from, rename);
  }

  /** Whether the data of another volume may lie under this name. */
  has(from: VolumeName): boolean {
    return this.#waiting.has(from);
  }

  /**
   * Moves the data to where its row says that it is; the caller has the lease of the old name.
   * Throws what the driver throws, and `volume.unknown` when it cannot say what is there.
   */
  async finish(from: VolumeName, operation: Operation): Promise<void> {
    const rename = this.#waiting.get(from);
    if (rename === undefined) return;
    const { driver, to, identity } = rename;
    const presence = await driver.get(from, operation);
    if (presence.state === "unknown") {
      throw new EngineError(
        "volume.unknown",
        `the data of the volume ${to} may still be under the name ${from}: ${presence.reason}`,
      );
    }
    const isThere = presence.state === "found" && presence.record.identity === identity;
    if (isThere) await driver.rename?.rename(from, to, operation);
    this.#waiting.delete(from);
  }
}
