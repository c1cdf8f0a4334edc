// Mounts and unmounts of single holders: the driver, the row, the history and the event of each.
//
// Whoever calls has the volume's lease.
import type { VolumeDriver } from "../../core/driver.ts";
import type { ErrorCode } from "../../core/error-table.ts";
import { EngineError, toEngineError } from "../../core/errors.ts";
import type { Host } from "../../core/host.ts";
import type { HolderId, VolumeName } from "../../core/names.ts";
import type { Operation } from "../../core/operation.ts";
import type { HolderEntry, HolderKind, StateStore, VolumeEntry } from "../../core/state-store.ts";
import { refuseMoving } from "../adoption/moving.ts";
import type { Drivers } from "../drivers.ts";
import type { EventLog } from "../event-log.ts";
import { historyEntry } from "../history-entry.ts";
import { type DataMount, mountData } from "../mount-data.ts";
import type { HeldMounts } from "./held-mounts.ts";
import { LeftoverMounts } from "./leftover-mounts.ts";

export interface HoldersParts {
  readonly state: StateStore;
  readonly events: EventLog;
  readonly host: Host;
  readonly drivers: Pick<Drivers, "of">;
  readonly follow: DataMount["follow"];
  /** What holders of an earlier life have mounted. */
  readonly held: HeldMounts;
  /** Volumes whose data was missing when it was last looked for: kept up to date. */
  readonly missing: Set<VolumeName>;
}

/** Who is to hold a volume. */
export interface Who {
  readonly holder: HolderId;
  readonly kind: HolderKind;
}

/** Whose use ends. */
export interface Leaver {
  readonly holder: HolderId;
  /** What people call whoever had it: a container's name, or its id; undefined: not known. */
  readonly name?: string | undefined;
}

export class Holders {
  readonly #parts: HoldersParts;
  readonly #leftovers = new LeftoverMounts();

  constructor(parts: HoldersParts) {
    this.#parts = parts;
  }

  /**
   * Makes the data reachable for a holder and returns its absolute path. The row is on disk before
   * that. Repeating it for the same holder changes nothing. Throws `request.invalid` when the ID is
   * a holder's of the other kind: the end of one would be taken for the end of both.
   */
  async mount(entry: VolumeEntry, who: Who, operation: Operation): Promise<string> {
    const { state, events, host, missing, follow } = this.#parts;
    const { holder, kind } = who;
    refuseMoving(entry);
    this.#refuseOtherKind(entry, who);
    const driver = this.#parts.drivers.of(entry);
    await this.#parts.held.tell(driver, entry, operation);
    this.#leftovers.add(entry.name, holder);
    const path = await mountData({ driver, entry, holder, missing, host, follow }, operation);
    if (this.isHeldBy(entry.name, holder)) {
      this.#leftovers.settle(entry.name, holder);
      return path;
    }
    try {
      const used = entry.usedAtMs !== null ? entry : await this.#used(driver, entry, operation);
      await state.write((transaction) => {
        if (used !== entry) transaction.putVolume(used);
        transaction.putHolder({ volume: entry.name, holder, kind, sinceMs: host.nowMs() });
        const change = { action: "mount", entry, subject: holder } as const;
        transaction.addHistory(historyEntry(host, change, operation));
      });
    } catch (error) {
      // Nobody gets the path, so nobody would end this mount.
      await this.endLeftovers(entry, operation).catch((left: unknown) =>
        operation.log.warn("a mount that failed could not be undone; a removal tries again", {
          volume: entry.name,
          holder,
          error: toEngineError(left).message,
        }),
      );
      throw error;
    }
    this.#leftovers.settle(entry.name, holder);
    events.volume("mount", entry.name, {
      container: holder,
      destination: path,
      driver: entry.driver,
      propagation: "",
      "read/write": "true",
    });
    return path;
  }

  /**
   * Ends one holder's mount, and notes in the same commit that this was the volume's last use.
   * Unmounting what is not mounted succeeds.
   */
  async unmount(entry: VolumeEntry, leaver: Leaver, operation: Operation): Promise<void> {
    const { holder, name } = leaver;
    const { state, events, host } = this.#parts;
    const driver = this.#parts.drivers.of(entry);
    await this.#tell(driver, entry, operation);
    const held = state.read((view) =>
      view.holders(entry.name).find((one) => one.holder === holder),
    );
    // Also for a holder without a row: its mount may have been left by one that failed.
    try {
      await driver.unmount(entry.name, holder, operation);
      this.#leftovers.settle(entry.name, holder);
    } catch (error) {
      // A client that has let go must not have the volume for as long as its plugin is away.
      if (held?.kind !== "client" || !isOfAbsentPlugin(driver, error)) throw error;
      operation.log.warn("a plugin that is away was not told that a client has unmounted", {
        ...{ volume: entry.name, driver: entry.driver, holder },
        error: toEngineError(error).message,
      });
      // It counts the mount still: it is told before a removal, or when it is back.
      this.#leftovers.add(entry.name, holder);
    }
    if (held === undefined) return;
    await state.write((transaction) => {
      transaction.removeHolder(entry.name, holder);
      const subject = name ?? holder;
      // The row as it is: a volume's labels, note and protection may have changed since.
      const row = transaction.volume(entry.name) ?? entry;
      const lastHolder = nameInstead(held, leaver, row) ?? subject;
      transaction.putVolume({ ...row, lastUse: { atMs: host.nowMs(), holder: lastHolder } });
      transaction.addHistory(historyEntry(host, { action: "unmount", entry, subject }, operation));
    });
    events.volume("unmount", entry.name, { container: holder, driver: entry.driver });
  }

  async #tell(driver: VolumeDriver, entry: VolumeEntry, operation: Operation): Promise<void> {
    // A plugin's mounts are ours, one for each holder: none of them is the last one's.
    if (driver.isPlugin) return;
    // A holder whose mount cannot be repeated has none that this unmount could take from it.
    await this.#parts.held.tell(driver, entry, operation).catch((error: unknown) =>
      operation.log.warn("holders of the last start have nothing mounted", {
        volume: entry.name,
        error: toEngineError(error).message,
      }),
    );
  }

  isHeldBy(name: VolumeName, holder: HolderId): boolean {
    return this.#parts.state.read((view) =>
      view.holders(name).some((one) => one.holder === holder),
    );
  }

  #refuseOtherKind({ name }: VolumeEntry, { holder, kind }: Who): void {
    const rows = this.#parts.state.read((view) => view.holders(name));
    if (!rows.some((row) => row.holder === holder && row.kind !== kind)) return;
    const other = kind === "client" ? "a container engine" : "a client of Holdfast";
    throw new EngineError(
      "request.invalid",
      `holder ${holder} of volume ${name} is there already, for ${other}: use another ID`,
      { details: { field: "holder", value: holder } },
    );
  }

  /** Ends what failed mounts may have left. Throws what the driver throws. */
  async endLeftovers(entry: VolumeEntry, operation: Operation): Promise<void> {
    await this.#leftovers.end(this.#parts.drivers.of(entry), entry.name, operation);
  }

  /** The volume is gone. */
  forget(name: VolumeName): void {
    this.#parts.held.forget(name);
  }

  /** From the first use on, a missing directory is an error, and this identity tells it apart. */
  async #used(
    driver: VolumeDriver,
    entry: VolumeEntry,
    operation: Operation,
  ): Promise<VolumeEntry> {
    const presence = await driver.get(entry.name, operation);
    const identity = presence.state === "found" ? presence.record.identity : entry.identity;
    return { ...entry, identity, usedAtMs: this.#parts.host.nowMs() };
  }
}

const absences: ReadonlySet<ErrorCode> = new Set([
  "driver.not_found",
  "plugin.disabled",
  "plugin.unreachable",
]);

function isOfAbsentPlugin({ isPlugin }: VolumeDriver, error: unknown): boolean {
  return isPlugin === true && absences.has(toEngineError(error).code);
}

/**
 * dockerd mounts a volume for a moment to copy an image's files, with an ID that says nothing. That
 * may end after the container that it was for: who had the volume meanwhile is the one to name.
 */
function nameInstead(
  { kind, sinceMs }: HolderEntry,
  { name }: Leaver,
  { lastUse }: VolumeEntry,
): string | undefined {
  if (kind !== "engine" || name !== undefined || lastUse === null) return undefined;
  return lastUse.atMs >= sinceMs ? lastUse.holder : undefined;
}
