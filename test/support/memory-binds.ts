// A host's holds in memory, for tests of the engine: binds, their copies in containers, owners.
import type { DirectoryOwner, Host, MountInfo } from "../../src/core/host.ts";
import type { PeerMount, PeerQuestion, PeerScan } from "../../src/core/peer-mount.ts";
import { readMountTable } from "../../src/host/mount-table.ts";

type Binds = Pick<
  Host,
  | "bind"
  | "unbind"
  | "peerMounts"
  | "peerMountsInTurns"
  | "seesMount"
  | "isInNamespace"
  | "own"
  | "mounts"
>;

export interface MemoryBinds {
  /** To be spread over a host. */
  readonly host: Binds;
  /** What is bound now, by target. */
  readonly bound: ReadonlyMap<string, { readonly source: string; readonly group: number }>;
  /** The last owner that each directory was given. */
  readonly owners: ReadonlyMap<string, DirectoryOwner>;
  /** Targets that processes use through the mount itself. */
  readonly busy: Set<string>;
  /** Processes that do not see any bind: they are in a namespace that gets none. */
  readonly withoutSight: Set<number>;
  /** Processes that are gone. */
  readonly gone: Set<number>;
  /** False: some namespace cannot be read. */
  isWhole: boolean;
  /** A copy of what is bound at `target`, as a container's runtime makes it. Returns its end. */
  copy(target: string, more?: Partial<Omit<PeerMount, "group">>): () => void;
}

/** No process of this machine has a number as high. */
const FIRST_PID = 5_000_000;

export function memoryBinds(): MemoryBinds {
  const bound = new Map<string, { source: string; group: number }>();
  const owners = new Map<string, DirectoryOwner>();
  const copies = new Set<PeerMount>();
  let lastGroup = 0;
  let lastPid = FIRST_PID;

  const peersOf = (groups: ReadonlyMap<number, string>): PeerMount[] => {
    const own = { isReadOnly: false, namespace: "mnt:[1]", pid: process.pid, container: null };
    const here = [...bound].map(([target, { group }]) => ({ ...own, group, target }));
    return [...here, ...copies].filter(({ group }) => groups.has(group));
  };

  const scan = ({ groups }: PeerQuestion): PeerScan =>
    groups.size === 0
      ? { mounts: [], loose: [], isWhole: true }
      : { mounts: peersOf(groups), loose: [], isWhole: binds.isWhole };

  const binds: MemoryBinds = {
    bound,
    owners,
    busy: new Set(),
    withoutSight: new Set(),
    gone: new Set(),
    isWhole: true,
    copy(target, more = {}) {
      const group = bound.get(target)?.group;
      if (group === undefined) throw new Error(`nothing is bound at ${target}`);
      lastPid += 1;
      const namespace = `mnt:[${lastPid}]`;
      const other = { isReadOnly: false, namespace, pid: lastPid, container: null };
      const made = { target: "/data", ...other, ...more, group };
      copies.add(made);
      return () => copies.delete(made);
    },
    host: {
      async bind({ source, target }, { signal }) {
        signal.throwIfAborted();
        lastGroup += 1;
        bound.set(target, { source, group: lastGroup });
        return lastGroup;
      },
      unbind(target) {
        if (binds.busy.has(target)) return "busy";
        const group = bound.get(target)?.group;
        bound.delete(target);
        // As in the kernel: the copies stay, and nobody can tell any more whose they are.
        for (const one of copies) if (one.group === group) copies.delete(one);
        return "gone";
      },
      peerMounts: scan,
      peerMountsInTurns: async (question) => scan(question),
      isInNamespace: () => false,
      seesMount(pid, target, { group }) {
        if (binds.gone.has(pid)) return undefined;
        return !binds.withoutSight.has(pid) && bound.get(target)?.group === group;
      },
      mounts: () => [
        ...readMountTable(),
        ...[...bound].map(([target, { source, group }]) => lineOf(target, source, group)),
      ],
      own(directory, wanted) {
        owners.set(directory, { ...owners.get(directory), ...wanted });
      },
    },
  };
  return binds;
}

function lineOf(target: string, root: string, group: number): MountInfo {
  return {
    mountId: FIRST_PID + group,
    parentId: 1,
    device: "0:1",
    root,
    target,
    options: ["rw"],
    propagation: [`shared:${group}`],
    fileSystem: "tmpfs",
    source: "memory",
  };
}
