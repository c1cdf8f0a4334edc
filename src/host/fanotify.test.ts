// Writes through mounts of other namespaces, as the kernel tells of them: on tmpfs, and on file
// systems in images.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import {
  appendFileSync,
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import fc from "fast-check";
import { runToEnd, startChild, stopChild } from "../../test/support/child.ts";
import { type Requirement, whenPossible } from "../../test/support/needs.ts";
import { EngineError } from "../core/errors.ts";
import type { MountInfo } from "../core/host.ts";
import type { WatchRequest, WriteWatch } from "../core/write-watch.ts";
import { pathOfWritten, watchWrites, writeWatchCountMax } from "./fanotify.ts";
import { parseEvents } from "./fanotify-events.ts";
import { readMountTable } from "./mount-table.ts";

/** More events than the kernel keeps for one group. */
const OVERFLOW_COUNT = 17_000;

let folder: string;
let data: string;
const children: ChildProcess[] = [];
const watches: WriteWatch[] = [];
beforeEach(() => {
  folder = mkdtempSync("/dev/shm/holdfast-writes-");
  data = join(folder, "data");
  mkdirSync(data);
});
afterEach(async () => {
  for (const watch of watches.splice(0)) watch[Symbol.dispose]();
  for (const child of children.splice(0)) {
    child.stdin?.end();
    await stopChild(child);
  }
  for (const { target } of [...readMountTable()].reverse()) {
    if (target.startsWith(`${folder}/`)) await run("umount", target);
  }
  rmSync(folder, { recursive: true, force: true });
});

async function run(program: string, ...words: readonly string[]): Promise<void> {
  const { exit, stderr } = await runToEnd(program, words, { timeoutMs: 30_000 });
  if (exit !== 0) throw new Error(`${program} ${words.join(" ")}: ${stderr}`);
}

/** A shell in a mount namespace of its own, with what it mounts at `target`. */
interface Inside {
  readonly request: WatchRequest;
  /** The target as we reach it: what is written there goes through its mount. */
  readonly root: string;
  /** Has the shell do something, and waits for it. */
  run(line: string): Promise<void>;
}

async function inside(name: string, mount = `mount --bind ${data}`): Promise<Inside> {
  const target = join(folder, name);
  mkdirSync(target, { recursive: true });
  const work = 'while read -r line; do eval "$line"; echo did; done';
  const script = `${mount} ${target}; echo ready; ${work}`;
  const words = ["-m", "--propagation", "private", "--", "sh", "-c", script];
  const child = startChild("unshare", words);
  children.push(child);
  const { stdout, stdin, pid = 0 } = child;
  if (stdout === null || stdin === null) throw new Error("the child has no pipes");
  await once(stdout, "data");
  const request = {
    ...{ pid, target, namespace: readlinkSync(`/proc/${pid}/ns/mnt`) },
    isWanted: () => true,
  };
  return {
    request,
    root: `/proc/${pid}/root${target}`,
    async run(line) {
      stdin.write(`${line}\n`);
      await once(stdout, "data");
    },
  };
}

function opened(path: string): Disposable {
  const descriptor = openSync(path, "r");
  return { [Symbol.dispose]: () => closeSync(descriptor) };
}

function watch(request: WatchRequest): WriteWatch {
  const watching = watchWrites(request);
  watches.push(watching);
  return watching;
}

function refusal(request: WatchRequest): EngineError {
  try {
    watch(request);
  } catch (thrown) {
    if (thrown instanceof EngineError) return thrown;
    throw thrown;
  }
  throw new Error("it was not refused");
}

function whenWatchable(name: string, work: () => Promise<void>): void {
  whenPossible(["root", "mount", "unshare"], name, work);
}

describe("writes through a mount", () => {
  whenWatchable("are told with the file and the process, and those of others are not", async () => {
    const [one, other] = [await inside("one"), await inside("other")];
    const [watching, second] = [watch(one.request), watch(other.request)];
    await one.run(`echo x > ${one.request.target}/a`);
    writeFileSync(join(data, "b"), "not through any of them");
    const { written, isCut } = watching.read();
    expect(isCut).toBe(false);
    expect(written.map(({ pid }) => pid)).toEqual([one.request.pid]);
    expect(second.read()).toEqual({ written: [], isCut: false });
    expect(watching.read().written).toEqual([]);
    expect(pathOfWritten(data, written[0]?.file ?? "")).toBe("/a");
    // The same words through the other mount.
    appendFileSync(join(other.root, "a"), "y");
    const [again] = second.read().written;
    expect(again).toEqual({ file: written[0]?.file ?? "", pid: process.pid });
  });

  whenWatchable(
    "many of one file are one, and reading, renaming and removing is none",
    async () => {
      const { request, root } = await inside("one");
      const watching = watch(request);
      for (let count = 0; count < 100; count += 1) appendFileSync(join(root, "log"), "line\n");
      expect(watching.read().written).toHaveLength(1);
      readFileSync(join(root, "log"));
      renameSync(join(root, "log"), join(root, "log.1"));
      truncateSync(join(root, "log.1"), 0);
      rmSync(join(root, "log.1"));
      expect(watching.read().written).toEqual([]);
    },
  );

  whenWatchable(
    "a file that takes a name is another one, and what is gone has no path",
    async () => {
      const { request, root } = await inside("one");
      const watching = watch(request);
      writeFileSync(join(root, "current"), "old");
      // Somebody still has it open when it has lost its name.
      using _open = opened(join(data, "current"));
      const [old] = watching.read().written;
      writeFileSync(join(root, "new"), "new");
      renameSync(join(root, "new"), join(root, "current"));
      const [renamed] = watching.read().written;
      expect(renamed?.file).not.toBe(old?.file);
      expect(pathOfWritten(data, old?.file ?? "")).toBeUndefined();
      expect(pathOfWritten(data, renamed?.file ?? "")).toBe("/current");
      expect(pathOfWritten(folder, renamed?.file ?? "")).toBe("/data/current");
      mkdirSync(join(folder, "elsewhere"));
      expect(pathOfWritten(join(folder, "elsewhere"), renamed?.file ?? "")).toBeUndefined();
      expect(pathOfWritten(data, "")).toBeUndefined();
      expect(pathOfWritten(join(folder, "nothing"), renamed?.file ?? "")).toBeUndefined();
    },
  );

  whenWatchable("more than the kernel keeps is a gap, and goes on afterwards", async () => {
    const { request, root } = await inside("one");
    const watching = watch(request);
    for (let count = 0; count < OVERFLOW_COUNT; count += 1)
      writeFileSync(join(root, `${count}`), "x");
    let isCut = false;
    let count = 0;
    for (let read = 0; read < 4; read += 1) {
      const batch = watching.read();
      isCut ||= batch.isCut;
      count += batch.written.length;
    }
    expect(isCut).toBe(true);
    expect(count).toBeGreaterThan(10_000);
    writeFileSync(join(root, "after"), "x");
    expect(watching.read()).toMatchObject({ isCut: false, written: [{ pid: process.pid }] });
  });

  whenWatchable("nothing is kept from being unmounted, and the watch is over then", async () => {
    const { request, root, run: does } = await inside("one");
    const watching = watch(request);
    writeFileSync(join(root, "a"), "x");
    expect(watching.isOver()).toBe(false);
    await does(`umount ${request.target}`);
    expect(watching.isOver()).toBe(true);
    expect(watching.read().written).toHaveLength(1);
    expect(refusal(request)).toMatchObject({ code: "storage.failed", details: { isGone: true } });
    watching[Symbol.dispose]();
    watching[Symbol.dispose]();
    expect(watching.read().written).toEqual([]);
  });
});

describe("what is not watched", () => {
  whenWatchable("another namespace, another mount, a process that is gone", async () => {
    const { request } = await inside("one");
    const gone = { code: "storage.failed", details: { isGone: true } };
    const namespace = readlinkSync("/proc/self/ns/mnt");
    expect(refusal({ ...request, namespace })).toMatchObject(gone);
    expect(refusal({ ...request, isWanted: () => false })).toMatchObject(gone);
    expect(refusal({ ...request, pid: 2 ** 22 + 1 })).toMatchObject(gone);
  });

  whenWatchable("what a link in the container's own tree leads to", async () => {
    const { request, run: does } = await inside("deep/er/one");
    const parent = dirname(request.target);
    // The mount moves along, and its old path leads to the root of everything.
    await does(`mv ${parent} ${parent}.away; ln -s / ${parent}`);
    expect(refusal(request)).toMatchObject({ code: "storage.failed" });
    rmSync(parent);
    symlinkSync(folder, parent);
    expect(refusal(request)).toMatchObject({ code: "storage.failed" });
  });

  whenWatchable("a mount that another one lies on", async () => {
    const { request, run: does } = await inside("one");
    await does(`mount -t tmpfs cover ${request.target}`);
    const isWanted = ({ source }: MountInfo): boolean => source !== "cover";
    expect(refusal({ ...request, isWanted })).toMatchObject({ code: "storage.failed" });
  });

  whenWatchable("what others may answer for, also on the way", async () => {
    const { request } = await inside("one", "mount -t proc proc");
    expect(refusal(request)).toMatchObject({
      code: "host.unsupported",
      message: "proc may be answered by another machine or a process, and is not watched",
    });
  });
});

const usual = ["root", "mount", "unshare", "loop"] as const;

interface Case {
  readonly name: string;
  readonly make: readonly string[];
  readonly needs: readonly Requirement[];
}

const images: readonly Case[] = [
  { name: "ext4", make: ["mkfs.ext4", "-q"], needs: [] },
  { name: "xfs", make: ["mkfs.xfs", "-q"], needs: ["xfs"] },
  { name: "btrfs", make: ["mkfs.btrfs", "-q"], needs: ["btrfs"] },
];

describe.each(images)("on $name", ({ name, make: [program = "", ...words], needs }) => {
  whenPossible([...usual, ...needs], "writes are told, with generations of inodes", async () => {
    const image = join(folder, "image");
    writeFileSync(image, "");
    truncateSync(image, 400 * 2 ** 20);
    await run(program, ...words, image);
    await run("mount", "-t", name, "-o", "loop", image, data);
    const [one, other] = [await inside("one"), await inside("other")];
    const [watching, second] = [watch(one.request), watch(other.request)];
    const files = new Set<string>();
    for (let round = 0; round < 10; round += 1) {
      writeFileSync(join(one.root, "a"), "x");
      appendFileSync(join(other.root, "a"), "x");
      const [first] = watching.read().written;
      expect(second.read().written).toEqual([{ file: first?.file ?? "", pid: process.pid }]);
      expect(pathOfWritten(data, first?.file ?? "")).toBe("/a");
      files.add(first?.file ?? "");
      rmSync(join(data, "a"));
    }
    // The number of an inode comes again at once; its generation does not.
    expect(files.size).toBe(10);
    for (const watched of watches.splice(0)) watched[Symbol.dispose]();
  });
});

describe("file systems that do not name files", () => {
  whenPossible(usual, "overlayfs is refused with the reason", async () => {
    for (const name of ["lower", "upper", "work"]) mkdirSync(join(folder, name));
    const options = `lowerdir=${folder}/lower,upperdir=${folder}/upper,workdir=${folder}/work`;
    const { request } = await inside("one", `mount -t overlay -o ${options} overlay`);
    expect(refusal(request)).toMatchObject({ code: "host.unsupported" });
  });

  whenPossible([...usual, "btrfs"], "a subvolume of btrfs is refused with the reason", async () => {
    const image = join(folder, "image");
    writeFileSync(image, "");
    truncateSync(image, 400 * 2 ** 20);
    await run("mkfs.btrfs", "-q", image);
    await run("mount", "-o", "loop", image, data);
    await run("btrfs", "-q", "subvolume", "create", join(data, "sub"));
    const { request } = await inside("one", `mount --bind ${data}/sub`);
    expect(refusal(request).message).toContain("btrfs has it in a subvolume (/sub)");
  });
});

test("a share of the groups that the kernel gives a user", () => {
  expect(writeWatchCountMax()).toBeGreaterThan(0);
  expect(writeWatchCountMax()).toBeLessThanOrEqual(96);
});

test("bytes that are no events are none", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
      expect(parseEvents(bytes).written.length).toBeLessThan(13);
    }),
  );
});
