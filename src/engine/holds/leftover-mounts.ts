// Mounts that failed and may be there all the same: their answer was lost, or their undoing failed.
import type { VolumeDriver } from "../../core/driver.ts";
import type { HolderId, VolumeName } from "../../core/names.ts";
import type { Operation } from "../../core/operation.ts";

/** How many holders of one volume are remembered; the oldest is forgotten first. */
const HOLDER_COUNT_MAX = 64;

/**
 * A container engine never unmounts what it was told has failed, so a removal does it: otherwise
 * the volume would be in use by nobody until the next start. In memory: a start knows no holders
 * but those of the state.
 */
export class LeftoverMounts {
  readonly #holders = new Map<VolumeName, Set<HolderId>>();

  add(name: VolumeName, holder: HolderId): void {
    const holders = this.#holders.get(name) ?? new Set();
    this.#holders.set(name, holders);
    holders.add(holder);
    const [oldest] = holders;
    if (holders.size > HOLDER_COUNT_MAX && oldest !== undefined) holders.delete(oldest);
  }

  /** The holder has mounted with success, or has unmounted. */
  settle(name: VolumeName, holder: HolderId): void {
    const holders = this.#holders.get(name);
    holders?.delete(holder);
    if (holders?.size === 0) this.#holders.delete(name);
  }

  /** Ends whatever is left of a volume's failed mounts. Throws what the driver throws. */
  async end(driver: VolumeDriver, name: VolumeName, operation: Operation): Promise<void> {
    for (const holder of [...(this.#holders.get(name) ?? [])]) {
      await driver.unmount(name, holder, operation);
      this.settle(name, holder);
    }
  }
}
