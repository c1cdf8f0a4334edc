// Volumes of another engine come under Holdfast by renaming their data, and go back (decision
// 0008).
import { EngineError, toEngineError } from "../../core/errors.ts";
import type { ForeignVolume, ForeignVolumes } from "../../core/foreign-volumes.ts";
import type { Host } from "../../core/host.ts";
import { parseVolumeName, type VolumeName } from "../../core/names.ts";
import type { Operation } from "../../core/operation.ts";
import type { StateTransaction, VolumeEntry } from "../../core/state-store.ts";
import { refuseAlias } from "../aliases.ts";
import { unsaid } from "../description.ts";
import { driverOptions } from "../engine-options.ts";
import { refuseProtected } from "../protection.ts";
import { type RemovalParts, removeData } from "../removal.ts";
import type { UseGuard } from "../use-guard.ts";
import {
  type AdoptionPlan,
  obstacleTo,
  otherFileSystem,
  placeOf,
  usedBy,
} from "./adoption-plan.ts";
import {
  ADOPTING_DRIVER,
  type FinisherParts,
  MoveFinisher,
  type MovingDriver,
  movingDriver,
  prepareShell,
} from "./move-finisher.ts";
import { refuseMoving } from "./moving.ts";

export interface AdoptionParts extends RemovalParts, FinisherParts {
  readonly host: Host;
  readonly guard: UseGuard;
}

/** An adoption that has begun: its row is written. */
interface Intent {
  readonly entry: VolumeEntry;
  readonly foreign: ForeignVolumes;
  /** The engine was not known before. */
  readonly isNewEngine: boolean;
}

export class Adoptions {
  readonly #parts: AdoptionParts;
  readonly #finisher: MoveFinisher;

  constructor(parts: AdoptionParts) {
    this.#parts = parts;
    this.#finisher = new MoveFinisher(parts);
  }

  /** Volumes on the way, by name. */
  get unfinished(): readonly VolumeName[] {
    return this.#finisher.unfinished;
  }

  /** Goes on, in the background, with what the last life left unfinished. */
  start(): void {
    this.#finisher.start();
  }

  /** Ends attempts in the background. */
  stop(): Promise<void> {
    return this.#finisher.stop();
  }

  /**
   * All `local` volumes of an engine and what keeps each from being adopted. Throws
   * `containers.unreachable`, and `request.invalid` for a key of no Docker Engine.
   */
  async plan(key: string, operation: Operation): Promise<readonly AdoptionPlan[]> {
    const volumes = await this.#foreign(key).list(operation);
    return volumes.map((volume) => ({ volume, obstacle: this.#obstacleTo(volume) }));
  }

  /**
   * Brings a `local` volume of an engine under Holdfast and returns it. Repeating it goes on with
   * what was cut short, and returns what is adopted. Throws `adoption.*`, `volume.*`,
   * `containers.unreachable`, `storage.*`; the volume is the engine's then, as before, unless the
   * message says that Holdfast has it.
   */
  async adopt(text: string, key: string, operation: Operation): Promise<VolumeEntry> {
    const foreign = this.#foreign(key);
    const name = parseVolumeName(text);
    await using _lease = await this.#parts.volumes.lease(name, operation);
    const row = this.#row(name);
    if (row?.phase === "adopting") return await this.#finisher.finish(row, operation);
    if (row !== undefined) refuseMoving(row);
    const volume = await foreign.find(name, operation);
    if (volume === undefined && row?.phase === "ready") return row;
    if (volume === undefined) {
      throw new EngineError("volume.not_found", `${key} has no local volume ${name}`, {
        details: { name },
      });
    }
    const obstacle = this.#obstacleTo(volume);
    if (obstacle !== undefined) throw obstacle;
    const intent = await this.#intend(name, volume, foreign, operation);
    await this.#fetch(intent, operation);
    if ((await this.#forget(intent, operation)) === "in use") {
      await this.#takeBack(intent, operation);
      const now = await foreign.find(name, operation);
      throw usedBy(name, now?.users ?? []);
    }
    return await this.#finisher.settle(intent.entry, "adopt", operation);
  }

  /**
   * Gives a volume to an engine, as a `local` one, and ends it here. Repeating it goes on with what
   * was cut short. Throws `volume.*`, `adoption.*`, `containers.unreachable`, `storage.*`; the
   * volume is Holdfast's then, as before.
   */
  async release(text: string, key: string, operation: Operation): Promise<void> {
    const { volumes, guard, state } = this.#parts;
    const foreign = this.#foreign(key);
    refuseAlias(
      state.read((view) => view.alias(text)),
      "release",
    );
    const { name } = volumes.inspect(text);
    await guard.settle([name], operation);
    await using _lease = await volumes.lease(name, operation);
    let entry = volumes.inspect(name);
    if (this.#isThere(entry)) {
      await volumes.dropHeld(entry, "release", operation);
      return;
    }
    if (entry.phase === "releasing") entry = await this.#finisher.finish(entry, operation);
    refuseMoving(entry);
    refuseProtected(entry, "release");
    const data = await this.#releasable(entry, foreign, operation);
    const releasing = { ...entry, phase: "releasing" } as const;
    await state.write((transaction) => {
      transaction.putVolume(releasing);
      this.#remember(foreign, transaction);
    });
    try {
      const { labels } = entry;
      const spec = { name, options: driverOptions(entry.options), labels };
      const { mountpoint, isHere } = await foreign.create(spec, operation);
      if (!isHere) throw new EngineError("adoption.refused", `${mountpoint} is not here`);
      const there = { ...releasing, mountpoint, identity: data.identity };
      await state.write((transaction) => transaction.putVolume(there));
      await this.#move(name, entry.mountpoint, mountpoint);
      await volumes.dropHeld(there, "release", operation);
    } catch (error) {
      await this.#keep(entry, operation);
      throw error;
    }
  }

  #foreign(key: string): ForeignVolumes {
    const foreign = this.#parts.foreign.of(key);
    if (foreign !== undefined) return foreign;
    throw new EngineError(
      "request.invalid",
      `engine ${JSON.stringify(key)}: docker:/path/of/docker.sock is needed`,
      { details: { field: "engine", value: key } },
    );
  }

  get #driver(): MovingDriver {
    return movingDriver(this.#parts.drivers);
  }

  #row(name: VolumeName): VolumeEntry | undefined {
    return this.#parts.state.read((view) => view.volume(name));
  }

  #place(name: VolumeName): string {
    return placeOf({ driver: this.#driver }, name);
  }

  #obstacleTo(volume: ForeignVolume): EngineError | undefined {
    const { state, host, places } = this.#parts;
    return obstacleTo({ state, host, places, driver: this.#driver }, volume);
  }

  /** The row that knows where the data is, before anything is done to it. */
  async #intend(
    name: VolumeName,
    volume: ForeignVolume,
    foreign: ForeignVolumes,
    operation: Operation,
  ): Promise<Intent> {
    const { state, host, places, volumes } = this.#parts;
    const driver = this.#driver;
    await volumes.clear(driver, name, operation);
    const presence = await driver.get(name, operation);
    if (presence.state !== "absent") {
      throw new EngineError(
        "volume.exists_differently",
        `something is in the place of the volume ${name} below Holdfast's root`,
      );
    }
    const data = places.look(volume.mountpoint);
    if (data === undefined) {
      throw new EngineError("volume.data_missing", `${volume.mountpoint} is not there`);
    }
    const { labels, options, createdAtMs, mountpoint } = volume;
    const entry: VolumeEntry = {
      ...{ name, labels, options, createdAtMs, mountpoint },
      driver: driver.name,
      scope: driver.scope,
      origin: "made",
      phase: "adopting",
      identity: data.identity,
      // It may hold data: it is never made again.
      usedAtMs: host.nowMs(),
      ...unsaid,
    };
    const isNewEngine = await state.write((transaction) => {
      transaction.putVolume(entry);
      return this.#remember(foreign, transaction);
    });
    return { entry, foreign, isNewEngine };
  }

  /** The engine is asked after a crash, and has containers with ours. True: it was not known. */
  #remember({ key }: ForeignVolumes, transaction: StateTransaction): boolean {
    if ([...transaction.engines()].some((engine) => engine.key === key)) return false;
    transaction.putEngine({ key, sinceMs: this.#parts.host.nowMs() });
    return true;
  }

  /** Brings the data here; when it throws, all is as it was. */
  async #fetch(intent: Intent, operation: Operation): Promise<void> {
    const { name, options, mountpoint } = intent.entry;
    try {
      this.#driver.rebuild.createNow({ name, options: driverOptions(options) });
      await this.#move(name, mountpoint, this.#place(name));
    } catch (error) {
      await this.#takeBack(intent, operation);
      throw error;
    }
  }

  /** Renames, and proves by the identity that it is the very directory. */
  async #move(name: VolumeName, from: string, to: string): Promise<void> {
    const { places } = this.#parts;
    const identity = places.look(from)?.identity;
    try {
      await places.move(from, to);
    } catch (thrown) {
      const error = toEngineError(thrown);
      if (error.code !== "adoption.other_file_system") throw error;
      throw otherFileSystem(name, from, to);
    }
    if (identity !== undefined && places.look(to)?.identity === identity) return;
    throw new EngineError("volume.data_missing", `${to} is not what was at ${from}`);
  }

  /** No adoption: data that was moved goes back, and what was made here goes away. */
  async #takeBack({ entry, foreign, isNewEngine }: Intent, operation: Operation): Promise<void> {
    const { places, state } = this.#parts;
    const ours = this.#place(entry.name);
    if (places.look(ours)?.identity === entry.identity) await places.move(ours, entry.mountpoint);
    await removeData(this.#parts, { driver: this.#driver, entry, action: "undo" }, operation);
    if (!isNewEngine) return;
    await state.write((transaction) => transaction.removeEngine(foreign.key));
  }

  /** Whatever the engine does now, and whenever, it finds no data at its place. */
  async #forget({ entry, foreign }: Intent, operation: Operation): Promise<"forgotten" | "in use"> {
    try {
      prepareShell(this.#parts.places, entry);
      return await foreign.forget(entry.name, operation);
    } catch (thrown) {
      const { message } = toEngineError(thrown);
      // The request may be done later: from here it only goes on.
      await this.#finisher.putOurs(entry, operation);
      this.#finisher.schedule();
      throw new EngineError(
        "volume.moving",
        `Holdfast has the data of ${entry.name}, and dockerd could not be told yet: ${message}`,
        { cause: thrown, details: { engine: foreign.key } },
      );
    }
  }

  /** Its data; throws what forbids to give it away. */
  async #releasable(entry: VolumeEntry, foreign: ForeignVolumes, operation: Operation) {
    const { guard, places, volumes } = this.#parts;
    const { name, driver, mountpoint } = entry;
    if (driver !== ADOPTING_DRIVER) {
      throw new EngineError(
        "adoption.refused",
        `release ${name}: its driver is ${driver}, and only volumes of ${ADOPTING_DRIVER} can go`,
      );
    }
    await guard.refuseInUse(entry, "release", operation).catch((thrown: unknown) => {
      const { code, details } = toEngineError(thrown);
      if (code !== "volume.in_use") throw thrown;
      const { holders } = details;
      const names = Array.isArray(holders) ? holders.join(", ") : String(holders);
      const message = `release ${name}: it is in use by ${names}`;
      throw new EngineError("adoption.in_use", message, { details });
    });
    await volumes.holders.endLeftovers(entry, operation);
    const data = places.look(mountpoint);
    if (data === undefined) {
      throw new EngineError("volume.data_missing", `${mountpoint} is not there`);
    }
    const theirs = await foreign.find(name, operation);
    if (theirs !== undefined && places.look(theirs.mountpoint)?.isEmpty !== true) {
      throw new EngineError(
        "volume.exists_differently",
        `release ${name}: dockerd has a local volume of this name with data in it`,
      );
    }
    return data;
  }

  /** No release: what the engine has made for it goes away. */
  async #keep(entry: VolumeEntry, operation: Operation): Promise<void> {
    const { state, places } = this.#parts;
    const row = this.#row(entry.name);
    // Without its data here there is nothing to keep: the release goes on at the next start.
    if (row === undefined || places.look(entry.mountpoint) === undefined) return;
    const releasing = { ...entry, phase: "releasing" } as const;
    await state.write((transaction) => transaction.putVolume(releasing));
    await this.#finisher.finish(releasing, operation).catch(() => this.#finisher.schedule());
  }

  /** Whether the data of a volume on its way is at the other engine's place. */
  #isThere({ phase, name, mountpoint, identity }: VolumeEntry): boolean {
    if (phase !== "releasing" || mountpoint === this.#place(name)) return false;
    return this.#parts.places.look(mountpoint)?.identity === identity;
  }
}
