// What is measured of real storage of many kinds, and that nothing is left of it.
import { expect, test } from "bun:test";
import { mkdirSync, readdirSync, symlinkSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { linuxHost } from "../../src/host/linux.ts";
import { hostMark, removeLeftovers } from "../../src/host/measure/leftovers.ts";
import { ownExecutable } from "../../src/host/own-executable.ts";
import { descendants, runToEnd, startChild, stopChild } from "../support/child.ts";
import { startWebdavServer, WEBDAV_PASSWORD, WEBDAV_USER } from "../support/labs/webdav-server.ts";
import { sideBySide, whenPossible } from "../support/needs.ts";
import { obscured } from "../support/rclone-bench.ts";
import { having, measure, Storages, until } from "./storages.ts";

/** What only another client could tell. */
const elsewhere = [
  "flock-elsewhere",
  "posix-locks-elsewhere",
  "append-elsewhere",
  "visible-elsewhere",
];

/** Also of one that nobody has reaped. */
const hasEndedOf = (pid: number): boolean => linuxHost().processStart(pid) === undefined;

whenPossible(["root"], "memory has all that Linux has; nothing is left of the run", async () => {
  await using storages = new Storages();
  const directory = storages.directory("volume");
  const measured = await measure(directory);
  expect(having(measured, "no")).toEqual([]);
  expect(having(measured, "unknown")).toEqual(elsewhere);
  expect(readdirSync(directory)).toEqual([]);
});

for (const [kind, mib] of [
  ["ext4", 64],
  ["xfs", 320],
  ["btrfs", 128],
] as const) {
  sideBySide(["root", "loop", kind], `${kind} lacks nothing but room`, async () => {
    await using storages = new Storages();
    const target = await storages.loop(kind, mib);
    const before = readdirSync(target);
    const measured = await measure(target);
    expect(having(measured, "no")).toEqual(["free-space"]);
    expect(having(measured, "unknown")).toEqual(elsewhere);
    expect(readdirSync(target)).toEqual(before);
  });
}

sideBySide(["root", "mount"], "on an overlay no layer of another can lie", async () => {
  await using storages = new Storages();
  const [lower, upper, work] = ["lower", "upper", "work"].map((name) => storages.directory(name));
  const options = `lowerdir=${lower},upperdir=${upper},workdir=${work}`;
  const target = await storages.mount("overlay", ["-t", "overlay", "-o", options, "overlay"]);
  const measured = await measure(target);
  expect(having(measured, "no")).toEqual(["special-files"]);
  expect(readdirSync(target)).toEqual([]);
});

sideBySide(["root", "fuse", "rclone"], "an rclone mount has few kinds of files", async () => {
  await using storages = new Storages();
  const target = await storages.rclone("cloud", storages.directory("bucket"));
  const measured = await measure(target);
  expect(having(measured, "no")).toEqual([
    ...["hard-links", "symlinks", "special-files"],
    ...["user-attributes", "security-attributes", "trusted-attributes", "acls"],
    ...["owners", "modes"],
  ]);
  expect(having(measured, "unknown")).toEqual(["sparse-files", "large-files", ...elsewhere]);
  expect(readdirSync(target)).toEqual([]);
});

sideBySide(
  ["root", "fuse", "rclone"],
  "nothing stays on a WebDAV server",
  async () => {
    await using server = await startWebdavServer();
    await using storages = new Storages();
    const login = ["--webdav-user", WEBDAV_USER, "--webdav-pass", await obscured(WEBDAV_PASSWORD)];
    const words = ["--webdav-url", server.url, ...login, "--vfs-write-back", "1s"];
    const target = await storages.rclone("cloud", ":webdav:", ...words);
    // What the second one waits for takes longer than files rest before they are sent.
    const elsewhere = await storages.rclone("second", ":webdav:", ...words);
    expect(having(await measure(target, { elsewhere }), "yes")).toContain("names-as-given");
    expect(readdirSync(target)).toEqual([]);
    // What was on its way when it was removed.
    await until(() => readdirSync(server.folder).length === 0, "something has come back");
  },
  30_000,
);

sideBySide(["root", "fuse", "rclone"], "names that differ by case alone are told", async () => {
  await using storages = new Storages();
  const words = ["--vfs-case-insensitive"];
  const target = await storages.rclone("folding", storages.directory("bucket"), ...words);
  expect(having(await measure(target), "no")).toContain("case-sensitive");
});

sideBySide(["root", "fuse", "sshfs"], "a second client sees through an sshfs mount", async () => {
  await using storages = new Storages();
  const source = storages.directory("served");
  const target = await storages.sshfs("one", source);
  const second = await storages.sshfs("two", source);
  const measured = await measure(target, { elsewhere: second });
  const lacking = having(measured, "no");
  // Each mount keeps locks for itself, and for a second what it knows of files.
  expect(lacking).toContain("flock-elsewhere");
  expect(lacking).toContain("posix-locks-elsewhere");
  expect(lacking).toContain("visible-elsewhere");
  expect(having(measured, "yes")).toContain("flock");
  expect(readdirSync(source)).toEqual([]);
});

sideBySide(["root"], "a second client on the same file system misses nothing", async () => {
  await using storages = new Storages();
  const directory = storages.directory("volume");
  const measured = await measure(directory, { elsewhere: directory });
  expect(having(measured, "unknown")).toEqual([]);
  expect(having(measured, "no")).toEqual([]);
});

sideBySide(["root", "mount"], "read-only and full storage say so", async () => {
  await using storages = new Storages();
  const readOnly = await storages.mount("ro", ["-t", "tmpfs", "-o", "ro", "none"]);
  const [writable] = await measure(readOnly);
  expect(writable).toMatchObject({ ability: "writable", answer: "no", value: "read-only" });
  const full = await storages.mount("full", ["-t", "tmpfs", "-o", "nr_inodes=2", "none"]);
  writeFileSync(join(full, "file"), "");
  const measured = await measure(full);
  expect(measured[0]).toMatchObject({ ability: "writable", answer: "no", value: "full" });
  expect(having(measured, "no")).toEqual(["writable", "free-files"]);
  expect(readdirSync(full)).toEqual(["file"]);
});

whenPossible(["root", "mount"], "kill -9 leaves what the next run removes", async () => {
  await using storages = new Storages();
  const directory = storages.directory("volume");
  const [program, ...words] = ownExecutable("assist", "measure-storage");
  const child = startChild(program, words);
  child.stdin?.end(JSON.stringify({ directory, input: { isQuick: false } }));
  const left = () => readdirSync(directory).filter((name) => name.startsWith(".holdfast-doctor-"));
  await until(() => left().length === 1, "no directory was made");
  const peers = await descendants(child.pid ?? 0);
  child.kill("SIGKILL");
  await stopChild(child);
  expect(left()).toHaveLength(1);
  await until(() => peers.every(hasEndedOf), "the second process stays");
  await measure(directory);
  expect(readdirSync(directory)).toEqual([]);
});

whenPossible(["root", "mount"], "what cannot be removed now is known to the next run", async () => {
  await using storages = new Storages();
  const directory = storages.directory("volume");
  const left = join(directory, `.holdfast-doctor-${hostMark()}00000001`);
  const busy = join(left, "busy");
  mkdirSync(busy, { recursive: true });
  writeFileSync(join(left, "holdfast-doctor"), "");
  writeFileSync(join(left, "small"), "");
  await runToEnd("mount", ["-t", "tmpfs", "tmpfs", busy], { timeoutMs: 10_000 });
  try {
    expect(removeLeftovers(directory, hostMark(), Date.now())).toBe(1);
    expect(readdirSync(left).sort()).toEqual(["busy", "holdfast-doctor"]);
  } finally {
    await runToEnd("umount", [busy], { timeoutMs: 10_000 });
  }
  expect(removeLeftovers(directory, hostMark(), Date.now())).toBe(0);
  expect(readdirSync(directory)).toEqual([]);
});

test("only what is a run's own is removed, and of other hosts only what is old", async () => {
  await using storages = new Storages();
  const directory = storages.directory("volume");
  const outside = storages.directory("outside");
  writeFileSync(join(outside, "holdfast-doctor"), "");
  const make = (name: string, file: string, isOld = false) => {
    const path = join(directory, name);
    mkdirSync(path);
    writeFileSync(join(path, file), "");
    if (isOld) utimesSync(path, 0, 0);
    return name;
  };
  const own = hostMark();
  make(`.holdfast-doctor-${own}00000001`, "holdfast-doctor");
  make(".holdfast-doctor-0000000000000002", "holdfast-doctor", true);
  const kept = [
    make(".holdfast-doctor-0000000000000003", "holdfast-doctor"),
    make(`.holdfast-doctor-${own}00000004`, "somebody's"),
    make(".holdfast-doctor-notes", "holdfast-doctor"),
    `.holdfast-doctor-${own}00000005`,
    `.holdfast-doctor-${own}00000006`,
  ];
  // The volume is its root directory, where only the second leads to something.
  symlinkSync(outside, join(directory, `.holdfast-doctor-${own}00000005`));
  symlinkSync(".holdfast-doctor-notes", join(directory, `.holdfast-doctor-${own}00000006`));
  await measure(directory);
  expect(readdirSync(directory).sort()).toEqual(kept.sort());
  expect(readdirSync(outside)).toEqual(["holdfast-doctor"]);
});
