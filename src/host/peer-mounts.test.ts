// Reading tables of mounts and names of containers; real namespaces are in hold-mounts.test.ts.
import { describe, expect, test } from "bun:test";
import { startChild } from "../../test/support/child.ts";
import { linuxHost } from "./linux.ts";
import { containerIn } from "./namespaces.ts";
import { looseIn, peersIn } from "./peer-mounts.ts";

const host = linuxHost();
const id = "0123456789abcdef".repeat(4);
const other = "fedcba9876543210".repeat(4);

function groups(...numbers: readonly number[]): ReadonlyMap<number, string> {
  return new Map(numbers.map((group) => [group, ""]));
}

describe("lines of a mount table", () => {
  const table = [
    "22 1 0:20 / /plain rw,relatime - tmpfs tmpfs rw",
    "23 1 0:20 / /here rw,relatime shared:7 - tmpfs tmpfs rw",
    "24 1 0:20 / /copy\\040of\\134it ro,relatime master:7 - tmpfs tmpfs rw",
    "25 1 0:20 / /both rw shared:9 master:7 propagate_from:3 - tmpfs tmpfs rw",
    "26 1 0:20 / /others rw shared:77 master:70 - tmpfs tmpfs rw",
    "27 1 0:20 / /named rw - tmpfs shared:7 rw",
    "28 1 0:20 / /from rw propagate_from:7 - tmpfs x rw",
    "29 1 0:20 / /ro-source rw,nosuid master:7 - tmpfs x ro",
    "",
  ].join("\n");

  test("have a group by either word, and only before the separator", () => {
    expect([...peersIn(table, groups(7))]).toEqual([
      { group: 7, target: "/here", isReadOnly: false },
      { group: 7, target: "/copy of\\it", isReadOnly: true },
      { group: 7, target: "/both", isReadOnly: false },
      { group: 7, target: "/ro-source", isReadOnly: false },
    ]);
    expect([...peersIn(table, groups(9, 7))].filter((one) => one.target === "/both")).toEqual([
      { group: 9, target: "/both", isReadOnly: false },
      { group: 7, target: "/both", isReadOnly: false },
    ]);
    expect([...peersIn(table, groups(3, 20))]).toEqual([]);
    expect([...peersIn(table, new Map([[7, "/both"]]))].map(({ target }) => target)).not.toContain(
      "/both",
    );
  });
});

test("lines that show a place count unless they are in one of the groups", () => {
  const table = [
    "23 1 0:20 /v/a\\040b /here rw,relatime shared:7 - tmpfs tmpfs rw",
    "24 1 0:20 /v/a\\040b /private ro,relatime - tmpfs tmpfs rw",
    "25 1 0:20 /v/a\\040b /other rw shared:70 master:77 propagate_from:7 - tmpfs tmpfs rw",
    "26 1 0:20 /v/a\\040b/deeper /deeper rw - tmpfs tmpfs rw",
    "27 1 0:21 /v/a\\040b /device rw - tmpfs tmpfs rw",
  ].join("\n");
  const place = "0:20 /v/a b";
  expect(looseIn(table, { groups: groups(7), places: new Set([place]) })).toEqual([
    { place, target: "/private", isReadOnly: true },
    { place, target: "/other", isReadOnly: false },
  ]);
});

describe("the container of a control group", () => {
  const cases: readonly (readonly [string, string | null])[] = [
    [`0::/system.slice/docker-${id}.scope\n`, id],
    [`12:cpu:/docker/${id}\n11:memory:/docker/${id}\n`, id],
    [`0::/machine.slice/libpod-${id}.scope/container\n`, id],
    [`0::/../${id}\n`, id],
    [`0::/docker/${id}/docker/${other}\n`, other],
    [`0::/kubepods/besteffort/pod1/cri-containerd-${id}.scope\n`, id],
    ["0::/user.slice/user-1000.slice\n", null],
    [`0::/${id}0\n`, null],
    ["", null],
  ];
  test.each(cases)("%j", (text, expected) => {
    expect(containerIn(text)).toBe(expected);
  });
});

test("no groups have no mounts, and what a process that is gone sees is unknown", async () => {
  expect(host.peerMounts({ groups: new Map() })).toEqual({ mounts: [], loose: [], isWhole: true });
  const child = startChild("true", []);
  const { pid = 0 } = child;
  await new Promise((resolve) => child.once("exit", resolve));
  for (const mayHang of [false, true]) {
    const question = { group: 1, mayHang };
    expect(host.seesMount(pid, "/", question)).toBeUndefined();
    expect(host.seesMount(process.pid, "/no/such/place", question)).toBe(false);
  }
});
