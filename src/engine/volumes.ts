// The volumes: what happens when one is created, looked at, mounted, unmounted or removed.
import type { VolumeDriver, VolumeRecord } from "../core/driver.ts";
import { EngineError, toEngineError } from "../core/errors.ts";
import type { Host } from "../core/host.ts";
import type { LeaseService } from "../core/lease-service.ts";
import { type HolderId, parseDriverName, parseVolumeName, type VolumeName } from "../core/names.ts";
import type { Operation } from "../core/operation.ts";
import type { HistoryAction, Labels, StateStore, VolumeEntry } from "../core/state-store.ts";
import { checkDescription } from "./description.ts";
import type { EventLog } from "./event-log.ts";
import { HeldMounts } from "./held-mounts.ts";
import { historyEntry } from "./history-entry.ts";
import { LeftoverMounts } from "./leftover-mounts.ts";
import { mountData } from "./mount-data.ts";
import type { Purger } from "./purger.ts";
import { removeData } from "./removal.ts";
import type { UnfinishedRemovals } from "./unfinished-removals.ts";
import { ANONYMOUS_LABEL, selects, type VolumeFilter } from "./volume-filter.ts";

/** Docker's driver when none is given. */
const DEFAULT_DRIVER = "local";
/** Bytes of randomness in the name of a volume that was given none: 64 hex digits, as in Docker. */
const ANONYMOUS_NAME_BYTES = 32;

/** What a create may say. null and missing are kept apart from `{}`, as Docker's answers do. */
export interface CreateRequest {
  /** "" or undefined: a name is made up and the volume is anonymous. */
  readonly name?: string | undefined;
  /** "" or undefined: whichever driver has the name, else `local`. */
  readonly driver?: string | undefined;
  readonly options: Readonly<Record<string, string>> | null;
  readonly labels: Labels | null;
}

export interface VolumeEngineParts {
  readonly state: StateStore;
  readonly leases: LeaseService;
  readonly drivers: ReadonlyMap<string, VolumeDriver>;
  readonly events: EventLog;
  readonly purger: Purger;
  readonly host: Host;
  readonly unfinished: UnfinishedRemovals;
  /** Volumes that were used and whose data the start did not find. */
  readonly missing: readonly VolumeName[];
}

export class VolumeEngine {
  readonly #parts: VolumeEngineParts;
  readonly #held: HeldMounts;
  readonly #leftovers = new LeftoverMounts();
  /** Names whose creation is under way: until it has ended their rows may be taken back. */
  readonly #making = new Set<string>();

  /** Volumes whose data was missing when it was last looked for. */
  readonly #missing: Set<VolumeName>;

  constructor(parts: VolumeEngineParts) {
    this.#parts = parts;
    this.#missing = new Set(parts.missing);
    this.#held = new HeldMounts({ ...parts, missing: this.#missing });
  }

  /**
   * Creates a volume, or returns the existing one of that name whatever else was asked (Docker's
   * idempotency). Resolves when it is on disk. Throws `volume.exists_differently` when another
   * driver has the name, `driver.not_found`, `volume.name_invalid`, `volume.option_invalid`,
   * `request.invalid` (labels and options are too long), `storage.*`.
   */
  async create(request: CreateRequest, operation: Operation): Promise<VolumeEntry> {
    const { leases } = this.#parts;
    const isNamed = request.name !== undefined && request.name !== "";
    const text = isNamed ? String(request.name) : this.#parts.host.randomHex(ANONYMOUS_NAME_BYTES);
    const existing = this.#existing(text, request.driver);
    if (existing !== undefined) return existing;
    const driver = this.#driver(request.driver || DEFAULT_DRIVER);
    const name = parseVolumeName(text);
    driver.validate(request.options ?? {});
    checkDescription(name, request);
    await using _lease = await leases.acquire(`volume:${name}`, "exclusive", operation);
    // Somebody else may have been first while this one waited.
    const winner = this.#existing(name, request.driver);
    if (winner !== undefined) return winner;
    const { unfinished } = this.#parts;
    if (unfinished.has(name)) await unfinished.finish(driver, name, operation);

    const anonymous = { ...request.labels, [ANONYMOUS_LABEL]: "" };
    const wanted: Wanted = {
      ...unmade,
      name,
      driver: driver.name,
      scope: driver.scope,
      labels: isNamed ? request.labels : anonymous,
      options: request.options,
    };
    this.#making.add(name);
    const making =
      driver.rebuild === undefined
        ? this.#createBracketed(driver, wanted, operation)
        : this.#createFromRow(driver.rebuild, wanted, operation);
    const entry = await making.finally(() => this.#making.delete(name));
    this.#parts.events.volume("create", name, { driver: driver.name });
    this.#parts.purger.noteChange();
    return entry;
  }

  /** The volume of this name. Never asks a driver. Throws `volume.not_found`. */
  inspect(name: string): VolumeEntry {
    const entry = this.#parts.state.read((view) => view.volume(name));
    if (entry === undefined) throw notFound(name);
    return entry;
  }

  /** The volumes a filter selects, in the order of creation. Never asks a driver. O(volumes). */
  list(filter: VolumeFilter): readonly VolumeEntry[] {
    return this.#parts.state.read((view) => {
      const entries: VolumeEntry[] = [];
      for (const entry of view.volumes()) {
        if (selects(filter, entry, view)) entries.push(entry);
      }
      return entries;
    });
  }

  /**
   * At most `countMax` volumes whose names come behind `after`, sorted by name; `next` is the
   * `after` of the next page, null when there is none. O(volumes · log) per page.
   */
  page(
    after: string,
    countMax: number,
  ): { readonly entries: readonly VolumeEntry[]; readonly next: VolumeName | null } {
    return this.#parts.state.read((view) => {
      const names: VolumeName[] = [];
      for (const { name } of view.volumes()) if (name > after) names.push(name);
      names.sort();
      const page = names.slice(0, countMax);
      const next = names.length > countMax ? (page.at(-1) ?? null) : null;
      return { entries: page.flatMap((name) => view.volume(name) ?? []), next };
    });
  }

  /** Volumes whose data was missing at the start or at the last mount, in no particular order. */
  get missing(): ReadonlySet<VolumeName> {
    return this.#missing;
  }

  /** Volumes that are held, and could not be mounted again after a start. */
  get unmounted(): readonly VolumeName[] {
    return this.#held.unmounted;
  }

  isUnmounted(name: VolumeName): boolean {
    return this.#held.isUnmounted(name);
  }

  /**
   * After a start: mounts again what holders had mounted, as far as it is not, and never rejects.
   */
  mountAgain(operation: Operation): Promise<void> {
    return this.#held.tellAll(operation);
  }

  /**
   * Removes a volume: out of sight at once and durably, its space is freed in the background.
   * Throws `volume.not_found`, `volume.in_use`, `volume.data_foreign`, `storage.*`.
   */
  async remove(name: string, operation: Operation): Promise<void> {
    const { leases } = this.#parts;
    const found = this.inspect(name);
    // What a dead server keeps waiting is held, and whoever asks is told so at once.
    if (this.#held.isMounting(name)) this.#refuseHeld(found);
    const key = `volume:${name}` as const;
    await using _lease = await leases.acquire(key, "exclusive", operation);
    await this.removeHeld(this.inspect(name), "remove", operation);
  }

  /** `remove` for a caller that holds the volume's lease. */
  async removeHeld(
    entry: VolumeEntry,
    action: "remove" | "prune",
    operation: Operation,
  ): Promise<void> {
    const { events } = this.#parts;
    this.#refuseHeld(entry);
    const driver = this.#driver(entry.driver);
    await this.#leftovers.end(driver, entry.name, operation);
    await removeData(this.#parts, { driver, entry, action }, operation);
    this.#held.forget(entry.name);
    this.#missing.delete(entry.name);
    events.volume("destroy", entry.name, { driver: entry.driver });
    this.#parts.purger.noteChange();
  }

  /**
   * Makes a volume's data reachable for a holder and returns the absolute path. Repeating it for
   * the same holder changes nothing. The volume is in use until the holder unmounts.
   */
  async mount(name: string, holder: HolderId, operation: Operation): Promise<string> {
    const { state, leases, events, host } = this.#parts;
    this.inspect(name);
    await using _lease = await leases.acquire(`volume:${name}`, "exclusive", operation);
    const entry = this.inspect(name);
    const driver = this.#driver(entry.driver);
    await this.#held.tell(driver, entry, operation);
    this.#leftovers.add(entry.name, holder);
    const path = await mountData({ driver, entry, holder, missing: this.#missing }, operation);
    if (this.#isHeldBy(entry, holder)) {
      this.#leftovers.settle(entry.name, holder);
      return path;
    }
    try {
      const used = entry.usedAtMs !== null ? entry : await this.#used(driver, entry, operation);
      await state.write((transaction) => {
        if (used !== entry) transaction.putVolume(used);
        transaction.putHolder({ volume: entry.name, holder, sinceMs: host.nowMs() });
        transaction.addHistory(historyEntry(host, "mount", entry, operation));
      });
    } catch (error) {
      // Nobody gets the path, so nobody would end this mount.
      await this.#leftovers.end(driver, entry.name, operation).catch((left: unknown) =>
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

  /** Ends one holder's mount. Unmounting what is not mounted succeeds. */
  async unmount(name: string, holder: HolderId, operation: Operation): Promise<void> {
    const { state, leases, events } = this.#parts;
    this.inspect(name);
    await using _lease = await leases.acquire(`volume:${name}`, "exclusive", operation);
    const entry = this.inspect(name);
    const driver = this.#driver(entry.driver);
    // A holder whose mount cannot be repeated has none that this unmount could take from it.
    await this.#held.tell(driver, entry, operation).catch((error: unknown) =>
      operation.log.warn("holders of the last start have nothing mounted", {
        volume: entry.name,
        error: toEngineError(error).message,
      }),
    );
    // Also for a holder without a row: its mount may have been left by one that failed.
    await driver.unmount(entry.name, holder, operation);
    this.#leftovers.settle(entry.name, holder);
    if (!this.#isHeldBy(entry, holder)) return;
    await state.write((transaction) => {
      transaction.removeHolder(entry.name, holder);
      transaction.addHistory(historyEntry(this.#parts.host, "unmount", entry, operation));
    });
    events.volume("unmount", entry.name, { container: holder, driver: entry.driver });
  }

  #isHeldBy({ name }: VolumeEntry, holder: HolderId): boolean {
    return this.#parts.state.read((view) =>
      view.holders(name).some((one) => one.holder === holder),
    );
  }

  #refuseHeld({ name }: VolumeEntry): void {
    const holders = this.#parts.state.read((view) => view.holders(name));
    if (holders.length === 0) return;
    const ids = holders.map((each) => each.holder);
    throw new EngineError(
      "volume.in_use",
      `remove ${name}: volume is in use - [${ids.join(", ")}]`,
      { details: { holders: ids } },
    );
  }

  /** The volume of this name, unless it is half made: that one is no answer yet. */
  #existing(name: string, driver: string | undefined): VolumeEntry | undefined {
    const entry = this.#parts.state.read((view) => view.volume(name));
    if (entry === undefined || entry.phase === "creating" || this.#making.has(name)) return;
    if (!driver || entry.driver === driver) return entry;
    throw new EngineError(
      "volume.exists_differently",
      `driver '${entry.driver}' already has volume '${name}': volume name must be unique`,
      { details: { driver: entry.driver } },
    );
  }

  #driver(text: string): VolumeDriver {
    const driver = this.#parts.drivers.get(text);
    if (driver !== undefined) return driver;
    parseDriverName(text);
    throw new EngineError(
      "driver.not_found",
      `error looking up volume plugin ${text}: plugin "${text}" not found`,
      { details: { driver: text } },
    );
  }

  /** One commit: the row is the truth, and the next start makes again what a crash left unmade. */
  async #createFromRow(
    rebuild: NonNullable<VolumeDriver["rebuild"]>,
    wanted: Wanted,
    operation: Operation,
  ): Promise<VolumeEntry> {
    const { state } = this.#parts;
    const spec = { name: wanted.name, options: wanted.options ?? {} };
    const record = rebuild.describe(spec);
    const entry: VolumeEntry = { ...wanted, ...record, options: wanted.options, phase: "ready" };
    await this.#put(entry, "create", operation);
    let made: VolumeRecord;
    try {
      made = rebuild.createNow(spec);
    } catch (error) {
      await state.write((transaction) => {
        transaction.removeVolume(entry.name);
        transaction.addHistory(historyEntry(this.#parts.host, "undo", entry, operation));
      });
      throw error;
    }
    if (made.identity === "") return entry;
    // Somebody has put a directory here meanwhile: it may hold data, so it counts as used.
    const found = { ...entry, identity: made.identity, usedAtMs: this.#parts.host.nowMs() };
    await state.write((transaction) => transaction.putVolume(found));
    return found;
  }

  /**
   * Two commits around an effect that a row cannot make again. Recovery forgets, never destroys.
   */
  async #createBracketed(
    driver: VolumeDriver,
    wanted: Wanted,
    operation: Operation,
  ): Promise<VolumeEntry> {
    const { state, host } = this.#parts;
    const spec = { name: wanted.name, options: wanted.options ?? {} };
    const started: VolumeEntry = { ...wanted, createdAtMs: host.nowMs(), phase: "creating" };
    await state.write((transaction) => transaction.putVolume(started));
    try {
      const record = await driver.create(spec, operation);
      const entry: VolumeEntry = { ...wanted, ...record, options: wanted.options, phase: "ready" };
      await this.#put(entry, "create", operation);
      return entry;
    } catch (error) {
      await state.write((transaction) => transaction.removeVolume(wanted.name));
      throw error;
    }
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

  async #put(entry: VolumeEntry, action: HistoryAction, operation: Operation): Promise<void> {
    await this.#parts.state.write((transaction) => {
      transaction.putVolume(entry);
      transaction.addHistory(historyEntry(this.#parts.host, action, entry, operation));
    });
  }
}

type Wanted = Omit<VolumeEntry, "createdAtMs" | "phase">;

/** What a volume is before its driver has answered. */
const unmade = { origin: "made", mountpoint: "", identity: "", usedAtMs: null } as const;

/** Docker's text; an empty name has one of its own. */
export function notFound(name: string): EngineError {
  const subject = name === "" ? "get" : `get ${name}`;
  return new EngineError("volume.not_found", `${subject}: no such volume`, { details: { name } });
}
