// The mount table's grammar, against lines that kernels really print.
import { describe, expect, test } from "bun:test";
import { parseMountTable, readMountTable, topmostAt } from "./mount-table.ts";

const plain = "36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue";

describe("parseMountTable", () => {
  test("reads every field of the manual's example", () => {
    expect(parseMountTable(`${plain}\n`)).toEqual([
      {
        mountId: 36,
        parentId: 35,
        device: "98:0",
        root: "/mnt1",
        target: "/mnt2",
        options: ["rw", "noatime"],
        propagation: ["master:1"],
        fileSystem: "ext3",
        source: "/dev/root",
        superOptions: ["rw", "errors=continue"],
      },
    ]);
  });

  const cases: readonly [what: string, line: string, expected: object][] = [
    ["no optional field", "1 2 0:1 / /a ro - tmpfs tmpfs rw", { propagation: [], target: "/a" }],
    [
      "several optional fields",
      "1 2 0:1 / /a rw shared:2 master:3 propagate_from:4 - tmpfs t rw",
      { propagation: ["shared:2", "master:3", "propagate_from:4"] },
    ],
    ["a space", "1 2 0:1 /x\\040y /a\\040b rw - tmpfs t rw", { root: "/x y", target: "/a b" }],
    ["tab, newline, backslash", "1 2 0:1 / /\\011\\012\\134 rw - t t rw", { target: "/\t\n\\" }],
    ["a literal backslash and digits", "1 2 0:1 / /\\134040 rw - t t rw", { target: "/\\040" }],
    ["a name like the separator", "1 2 0:1 / /a\\040-\\040b rw - t t rw", { target: "/a - b" }],
    ["bytes above 127", "1 2 0:1 / /müll rw - t t rw", { target: "/müll" }],
    ["an empty source", "1 2 0:1 / /a rw - tmpfs  rw", { source: "", fileSystem: "tmpfs" }],
    ["a subtype", "1 2 0:1 / /a rw - fuse.sshfs me@host:/x rw", { fileSystem: "fuse.sshfs" }],
    ["a deleted folder", "1 2 0:1 /v//deleted /a rw - t t rw", { root: "/v//deleted" }],
  ];
  for (const [what, line, expected] of cases) {
    test(`reads ${what}`, () => expect(parseMountTable(line)[0]).toMatchObject(expected));
  }

  test("leaves out what it does not understand", () => {
    expect(parseMountTable(`\nnonsense\n1 2 - tmpfs\n${plain}`)).toHaveLength(1);
  });

  test("reads this machine's own table, whole", async () => {
    const lines = (await Bun.file("/proc/self/mountinfo").text()).trim().split("\n");
    const mounts = readMountTable();
    expect(mounts.length).toBe(lines.length);
    expect(mounts.some((mount) => mount.target === "/proc" && mount.fileSystem === "proc")).toBe(
      true,
    );
  });
});

test("topmostAt finds the mount that lies on the others, in any order", () => {
  const lines = ["9 1 0:1 / /a rw - t under rw", "7 9 0:2 / /a rw - t over rw"];
  expect(topmostAt(parseMountTable(lines.join("\n")), "/a")?.source).toBe("over");
  expect(topmostAt(parseMountTable(lines.reverse().join("\n")), "/a")?.source).toBe("over");
  expect(topmostAt(parseMountTable(lines.join("\n")), "/b")).toBeUndefined();
});
