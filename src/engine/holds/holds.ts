// Holds: what container engines mounted through the volume driver socket, from Mount to the end.
//
// An engine's Unmount is a hint; the kernel decides (docs/decisions/0006-holds.md). hold-table.ts
// has the rules, hold-settler.ts looks at the kernel and ends what is over, this file answers the
// engine.
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { EngineError, isErrno, storageError, toEngineError } from "../../core/errors.ts";
import type { Host } from "../../core/host.ts";
import type { HolderId, VolumeName } from "../../core/names.ts";
import type { Operation } from "../../core/operation.ts";
import type { StateView, VolumeEntry } from "../../core/state-store.ts";
import type { ContainerLists } from "../container-lists.ts";
import type { Drivers } from "../drivers.ts";
import { engineOptions } from "../engine-options.ts";
import type { StorageCare } from "../health/health-care.ts";
import { mustAnswer } from "../health/must-answer.ts";
import { serverOf } from "../health/storage-server.ts";
import { ownData } from "../own-data.ts";
import { pause } from "../pause.ts";
import type { Admissions } from "../sharing/admissions.ts";
import type { SharingJudge, Violation } from "../sharing/sharing-judge.ts";
import type { VolumeEngine } from "../volumes.ts";
import { holdId, layersAt, removeHoldPlace, showsData } from "./hold-places.ts";
import type { HoldSettler } from "./hold-settler.ts";
import {
  groupsOf,
  type Hold,
  type HoldGraces,
  newHold,
  noteMount,
  noteUnmount,
} from "./hold-table.ts";
import { type VolumeHolder, volumeHolders } from "./volume-holders.ts";

/** The pause between two looks of a Mount that waits, in milliseconds. */
const ADMISSION_LOOK_MS = 40;
/** How long a list of volumes waits for what the engines say, in milliseconds: Podman is slow. */
const REFRESH_MS_MAX = 1_000;

export interface HoldsParts {
  readonly host: Host;
  readonly drivers: Pick<Drivers, "get">;
  readonly volumes: VolumeEngine;
  readonly lists: ContainerLists;
  readonly settler: HoldSettler;
  readonly judge: SharingJudge;
  readonly admissions: Admissions;
  readonly graces: HoldGraces;
  /** Who must restart to see a volume again. */
  readonly care: Pick<StorageCare, "mustRestart">;
  /** Told of each volume whose storage has refused it to an engine. */
  readonly refused: (name: VolumeName) => void;
  /** Absolute; where the holds' mounts are. Exists. */
  readonly directory: string;
}

export class Holds {
  readonly #parts: HoldsParts;

  constructor(parts: HoldsParts) {
    this.#parts = parts;
  }

  /** To be awaited before an engine is answered: see `ContainerLists.noteCaller`. */
  async noteCaller(operation: Operation): Promise<void> {
    await this.#parts.lists.noteCaller(operation);
  }

  /**
   * An engine makes contact. Podman does so for each command, and mounts a volume only once for
   * all of its containers: this may be all that is heard of a further one.
   */
  noteContact(operation: Operation): void {
    const { lists, settler } = this.#parts;
    if (lists.callerOf(operation)?.mountsOnceForAll === true) settler.expect();
  }

  /**
   * Makes a volume's data reachable for an engine at a path of its own, which the engine is proven
   * to see. Repeating it with the same ID gives the same path. Throws `volume.not_found`,
   * `volume.shared_elsewhere`, `volume.written_elsewhere`, `volume.not_visible`,
   * `volume.data_missing`, `remote.unreachable` for storage that is mounted and silent, what
   * drivers throw.
   */
  async mount(name: string, holder: HolderId, operation: Operation): Promise<string> {
    const { volumes, host, admissions } = this.#parts;
    const fromMs = host.monotonicMs();
    using asking = admissions.begin(volumes.inspect(name).name);
    for (;;) {
      await using _lease = await volumes.lease(name, operation);
      const entry = volumes.inspect(name);
      const waitedMs = host.monotonicMs() - fromMs;
      const way = await asking.ask({ entry, holder, waitedMs }, operation);
      if (way === "free") return await this.#mountHeld(entry, holder, operation);
      if (way !== "wait") throw way;
      operation.signal.throwIfAborted();
      await _lease[Symbol.asyncDispose]();
      await pause(ADMISSION_LOOK_MS);
    }
  }

  /**
   * An engine says that it needs a volume no longer. Resolves when that is noted; the hold ends
   * moments later, when the kernel shows that nobody uses it: a removal waits for that, an engine
   * that stops a container need not. What is not there is no mistake.
   */
  async unmount(name: string, holder: HolderId, _operation: Operation): Promise<void> {
    const { settler, volumes, host } = this.#parts;
    const hold = settler.find(volumes.resolve(name), holder);
    if (hold === undefined) return;
    noteUnmount(hold, host.monotonicMs());
    settler.add(hold);
  }

  /** Whether a container engine has this hold. */
  has(name: string, holder: HolderId): boolean {
    const { settler, volumes } = this.#parts;
    return settler.find(volumes.resolve(name), holder) !== undefined;
  }

  /** Who has a volume, as far as is known without asking anybody now. */
  holdersOf(volume: VolumeName, view: StateView): readonly VolumeHolder[] {
    const { settler, lists, judge, care } = this.#parts;
    const holds = settler.holdsOf(volume);
    const violations = judge.violationsOf(volume);
    const mustRestart = care.mustRestart(volume);
    return volumeHolders({ volume, view, holds, list: lists.latest, violations, mustRestart });
  }

  /** Containers that break a volume's sharing mode now. */
  violationsOf(volume: VolumeName): readonly Violation[] {
    return this.#parts.judge.violationsOf(volume);
  }

  /** Looks at the kernel and asks the engines, waiting at most a moment: for `holdersOf` next. */
  async refresh(operation: Operation): Promise<void> {
    const { settler, lists } = this.#parts;
    const asked = Promise.all([settler.settle(operation), lists.ask(operation)]);
    await Promise.race([asked, pause(REFRESH_MS_MAX)]);
  }

  async #mountHeld(entry: VolumeEntry, holder: HolderId, operation: Operation): Promise<string> {
    const { settler, host } = this.#parts;
    const known = settler.find(entry.name, holder);
    const path = join(this.#parts.directory, holdId(entry.name, holder));
    const data = await this.#mountData(entry, holder, operation);
    const place = { volume: entry.name, holder, path, sinceMs: host.nowMs() };
    const hold = known ?? newHold(place, { monotonicMs: host.monotonicMs() });
    try {
      const { owner } = engineOptions(entry.options);
      if (owner !== undefined) await ownData(host, data, owner, operation);
      await this.#bind(hold, data, operation);
      this.#prove(hold, operation);
    } catch (error) {
      if (known === undefined) await this.#undo(entry, hold, operation);
      throw error;
    }
    const { caller } = operation;
    noteMount(hold, {
      nowMs: host.monotonicMs(),
      startMs: this.#parts.graces.startMs,
      mounterPid: caller.kind === "process" ? caller.pid : null,
    });
    settler.add(hold);
    return hold.path;
  }

  async #mountData(entry: VolumeEntry, holder: HolderId, operation: Operation): Promise<string> {
    const { volumes, host, drivers } = this.#parts;
    const driver = drivers.get(entry.driver);
    try {
      await mustAnswer({ host, driver }, entry, operation);
      return await volumes.holders.mount(entry, { holder, kind: "engine" }, operation);
    } catch (error) {
      if (serverOf(driver, entry) !== "") this.#parts.refused(entry.name);
      throw error;
    }
  }

  async #bind(hold: Hold, data: string, operation: Operation): Promise<void> {
    const { host, settler } = this.#parts;
    const before = hold.group === null ? [] : host.mounts();
    settler.regroup(hold, layersAt(before, hold.path));
    const isThere = hold.group !== null;
    if (isThere && showsData(before, { path: hold.path, data, isNew: false })) return;
    try {
      mkdirSync(hold.path, { mode: 0o700 });
    } catch (error) {
      if (!isErrno(error, "EEXIST")) throw storageError(error, `making the hold ${hold.path}`);
    }
    // A volume with a mount of its own may lie on a server that does not answer.
    hold.mayHang = host.isMountPoint(data);
    const mayHang = hold.mayHang ? "unknown" : false;
    // What is there may be dead: nothing in this process may go near it.
    const request = { source: data, target: hold.path, mayHang: isThere || mayHang } as const;
    const group = await host.bind(request, operation);
    settler.regroup(hold, { group, lowerGroups: groupsOf(hold) });
  }

  /** An engine that does not see the mount would give the container an empty directory. */
  #prove(hold: Hold, operation: Operation): void {
    const { caller } = operation;
    const { group, mayHang } = hold;
    if (caller.kind !== "process" || group === null) return;
    if (this.#parts.host.seesMount(caller.pid, hold.path, { group, mayHang }) === true) return;
    throw new EngineError(
      "volume.not_visible",
      `volume ${hold.volume}: the container engine (process ${caller.pid}) does not see what is ` +
        `mounted at ${hold.path}, and would give the container an empty directory`,
      { details: { path: hold.path, pid: caller.pid } },
    );
  }

  /** Nobody gets the path. What cannot be undone now has a row, and is ended like a leak. */
  async #undo(entry: VolumeEntry, hold: Hold, operation: Operation): Promise<void> {
    const { host, volumes, settler } = this.#parts;
    try {
      if (removeHoldPlace(host, hold.path) === "busy") throw new Error("it is in use");
      await volumes.holders.unmount(entry, { holder: hold.holder }, operation);
    } catch (error) {
      hold.isHinted = true;
      settler.add(hold);
      const { message } = toEngineError(error);
      operation.log.warn("a hold that failed could not be undone yet", {
        volume: entry.name,
        error: message,
      });
    }
  }
}
