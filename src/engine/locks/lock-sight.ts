// Which volumes a process inside a container has, so that it may lock those and no others.
//
// Rights follow from what the kernel shows the process itself: a copy of a hold's mount. Nobody has
// one without having the data. Its control group names it for people and for limits, no more.
import { EngineError } from "../../core/errors.ts";
import type { Host, KeptProcess, MountInfo } from "../../core/host.ts";
import type { VolumeName } from "../../core/names.ts";
import { type PeerMount, placeOfMount } from "../../core/peer-mount.ts";
import type { ProcessSight } from "../../core/process-watch.ts";
import type { HoldSettler } from "../holds/hold-settler.ts";
import { groupsOf, type Hold, ownEnd } from "../holds/hold-table.ts";
import { isPodmans, placesOfHold, privateUses } from "../holds/private-uses.ts";

/** A look at all namespaces serves all who need one for so long, in milliseconds. */
const LOOK_MS = 1_000;

/** A volume as a container has it. */
export interface SeenVolume {
  readonly volume: VolumeName;
  /** Where the container has it. */
  readonly target: string;
  readonly isReadOnly: boolean;
}

/** Somebody inside a container, by the kernel's word. */
export interface InsideCaller {
  /** 64 hex digits; null: its control group names none. */
  readonly container: string | null;
  /** What limits count by: nobody in a container can have a second one. */
  readonly key: string;
  /** At least one. */
  readonly volumes: readonly SeenVolume[];
}

export interface LockSightParts {
  readonly host: Pick<Host, "sightOf" | "mounts" | "peerMounts" | "monotonicMs">;
  /** All holds of this moment. */
  readonly holds: () => readonly Hold[];
  readonly index: HoldSettler["index"];
}

export class LockSight {
  readonly #parts: LockSightParts;
  #look: { readonly atMs: number; readonly mounts: readonly PeerMount[] } | undefined;

  constructor(parts: LockSightParts) {
    this.#parts = parts;
  }

  /**
   * What a process has now. Reads /proc only. O(its mounts); of Podman's, and where an engine's own
   * namespace has handed holds on, O(our mounts), and then a look at all namespaces, once a second
   * at most. Throws `lock.no_volume` for a process that is gone, is in no container, or has no
   * volume of ours.
   */
  callerOf(process: KeptProcess): InsideCaller {
    const sight = this.#parts.host.sightOf(process);
    if (sight === undefined) throw noVolume("it is gone, or cannot be looked at");
    // As every process of the machine, and a container that was given its mount namespace.
    if (sight.isOurs) throw noVolume("it is not in a container");
    const volumes = this.#volumesOf(sight);
    if (volumes.length === 0) throw noVolume("it sees no volume of Holdfast");
    const { container, namespace } = sight;
    return { container, key: container ?? namespace, volumes };
  }

  #volumesOf(sight: ProcessSight): readonly SeenVolume[] {
    const { index } = this.#parts;
    const found: SeenVolume[] = [];
    const further: MountInfo[] = [];
    for (const mount of sight.mounts) {
      const group = peerGroupsOf(mount).find((one) => index.ofGroup(one) !== undefined);
      const hold = group === undefined ? undefined : index.ofGroup(group);
      if (hold === undefined) further.push(mount);
      // Whoever has a copy of the directory of the holds has it of all of them.
      else if (!mount.target.endsWith(ownEnd(hold.path))) found.push(seenOf(hold, mount));
    }
    if (sight.container === null) return found;
    const left = index.hasPodmans ? further : further.filter(isSlave);
    return left.length === 0 ? found : [...found, ...this.#byPlace({ ...sight, mounts: left })];
  }

  /** Mounts that are not in a hold's group any more, or never were, and show what it shows. */
  #byPlace(sight: ProcessSight): readonly SeenVolume[] {
    const { host, index } = this.#parts;
    const { namespace, container } = sight;
    const byPlace = Map.groupBy(sight.mounts, placeOfMount);
    const table = host.mounts().filter((line) => byPlace.has(placeOfMount(line)));
    const holds = new Set(table.flatMap(({ target }) => index.atPath(target) ?? []));
    return [...holds].flatMap((hold) => {
      const places = placesOfHold(hold, table);
      const here = places.flatMap((place) => byPlace.get(place) ?? []);
      if (!isPodmans(hold))
        return here
          .filter((one) => this.#isHandedOn(one, sight, hold))
          .map((one) => seenOf(hold, one));
      const loose = here.map((mount) => {
        const { target } = mount;
        const place = placeOfMount(mount);
        return { place, target, namespace, container, pid: 0, isReadOnly: isReadOnly(mount) };
      });
      return places
        .flatMap((place) => privateUses({ hold, place }, loose, table))
        .map((use) => ({
          ...{ volume: hold.volume, target: use.target, isReadOnly: use.isReadOnly },
        }));
    });
  }

  /**
   * An engine in a namespace that shares on what it gets has copies of holds in groups of its own,
   * and its containers have copies of these: only all namespaces together show where from.
   */
  #isHandedOn(mount: MountInfo, { namespace }: ProcessSight, hold: Hold): boolean {
    if (!isSlave(mount)) return false;
    const groups = groupsOf(hold);
    return this.#lookAround().some(
      (one) =>
        one.namespace === namespace && one.target === mount.target && groups.includes(one.group),
    );
  }

  #lookAround(): readonly PeerMount[] {
    const { host, holds } = this.#parts;
    const nowMs = host.monotonicMs();
    if (this.#look === undefined || nowMs - this.#look.atMs >= LOOK_MS) {
      const ends = holds().flatMap((hold) =>
        groupsOf(hold).map((group) => [group, ownEnd(hold.path)] as const),
      );
      this.#look = { atMs: nowMs, mounts: host.peerMounts({ groups: new Map(ends) }).mounts };
    }
    return this.#look.mounts;
  }
}

function seenOf({ volume }: Hold, mount: MountInfo): SeenVolume {
  return { volume, target: mount.target, isReadOnly: isReadOnly(mount) };
}

function isReadOnly({ options }: MountInfo): boolean {
  return options.includes("ro");
}

function isSlave({ propagation }: MountInfo): boolean {
  return propagation.some((word) => word.startsWith("master:"));
}

/** The groups that a mount is in, or gets mounts from. */
function peerGroupsOf({ propagation }: MountInfo): readonly number[] {
  return propagation.flatMap((word) => {
    const [, digits] = /^(?:shared|master):(\d+)$/.exec(word) ?? [];
    return digits === undefined ? [] : [Number(digits)];
  });
}

function noVolume(why: string): EngineError {
  return new EngineError(
    "lock.no_volume",
    `this socket serves containers that have a volume of Holdfast, and who connected: ${why}`,
  );
}
