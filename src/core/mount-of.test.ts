// The mount of a path, from tables with mounts on and beside each other.
import { expect, test } from "bun:test";
import type { MountInfo } from "./host.ts";
import { isShared, mountOf } from "./mount-of.ts";

function mount(mountId: number, parentId: number, target: string, ...propagation: string[]) {
  return {
    ...{ mountId, parentId, target, propagation, device: "0:1", root: "/", options: ["rw"] },
    ...{ fileSystem: "ext4", source: "x" },
  } satisfies MountInfo;
}

const table = [
  mount(1, 0, "/", "shared:1"),
  mount(3, 2, "/var/lib"),
  mount(2, 1, "/var/lib", "master:7"),
  mount(4, 3, "/var/lib/docker", "shared:9", "master:2"),
];

test("is the longest that holds it, and the topmost of those at one place", () => {
  const found = (path: string) => mountOf(table, path)?.mountId;
  expect(found("/")).toBe(1);
  expect(found("/var/library")).toBe(1);
  expect(found("/var/lib")).toBe(3);
  expect(found("/var/lib/holdfast/volumes")).toBe(3);
  expect(found("/var/lib/docker/x")).toBe(4);
  expect(mountOf([], "/")).toBeUndefined();
});

test("is shared when it has a peer group of its own", () => {
  expect(table.filter(isShared).map(({ mountId }) => mountId)).toEqual([1, 4]);
});
