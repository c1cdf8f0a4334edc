// Who may lock what from inside, by what the kernel shows: nothing of it is a caller's choice.
import { describe, expect, test } from "bun:test";
import type { MountInfo } from "../../core/host.ts";
import { parseHolderId, parseVolumeName } from "../../core/names.ts";
import type { PeerMount } from "../../core/peer-mount.ts";
import type { ProcessSight } from "../../core/process-watch.ts";
import { HoldIndex } from "../holds/hold-index.ts";
import { type Hold, newHold } from "../holds/hold-table.ts";
import { LockSight } from "./lock-sight.ts";

const container = "a".repeat(64);
const podman = "2f73349cfc4630255319c6c8dfc1b46a8996ace9d14d8e07563b165915918ec2";
const process = { pid: 7, start: "boot 1" };

function hold(volume: string, group: number | null, holder = "h"): Hold {
  const name = { volume: parseVolumeName(volume), holder: parseHolderId(holder) };
  const place = { ...name, path: `/root/holds/${volume.padEnd(32, "0")}`, sinceMs: 0 };
  return Object.assign(newHold(place, { monotonicMs: 0 }), { group });
}

let mountId = 100;
function mount(target: string, words: string, more: Partial<MountInfo> = {}): MountInfo {
  mountId += 1;
  return {
    ...{ mountId, parentId: 1, device: "0:20", root: `/data${mountId}`, target, options: ["rw"] },
    propagation: words === "" ? [] : words.split(" "),
    ...{ fileSystem: "tmpfs", source: "tmpfs", ...more },
  };
}

interface Scene {
  readonly mounts: readonly MountInfo[];
  readonly holds?: readonly Hold[];
  readonly table?: readonly MountInfo[];
  readonly sight?: Partial<ProcessSight>;
  readonly peers?: readonly PeerMount[];
}

function sightOf({ mounts, holds = [hold("web", 7), hold("db", 8)], ...scene }: Scene): LockSight {
  const shown = { namespace: "mnt:[5]", isOurs: false, container, mounts, ...scene.sight };
  const index = new HoldIndex();
  for (const one of holds) index.note(one);
  return new LockSight({
    ...{ holds: () => holds, index },
    host: {
      sightOf: ({ pid }) => (pid === process.pid ? shown : undefined),
      mounts: () => scene.table ?? [],
      peerMounts: () => ({ mounts: scene.peers ?? [], loose: [], isWhole: true }),
      monotonicMs: () => 0,
    },
  });
}

function volumesOf(scene: Scene): readonly string[] {
  const { volumes } = sightOf(scene).callerOf(process);
  return volumes.map(({ volume, target, isReadOnly }) => `${volume} ${target} ${isReadOnly}`);
}

describe("a process", () => {
  test("has the volumes whose holds it sees copies of", () => {
    const readOnly = mount("/b", "master:8", { options: ["ro", "relatime"] });
    expect(volumesOf({ mounts: [mount("/a", "master:7"), readOnly, mount("/c", "")] })).toEqual([
      "web /a false",
      "db /b true",
    ]);
    expect(volumesOf({ mounts: [mount("/a", "shared:70 master:7")] })).toEqual(["web /a false"]);
  });

  test("has none of the holds that came with a copy of their directory", () => {
    const inherited = mount(`/host/root/holds/${"web".padEnd(32, "0")}`, "master:7");
    expect(() => volumesOf({ mounts: [inherited] })).toThrow("sees no volume");
  });

  test("is refused in our own namespace, when it is gone, and without volumes", () => {
    const mounts = [mount("/a", "master:7")];
    expect(() => volumesOf({ mounts, sight: { isOurs: true } })).toThrow("not in a container");
    expect(() => volumesOf({ mounts: [] })).toThrow("sees no volume");
    const sight = sightOf({ mounts });
    expect(() => sight.callerOf({ pid: 8, start: "boot 1" })).toThrow("is gone");
  });

  test("has its rights by its mounts, whatever container it is said to be in", () => {
    const mounts = [mount("/a", "master:7")];
    for (const name of [container, "b".repeat(64), null]) {
      const caller = sightOf({ mounts, sight: { container: name } }).callerOf(process);
      expect(caller.volumes.map(({ volume }) => String(volume))).toEqual(["web"]);
      expect(caller.key).toBe(name ?? "mnt:[5]");
    }
  });
});

describe("what is looked at", () => {
  /** Of holds of 1,000 volumes, how many were looked at for one request. */
  function lookedAt(mounts: readonly MountInfo[], holder = "h"): readonly string[] {
    const looked: string[] = [];
    const holds = Array.from({ length: 1_000 }, (_, index) => {
      const own = hold(`volume-${1_000 + index}`, 5_000 + index, holder);
      return new Proxy(own, {
        get(target, name, receiver) {
          if (name === "path") looked.push(target.volume);
          return Reflect.get(target, name, receiver);
        },
      });
    });
    const table = holds.map(({ path }, index) => mount(path, "", { root: `/v/${index}` }));
    const sight = sightOf({ mounts, holds, table });
    looked.length = 0;
    expect(sight.callerOf(process).volumes).toHaveLength(1);
    return [...new Set(looked)];
  }

  test("are the holds that a caller has mounts of, however many there are", () => {
    const other = [mount("/etc/hosts", ""), mount("/sys", "master:3")];
    expect(lookedAt([...other, mount("/a", "master:5007")])).toEqual(["volume-1007"]);
    const loose = mount("/a", "", { root: "/v/7" });
    expect(lookedAt([...other, loose], podman)).toEqual(["volume-1007"]);
  });
});

describe("mounts that are in no hold's group", () => {
  const holds = [hold("web", 7)];
  const data = mount(holds[0]?.path ?? "", "shared:7", { root: "/v/web" });
  const table = [data];

  test("count where an engine's namespace has handed them on, by a look at all namespaces", () => {
    const mounts = [mount("/a", "master:90", { root: "/v/web" })];
    expect(() => volumesOf({ mounts, holds, table })).toThrow("sees no volume");
    const peer = { group: 7, target: "/a", isReadOnly: false, pid: 7, container };
    const peers = [{ ...peer, namespace: "mnt:[5]" }];
    expect(volumesOf({ mounts, holds, table, peers })).toEqual(["web /a false"]);
    const elsewhere = [{ ...peer, namespace: "mnt:[6]" }];
    expect(() => volumesOf({ mounts, holds, table, peers: elsewhere })).toThrow("sees no volume");
    // A private mount of the same place is none that was handed on.
    const own = [mount("/a", "", { root: "/v/web" })];
    expect(() => volumesOf({ mounts: own, holds, table, peers })).toThrow("sees no volume");
  });

  test("count as Podman's by what they show, in a container alone", () => {
    const podmans = [hold("web", 7, podman)];
    const mounts = [
      mount("/a", "", { root: "/v/web" }),
      mount("/b", "", { root: "/v/web/deeper" }),
    ];
    expect(volumesOf({ mounts, holds: podmans, table })).toEqual(["web /a false"]);
    const outside = { mounts, holds: podmans, table, sight: { container: null } };
    expect(() => volumesOf(outside)).toThrow("sees no volume");
  });
});
