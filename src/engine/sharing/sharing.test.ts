// Who may start with a volume, and who has broken its mode.
import { describe, expect, test } from "bun:test";
import { parseHolderId, parseVolumeName } from "../../core/names.ts";
import type { DatabaseMode, SharingMode } from "../engine-options.ts";
import { type Hold, newHold, noteScan } from "../holds/hold-table.ts";
import { admission, containerUses, oneWriterRule, otherWriters, violations } from "./sharing.ts";

function hold(holder: string, more: Partial<Hold> = {}): Hold {
  const place = { volume: parseVolumeName("wiki"), holder: parseHolderId(holder) };
  return { ...newHold({ ...place, path: "/h", sinceMs: 0 }, { monotonicMs: 0 }), ...more };
}

function used(holder: string, container: string, isReadOnly = false, sinceMs = 0): Hold {
  const at = { group: 1, target: "/data", namespace: "mnt:[1]", pid: 1 };
  return hold(holder, { sinceMs, uses: [{ ...at, container, isReadOnly }] });
}

describe("violations", () => {
  const uses = containerUses([
    used("third", "c", false, 3),
    used("first", "a", false, 1),
    used("second", "b", true, 2),
  ]);

  test("uses are in the order of their holds", () => {
    expect(uses.map(({ container }) => container)).toEqual(["a", "b", "c"]);
  });

  const broken = (sharing: SharingMode, database: DatabaseMode = "warn") =>
    violations({ sharing, database }, uses).map(({ container, rule }) => `${container} ${rule}`);

  test.each([
    ["all", []],
    ["none", ["b", "c"]],
    ["onewriter", ["c"]],
    ["readonly", ["a", "c"]],
  ] as const)("of %s", (mode, found) => {
    expect(broken(mode)).toEqual(found.map((container) => `${container} sharing=${mode}`));
    expect(broken(mode, "off")).toEqual(broken(mode));
  });

  test("of a database for one writer: each container once, by one of its options", () => {
    expect(broken("all", "exclusive")).toEqual(["c database=exclusive"]);
    expect(broken("none", "exclusive")).toEqual(["b sharing=none", "c sharing=none"]);
    expect(oneWriterRule({ sharing: "onewriter", database: "warn" })).toBe("sharing=onewriter");
    expect(oneWriterRule({ sharing: "none", database: "exclusive" })).toBe("database=exclusive");
    expect(oneWriterRule({ sharing: "none", database: "off" })).toBeUndefined();
  });

  test("one writable mount makes a container a writer, and two mounts are one container", () => {
    const both = containerUses([used("first", "a", true, 1), used("second", "a", false, 2)]);
    expect(both).toEqual([{ container: "a", isReadOnly: false, sinceMs: 1 }]);
    expect(violations({ sharing: "none", database: "exclusive" }, both)).toEqual([]);
  });

  test("of one hold the container that appeared later is the later one", () => {
    const shared = hold("podman");
    const at = { group: 1, target: "/t", namespace: "mnt:[1]", isReadOnly: false };
    const mount = (container: string, pid: number) => ({ ...at, container, pid });
    const found = () => containerUses([shared]).map(({ container }) => container);
    noteScan(shared, [mount("old", 9)]);
    noteScan(shared, [mount("new", 2), mount("old", 9)]);
    expect(found()).toEqual(["old", "new"]);
    noteScan(shared, [mount("newest", 1), mount("new", 2), mount("old", 9)]);
    expect(found()).toEqual(["old", "new", "newest"]);
    noteScan(shared, [mount("new", 2)]);
    noteScan(shared, [mount("old", 1), mount("new", 2)]);
    expect(found()).toEqual(["new", "old"]);
  });

  test("an engine that copies is no container", () => {
    const at = { group: 1, target: "/t", namespace: "mnt:[1]", pid: 1, isReadOnly: false };
    expect(containerUses([hold("x", { uses: [{ ...at, container: null }] })])).toEqual([]);
  });
});

describe("admission", () => {
  const ask = (holds: readonly Hold[], more = {}) =>
    admission({ holds, holder: "me", isHolderShared: false, nowMs: 10, startMs: 1_000, ...more });

  test("nobody has it", () => expect(ask([])).toBe("free"));

  test("only this ID has it: docker cp on the running container", () => {
    expect(ask([used("me", "a")])).toBe("free");
    expect(ask([used("me", "a")], { isHolderShared: true })).toMatchObject([{ container: "a" }]);
  });

  test("another container has it", () => {
    expect(ask([used("other", "a")])).toMatchObject([{ container: "a" }]);
  });

  test("another Mount's container may be about to appear, for so long", () => {
    const coming = hold("other", { waitingCount: 1 });
    expect(ask([coming])).toBe("wait");
    expect(ask([coming], { nowMs: 1_001 })).toBe("free");
  });

  test("another container is about to go", () => {
    expect(ask([{ ...used("other", "a"), isHinted: true, hintedAtMs: 5 }])).toBe("wait");
  });

  test("a container that a file was copied from stays, whatever its Unmount says", () => {
    const copied = { ...used("other", "a"), isHinted: true, hintedAtMs: 5 };
    expect(ask([copied], { nowMs: 2_005 })).toMatchObject([{ container: "a" }]);
  });
});

describe("other writers", () => {
  const ask = (holds: readonly Hold[], more = {}) => {
    const at = { holds, holder: "me", isHolderShared: false, nowMs: 10, startMs: 1_000, ...more };
    const { writers, isUnsettled } = otherWriters(at);
    return [...writers.map(({ container }) => container), ...(isUnsettled ? ["unsettled"] : [])];
  };

  test("are neither this ID's, nor those that read", () => {
    expect(ask([used("me", "a"), used("other", "b", true)])).toEqual([]);
    expect(ask([used("me", "a"), used("other", "b"), used("third", "c", true)])).toEqual(["b"]);
    expect(ask([used("me", "a")], { isHolderShared: true })).toEqual(["a"]);
  });

  test("may be about to come or to go; who reads and goes is nobody", () => {
    const coming = hold("other", { waitingCount: 1 });
    expect(ask([coming])).toEqual(["unsettled"]);
    expect(ask([coming], { nowMs: 1_001 })).toEqual([]);
    const going = { isHinted: true, hintedAtMs: 5 };
    expect(ask([{ ...used("other", "a"), ...going }])).toEqual(["a", "unsettled"]);
    expect(ask([{ ...used("other", "a", true), ...going }])).toEqual([]);
  });
});
