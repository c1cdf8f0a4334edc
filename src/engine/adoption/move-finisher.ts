// Moves that could not be finished at once: another engine has still to forget its volume.
import type { RebuildCapable, VolumeDriver } from "../../core/driver.ts";
import { EngineError, toEngineError } from "../../core/errors.ts";
import type {
  DataPlaces,
  ForeignVolume,
  ForeignVolumes,
  ForeignVolumesFinder,
} from "../../core/foreign-volumes.ts";
import type { Host } from "../../core/host.ts";
import type { VolumeName } from "../../core/names.ts";
import type { Operation } from "../../core/operation.ts";
import type { HistoryAction, StateStore, VolumeEntry } from "../../core/state-store.ts";
import type { EventLog } from "../event-log.ts";
import { historyEntry } from "../history-entry.ts";
import type { VolumeEngine } from "../volumes.ts";
import { placeOf, usedBy } from "./adoption-plan.ts";
import { isMoving, moving } from "./moving.ts";

/** The driver whose volumes can be moved: it keeps them where dockerd's `local` does. */
export const ADOPTING_DRIVER = "local";

/** How long an unfinished move waits for its next attempt, in milliseconds. */
const RETRY_MS = 30_000;

export interface FinisherParts {
  readonly state: StateStore;
  readonly host: Pick<Host, "nowMs" | "programOf">;
  readonly drivers: ReadonlyMap<string, VolumeDriver>;
  readonly volumes: VolumeEngine;
  readonly events: EventLog;
  readonly foreign: ForeignVolumesFinder;
  readonly places: DataPlaces;
  /** A fresh operation on the daemon's own account. */
  readonly operation: () => Operation;
}

export type MovingDriver = VolumeDriver & { readonly rebuild: RebuildCapable };

/** Throws `adoption.refused` where the driver is missing. */
export function movingDriver(drivers: FinisherParts["drivers"]): MovingDriver {
  const driver = drivers.get(ADOPTING_DRIVER);
  if (driver?.rebuild === undefined) {
    throw new EngineError("adoption.refused", `there is no driver ${ADOPTING_DRIVER}`);
  }
  return { ...driver, rebuild: driver.rebuild };
}

/**
 * The place as it must be for dockerd to forget a volume whose data is gone. Without a data
 * directory no container starts on an empty one meanwhile. But a volume with options needs it as a
 * mount point: dockerd unmounts it first, and there the storage itself is elsewhere.
 */
export function prepareShell(
  places: DataPlaces,
  { mountpoint, options }: Pick<ForeignVolume, "mountpoint" | "options">,
): void {
  if (Object.keys(options ?? {}).length > 0) places.make(mountpoint);
  else places.removeEmpty(mountpoint);
}

export class MoveFinisher {
  readonly #parts: FinisherParts;
  readonly #stopping = new AbortController();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #attempt: Promise<void> = Promise.resolve();

  constructor(parts: FinisherParts) {
    this.#parts = parts;
  }

  /** Volumes on the way, by name. */
  get unfinished(): readonly VolumeName[] {
    return this.#parts.state.read((view) =>
      [...view.volumes()].filter(isMoving).map(({ name }) => name),
    );
  }

  /** Goes on, in the background, with what the last life left unfinished. */
  start(): void {
    this.#attempt = this.#finishAll();
  }

  /** Ends attempts in the background. */
  async stop(): Promise<void> {
    this.#stopping.abort(new EngineError("engine.stopping", "the daemon is shutting down"));
    clearTimeout(this.#timer);
    await this.#attempt;
  }

  /** Another attempt, later. */
  schedule(): void {
    if (this.#stopping.signal.aborted) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.#attempt = this.#finishAll();
    }, RETRY_MS);
    this.#timer.unref();
  }

  /**
   * The last part of a move whose data is here: no known engine (any may be the one) may have a
   * volume of the name, or an empty shell of one, which it is told to forget. Throws
   * `volume.moving`, `adoption.in_use` or `containers.unreachable` when that cannot be had now.
   */
  async finish(entry: VolumeEntry, operation: Operation): Promise<VolumeEntry> {
    const { places, state, foreign } = this.#parts;
    const place = this.#place(entry.name);
    const data = places.look(place);
    // Only a start takes back what never came here.
    const isOurs = entry.mountpoint === place || data?.identity === entry.identity;
    if (data === undefined || !isOurs) throw moving(entry);
    const keys = state.read((view) => [...view.engines()].map(({ key }) => key));
    for (const key of keys) {
      const engine = foreign.of(key);
      if (engine !== undefined) await this.#forgetShell(entry, engine, operation);
    }
    return await this.settle(entry, entry.phase === "adopting" ? "adopt" : "undo", operation);
  }

  async #forgetShell(
    entry: VolumeEntry,
    foreign: ForeignVolumes,
    operation: Operation,
  ): Promise<void> {
    const { places } = this.#parts;
    const { name } = entry;
    const theirs = await foreign.find(name, operation);
    if (theirs === undefined || !theirs.isHere) return;
    const data = places.look(theirs.mountpoint);
    if (data !== undefined && !data.isEmpty) {
      operation.log.warn("dockerd has another local volume of this name, which is left alone", {
        volume: name,
        path: theirs.mountpoint,
      });
      return;
    }
    if (theirs.users.length > 0) throw usedBy(name, theirs.users);
    prepareShell(places, theirs);
    if ((await foreign.forget(name, operation)) === "in use") throw moving(entry);
  }

  #place(name: VolumeName): string {
    return placeOf({ driver: movingDriver(this.#parts.drivers) }, name);
  }

  /** The entry with its place and identity here. */
  async #asOurs(entry: VolumeEntry, operation: Operation): Promise<VolumeEntry> {
    const presence = await movingDriver(this.#parts.drivers).get(entry.name, operation);
    const identity = presence.state === "found" ? presence.record.identity : entry.identity;
    return { ...entry, mountpoint: this.#place(entry.name), identity };
  }

  /** The row with its place and identity here, in the phase that it has. */
  async putOurs(entry: VolumeEntry, operation: Operation): Promise<void> {
    await this.#put(await this.#asOurs(entry, operation));
  }

  async #put(entry: VolumeEntry, action?: HistoryAction, operation?: Operation): Promise<void> {
    const { state, host } = this.#parts;
    await state.write((transaction) => {
      transaction.putVolume(entry);
      if (action === undefined || operation === undefined) return;
      transaction.addHistory(historyEntry(host, { action, entry }, operation));
    });
  }

  /** A volume like any other from now on. */
  async settle(
    entry: VolumeEntry,
    action: "adopt" | "undo",
    operation: Operation,
  ): Promise<VolumeEntry> {
    const ready = { ...(await this.#asOurs(entry, operation)), phase: "ready" } as const;
    await this.#put(ready, action, operation);
    if (action === "adopt") {
      this.#parts.events.volume("create", entry.name, { driver: entry.driver });
    }
    return ready;
  }

  async #finishAll(): Promise<void> {
    const made = this.#parts.operation();
    const signal = AbortSignal.any([made.signal, this.#stopping.signal]);
    const operation = { ...made, signal };
    let isLeft = false;
    for (const name of this.unfinished) {
      try {
        await using _lease = await this.#parts.volumes.lease(name, operation);
        const entry = this.#parts.state.read((view) => view.volume(name));
        if (entry !== undefined && isMoving(entry)) await this.finish(entry, operation);
      } catch (thrown) {
        isLeft = true;
        const { code, message } = toEngineError(thrown);
        const fields = { volume: name, code, error: message };
        operation.log.info("a move of a volume is not finished yet", fields);
      }
    }
    if (isLeft) this.schedule();
  }
}
