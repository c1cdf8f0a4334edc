// Real mounts, and helpers that the kernel does not give back.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { whenPossible } from "../../test/support/needs.ts";
import { EngineError } from "../core/errors.ts";
import type { MountInfo, MountRequest, ProgramResult } from "../core/host.ts";
import { makeOperationId } from "../core/names.ts";
import { type Operation, silentLog, systemCaller } from "../core/operation.ts";
import { linuxHost } from "./linux.ts";
import { topmostAt } from "./mount-table.ts";
import { makeStuckFolder } from "./stuck-folder.fixture.ts";

const host = linuxHost();
let folder: string;
let target: string;
beforeEach(() => {
  folder = mkdtempSync("/dev/shm/holdfast-mounts-");
  target = join(folder, "target");
  mkdirSync(target);
});
afterEach(async () => {
  for (const mount of host.mounts().filter((one) => one.target.startsWith(folder))) {
    await host.unmount(mount.target, operation());
  }
  rmSync(folder, { recursive: true, force: true });
});

function operation(signal = AbortSignal.timeout(20_000)): Operation {
  return { id: makeOperationId("test"), caller: systemCaller, log: silentLog, signal };
}

function tmpfs(more: Partial<MountRequest> = {}): MountRequest {
  return { type: "tmpfs", device: "tmpfs", target, options: "size=1m", ...more };
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

function whenMountable(name: string, run: () => Promise<void>): void {
  whenPossible(["root", "mount"], name, run);
}

describe("mount and unmount", () => {
  whenMountable("a tmpfs, with its options", async () => {
    await host.mount(tmpfs(), operation());
    expect(mountedAt(target)).toMatchObject({ fileSystem: "tmpfs", root: "/" });
    await host.unmount(target, operation());
    expect(mountedAt(target)).toBeUndefined();
  });

  whenMountable(
    "a bind mount, read-only, with any type and device names that look like more",
    async () => {
      const source = join(folder, "- source");
      mkdirSync(source);
      writeFileSync(join(source, "file"), "here");
      for (const type of ["none", ""]) {
        await host.mount({ type, device: source, target, options: "bind,ro" }, operation());
        expect(readFileSync(join(target, "file"), "utf8")).toBe("here");
        expect(() => writeFileSync(join(target, "new"), "")).toThrow("EROFS");
        await host.unmount(target, operation());
      }
      for (const device of ["--bind", "proc"]) {
        await host.mount(tmpfs({ device }), operation());
        expect(mountedAt(target)?.source).toBe(device);
        await host.unmount(target, operation());
      }
    },
  );

  whenMountable("targets with spaces, backslashes and symbolic links above them", async () => {
    const odd = join(folder, "a b\\040c\td");
    mkdirSync(odd);
    symlinkSync(folder, join(folder, "link"));
    await host.mount(tmpfs({ target: odd }), operation());
    expect(mountedAt(odd)).toBeDefined();
    await host.unmount(join(folder, "link", "a b\\040c\td"), operation());
    expect(mountedAt(odd)).toBeUndefined();
  });

  whenMountable("refuses a target that is a symbolic link or missing", async () => {
    const link = join(folder, "link");
    symlinkSync(target, link);
    const refused = await failure(host.mount(tmpfs({ target: link }), operation()));
    expect(refused.message).toContain("not a directory");
    const missing = join(folder, "none");
    expect((await failure(host.mount(tmpfs({ target: missing }), operation()))).code).toBe(
      "volume.mount_failed",
    );
    expect(mountedAt(target)).toBeUndefined();
  });

  whenMountable("unmounts the topmost of two, and nothing is no failure", async () => {
    await host.mount(tmpfs({ device: "under" }), operation());
    await host.mount(tmpfs({ device: "over" }), operation());
    await host.unmount(target, operation());
    expect(mountedAt(target)?.source).toBe("under");
    await host.unmount(target, operation());
    await host.unmount(target, operation());
    await host.unmount(join(folder, "none"), operation());
  });

  whenMountable("says that a mount is busy, and leaves it", async () => {
    await host.mount(tmpfs(), operation());
    const user = Bun.spawn(["sleep", "60"], { cwd: target });
    const { code, message } = await failure(host.unmount(target, operation()));
    user.kill();
    await user.exited;
    expect(code).toBe("volume.unmount_failed");
    expect(message).toBe(`unmount ${target}: target is busy`);
    expect(mountedAt(target)).toBeDefined();
  });

  whenMountable("gives the program's words without secrets", async () => {
    const options = "username=u,password=hunter2";
    const { code, message, details } = await failure(
      host.mount(tmpfs({ type: "xnosuch", options }), operation()),
    );
    expect(code).toBe("volume.mount_failed");
    expect(message).toBe(
      `mount tmpfs:${target}, type: xnosuch, data: username=u,password=****: ` +
        "unknown filesystem type 'xnosuch'",
    );
    expect(JSON.stringify(details)).not.toContain("hunter2");
    for (const type of ["nonfs", "a,b", "-x", "../x"]) {
      const refused = await failure(host.mount(tmpfs({ type }), operation()));
      expect(refused.message).toContain("unknown filesystem type");
    }
    const wrong = await failure(host.mount(tmpfs({ options: "password=hunter2" }), operation()));
    expect(wrong.message).toContain("wrong fs type, bad option");
    expect(wrong.message).not.toContain("hunter2");
  });
});

describe("with helpers that do not do as they say", () => {
  const quiet: ProgramResult = { exitCode: 0, stdout: "", stderr: "" };

  test("success without a mount is a failure", async () => {
    const start = () => ({ pid: 1, result: Promise.resolve(quiet), kill() {}, rest() {} });
    const lying = linuxHost({ start });
    const { code, message } = await failure(lying.mount(tmpfs(), operation()));
    expect(code).toBe("volume.mount_failed");
    expect(message).toContain("nothing new is mounted");
  });

  test("a missing helper of the type is named with its package", async () => {
    const stderr = `mount: ${target}: bad option; you might need a helper program.\n`;
    const start = () => ({
      pid: 1,
      result: Promise.resolve({ exitCode: 32, stdout: "", stderr }),
      kill() {},
      rest() {},
    });
    const request = tmpfs({ type: "cifs", options: "password=hunter2" });
    const { code, message } = await failure(linuxHost({ start }).mount(request, operation()));
    if (existsSync("/usr/sbin/mount.cifs") || existsSync("/sbin/mount.cifs")) {
      expect(code).toBe("volume.mount_failed");
    } else {
      expect(code).toBe("host.program_missing");
      expect(message).toContain("cifs-utils");
    }
    expect(message).not.toContain("hunter2");
  });

  test("an abandoned mount closes its target, and is undone when it comes", async () => {
    const mounts: MountInfo[] = [];
    const started: string[] = [];
    const stuck = Promise.withResolvers<ProgramResult>();
    const table = () => mounts;
    const start = (program: string) => {
      started.push(program);
      if (program === "umount") mounts.pop();
      const result = program === "mount" ? stuck.promise : Promise.resolve(quiet);
      return { pid: 77, result, kill() {}, rest() {} };
    };
    const fake = linuxHost({ start, table });
    const controller = new AbortController();
    const waiting = fake.mount(tmpfs(), operation(controller.signal));
    while (started.length === 0) await Promise.resolve();
    controller.abort();
    expect((await failure(waiting)).code).toBe("operation.cancelled");

    const closed = await failure(fake.mount(tmpfs(), operation()));
    expect(closed.code).toBe("driver.timed_out");
    expect(closed.message).toContain("pid 77");
    expect(started).toEqual(["mount"]);

    const [late] = host.mounts();
    if (late === undefined) throw new Error("this machine has no mounts");
    mounts.push({ ...late, target });
    stuck.resolve({ exitCode: 137, stdout: "", stderr: "" });
    while (started.length === 1) await Bun.sleep(1);
    expect(started).toEqual(["mount", "umount"]);
    expect(mounts).toEqual([]);
  });

  whenPossible(
    ["root", "mount", "fuse"],
    "a helper that the kernel holds is abandoned, at most one per target",
    async () => {
      await using stuck = await makeStuckFolder();
      const request = { type: "none", device: join(stuck.path, "x"), target, options: "bind" };
      const controller = new AbortController();
      const waiting = host.mount(request, operation(controller.signal));
      await stuck.untilAsked();
      const abortedMs = performance.now();
      controller.abort();
      expect((await failure(waiting)).code).toBe("operation.cancelled");
      expect(performance.now() - abortedMs).toBeLessThan(500);
      expect((await failure(host.mount(tmpfs(), operation()))).code).toBe("driver.timed_out");
      const other = join(folder, "other");
      mkdirSync(other);
      await host.mount(tmpfs({ target: other }), operation());

      stuck.release();
      await host.mount(tmpfs(), operation());
      expect(mountedAt(target)?.fileSystem).toBe("tmpfs");
    },
  );
});

whenPossible(["root", "fuse"], "unmounts storage that does not answer", async () => {
  await using stuck = await makeStuckFolder();
  await host.unmount(stuck.path, operation());
  expect(mountedAt(stuck.path)).toBeUndefined();
});

test("the clock goes forward and randomness is hex", () => {
  expect(host.monotonicMs()).toBeLessThanOrEqual(host.monotonicMs());
  expect(Math.abs(host.nowMs() - Date.now())).toBeLessThan(1_000);
  expect(host.randomHex(8)).toMatch(/^[0-9a-f]{16}$/);
  expect(host.randomHex(8)).not.toBe(host.randomHex(8));
});
