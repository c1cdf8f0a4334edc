// Which of the mounts that show a volume's data are Podman's uses of its hold.
import { describe, expect, test } from "bun:test";
import type { MountInfo } from "../../core/host.ts";
import { parseHolderId, parseVolumeName } from "../../core/names.ts";
import type { LooseMount } from "../../core/peer-mount.ts";
import { holdId } from "./hold-places.ts";
import { newHold } from "./hold-table.ts";
import { isPodmans, placesOfHold, privateUses } from "./private-uses.ts";

const volume = parseVolumeName("wiki");
const podmans = "2f73349cfc4630255319c6c8dfc1b46a8996ace9d14d8e07563b165915918ec2";
const holder = parseHolderId(podmans);
const path = `/root/holds/${holdId(volume, holder)}`;
const hold = { ...newHold({ volume, holder, path, sinceMs: 0 }, { monotonicMs: 0 }), group: 7 };
const container = "0123456789abcdef".repeat(4);

function line(target: string, more: Partial<MountInfo> = {}): MountInfo {
  const numbers = { mountId: 1, parentId: 0, device: "0:20", root: "/v/wiki" };
  const rest = { options: ["rw"], propagation: [], fileSystem: "tmpfs", source: "tmpfs" };
  return { ...numbers, ...rest, target, ...more };
}

const table = [line("/", { root: "/" }), line("/srv/wiki"), line(path)];

function uses(...loose: readonly Partial<LooseMount>[]): readonly string[] {
  const place = placesOfHold(hold, table)[0] ?? "";
  const one = {
    place,
    target: "/data",
    isReadOnly: false,
    namespace: "mnt:[1]",
    pid: 1,
    container,
  };
  const mounts = loose.map((each) => ({ ...one, ...each }));
  return privateUses({ hold, place }, mounts, table).map(({ target }) => target);
}

test("Podman's one ID is known, also by the name of its place, and no other is", () => {
  const other = parseHolderId(container);
  expect(isPodmans(hold)).toBe(true);
  expect(isPodmans({ volume, holder: parseHolderId(holdId(volume, holder)) })).toBe(true);
  expect(isPodmans({ volume, holder: other })).toBe(false);
  expect(isPodmans({ volume, holder: parseHolderId(holdId(volume, other)) })).toBe(false);
});

test("what is not mounted shows nothing", () => {
  expect(placesOfHold(hold, [])).toEqual([]);
  expect(privateUses({ hold: { ...hold, group: null }, place: "0:20 /v/wiki" }, [], table)).toEqual(
    [],
  );
});

describe("a use is", () => {
  test("a mount of the same data in a container, at any path", () => {
    expect(uses({}, { target: "/srv/wiki" }, { container: null })).toEqual([
      "/data",
      "/srv/wiki",
      "/data",
    ]);
  });

  test("not one of other data", () => {
    expect(uses({ place: "0:20 /v/other" }, { place: "0:21 /v/wiki" })).toEqual([]);
  });

  test("not what is here at the same path, or in a container with the machine inside", () => {
    const other = `/holds/${"0".repeat(32)}`;
    expect(
      uses(
        { target: "/srv/wiki", container: null },
        { target: "/host/srv/wiki" },
        { target: path },
        { target: `/host${path}` },
        { target: `/backup${other}` },
        { target: "/" },
      ),
    ).toEqual([]);
  });
});
