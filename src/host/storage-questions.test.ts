// Signs of life, the end of what is dead, and the abort of what waits, of real file systems.
import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, openSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { eventually } from "../../test/support/child.ts";
import { whenPossible } from "../../test/support/needs.ts";
import { testOperation } from "../../test/support/operation.ts";
import { EngineError } from "../core/errors.ts";
import type { ProgramResult } from "../core/host.ts";
import { linuxHost } from "./linux.ts";
import { topmostAt } from "./mount-table.ts";
import { makeStuckFolder } from "./stuck-folder.fixture.ts";

const host = linuxHost();
let folder: string;
beforeEach(() => {
  folder = mkdtempSync("/dev/shm/holdfast-questions-");
});
afterEach(async () => {
  await host.detach(join(folder, "at"), testOperation());
  rmSync(folder, { recursive: true, force: true });
});

async function failure(work: Promise<unknown>): Promise<EngineError> {
  const thrown = await work.then(
    () => undefined,
    (error: unknown) => error,
  );
  if (thrown instanceof EngineError) return thrown;
  throw new Error("did not fail as expected", { cause: thrown });
}

async function ask(path: string, signal?: AbortSignal): Promise<number> {
  const { tookMs } = await host.askStorage(path, { ...testOperation(), ...(signal && { signal }) });
  return tookMs;
}

test("what answers says how long it took; what is missing is not gone for good", async () => {
  expect(await ask(folder)).toBeGreaterThan(0);
  const missing = await failure(ask(join(folder, "none")));
  expect(missing.code).toBe("storage.failed");
  expect(missing.details).toMatchObject({ isGone: false, words: "No such file or directory" });
});

whenPossible(["root", "mount"], "room and leave to write are told, too", async () => {
  const at = join(folder, "at");
  mkdirSync(at);
  const words = "size=64k,nr_inodes=3";
  const request = { type: "tmpfs", device: "room", target: at, options: words };
  await host.mount(request, testOperation());
  const also = { isWritable: true } as const;
  const empty = await host.askStorage(at, testOperation(), also);
  expect(empty.space).toEqual({
    ...{ sizeBytes: 65_536, availableBytes: 65_536, fileCount: 3, availableFileCount: 2 },
  });
  expect(empty.isWritable).toBe(true);
  writeFileSync(join(at, "all"), Buffer.alloc(65_536));
  expect((await host.askStorage(at, testOperation())).space).toMatchObject({ availableBytes: 0 });
  await host.mount({ ...request, options: "remount,ro" }, testOperation()).catch(() => undefined);
  const refused = await host.askStorage(at, testOperation(), also);
  expect(refused.isWritable).toBe(false);
});

whenPossible(
  ["root", "mount", "fuse"],
  "a stuck question is abandoned, and its end is the answer",
  async () => {
    await using stuck = await makeStuckFolder();
    const controller = new AbortController();
    const waiting = ask(stuck.path, controller.signal);
    await stuck.untilAsked();
    controller.abort();
    expect((await failure(waiting)).code).toBe("operation.cancelled");
    expect((await failure(ask(stuck.path))).code).toBe("driver.timed_out");
    // Others are not in its way.
    expect(await ask(folder)).toBeGreaterThan(0);
    stuck.release();
    const gone = await eventually(
      async () => {
        const said = await failure(ask(stuck.path));
        return said.code === "storage.failed" ? said : undefined;
      },
      { timeoutMs: 10_000, otherwise: () => "the directory stayed closed" },
    );
    const words = "Transport endpoint is not connected";
    expect(gone.details).toEqual({ directory: stuck.path, words, isGone: true });
  },
);

whenPossible(
  ["root", "mount", "fuse"],
  "aborting a connection frees whoever waits for it",
  async () => {
    await using stuck = await makeStuckFolder();
    const waiting = failure(ask(stuck.path));
    await stuck.untilAsked();
    const mount = topmostAt(host.mounts(), stuck.path);
    if (mount === undefined) throw new Error("it is not mounted");
    expect(host.abortFuse("0:1048000")).toBe(false);
    expect(host.abortFuse(mount.device)).toBe(true);
    expect((await waiting).details["isGone"]).toBe(true);
    expect(host.mounts().some(({ fileSystem }) => fileSystem === "fusectl")).toBe(false);
    await host.detach(stuck.path, testOperation());
    expect(topmostAt(host.mounts(), stuck.path)).toBeUndefined();
    // Whoever asked for it has the process that ends it by now, and it takes a moment.
    await eventually(() => (host.abortFuse(mount.device) ? undefined : true), {
      timeoutMs: 5_000,
      otherwise: () => "the connection is still there",
    });
  },
);

whenPossible(["root", "mount"], "detach takes all away, whoever has it open", async () => {
  const at = join(folder, "at");
  mkdirSync(at);
  for (const name of ["first", "second"]) {
    const request = { type: "tmpfs", device: name, target: at, options: "size=64k" };
    await host.mount(request, testOperation());
    openSync(join(at, "open"), "w");
  }
  symlinkSync(at, join(folder, "link"));
  await host.detach(join(folder, "link"), testOperation());
  expect(topmostAt(host.mounts(), at)?.source).toBe("second");
  await host.detach(at, testOperation());
  expect(topmostAt(host.mounts(), at)).toBeUndefined();
  await host.detach(at, testOperation());
  await host.detach(join(folder, "none"), testOperation());
});

test("nobody waits for the program once the table shows that it is done", async () => {
  const at = { mountId: 7, parentId: 1, device: "0:9", root: "/", target: "/nowhere/at" };
  const mount = { ...at, options: [], propagation: [], fileSystem: "nfs", source: "x" };
  const never = new Promise<ProgramResult>(() => undefined);
  let table = [mount];
  const stuckEnd = linuxHost({
    table: () => table,
    start() {
      table = [];
      return { pid: 77, result: never, kill() {}, rest() {} };
    },
  });
  await stuckEnd.detach(at.target, testOperation());
  // The next mount there has a program of its own, whatever waits.
  table = [{ ...mount, mountId: 8 }];
  await stuckEnd.detach(at.target, testOperation());
  const refusing = linuxHost({
    table: () => [mount],
    start: () => ({
      pid: 78,
      result: Promise.resolve({
        exitCode: 32,
        stdout: "",
        stderr: "umount: /x: must be superuser.",
      }),
      kill() {},
      rest() {},
    }),
  });
  const refused = await failure(refusing.detach(at.target, testOperation()));
  expect(refused).toMatchObject({ code: "volume.unmount_failed" });
  expect(refused.message).toContain("must be superuser");
});
