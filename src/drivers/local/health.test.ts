// Health of `local` volumes, over a machine of the test's own: what is looked at, and what is not.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { failureOf } from "../../../test/support/engine-bench.ts";
import { testOperation } from "../../../test/support/operation.ts";
import type { DriverOptions, HealthCapable, VolumeDriver } from "../../core/driver.ts";
import { EngineError } from "../../core/errors.ts";
import type { Host, MountInfo } from "../../core/host.ts";
import { parseHolderId, parseVolumeName } from "../../core/names.ts";
import type { Operation } from "../../core/operation.ts";
import type { StorageAnswer } from "../../core/storage-answer.ts";
import { linuxHost } from "../../host/linux.ts";
import { localDriver } from "./driver.ts";

const wiki = parseVolumeName("wiki");
const c1 = parseHolderId("c1");
const nfs = { type: "nfs", device: ":/export", o: "addr=192.0.2.7" };
const room = { sizeBytes: 1e9, availableBytes: 5e8, fileCount: 0, availableFileCount: 0 };
const answered = { tookMs: 3, space: room, isWritable: undefined };
const sshfs = { type: "fuse.sshfs", device: "me@nas.lan:/srv", o: "" };

let root: string;
let data: string;
let calls: string[];
let mounted: MountInfo[];
/** What the storage answers when it is asked. */
let answer: (operation: Operation) => Promise<StorageAnswer>;
beforeEach(() => {
  root = mkdtempSync("/dev/shm/holdfast-health-");
  data = join(root, "volumes", "wiki", "_data");
  calls = [];
  mounted = [];
  answer = async () => answered;
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

function fakeHost(): Host {
  return {
    ...linuxHost(),
    mounts: () => mounted,
    isMountPoint: (directory) => mounted.some(({ target }) => target === directory),
    async mount({ type, target }) {
      calls.push(`mount ${target}`);
      mounted.push(lineOf(type === "nfs" ? "nfs4" : type, target));
    },
    async detach(target) {
      calls.push(`detach ${target}`);
      mounted = mounted.filter((line) => line.target !== target);
    },
    askStorage(directory, operation) {
      calls.push(`ask ${directory}`);
      return answer(operation);
    },
    async assist({ directory }) {
      calls.push(`probe ${directory}`);
      throw new EngineError("storage.read_only", "error while making a file");
    },
  };
}

function lineOf(fileSystem: string, target: string): MountInfo {
  return {
    ...{ mountId: 1, parentId: 0, device: "0:1", root: "/", target, options: [] },
    ...{ propagation: [], fileSystem, source: "somewhere" },
  };
}

async function withVolume(
  options: DriverOptions,
): Promise<{ readonly driver: VolumeDriver; readonly health: HealthCapable }> {
  const driver = localDriver({ root, host: fakeHost() });
  await driver.create({ name: wiki, options }, testOperation());
  const { health } = driver;
  if (health === undefined) throw new Error("it has no health");
  return { driver, health };
}

test.each<[DriverOptions, string]>([
  [{}, ""],
  [{ type: "tmpfs", device: "tmpfs", o: "size=1m" }, ""],
  [{ type: "none", device: "/srv", o: "bind" }, ""],
  [{ type: "ext4", device: "/dev/sdb1" }, ""],
  [nfs, "192.0.2.7"],
  [{ type: "nfs4", device: "nas.lan:/tank" }, "nas.lan"],
  [{ type: "nfs", device: "[2001:db8::1]:/tank" }, "[2001:db8::1]"],
  [{ type: "cifs", device: "//nas.lan/share", o: "username=me,password=x" }, "nas.lan"],
  [sshfs, "nas.lan"],
])("%j is on %j", async (options, server) => {
  const { health } = await withVolume({});
  expect(health.server(options)).toBe(server);
});

describe("nobody is asked", () => {
  const ready = { state: "ready", reason: "", tookMs: null } as const;

  test("for a volume that is not mounted", async () => {
    const { health } = await withVolume(nfs);
    expect(await health.check(wiki, testOperation())).toEqual(ready);
    expect(calls).toEqual([]);
  });

  test("for what lies on this machine", async () => {
    const { driver, health } = await withVolume({ type: "tmpfs", device: "tmpfs" });
    await driver.mount(wiki, c1, testOperation());
    expect(await health.check(wiki, testOperation())).toEqual(ready);
    expect(calls).toEqual([`mount ${data}`]);
  });

  test("for a volume that is not there", async () => {
    const { health } = await withVolume(nfs);
    const asking = health.check(parseVolumeName("other"), testOperation());
    expect((await failureOf(asking)).code).toBe("volume.not_found");
  });
});

describe("what is mounted", () => {
  async function checked() {
    const { driver, health } = await withVolume(nfs);
    await driver.mount(wiki, c1, testOperation());
    return { health, found: await health.check(wiki, testOperation()) };
  }

  test("answers", async () => {
    expect((await checked()).found).toEqual({ state: "ready", reason: "", tookMs: 3 });
  });

  test("is full, of files too", async () => {
    answer = async () => ({ ...answered, space: { ...room, availableBytes: 0 } });
    const reason = "the server is full (0 bytes left)";
    expect((await checked()).found).toEqual({ state: "degraded", reason, tookMs: 3 });
    answer = async () => ({ ...answered, space: { ...room, fileCount: 10 } });
    expect((await checked()).found).toMatchObject({ reason: "the server is full (all 10 files)" });
  });

  test("takes no writes any more: access(2) suspects, a file tells", async () => {
    answer = async () => ({ ...answered, isWritable: false });
    const { found } = await checked();
    expect(found).toMatchObject({ state: "read-only", reason: "the server takes no writes" });
    expect(calls.slice(-2)).toEqual([`ask ${data}`, `probe ${data}`]);
  });

  test("is stuck", async () => {
    answer = () => Promise.reject(new EngineError("driver.timed_out", "still not answered"));
    const { found } = await checked();
    expect(found).toEqual({ state: "unreachable", reason: "still not answered", tookMs: null });
  });

  test("says something else", async () => {
    answer = () => Promise.reject(new EngineError("storage.failed", "Permission denied"));
    const { health, found } = await checked();
    expect(found).toEqual({ state: "degraded", reason: "Permission denied", tookMs: null });
    await health.heal(wiki, testOperation());
    expect(calls.filter((call) => !call.startsWith("ask"))).toEqual([`mount ${data}`]);
  });

  test("is given up on when the caller gives up", async () => {
    const controller = new AbortController();
    answer = ({ signal }) =>
      new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
    const { driver, health } = await withVolume(sshfs);
    await driver.mount(wiki, c1, testOperation());
    const checking = health.check(wiki, testOperation(controller.signal));
    controller.abort(new EngineError("driver.timed_out", "too late"));
    expect((await checking).state).toBe("unreachable");
  });

  test("is gone, and is mounted anew at the same path", async () => {
    const gone = { details: { isGone: true } };
    answer = async () => {
      if (calls.includes(`detach ${data}`)) return answered;
      throw new EngineError("storage.failed", "Stale file handle", gone);
    };
    const { health, found } = await checked();
    expect(found).toEqual({ state: "stale", reason: "Stale file handle", tookMs: null });
    calls = [];
    await health.heal(wiki, testOperation());
    expect(calls).toEqual([`ask ${data}`, `detach ${data}`, `mount ${data}`]);
    await health.heal(wiki, testOperation());
    expect(calls).toHaveLength(4);
  });
});
