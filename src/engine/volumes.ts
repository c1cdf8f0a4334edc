// The volumes: what happens when one is created, looked at, mounted, unmounted or removed.
import type { VolumeDriver, VolumeRecord } from "../core/driver.ts";
import { EngineError, toEngineError } from "../core/errors.ts";
import type { Host } from "../core/host.ts";
import type { Lease, LeaseService } from "../core/lease-service.ts";
import { type HolderId, parseDriverName, parseVolumeName, type VolumeName } from "../core/names.ts";
import type { Operation } from "../core/operation.ts";
import type {
  HistoryAction,
  Labels,
  RetiredEntry,
  StateStore,
  StateView,
  VolumeEntry,
} from "../core/state-store.ts";
import { checkDescription, unsaid } from "./description.ts";
import { checkEngineOptions, driverOptions } from "./engine-options.ts";
import type { EventLog } from "./event-log.ts";
import { HeldMounts } from "./held-mounts.ts";
import { historyEntry } from "./history-entry.ts";
import { Holders } from "./holders.ts";
import { isMoving, moving, refuseMoving } from "./moving.ts";
import { refuseProtected } from "./protection.ts";
import type { Purger } from "./purger.ts";
import { type RemovalAction, removeData } from "./removal.ts";
import type { TrashDefaults } from "./trash-policy.ts";
import type { UnfinishedRemovals } from "./unfinished-removals.ts";
import type { UseGuard } from "./use-guard.ts";
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
  readonly guard: UseGuard;
  readonly trashDefaults: TrashDefaults;
  /** Called when a removal finds the disk full. */
  readonly wantSpace: () => void;
  /** Volumes that were used and whose data the start did not find. */
  readonly missing: readonly VolumeName[];
}

export class VolumeEngine {
  readonly #parts: VolumeEngineParts;
  readonly #held: HeldMounts;
  /** Mounts and unmounts, for callers that have the volume's lease. */
  readonly holders: Holders;
  /** Names whose creation is under way: until it has ended their rows may be taken back. */
  readonly #making = new Set<string>();

  /** Volumes whose data was missing when it was last looked for. */
  readonly #missing: Set<VolumeName>;

  constructor(parts: VolumeEngineParts) {
    this.#parts = parts;
    this.#missing = new Set(parts.missing);
    this.#held = new HeldMounts({ ...parts, missing: this.#missing });
    this.holders = new Holders({
      ...parts,
      held: this.#held,
      missing: this.#missing,
      driverOf: (entry) => this.#driver(entry.driver),
    });
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
    checkEngineOptions(request.options);
    driver.validate(driverOptions(request.options));
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
      const isHeld = (entry: VolumeEntry) => this.holderCount(entry, view) > 0;
      const entries: VolumeEntry[] = [];
      for (const entry of view.volumes()) {
        if (selects(filter, entry, isHeld)) entries.push(entry);
      }
      return entries;
    });
  }

  /** Docker's RefCount: containers that exist, or holders where no engine has told of any. */
  holderCount({ name }: VolumeEntry, view: StateView): number {
    const rows = view.holders(name);
    const listedCount = this.#parts.guard.listedCount(name);
    if (listedCount === 0) return rows.length;
    return listedCount + rows.filter(({ kind }) => kind === "client").length;
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
   * Removes a volume: out of sight at once and durably. It stays in the trash for its time, or with
   * `purge` not at all. Throws `volume.not_found`, `volume.protected`, `volume.in_use`,
   * `volume.data_foreign`, `storage.*`.
   */
  async remove(name: string, operation: Operation, how = notForGood): Promise<void> {
    const found = this.inspect(name);
    // What a dead server keeps waiting is held, and whoever asks is told so at once.
    if (this.#held.isMounting(name)) await this.#parts.guard.refuseInUse(found, operation);
    await this.#parts.guard.settle([name], operation);
    await using _lease = await this.lease(name, operation);
    await this.removeHeld(this.inspect(name), "remove", operation, how);
  }

  /** `remove` for a caller that holds the volume's lease. Returns what is in the trash now. */
  async removeHeld(
    entry: VolumeEntry,
    action: "remove" | "prune",
    operation: Operation,
    how = notForGood,
  ): Promise<RetiredEntry | undefined> {
    refuseProtected(entry, action);
    refuseMoving(entry);
    await this.#parts.guard.refuseInUse(entry, operation);
    await this.holders.endLeftovers(entry, operation);
    return await this.dropHeld(entry, action, operation, how);
  }

  /** `removeHeld` for what is known to be in nobody's use, and not protected. */
  async dropHeld(
    entry: VolumeEntry,
    action: RemovalAction,
    operation: Operation,
    { purge: isForGood } = notForGood,
  ): Promise<RetiredEntry | undefined> {
    const driver = this.#driver(entry.driver);
    const removal = { driver, entry, action, isForGood };
    const retired = await removeData(this.#parts, removal, operation).catch((error: unknown) => {
      if (toEngineError(error).code === "storage.full") this.#parts.wantSpace();
      throw error;
    });
    this.holders.forget(entry.name);
    this.#missing.delete(entry.name);
    this.#parts.events.volume("destroy", entry.name, { driver: entry.driver });
    this.#parts.purger.noteChange();
    return retired;
  }

  /**
   * Makes a volume's data reachable for a client of Holdfast's own and returns the absolute path.
   * Repeating it for the same holder changes nothing. The volume is in use until the holder
   * unmounts.
   */
  async mount(name: string, holder: HolderId, operation: Operation): Promise<string> {
    this.inspect(name);
    await using _lease = await this.lease(name, operation);
    const who = { holder, kind: "client" } as const;
    return await this.holders.mount(this.inspect(name), who, operation);
  }

  /** Ends one holder's mount. Unmounting what is not mounted succeeds. */
  async unmount(name: string, holder: HolderId, operation: Operation): Promise<void> {
    this.inspect(name);
    await using _lease = await this.lease(name, operation);
    await this.holders.unmount(this.inspect(name), { holder }, operation);
  }

  /** The lease of a volume, which `holders` wants its callers to have. */
  lease(name: string, operation: Operation): Promise<Lease> {
    return this.#parts.leases.acquire(`volume:${name}`, "exclusive", operation);
  }

  /** The volume of this name, unless it is half made: that one is no answer yet. */
  #existing(name: string, driver: string | undefined): VolumeEntry | undefined {
    const entry = this.#parts.state.read((view) => view.volume(name));
    if (entry === undefined || entry.phase === "creating" || this.#making.has(name)) return;
    if (isMoving(entry)) throw moving(entry);
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
    const spec = { name: wanted.name, options: driverOptions(wanted.options) };
    const record = rebuild.describe(spec);
    const entry: VolumeEntry = { ...wanted, ...record, options: wanted.options, phase: "ready" };
    await this.#put(entry, "create", operation);
    let made: VolumeRecord;
    try {
      made = rebuild.createNow(spec);
    } catch (error) {
      await state.write((transaction) => {
        transaction.removeVolume(entry.name);
        transaction.addHistory(
          historyEntry(this.#parts.host, { action: "undo", entry }, operation),
        );
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
    const spec = { name: wanted.name, options: driverOptions(wanted.options) };
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

  async #put(entry: VolumeEntry, action: HistoryAction, operation: Operation): Promise<void> {
    await this.#parts.state.write((transaction) => {
      transaction.putVolume(entry);
      transaction.addHistory(historyEntry(this.#parts.host, { action, entry }, operation));
    });
  }
}

type Wanted = Omit<VolumeEntry, "createdAtMs" | "phase">;

/** How a volume is removed when nobody says. */
const notForGood: { readonly purge: boolean } = { purge: false };

/** What a volume is before its driver has answered. */
const unmade = { origin: "made", mountpoint: "", identity: "", usedAtMs: null, ...unsaid } as const;

/** Docker's text; an empty name has one of its own. */
export function notFound(name: string): EngineError {
  const subject = name === "" ? "get" : `get ${name}`;
  return new EngineError("volume.not_found", `${subject}: no such volume`, { details: { name } });
}
