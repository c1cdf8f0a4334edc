// The volumes: what happens when one is created, looked at, mounted, unmounted or removed.
import type { VolumeDriver } from "../core/driver.ts";
import { driverDeadlinesMs } from "../core/driver-deadlines.ts";
import { EngineError, toEngineError } from "../core/errors.ts";
import type { Host } from "../core/host.ts";
import type { Lease, LeaseService } from "../core/lease-service.ts";
import { type HolderId, parseVolumeName, type VolumeName } from "../core/names.ts";
import type { Operation } from "../core/operation.ts";
import type {
  Labels,
  RetiredEntry,
  StateStore,
  StateView,
  VolumeEntry,
} from "../core/state-store.ts";
import { refuseMoving } from "./adoption/moving.ts";
import { dropAlias, refuseAlias, resolved } from "./aliases.ts";
import { makeVolume, unmade, type Wanted } from "./creation.ts";
import { checkDescription } from "./description.ts";
import type { Drivers } from "./drivers.ts";
import { checkNewOptions } from "./engine-options.ts";
import type { EventLog } from "./event-log.ts";
import { existingVolume, makeAgain } from "./existing.ts";
import type { History } from "./history.ts";
import { HeldMounts } from "./holds/held-mounts.ts";
import { Holders } from "./holds/holders.ts";
import { refuseProtected } from "./protection.ts";
import type { UnfinishedRemovals } from "./recovery/unfinished-removals.ts";
import type { UnfinishedRenames } from "./recovery/unfinished-renames.ts";
import { type RemovalAction, refuseShown, removeData } from "./removal.ts";
import { secretLease } from "./secret-lease.ts";
import type { TrashDefaults } from "./trash/policy.ts";
import type { Purger } from "./trash/purger.ts";
import type { UseGuard } from "./use-guard.ts";
import { ANONYMOUS_LABEL, selects, type VolumeFilter } from "./volume-filter.ts";

/** Docker's driver when none is given. */
const DEFAULT_DRIVER = "local";
/** Bytes of randomness in the name of a volume that was given none: 64 hex digits, as in Docker. */
const ANONYMOUS_NAME_BYTES = 32;

/** How long a plugin that is not ready is waited for by a removal that does not need it. */
const FORCED_MS_MAX = 2_000;

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
  readonly drivers: Drivers;
  readonly events: EventLog;
  readonly purger: Purger;
  readonly host: Host;
  readonly unfinished: UnfinishedRemovals;
  readonly unfinishedRenames: UnfinishedRenames;
  readonly history: Pick<History, "refused">;
  readonly guard: UseGuard;
  readonly trashDefaults: TrashDefaults;
  /** Called when a removal finds the disk full. See `Trash.makeRoom`. */
  readonly makeRoom: (operation: Operation) => Promise<boolean>;
  /** See `StorageCare.follow`. */
  readonly follow: (entry: VolumeEntry, operation: Operation) => Promise<void>;
  /** Volumes that were used and whose data the start did not find. */
  readonly missing: readonly VolumeName[];
  /** Whether a volume is a plugin's that answers, and says that it does not have it. */
  readonly isUnlisted: (entry: VolumeEntry) => boolean;
}

export class VolumeEngine {
  readonly #parts: VolumeEngineParts;
  /** What holders have mounted, for whoever sees drivers go and come back. */
  readonly held: HeldMounts;
  /** Mounts and unmounts, for callers that have the volume's lease. */
  readonly holders: Holders;
  /** Names whose creation is under way: until it has ended their rows may be taken back. */
  readonly #making = new Set<string>();

  /** Volumes whose data was missing when it was last looked for. */
  readonly #missing: Set<VolumeName>;

  constructor(parts: VolumeEngineParts) {
    this.#parts = parts;
    this.#missing = new Set(parts.missing);
    this.held = new HeldMounts({ ...parts, missing: this.#missing });
    this.holders = new Holders({ ...parts, held: this.held, missing: this.#missing });
  }

  /**
   * Creates a volume, or returns the existing one of that name whatever else was asked, as Docker
   * does; where its plugin no longer lists it, it is made there anew. Resolves when it is on disk.
   * Throws `volume.exists_differently` when another driver has the name, `driver.not_found`,
   * `plugin.*`, `volume.name_invalid`, `volume.option_invalid`, `request.invalid`, `storage.*`.
   */
  async create(request: CreateRequest, operation: Operation): Promise<VolumeEntry> {
    const { leases, drivers } = this.#parts;
    const isNamed = request.name !== undefined && request.name !== "";
    const text = isNamed ? String(request.name) : this.#parts.host.randomHex(ANONYMOUS_NAME_BYTES);
    const existing = this.#existing(text, request.driver);
    if (existing !== undefined) return await this.#listed(existing, operation);
    const driver = await drivers.find(request.driver || DEFAULT_DRIVER);
    const name = parseVolumeName(text);
    checkNewOptions(driver, request.options);
    checkDescription(name, request);
    await using _lease = await leases.acquire(`volume:${name}`, "exclusive", operation);
    // Somebody else may have been first while this one waited.
    const winner = this.#existing(name, request.driver);
    if (winner !== undefined) return winner;
    await using _secret = await secretLease(leases, driver, request.options, operation);
    await this.clear(driver, name, operation);

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
    const making = makeVolume(this.#parts, { driver, wanted }, operation);
    const entry = await making.finally(() => this.#making.delete(name));
    this.#parts.events.volume("create", name, { driver: driver.name });
    this.#parts.purger.noteChange();
    return entry;
  }

  /** A volume that is there, and of a plugin that has forgotten it one that is there again. */
  async #listed(existing: VolumeEntry, operation: Operation): Promise<VolumeEntry> {
    const { isUnlisted } = this.#parts;
    if (!isUnlisted(existing)) return existing;
    await using _lease = await this.lease(existing.name, operation);
    const entry = this.inspect(existing.name);
    if (isUnlisted(entry)) await makeAgain(this.#parts, entry, operation);
    return entry;
  }

  /**
   * Before a volume is made under a name, by who has its lease: what is left there of an unfinished
   * removal or rename goes to its place. Throws `volume.unknown` and what the driver throws.
   */
  async clear(driver: VolumeDriver, name: VolumeName, operation: Operation): Promise<void> {
    const { unfinished, unfinishedRenames } = this.#parts;
    if (unfinished.has(driver, name)) await unfinished.finish(driver, name, operation);
    await unfinishedRenames.finish(name, operation);
  }

  /** The name of the volume that an alias means; any other name as it is. */
  resolve(name: string): string {
    return this.#parts.state.read((view) => resolved(view, name));
  }

  /**
   * The volume of this name or alias; the entry has its real name. Never asks a driver. Throws
   * `volume.not_found`.
   */
  inspect(name: string): VolumeEntry {
    const entry = this.#parts.state.read((view) => view.volume(resolved(view, name)));
    if (entry === undefined || isUnseen(entry)) throw notFound(name);
    return entry;
  }

  /**
   * The volumes a filter selects, in the order of creation, without those that are only being
   * made. Never asks a driver. O(volumes).
   */
  list(filter: VolumeFilter): readonly VolumeEntry[] {
    return this.#parts.state.read((view) => {
      const isHeld = (entry: VolumeEntry) => this.holderCount(entry, view) > 0;
      const entries: VolumeEntry[] = [];
      for (const entry of view.volumes()) {
        if (!isUnseen(entry) && selects(filter, entry, isHeld)) entries.push(entry);
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
      for (const entry of view.volumes()) {
        if (entry.name > after && !isUnseen(entry)) names.push(entry.name);
      }
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
    return this.held.unmounted;
  }

  isUnmounted(name: VolumeName): boolean {
    return this.held.isUnmounted(name);
  }

  /** Whether a volume of this name is just being made. */
  isMaking(name: string): boolean {
    return this.#making.has(name);
  }

  /**
   * Removes a volume: out of sight at once and durably. It stays in the trash for its time, or with
   * `purge` not at all, which wants its own name. A plugin removes its own at once; with `force`
   * the name is free whatever the plugin says. Of an alias only the alias goes. Throws
   * `volume.not_found`, `volume.protected`, `volume.in_use`, `volume.data_foreign`, `storage.*`,
   * `plugin.*`.
   */
  async remove(name: string, operation: Operation, how: RemoveHow = {}): Promise<void> {
    try {
      await this.#removeOnce(name, how, operation);
    } catch (error) {
      const isFull = toEngineError(error).code === "storage.full";
      if (!isFull || !(await this.#parts.makeRoom(operation))) throw error;
      await this.#removeOnce(name, how, operation);
    }
  }

  async #removeOnce(name: string, how: RemoveHow, operation: Operation): Promise<void> {
    // Whoever wants data destroyed is not to be told that it is, when only a name has gone.
    if (how.purge) {
      refuseAlias(
        this.#parts.state.read((view) => view.alias(name)),
        "purge",
      );
    }
    if (await this.dropAlias(name, operation)) return;
    const found = this.inspect(name);
    try {
      await this.settle(found, "remove", operation);
      await using _lease = await this.lease(found.name, operation);
      // By this very name: it may have been renamed, and what has the name as an alias stays.
      const entry = this.#parts.state.read((view) => view.volume(found.name));
      if (entry === undefined) throw notFound(name);
      await this.removeHeld(entry, "remove", operation, how);
    } catch (error) {
      if (toEngineError(error).code !== "volume.not_found") {
        this.#parts.history.refused({ action: "remove", entry: found }, error, operation);
      }
      throw error;
    }
  }

  /** Ends an alias; see `dropAlias`. Returns false for what is none. */
  dropAlias(alias: string, operation: Operation): Promise<boolean> {
    const lease = this.lease.bind(this);
    return dropAlias(this.#parts, { alias, lease }, operation);
  }

  /**
   * Before the lease of a volume that must be unused is asked for: ends holds that nobody has any
   * more. What a dead server keeps waiting is held, and whoever asks is told so at once: throws as
   * `UseGuard.refuseInUse`.
   */
  async settle(entry: VolumeEntry, what: string, operation: Operation): Promise<void> {
    const { guard } = this.#parts;
    if (this.held.isMounting(entry.name)) await guard.refuseInUse(entry, what, operation);
    await guard.settle([entry.name], operation);
  }

  /** `remove` for a caller that holds the volume's lease. Returns what is in the trash now. */
  async removeHeld(
    entry: VolumeEntry,
    action: "remove" | "prune",
    operation: Operation,
    how: RemoveHow = {},
  ): Promise<RetiredEntry | undefined> {
    const { drivers } = this.#parts;
    const isOfPlugin = drivers.isOfPlugin(entry.driver);
    const isForced = how.force === true && isOfPlugin;
    refuseProtected(entry, action);
    refuseMoving(entry);
    await this.#parts.guard.refuseInUse(entry, action, operation, isForced);
    if (!isForced) drivers.refuseAbsent(entry);
    if (!isForced) await this.holders.endLeftovers(entry, operation);
    // What goes into the trash can come back: whoever goes on to write there loses nothing.
    if (how.purge && !isOfPlugin) {
      await refuseShown(this.#parts.host, { driver: drivers.of(entry), entry }, operation);
    }
    return await this.dropHeld(entry, action, operation, { ...how, force: isForced });
  }

  /** `removeHeld` for what is known to be in nobody's use, and not protected. */
  async dropHeld(
    entry: VolumeEntry,
    action: RemovalAction,
    operation: Operation,
    { purge: isForGood, force: isForced }: RemoveHow = {},
  ): Promise<RetiredEntry | undefined> {
    const { drivers } = this.#parts;
    const driver = drivers.of(entry);
    const forcedMs = drivers.isReady(entry.driver) ? driverDeadlinesMs.destroy : FORCED_MS_MAX;
    const removal = { driver, entry, action, isForGood, ...(isForced ? { forcedMs } : {}) };
    const retired = await removeData(this.#parts, removal, operation);
    this.forget(entry.name);
    this.#parts.events.volume("destroy", entry.name, { driver: entry.driver });
    this.#parts.purger.noteChange();
    return retired;
  }

  /** No volume has this name any more: what is known of it is forgotten. */
  forget(name: VolumeName): void {
    this.holders.forget(name);
    this.#missing.delete(name);
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

  /**
   * The lease of the volume that has this name or alias, which `holders` wants its callers to have:
   * `inspect` of the same text gives the volume that it is of. Of a name that nothing has, that
   * name's.
   */
  async lease(name: string, operation: Operation): Promise<Lease> {
    for (;;) {
      const real = this.resolve(name);
      const lease = await this.#parts.leases.acquire(`volume:${real}`, "exclusive", operation);
      if (this.resolve(name) === real) return lease;
      // It was renamed while this one waited.
      await lease[Symbol.asyncDispose]();
    }
  }

  #existing(name: string, driver: string | undefined): VolumeEntry | undefined {
    // Of one that is being made the row is there already, and may be taken back.
    return this.#making.has(name) ? undefined : existingVolume(this.#parts, name, driver);
  }
}

/** How a volume is removed. */
export interface RemoveHow {
  /** For good, at once: it does not stay in the trash. */
  readonly purge?: boolean | undefined;
  /** A plugin's volume is forgotten also when its plugin does not remove it. */
  readonly force?: boolean | undefined;
}

/** Whether nobody has been told that it is there. */
function isUnseen({ phase }: VolumeEntry): boolean {
  return phase === "creating";
}

/** Docker's text; an empty name has one of its own. */
export function notFound(name: string): EngineError {
  const subject = name === "" ? "get" : `get ${name}`;
  return new EngineError("volume.not_found", `${subject}: no such volume`, { details: { name } });
}
