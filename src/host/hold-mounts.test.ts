// Real holds on tmpfs: their groups, their copies in other namespaces, their end.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import {
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { eventually, runToEnd, startChild, stopChild } from "../../test/support/child.ts";
import { whenPossible } from "../../test/support/needs.ts";
import { EngineError } from "../core/errors.ts";
import type { BindRequest, Host, MountInfo, ProgramResult } from "../core/host.ts";
import { makeOperationId } from "../core/names.ts";
import { type Operation, silentLog, systemCaller } from "../core/operation.ts";
import type { PeerMount } from "../core/peer-mount.ts";
import { linuxHost } from "./linux.ts";
import { parseMountTable, topmostAt } from "./mount-table.ts";
import { makeStuckFolder } from "./stuck-folder.fixture.ts";

const host = linuxHost();
const quiet: ProgramResult = { exitCode: 0, stdout: "", stderr: "" };

/** Unmounts all below the folder, the innermost first. */
async function clean(folder: string): Promise<void> {
  for (const { target } of [...host.mounts()].reverse()) {
    if (target.startsWith(folder)) await host.unmount(target, operation());
  }
  rmSync(folder, { recursive: true, force: true });
}

let folder: string;
let source: string;
let target: string;
const children: ChildProcess[] = [];
beforeEach(() => {
  folder = mkdtempSync("/dev/shm/holdfast-holds-");
});
afterEach(async () => {
  for (const child of children.splice(0)) {
    // What they all wait for: unshare obeys no signal while it waits for its child.
    child.stdin?.end("\n");
    await stopChild(child);
  }
  await clean(folder);
});

/** A tmpfs of its own below the folder, with a source and a target in it. */
async function makePlaces(propagation: "shared" | "private"): Promise<void> {
  const root = join(folder, "root");
  mkdirSync(root);
  const tmpfs = { type: "tmpfs", device: "holds", target: root, options: "size=1m" };
  await host.mount(tmpfs, operation());
  await run("mount", [`--make-${propagation}`, root]);
  source = join(root, "data");
  target = join(root, "a hold");
  mkdirSync(source);
  mkdirSync(target);
  writeFileSync(join(source, "file"), "here");
}

async function run(program: string, words: readonly string[]): Promise<void> {
  const { exit, stderr } = await runToEnd(program, words, { timeoutMs: 10_000 });
  if (exit !== 0) throw new Error(`${program} ${words.join(" ")}: ${stderr}`);
}

function operation(signal = AbortSignal.timeout(20_000)): Operation {
  return { id: makeOperationId("test"), caller: systemCaller, log: silentLog, signal };
}

function request(more: Partial<BindRequest> = {}): BindRequest {
  return { source, target, mayHang: false, ...more };
}

function mountedAt(path: string): MountInfo | undefined {
  return topmostAt(host.mounts(), path);
}

async function failure(work: Promise<unknown>): Promise<EngineError> {
  const thrown = await work.then(
    () => undefined,
    (error: unknown) => error,
  );
  if (thrown instanceof EngineError) return thrown;
  throw new Error("did not fail as expected", { cause: thrown });
}

/** A shell in a mount namespace that gets new mounts from here; it has said "ready". */
function startNamespace(script: string): Promise<ChildProcess> {
  return startUnshared(["-m"], ["sh", "-c", `${script}\necho ready; read x`]);
}

async function startUnshared(
  options: readonly string[],
  command: readonly string[],
): Promise<ChildProcess> {
  const child = startChild("unshare", [...options, "--propagation", "slave", "--", ...command]);
  children.push(child);
  // It may have ended before it is told to.
  child.stdin?.on("error", () => undefined);
  if (child.stdout === null) throw new Error("the child has no output");
  await once(child.stdout, "data");
  return child;
}

function peersOf(group: number): readonly PeerMount[] {
  const { mounts, isWhole } = host.peerMounts({ groups: new Map([[group, ""]]) });
  expect(isWhole).toBe(true);
  return mounts;
}

function peersElsewhere(group: number, pid: number | undefined): readonly PeerMount[] {
  return peersOf(group).filter((one) => one.pid === pid);
}

function whenHoldable(name: string, work: () => Promise<void>): void {
  whenPossible(["root", "mount", "unshare"], name, work);
}

describe.each(["private", "shared"] as const)("below a %s mount", (propagation) => {
  whenHoldable("two holds of one source have groups of their own", async () => {
    await makePlaces(propagation);
    const second = join(folder, "root", "second");
    mkdirSync(second);
    const groups = [
      await host.bind(request(), operation()),
      await host.bind(request({ target: second, mayHang: true }), operation()),
    ];
    expect(groups[0]).not.toBe(groups[1]);
    for (const [index, at] of [target, second].entries()) {
      expect(readFileSync(join(at, "file"), "utf8")).toBe("here");
      expect(mountedAt(at)?.propagation).toEqual([`shared:${groups[index]}`]);
      const [here, ...others] = peersOf(groups[index] ?? 0);
      expect(others).toEqual([]);
      expect(here).toMatchObject({ target: at, isReadOnly: false });
    }
    expect(host.unbind(target)).toBe("gone");
    expect(mountedAt(target)).toBeUndefined();
    expect(mountedAt(second)).toBeDefined();
    expect(host.unbind(target)).toBe("gone");
    expect(host.unbind(join(folder, "none"))).toBe("gone");
  });
});

/** Others mount things on this machine, too. */
function ownMounts(): readonly MountInfo[] {
  return host.mounts().filter((mount) => mount.target.startsWith(folder));
}

describe("another namespace", () => {
  whenHoldable("gets the hold, is seen to have it, and loses it with unbind", async () => {
    await makePlaces("shared");
    const { pid = 0 } = await startNamespace("true");
    const sees = (who: number, group: number): readonly (boolean | undefined)[] =>
      [false, true].map((mayHang) => host.seesMount(who, target, { group, mayHang }));
    expect(sees(pid, 1)).toEqual([false, false]);
    const group = await host.bind(request(), operation());
    expect(sees(pid, group)).toEqual([true, true]);
    expect(sees(pid, group + 1)).toEqual([false, false]);
    expect(sees(process.pid, group)).toEqual([true, true]);
    expect(host.isMountPoint(target)).toBe(true);
    expect(host.isMountPoint(folder)).toBe(false);
    expect(peersElsewhere(group, pid)).toMatchObject([{ target, isReadOnly: false, group }]);
    const table = readFileSync(`/proc/${pid}/mountinfo`, "utf8");
    expect(table).toContain(` master:${group} `);
    expect(host.unbind(target)).toBe("gone");
    expect(peersOf(group)).toEqual([]);
    expect(sees(pid, group)).toEqual([false, false]);
  });

  whenHoldable(
    "keeps a copy of its own after unbind; before, it is seen with what it may",
    async () => {
      await makePlaces("shared");
      const [first, second] = [join(folder, "root", "copy 1"), join(folder, "root", "copy2")];
      mkdirSync(first);
      mkdirSync(second);
      const group = await host.bind(request(), operation());
      const { pid } = await startNamespace(
        `mount --bind '${target}' '${first}'
      mount --bind '${target}' '${second}'
      mount -o remount,bind,ro '${second}'`,
      );
      const found = peersElsewhere(group, pid);
      expect(found.map((one) => [one.target, one.isReadOnly])).toEqual([
        [target, false],
        [first, false],
        [second, true],
      ]);
      expect(host.unbind(target)).toBe("gone");
      const left = parseMountTable(readFileSync(`/proc/${pid}/mountinfo`, "utf8"));
      const copies = left.filter((one) => [target, first, second].includes(one.target));
      // The group ended with its last member that was no copy: the kernel does not say any more
      // whose copies they are. Who wants to know asks before the end.
      expect(copies.map((one) => [one.target, one.propagation])).toEqual([
        [first, []],
        [second, []],
      ]);
      expect(peersOf(group)).toEqual([]);
    },
  );

  whenHoldable("that is a user namespace too, with pids of its own, is looked into", async () => {
    await makePlaces("shared");
    const group = await host.bind(request(), operation());
    await startUnshared(["-Urmpf"], ["sh", "-c", "echo ready; read x"]);
    const here = readlinkSync("/proc/self/ns/mnt");
    expect(peersOf(group).filter(({ namespace }) => namespace !== here)).toMatchObject([
      { target },
    ]);
  });
});

whenHoldable("a namespace is not read by way of a process that sees a part of it", async () => {
  await makePlaces("shared");
  const group = await host.bind(request(), operation());
  // The parent leaves last, so that nobody is left to be reaped.
  const code = "chroot(shift), wait, exit if fork; $| = 1; print qq(ready\\n); <STDIN>";
  const { pid = 0 } = await startUnshared(["-m"], ["perl", "-e", code, source]);
  await eventually(() => readlinkSync(`/proc/${pid}/root`) === source || undefined, {
    timeoutMs: 5_000,
    otherwise: () => "the process stayed in its root",
  });
  const namespace = readlinkSync(`/proc/${pid}/ns/mnt`);
  const found = peersOf(group).filter((one) => one.namespace === namespace);
  expect(found).toMatchObject([{ target }]);
  expect(found[0]?.pid).not.toBe(pid);
});

describe("busy", () => {
  whenHoldable("a hold that a process uses stays, and so here for one elsewhere", async () => {
    await makePlaces("shared");
    const group = await host.bind(request(), operation());
    const file = openSync(join(target, "file"), "r");
    expect(host.unbind(target)).toBe("busy");
    expect(mountedAt(target)?.propagation).toEqual([`shared:${group}`]);
    closeSync(file);
    const child = await startNamespace(`exec 5< '${target}/file'`);
    expect(host.unbind(target)).toBe("busy");
    child.stdin?.end("\n");
    await once(child, "exit");
    expect(host.unbind(target)).toBe("gone");
  });
});

describe("what fails leaves nothing mounted", () => {
  whenHoldable("missing places, links, files and NULs", async () => {
    await makePlaces("shared");
    const link = join(folder, "root", "link");
    symlinkSync(target, link);
    const wrong: readonly (readonly [Partial<BindRequest>, string])[] = [
      [{ source: join(source, "none") }, "ENOENT: open_tree"],
      [{ target: join(source, "none") }, "ENOENT: move_mount"],
      [{ target: join(source, "file") }, "EINVAL: move_mount"],
      [{ target: link }, "EINVAL: move_mount"],
      [{ target: `${target}\0x` }, "EINVAL"],
    ];
    const before = ownMounts().length;
    for (const [more, words] of wrong) {
      const asked = request(more);
      const { code, message } = await failure(host.bind(asked, operation()));
      expect(code).toBe("volume.mount_failed");
      expect(message).toStartWith(`mount ${asked.source} at ${asked.target}: ${words}`);
      // No argument of a program can have one.
      if (words === "EINVAL") continue;
      const helped = await failure(host.bind({ ...asked, mayHang: true }, operation()));
      expect(helped.message).toBe(message);
    }
    expect(ownMounts().length).toBe(before);
    const cancelled = await failure(host.bind(request(), operation(AbortSignal.abort())));
    expect(cancelled.code).toBe("operation.cancelled");
    expect(mountedAt(target)).toBeUndefined();
  });

  whenPossible(["root"], "unbind of what cannot be asked for says why", () => {
    const file = join(folder, "file");
    writeFileSync(file, "");
    expect(() => host.unbind(join(file, "x"))).toThrow(
      expect.objectContaining({ code: "volume.unmount_failed" }),
    );
  });
});

describe("storage that does not answer", () => {
  whenPossible(
    ["root", "mount", "fuse", "unshare"],
    "the helper is abandoned, one per target",
    async () => {
      await makePlaces("shared");
      await using stuck = await makeStuckFolder();
      const hanging = request({ source: join(stuck.path, "x"), mayHang: true });
      const controller = new AbortController();
      const waiting = host.bind(hanging, operation(controller.signal));
      await stuck.untilAsked();
      controller.abort();
      expect((await failure(waiting)).code).toBe("operation.cancelled");
      expect((await failure(host.bind(hanging, operation()))).code).toBe("driver.timed_out");
      stuck.release();
      const group = await eventually(
        () => host.bind(request({ mayHang: true }), operation()).catch(() => undefined),
        { timeoutMs: 10_000, otherwise: () => "the target stayed closed" },
      );
      expect(mountedAt(target)?.propagation).toEqual([`shared:${group}`]);
    },
  );

  whenHoldable("a FUSE mount as a whole needs no helper: its process is not asked", async () => {
    await makePlaces("shared");
    await using stuck = await makeStuckFolder();
    const alone = linuxHost({
      start: () => {
        throw new Error("a helper was started");
      },
    });
    const group = await alone.bind(
      request({ source: stuck.path, mayHang: "unknown" }),
      operation(),
    );
    expect(mountedAt(target)?.propagation).toEqual([`shared:${group}`]);
    expect(mountedAt(target)?.fileSystem).toBe("fuse");
    const below = request({ source: join(stuck.path, "x"), mayHang: "unknown" });
    await expect(alone.bind(below, operation())).rejects.toThrow("a helper");
    expect(host.unbind(target)).toBe("gone");
  });

  test("what an abandoned helper still mounts is undone", async () => {
    const mounts: MountInfo[] = [];
    const started: string[] = [];
    const stuck = Promise.withResolvers<ProgramResult>();
    const fake: Host = linuxHost({
      table: () => mounts,
      start(program, args) {
        started.push([program, ...args].join(" "));
        if (program === "umount") mounts.pop();
        const result = program === "umount" ? Promise.resolve(quiet) : stuck.promise;
        return { pid: 77, result, kill() {}, rest() {} };
      },
    });
    const controller = new AbortController();
    const at = { source: "/x", target: "/nowhere/y", mayHang: true };
    const waiting = fake.bind(at, operation(controller.signal));
    while (started.length === 0) await Promise.resolve();
    controller.abort();
    expect((await failure(waiting)).code).toBe("operation.cancelled");
    const [late] = host.mounts();
    if (late === undefined) throw new Error("this machine has no mounts");
    mounts.push({ ...late, target: at.target });
    stuck.resolve({ exitCode: 137, stdout: "", stderr: "" });
    await eventually(() => mounts.length === 0 || undefined, {
      timeoutMs: 5_000,
      otherwise: () => "it stayed mounted",
    });
    expect(started[0]).toEndWith("src/main.ts hold-mount /x /nowhere/y");
    expect(started[1]).toBe("umount --no-canonicalize -- /nowhere/y");
  });
});
