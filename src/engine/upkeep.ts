// Upkeep: what is changed about a volume that stays: protection, labels, note, options, name; and
// what has been written to it is brought to its storage.
import type { Unsaved, VolumeDriver } from "../core/driver.ts";
import { EngineError, toEngineError } from "../core/errors.ts";
import type { Host } from "../core/host.ts";
import type { LeaseService } from "../core/lease-service.ts";
import { parseVolumeName } from "../core/names.ts";
import type { Operation } from "../core/operation.ts";
import type { HistoryAction, Labels, StateStore, VolumeEntry } from "../core/state-store.ts";
import { refuseMoving } from "./adoption/moving.ts";
import { checkDescription, checkLine } from "./description.ts";
import type { Drivers } from "./drivers.ts";
import { checkPluginOptions, driverOptions } from "./engine-options.ts";
import { changedOptions, changesDriver } from "./engine-options-change.ts";
import type { EventLog } from "./event-log.ts";
import type { StorageCare } from "./health/health-care.ts";
import type { History } from "./history.ts";
import { byOf, historyEntry } from "./history-entry.ts";
import type { UnfinishedRenames } from "./recovery/unfinished-renames.ts";
import { type RenameHow, renameVolume } from "./renaming.ts";
import { secretLease } from "./secret-lease.ts";
import type { UseGuard } from "./use-guard.ts";
import type { VolumeEngine } from "./volumes.ts";

/** What is to be different. What is not there is removed already. */
export interface VolumeChange {
  readonly labelsSet: Labels;
  readonly labelsRemoved: readonly string[];
  /** null removes it; undefined leaves it. One line: see `checkLine`. */
  readonly note?: string | null;
  /** Options of the engine (`sharing`, `owner`, …), and of a driver that can change its own. */
  readonly optionsSet: Readonly<Record<string, string>>;
  readonly optionsRemoved: readonly string[];
}

export interface UpkeepParts {
  readonly state: StateStore;
  readonly host: Pick<Host, "nowMs" | "programOf">;
  readonly leases: LeaseService;
  readonly drivers: Drivers;
  readonly volumes: VolumeEngine;
  readonly events: EventLog;
  readonly guard: UseGuard;
  readonly history: Pick<History, "refused">;
  readonly unfinishedRenames: UnfinishedRenames;
  readonly care: Pick<StorageCare, "follow">;
}

/** A change of a row that stands in one commit with its line of the history. */
interface RowChange {
  readonly action: HistoryAction & ("protect" | "unprotect" | "update");
  readonly entry: VolumeEntry;
  readonly subject: string;
  /** Told before the row is written: whoever fails leaves everything as it was. */
  readonly driver?: VolumeDriver | undefined;
}

/**
 * Volumes go by name or alias. Every call throws `volume.not_found`, `volume.moving` and
 * `storage.*`; then nothing was changed.
 */
export class Upkeep {
  readonly #parts: UpkeepParts;

  constructor(parts: UpkeepParts) {
    this.#parts = parts;
  }

  /**
   * From now on the volume is not removed, renamed, released or purged. A protected one gets the
   * new reason. Throws `request.invalid` unless the reason is one line, as `checkLine` wants it.
   */
  async protect(name: string, reason: string, operation: Operation): Promise<VolumeEntry> {
    const { host } = this.#parts;
    checkLine("reason", reason);
    return await this.#change(name, operation, (row) => {
      const protection = { reason, sinceMs: host.nowMs(), by: byOf(host, operation) };
      return { action: "protect", entry: { ...row, protection }, subject: reason };
    });
  }

  /** Lifts the protection; of one without it nothing is changed. Who asks has confirmed it. */
  unprotect(name: string, operation: Operation): Promise<VolumeEntry> {
    return this.#change(name, operation, (row) => {
      if (row.protection === null) return undefined;
      return { action: "unprotect", entry: { ...row, protection: null }, subject: "" };
    });
  }

  /**
   * Changes labels, the note and options of the engine. What holds the volume goes on as it is:
   * `sharing` is judged by the new mode from the next Mount or look at the kernel on, `owner` and
   * `mode` are given at the next Mount. Options of a driver that can change them are tested and
   * used as `UpdateCapable` says. Throws `request.invalid` for a note or labels that are too long,
   * `volume.option_invalid` for options that cannot be changed and what does not fit together, and
   * what the driver throws.
   */
  async update(name: string, change: VolumeChange, operation: Operation): Promise<VolumeEntry> {
    const { drivers } = this.#parts;
    if (typeof change.note === "string") checkLine("note", change.note);
    return await this.#change(name, operation, (row) => {
      const labels = changedTexts(row.labels, change.labelsSet, change.labelsRemoved);
      const driver = drivers.isOfPlugin(row.driver) ? undefined : drivers.get(row.driver);
      const { optionsSet, optionsRemoved } = change;
      const options = changedOptions(row.options, optionsSet, optionsRemoved, driver);
      const note = change.note === undefined ? row.note : change.note;
      checkDescription(row.name, { labels, options });
      if (drivers.isOfPlugin(row.driver)) checkPluginOptions(change.optionsSet);
      const changed = [
        ...differences(row.labels, labels).map((key) => `label ${key}`),
        // None of them is a secret, and who has turned the trash off is to be found.
        ...differences(row.options, options).map((key) => `option ${key}=${options?.[key] ?? ""}`),
        ...(note === row.note ? [] : ["note"]),
      ];
      if (changed.length === 0) return undefined;
      const entry = { ...row, labels, options, note };
      const told = changesDriver(row.options, options) ? driver : undefined;
      return { action: "update", entry, subject: changed.join(", "), driver: told };
    });
  }

  /**
   * Resolves when what was written to the volume before is on its storage: at once where nothing
   * is ever written later than its writer is told. `told` hears what is left. Throws what the
   * driver throws.
   */
  async flush(name: string, operation: Operation, told?: (left: Unsaved) => void): Promise<void> {
    const { volumes, drivers } = this.#parts;
    const entry = volumes.inspect(name);
    await drivers.get(entry.driver)?.flush?.flush(entry.name, operation, told);
  }

  /**
   * Gives an unused volume another name; its data, labels and all else stay. With `keepAlias` the
   * old name still means it. What already has the wanted name is returned. Throws
   * `volume.name_invalid`, `volume.name_taken`, `volume.protected`, `volume.in_use`,
   * `volume.data_missing`, `volume.unknown`, `containers.unreachable`, and `driver.unsupported`
   * where the driver cannot.
   */
  async rename(
    name: string,
    to: string,
    how: RenameHow,
    operation: Operation,
  ): Promise<VolumeEntry> {
    const { volumes, history } = this.#parts;
    const wanted = parseVolumeName(to);
    const entry = volumes.inspect(name);
    if (entry.name === wanted) return entry;
    try {
      return await renameVolume(this.#parts, { entry, to: wanted, ...how }, operation);
    } catch (error) {
      history.refused({ action: "rename", entry, subject: wanted }, error, operation);
      throw error;
    }
  }

  /**
   * Ends an alias; the volume stays. Throws `volume.not_found` when it is none, and as
   * `dropAlias`.
   */
  async removeAlias(alias: string, operation: Operation): Promise<void> {
    if (await this.#parts.volumes.dropAlias(alias, operation)) return;
    throw new EngineError("volume.not_found", `${alias} is no alias of a volume`, {
      details: { name: alias },
    });
  }

  /** `work` gets the row as it is under the volume's lease; undefined: nothing is to be changed. */
  async #change(
    name: string,
    operation: Operation,
    work: (row: VolumeEntry) => RowChange | undefined,
  ): Promise<VolumeEntry> {
    const { volumes, state, host, events, leases } = this.#parts;
    volumes.inspect(name);
    await using _lease = await volumes.lease(name, operation);
    const row = volumes.inspect(name);
    refuseMoving(row);
    const change = work(row);
    if (change === undefined) return row;
    const { action, entry, subject, driver } = change;
    await using _secret = driver && (await secretLease(leases, driver, entry.options, operation));
    await tellDriver(driver, entry, operation);
    try {
      await state.write((transaction) => {
        transaction.putVolume(entry);
        transaction.addHistory(historyEntry(host, change, operation));
      });
    } catch (error) {
      await tellDriver(driver, row, operation).catch((left: unknown) =>
        operation.log.warn(
          "a driver keeps options that its volume has not; the next mount ends it",
          {
            ...{ volume: row.name, error: toEngineError(left).message },
          },
        ),
      );
      throw error;
    }
    if (driver !== undefined) await this.#parts.care.follow(entry, operation);
    const attributes = subject === "" ? {} : { [attributeOf[action]]: subject };
    events.volume(action, entry.name, { driver: entry.driver, ...attributes });
    return entry;
  }
}

/** A crash before the row is written leaves the driver with other options: see mount-data.ts. */
async function tellDriver(
  driver: VolumeDriver | undefined,
  { name, options }: VolumeEntry,
  operation: Operation,
): Promise<void> {
  await driver?.update?.update({ name, options: driverOptions(options) }, operation);
}

/** What the subject of a change is called in its event. */
const attributeOf = { protect: "reason", unprotect: "reason", update: "changed" } as const;

/** null stays null while nothing is set. */
function changedTexts(texts: Labels | null, set: Labels, removed: readonly string[]) {
  if (texts === null && Object.keys(set).length === 0) return null;
  const kept = Object.entries(texts ?? {}).filter(([key]) => !removed.includes(key));
  return Object.fromEntries([...kept, ...Object.entries(set)]);
}

/** The keys that two maps do not have alike, sorted. */
function differences(before: Labels | null, after: Labels | null): readonly string[] {
  const keys = new Set([...Object.keys(before ?? {}), ...Object.keys(after ?? {})]);
  const of = (texts: Labels | null, key: string) =>
    texts !== null && Object.hasOwn(texts, key) ? texts[key] : undefined;
  return [...keys].filter((key) => of(before, key) !== of(after, key)).sort();
}
