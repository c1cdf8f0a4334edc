// Removals that stand in the state and whose data still lies under its old name.
import type { VolumeDriver } from "../../core/driver.ts";
import { EngineError } from "../../core/errors.ts";
import type { TrashId, VolumeName } from "../../core/names.ts";
import type { Operation } from "../../core/operation.ts";
import type { RetiredEntry } from "../../core/state-store.ts";
import type { Purger } from "../trash/purger.ts";
import { retirementOf } from "../trash/retired-description.ts";

/**
 * What the start could not finish, because storage failed or did not answer, and what could neither
 * be done nor undone since. Until a removal is
 * finished its name must not be made again: the new volume would take over the old directory, and
 * a later start would take its data for the removed volume's. Empty in nearly every life.
 */
export class UnfinishedRemovals {
  readonly #waiting: RetiredEntry[];
  readonly #purger: Purger;

  constructor(waiting: readonly RetiredEntry[], purger: Purger) {
    this.#waiting = [...waiting];
    this.#purger = purger;
  }

  /** For one that has failed in this life. */
  add(retired: RetiredEntry): void {
    this.#waiting.push(retired);
  }

  /** Whether `finish` has anything to do. */
  has({ name: driver }: Pick<VolumeDriver, "name">, name: VolumeName): boolean {
    return this.#waiting.some(({ volume }) => volume.name === name && volume.driver === driver);
  }

  /** The name under which the data of a removed volume may still lie; undefined: it does not. */
  placeOf(id: TrashId): VolumeName | undefined {
    return this.#waiting.find((entry) => entry.id === id)?.volume.name;
  }

  /**
   * Moves what is left of the driver's removed volumes of this name out of the way; the caller has
   * its lease. Other drivers have other places.
   * Throws what the driver throws, and `volume.unknown` when it cannot say what is there.
   */
  async finish(driver: VolumeDriver, name: VolumeName, operation: Operation): Promise<void> {
    const entries = this.#waiting.filter(
      ({ volume }) => volume.name === name && volume.driver === driver.name,
    );
    const presence = await driver.get(name, operation);
    if (presence.state === "unknown") {
      throw new EngineError(
        "volume.unknown",
        `a removed volume of this name may still be there: ${presence.reason}`,
      );
    }
    const identity = presence.state === "found" ? presence.record.identity : "";
    for (const entry of entries) {
      if (identity !== "" && entry.volume.identity === identity) {
        await driver.trash?.retire(name, retirementOf(entry), operation);
      }
      this.#waiting.splice(this.#waiting.indexOf(entry), 1);
      this.#purger.add(entry);
    }
  }
}
