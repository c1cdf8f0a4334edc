// What holders of an earlier life of the daemon have mounted: drivers are told of it again.
import type { VolumeDriver } from "../../core/driver.ts";
import type { ErrorCode } from "../../core/error-table.ts";
import { toEngineError } from "../../core/errors.ts";
import type { Host } from "../../core/host.ts";
import type { LeaseService } from "../../core/lease-service.ts";
import type { VolumeName } from "../../core/names.ts";
import type { Operation } from "../../core/operation.ts";
import type { StateStore, VolumeEntry } from "../../core/state-store.ts";
import type { Drivers } from "../drivers.ts";
import { serverOf } from "../health/storage-server.ts";
import { type DataMount, mountData } from "../mount-data.ts";

/** How many volumes are mounted again at once: a dead server keeps one of these waiting. */
const MOUNTS_AT_ONCE = 8;

/** Failures that mean that nothing answered. */
const silentCodes: ReadonlySet<ErrorCode> = new Set(["remote.unreachable", "driver.timed_out"]);

export interface HeldMountsParts {
  readonly state: StateStore;
  readonly leases: LeaseService;
  readonly drivers: Pick<Drivers, "get" | "isReady">;
  readonly host: Pick<Host, "mounts">;
  readonly follow: DataMount["follow"];
  /** Volumes whose data was missing when it was last looked for: kept up to date. */
  readonly missing: Set<VolumeName>;
}

/**
 * A driver counts its holders in memory: after a restart the first unmount would look like the last
 * one. Repeating their mounts changes nothing that is mounted, and brings back what a reboot took.
 */
export class HeldMounts {
  readonly #parts: HeldMountsParts;
  /** Volumes whose driver knows all holders. */
  readonly #told = new Set<VolumeName>();
  readonly #failed = new Set<VolumeName>();
  readonly #mounting = new Set<VolumeName>();

  constructor(parts: HeldMountsParts) {
    this.#parts = parts;
  }

  /** Volumes that have holders and could not be mounted for them. */
  get unmounted(): readonly VolumeName[] {
    return [...this.#failed].filter((name) => this.#isHeld(name));
  }

  isUnmounted(name: VolumeName): boolean {
    return this.#failed.has(name) && this.#isHeld(name);
  }

  /** Whether the start is mounting it just now: that may take as long as its server likes. */
  isMounting(name: string): boolean {
    return this.#mounting.has(name as VolumeName); // A set of names says no to any other text.
  }

  /**
   * Once for each volume, by a caller that holds its lease. Throws what the first mount that fails
   * throws; then the next call tries again.
   */
  async tell(driver: VolumeDriver, entry: VolumeEntry, operation: Operation): Promise<void> {
    if (this.#told.has(entry.name)) return;
    const { state, missing, host, follow } = this.#parts;
    const holders = state.read((view) => view.holders(entry.name));
    try {
      for (const { holder } of holders) {
        await mountData({ driver, entry, holder, missing, host, follow }, operation);
      }
    } catch (error) {
      this.#failed.add(entry.name);
      throw error;
    }
    this.#failed.delete(entry.name);
    this.#told.add(entry.name);
  }

  /** The volume is gone; a new one of its name has nothing to do with it. */
  forget(name: VolumeName): void {
    this.#told.delete(name);
    this.#failed.delete(name);
  }

  /** What was mounted is not any more: it is mounted again as after a reboot. */
  noteUnmounted(name: VolumeName): void {
    this.#told.delete(name);
    this.#failed.add(name);
  }

  /** The driver's process has ended: it knows no holder any more, and has mounted nothing. */
  lost(driver: string): void {
    for (const name of this.#heldOf(driver)) this.#told.delete(name);
  }

  /**
   * Tells of all volumes that are held, of one driver or of all, several at once. Plugins that are
   * not ready are left out: that is done again when they are. Never rejects: what fails is logged.
   */
  async tellAll(operation: Operation, driver?: string): Promise<void> {
    // Those of one server wait for the first one of them: a dead one must not keep all workers.
    const left = [...Map.groupBy(this.#heldOf(driver), (name) => this.#serverOf(name)).values()];
    const worker = async (): Promise<void> => {
      for (let group = left.shift(); group !== undefined; group = left.shift()) {
        if (operation.signal.aborted) return;
        const [first, ...others] = group;
        const isSilent = first !== undefined && (await this.#tellOne(first, operation));
        if (isSilent) for (const name of others) this.#failed.add(name);
        else left.push(...others.map((name) => [name]));
      }
    };
    await Promise.all(Array.from({ length: MOUNTS_AT_ONCE }, worker));
  }

  /** What fails together; of storage on this machine each volume alone. */
  #serverOf(name: VolumeName): string {
    const { state, drivers } = this.#parts;
    const entry = state.read((view) => view.volume(name));
    const server = entry === undefined ? "" : serverOf(drivers.get(entry.driver), entry);
    return server === "" ? `volume ${name}` : `server ${entry?.driver} ${server}`;
  }

  /** Tells of one volume. Throws what its driver throws. */
  async tellAgain(name: VolumeName, operation: Operation): Promise<void> {
    const { state, leases, drivers } = this.#parts;
    this.#mounting.add(name);
    try {
      await using _lease = await leases.acquire(`volume:${name}`, "exclusive", operation);
      const entry = state.read((view) => view.volume(name));
      if (entry === undefined || !drivers.isReady(entry.driver)) return;
      const driver = drivers.get(entry.driver);
      if (driver !== undefined) await this.tell(driver, entry, operation);
    } finally {
      this.#mounting.delete(name);
    }
  }

  /** True: its server does not answer. */
  async #tellOne(name: VolumeName, operation: Operation): Promise<boolean> {
    try {
      await this.tellAgain(name, operation);
      return false;
    } catch (error) {
      if (operation.signal.aborted) return false;
      const { code, message } = toEngineError(error);
      operation.log.warn("a volume could not be mounted again for its holders", {
        volume: name,
        code,
        error: message,
      });
      return silentCodes.has(code);
    }
  }

  #heldOf(driver: string | undefined): readonly VolumeName[] {
    const isWanted = (entry: VolumeEntry) => driver === undefined || entry.driver === driver;
    return this.#parts.state.read((view) =>
      [...view.volumes()]
        .filter((entry) => isWanted(entry) && view.holders(entry.name).length > 0)
        .map(({ name }) => name),
    );
  }

  #isHeld(name: VolumeName): boolean {
    return this.#parts.state.read((view) => view.holders(name)).length > 0;
  }
}
