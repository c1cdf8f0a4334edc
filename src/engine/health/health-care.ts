// Mends storage that has died: a new mount for the volume, and on top of what its holders have.
//
// A hold's mount is shared, and what a container has is a slave of it (decision 0006): what is
// mounted on the hold reaches running containers at the same path. Whom it does not reach, and who
// sits on the dead mount, must restart: docs/decisions/0011-remote-storage.md.
import type { ContainerEngine } from "../../core/container-engine.ts";
import { EngineError, toEngineError } from "../../core/errors.ts";
import type { Host } from "../../core/host.ts";
import type { VolumeName } from "../../core/names.ts";
import type { Operation } from "../../core/operation.ts";
import type { PeerMount } from "../../core/peer-mount.ts";
import type { VolumeEntry } from "../../core/state-store.ts";
import type { ContainerLists } from "../container-lists.ts";
import type { Drivers } from "../drivers.ts";
import { engineOptions } from "../engine-options.ts";
import { layersAt, showsData } from "../holds/hold-places.ts";
import type { HoldSettler } from "../holds/hold-settler.ts";
import { groupsOf, type Hold, ownEnd } from "../holds/hold-table.ts";
import { pause } from "../pause.ts";
import type { VolumeEngine } from "../volumes.ts";
import type { HealthCare } from "./health-mending.ts";
import { LateStarts } from "./late-starts.ts";

/** Between the restarts of two containers, in milliseconds: they would all ask for their mounts. */
const RESTART_PAUSE_MS = 1_000;
/** For how long a container that was restarted is not restarted again, in milliseconds. */
const RESTART_AGAIN_MS = 600_000;

export interface HealthCareParts {
  readonly host: Host;
  readonly drivers: Pick<Drivers, "get">;
  readonly lists: ContainerLists;
  readonly settler: HoldSettler;
  readonly volumes: () => VolumeEngine;
}

/**
 * A container that has a dead mount, in the namespace in which it does: by a process that has been
 * in it since then, for the kernel gives its number to a new one.
 */
interface Stranded extends Pick<PeerMount, "namespace" | "container" | "pid"> {
  /** See `Host.processStart`. */
  readonly start: string | undefined;
}

export class StorageCare implements HealthCare {
  readonly #parts: HealthCareParts;
  readonly #stranded = new Map<VolumeName, readonly Stranded[]>();
  /** See `HealthCapable.mountCount`: what the holds have. */
  readonly #mountCounts = new Map<VolumeName, number>();
  /** When each container was last restarted, by the clock that only goes forward. */
  readonly #restartedMs = new Map<string, number>();
  #restarting: Promise<void> = Promise.resolve();
  readonly #lateStarts: LateStarts;
  readonly #stopping = new AbortController();

  constructor(parts: HealthCareParts) {
    this.#parts = parts;
    this.#lateStarts = new LateStarts(parts.lists);
  }

  /** Containers that must restart to see the volume again. Asks nobody. */
  mustRestart(name: VolumeName): ReadonlySet<string> {
    const stranded = this.#stranded.get(name);
    if (stranded === undefined) return new Set();
    const uses = this.#parts.settler.holdsOf(name).flatMap((hold) => hold.uses);
    const isThere = ({ namespace, pid, start }: Stranded) =>
      uses.some((use) => use.namespace === namespace) &&
      this.#parts.host.processStart(pid) === start;
    const left = stranded.filter(isThere);
    if (left.length === 0) this.#stranded.delete(name);
    else this.#stranded.set(name, left);
    return new Set(left.flatMap(({ container }) => container ?? []));
  }

  async heal(name: VolumeName, operation: Operation): Promise<void> {
    const { drivers } = this.#parts;
    const volumes = this.#parts.volumes();
    await using _lease = await volumes.lease(name, operation);
    const entry = volumes.inspect(name);
    const { health } = drivers.get(entry.driver) ?? {};
    try {
      await health?.heal(entry.name, operation);
    } catch (error) {
      // The dead mount may be gone all the same, and its server does not let anybody mount.
      const isThere = this.#parts.host.mounts().some(({ target }) => target === entry.mountpoint);
      if (!isThere) volumes.held.noteUnmounted(name);
      throw error;
    }
    await this.#follow(entry, "maybe", operation);
  }

  async mount(name: VolumeName, operation: Operation): Promise<void> {
    // What is mounted is brought to the holds as after each mount.
    await this.#parts.volumes().held.tellAgain(name, operation);
  }

  /**
   * After a mount, by whoever has the volume's lease: brings what is mounted at the volume's mount
   * point to those of its holds that have another mount. Never rejects: what fails is logged, and
   * tried again at the next mount.
   */
  async follow(entry: VolumeEntry, operation: Operation): Promise<void> {
    try {
      await this.#follow(entry, false, operation);
    } catch (error) {
      const facts = { volume: entry.name, error: toEngineError(error).message };
      operation.log.warn("what is mounted now could not be brought to all holders", facts);
    }
  }

  /** Starts what an engine could not start while it started up itself, when it answers again. */
  startLater(name: VolumeName, operation: Operation): void {
    const signal = AbortSignal.any([operation.signal, this.#stopping.signal]);
    this.#lateStarts.noteRefused(name);
    this.#lateStarts.noteAnswer(name, { ...operation, signal });
  }

  /** Starts what engines gave up on while nobody served the driver socket. In the background. */
  startUnserved(operation: Operation): void {
    const signal = AbortSignal.any([operation.signal, this.#stopping.signal]);
    this.#lateStarts.noteServing({ ...operation, signal });
  }

  /** A container engine was refused a volume because of its storage. */
  noteRefused(name: VolumeName): void {
    this.#lateStarts.noteRefused(name);
  }

  noteAnswer(name: VolumeName, operation: Operation): void {
    this.#lateStarts.noteAnswer(name, operation);
  }

  /** The end of this life. */
  async stop(): Promise<void> {
    this.#stopping.abort(new EngineError("engine.stopping", "the daemon is shutting down"));
    await this.#restarting;
    await this.#lateStarts.settled();
  }

  /** `otherwise`: whether it was mounted anew, where the driver does not count. */
  async #follow(entry: VolumeEntry, otherwise: false | "maybe", operation: Operation) {
    const { name } = entry;
    const { drivers } = this.#parts;
    const count = drivers.get(entry.driver)?.health?.mountCount?.(name);
    const isNew = count === undefined ? otherwise : count !== (this.#mountCounts.get(name) ?? 0);
    await this.#coverBehind(entry, isNew, operation);
    if (count !== undefined) this.#mountCounts.set(name, count);
  }

  async #coverBehind(
    entry: VolumeEntry,
    isNew: boolean | "maybe",
    operation: Operation,
  ): Promise<void> {
    const { host, settler } = this.#parts;
    const { name, mountpoint: data } = entry;
    if (settler.holdsOf(name).length === 0) return;
    const mounts = host.mounts();
    if (!mounts.some(({ target }) => target === data)) return;
    const behind = settler
      .holdsOf(name)
      .filter(({ group, path }) => group !== null && !showsData(mounts, { path, data, isNew }));
    if (behind.length === 0) return;
    // Who has what now: afterwards nobody can tell who was there before.
    settler.look(name);
    const stranded: Stranded[] = [];
    for (const hold of behind) stranded.push(...(await this.#cover(hold, data, operation)));
    if (stranded.length === 0) return;
    this.#stranded.set(name, [...(this.#stranded.get(name) ?? []), ...stranded]);
    const containers = [...this.mustRestart(name)];
    operation.log.warn("containers do not see a volume's new mount, or use the dead one", {
      volume: name,
      containers: containers.map((id) => this.#parts.lists.shownName(id)),
    });
    if (engineOptions(entry.options).onStale === "restart") this.#restart(containers, operation);
  }

  /** Mounts the data on a hold's mount. Returns who has no part in it. */
  async #cover(hold: Hold, data: string, operation: Operation): Promise<readonly Stranded[]> {
    const { host, settler } = this.#parts;
    settler.regroup(hold, layersAt(host.mounts(), hold.path));
    // What is there is dead, and asking it may take for ever: a helper does it.
    const request = { source: data, target: hold.path, mayHang: true } as const;
    const group = await host.bind(request, operation);
    settler.regroup(hold, { group, lowerGroups: groupsOf(hold) });
    const { mounts } = await host.peerMountsInTurns({
      groups: new Map([[group, ownEnd(hold.path)]]),
    });
    const reached = new Set(mounts.map(({ namespace, target }) => `${namespace} ${target}`));
    const stranded: Stranded[] = [];
    for (const use of hold.uses) {
      const { namespace, target, pid } = use;
      const isReached = reached.has(`${namespace} ${target}`);
      if (isReached && !(await host.sitsBelow(pid, target))) continue;
      stranded.push({ ...use, start: host.processStart(pid) });
    }
    return stranded;
  }

  /** One after the other, in the background; none of them twice within some minutes. */
  #restart(containers: readonly string[], operation: Operation): void {
    const { host } = this.#parts;
    const nowMs = host.monotonicMs();
    for (const [id, atMs] of this.#restartedMs) {
      if (nowMs - atMs > RESTART_AGAIN_MS) this.#restartedMs.delete(id);
    }
    const due = containers.filter((id) => !this.#restartedMs.has(id));
    for (const id of due) this.#restartedMs.set(id, nowMs);
    this.#restarting = this.#restarting.then(async () => {
      for (const id of due) {
        if (operation.signal.aborted) return;
        await this.#restartOne(id, operation);
        await pause(RESTART_PAUSE_MS);
      }
    });
  }

  async #restartOne(id: string, operation: Operation): Promise<void> {
    const { containers } = await this.#parts.lists.ask(operation);
    const found = containers.find((container) => container.id === id);
    const facts = { container: this.#parts.lists.shownName(id) };
    const engine: ContainerEngine | undefined = found?.engine;
    if (engine === undefined) return operation.log.warn("a container cannot be restarted", facts);
    try {
      await engine.restart(id, operation);
      operation.log.info("a container was restarted: its storage had died under it", facts);
    } catch (error) {
      const { message } = toEngineError(error);
      operation.log.warn("a container could not be restarted", { ...facts, error: message });
    }
  }
}
