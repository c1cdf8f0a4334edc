// The rules of holds, one test for each way in which engines lose or repeat their messages.
import { describe, expect, test } from "bun:test";
import { parseHolderId, parseVolumeName } from "../../core/names.ts";
import type { PeerMount } from "../../core/peer-mount.ts";
import {
  type Hold,
  type HoldFacts,
  newHold,
  noteMount,
  noteScan,
  noteUnmount,
  verdict,
} from "./hold-table.ts";

const graces = { startMs: 1_000, copyMs: 10_000 };
const path = "/root/holds/0123";

function use(container: string, more: Partial<PeerMount> = {}): PeerMount {
  const at = { group: 7, target: "/data", isReadOnly: false, namespace: "mnt:[1]", pid: 5 };
  return { ...at, container, ...more };
}

function mounted(atMs = 0): Hold {
  const place = { volume: parseVolumeName("wiki"), holder: parseHolderId("id"), path, sinceMs: 0 };
  const hold = newHold(place, { monotonicMs: atMs });
  Object.assign(hold, { group: 7 });
  mount(hold, atMs);
  return hold;
}

function mount(hold: Hold, nowMs: number): void {
  noteMount(hold, { nowMs, startMs: graces.startMs, mounterPid: 1 });
}

function stateAt(hold: Hold, nowMs: number, more: Partial<HoldFacts> = {}): string {
  const facts: HoldFacts = {
    ...{ nowMs, startedAtMs: -100_000, graces },
    ...{
      isScanWhole: true,
      isMounterAlive: () => true,
      isUserAlive: () => false,
      lists: undefined,
    },
  };
  return verdict(hold, { ...facts, ...more }).state;
}

const nobody = { unreachable: [], hasOtherRunning: false };

describe("an ordinary life", () => {
  test("is starting, used, and over with the Unmount", () => {
    const hold = mounted();
    expect(stateAt(hold, 10)).toBe("starting");
    noteScan(hold, [use("a")]);
    expect(stateAt(hold, 20)).toBe("used");
    noteUnmount(hold, 0);
    expect(stateAt(hold, 30)).toBe("used");
    noteScan(hold, []);
    expect(stateAt(hold, 40)).toBe("over");
  });

  test("a copy-up is over with its Unmount, though the kernel never showed a use", () => {
    const hold = mounted();
    noteUnmount(hold, 0);
    expect(stateAt(hold, 1)).toBe("over");
  });

  test("a copy-up that takes long is not over while its engine lives", () => {
    const hold = mounted();
    const lists = nobody;
    expect(stateAt(hold, 5_000, { lists })).toBe("starting");
    expect(stateAt(hold, 5_000, { lists, isMounterAlive: () => false })).toBe("over");
    expect(stateAt(hold, 11_000, { lists })).toBe("over");
  });
});

describe("Unmount is a hint", () => {
  test("docker cp on a running container sends its own ID", () => {
    const hold = mounted();
    noteScan(hold, [use("a")]);
    mount(hold, 2_000);
    noteUnmount(hold, 0);
    noteScan(hold, [use("a")]);
    expect(stateAt(hold, 2_001)).toBe("used");
    noteScan(hold, []);
    expect(stateAt(hold, 2_002)).toBe("over");
  });

  test("Podman's one ID: the first container ends while the second is being started", () => {
    const hold = mounted();
    noteScan(hold, [use("a")]);
    mount(hold, 100);
    noteUnmount(hold, 0);
    mount(hold, 150);
    noteUnmount(hold, 0);
    noteScan(hold, []);
    expect(hold.isHinted).toBe(true);
    mount(hold, 200);
    mount(hold, 201);
    noteUnmount(hold, 0);
    expect(stateAt(hold, 202)).toBe("starting");
    noteScan(hold, [use("b")]);
    noteUnmount(hold, 0);
    noteScan(hold, []);
    expect(stateAt(hold, 300)).toBe("over");
  });

  test("dockerd was killed and mounts again with the same ID; one Unmount ends both", () => {
    const hold = mounted();
    noteScan(hold, [use("a")]);
    noteScan(hold, []);
    mount(hold, 500);
    noteScan(hold, [use("a")]);
    noteUnmount(hold, 0);
    noteScan(hold, []);
    expect(stateAt(hold, 600)).toBe("over");
  });
});

test("a container that made its mount private is asked about, whatever its engine has said", () => {
  const hold = mounted();
  noteScan(hold, [use("a")]);
  noteUnmount(hold, 20);
  noteScan(hold, []);
  const isUserAlive = () => true;
  expect(stateAt(hold, 21, { isUserAlive })).toBe("ask");
  const hasOtherRunning = { ...nobody, hasOtherRunning: true };
  expect(stateAt(hold, 21, { isUserAlive, lists: hasOtherRunning })).toBe("unknown");
  expect(stateAt(hold, 21, { isUserAlive, lists: nobody })).toBe("over");
});

describe("no Unmount ever comes", () => {
  function left(): Hold {
    const hold = mounted();
    noteScan(hold, [use("a")]);
    noteScan(hold, []);
    return hold;
  }

  test("within the grace it may be about to start again", () => {
    expect(stateAt(left(), 999, { lists: nobody })).toBe("starting");
  });

  test("after it the engines are asked, and decide", () => {
    expect(stateAt(left(), 1_001)).toBe("ask");
    expect(stateAt(left(), 1_001, { lists: nobody })).toBe("over");
    const hasOtherRunning = { ...nobody, hasOtherRunning: true };
    expect(stateAt(left(), 1_001, { lists: hasOtherRunning })).toBe("unknown");
  });

  test("an engine that does not answer means held", () => {
    const lists = { ...nobody, unreachable: ["docker:/d.sock"] };
    const answer = verdict(left(), {
      ...{ nowMs: 1_001, startedAtMs: -100_000, graces, isScanWhole: true },
      ...{ isMounterAlive: () => false, isUserAlive: () => false, lists },
    });
    expect(answer).toEqual({ state: "unknown", reason: "docker:/d.sock cannot be asked" });
  });

  test("our own start begins the grace anew", () => {
    expect(stateAt(left(), 5_500, { startedAtMs: 5_000, lists: nobody })).toBe("starting");
    expect(stateAt(left(), 6_001, { startedAtMs: 5_000, lists: nobody })).toBe("over");
  });
});

test("what could not be read counts as held, even after an Unmount", () => {
  const hold = mounted();
  noteUnmount(hold, 0);
  expect(stateAt(hold, 1, { isScanWhole: false })).toBe("unknown");
});

test("copies at the hold's own path are inherited, and no uses", () => {
  const hold = mounted();
  // The last one: `unshare --user --mount`, and there `mount --rbind /root/holds /tmp/mine`.
  const targets = [path, `/host${path}`, "/tmp/mine/0123"];
  noteScan(
    hold,
    targets.map((target) => use("a", { target })),
  );
  expect(hold.uses).toEqual([]);
  expect(hold.wasUsed).toBe(false);
});

describe("a hold that was mended", () => {
  test("is used once by a container that has both mounts on each other, and awaits nobody", () => {
    const hold = mounted();
    noteScan(hold, [use("a")]);
    Object.assign(hold, { group: 9, lowerGroups: [7] });
    noteScan(hold, [use("a"), use("a", { group: 9 })]);
    expect(hold.uses).toEqual([use("a", { group: 9 })]);
    // One that the new mount did not reach is a use all the same.
    const other = { namespace: "mnt:[2]", pid: 6 };
    noteScan(hold, [use("a"), use("b", other), use("a", { group: 9 })]);
    expect(hold.uses.map(({ container }) => container)).toEqual(["a", "b"]);
  });
});
