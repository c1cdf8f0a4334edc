// Holders of `local` volumes over a mount table of the test's own: first mounts, last unmounts.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { failureOf } from "../../../test/support/engine-bench.ts";
import type { DriverOptions, VolumeDriver } from "../../core/driver.ts";
import { EngineError } from "../../core/errors.ts";
import type { Host, MountInfo, MountRequest } from "../../core/host.ts";
import { makeOperationId, makeTrashId, parseHolderId, parseVolumeName } from "../../core/names.ts";
import { type Operation, silentLog, systemCaller } from "../../core/operation.ts";
import { linuxHost } from "../../host/linux.ts";
import { localDriver } from "./driver.ts";

const wiki = parseVolumeName("wiki");
const c1 = parseHolderId("c1");
const c2 = parseHolderId("c2");
const tmpfs = { type: "tmpfs", device: "tmpfs", o: "size=1m" };
const operation: Operation = {
  id: makeOperationId("test"),
  caller: systemCaller,
  signal: new AbortController().signal,
  log: silentLog,
};

let root: string;
let data: string;
let calls: string[];
let requests: MountRequest[];
let targets: string[];
beforeEach(() => {
  root = mkdtempSync("/dev/shm/holdfast-mounts-");
  data = join(root, "volumes", "wiki", "_data");
  calls = [];
  requests = [];
  targets = [];
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

/** A machine on which nothing is ever mounted in earnest. */
function fakeHost(change: Partial<Host> = {}): Host {
  return {
    ...linuxHost(),
    mounts: () => targets.map(lineOf),
    isMountPoint: (directory) => targets.includes(directory),
    async mount(request) {
      calls.push(`mount ${request.target}`);
      requests.push(request);
      targets.push(request.target);
    },
    async unmount(target) {
      calls.push(`unmount ${target}`);
      targets = targets.filter((each) => each !== target);
    },
    ...change,
  };
}

function lineOf(target: string): MountInfo {
  return {
    mountId: 1,
    parentId: 0,
    device: "0:1",
    root: "/",
    target,
    options: [],
    propagation: [],
    fileSystem: "tmpfs",
    source: "tmpfs",
  };
}

async function withVolume(
  options: DriverOptions = tmpfs,
  host = fakeHost(),
): Promise<VolumeDriver> {
  const driver = localDriver({ root, host });
  await driver.create({ name: wiki, options }, operation);
  return driver;
}

function retire(driver: VolumeDriver): Promise<void> {
  return (
    driver.trash?.retire(wiki, { id: makeTrashId("0".repeat(16)), description: "" }, operation) ??
    Promise.reject()
  );
}

describe("a volume with type and device", () => {
  test("is mounted for the first holder and unmounted after the last", async () => {
    const driver = await withVolume();
    expect(await driver.mount(wiki, c1, operation)).toBe(data);
    expect(requests).toEqual([
      { type: "tmpfs", device: "tmpfs", target: data, options: "size=1m" },
    ]);
    expect(await driver.mount(wiki, c2, operation)).toBe(data);
    await driver.mount(wiki, c2, operation);
    expect(calls).toEqual([`mount ${data}`]);
    await driver.unmount(wiki, c1, operation);
    await driver.unmount(wiki, c1, operation);
    expect(calls).toHaveLength(1);
    await driver.unmount(wiki, c2, operation);
    expect(calls).toEqual([`mount ${data}`, `unmount ${data}`]);
    await driver.mount(wiki, c1, operation);
    expect(calls).toHaveLength(3);
  });

  test("whose mount fails has no holder, and can be removed", async () => {
    const dead = new EngineError("volume.mount_failed", "no route to host");
    const driver = await withVolume(tmpfs, fakeHost({ mount: () => Promise.reject(dead) }));
    expect(await failureOf(driver.mount(wiki, c1, operation))).toBe(dead);
    await retire(driver);
    expect((await driver.get(wiki, operation)).state).toBe("absent");
  });

  test("that is still mounted from an earlier life is taken over, not mounted again", async () => {
    await (await withVolume()).mount(wiki, c1, operation);
    calls = [];
    const next = localDriver({ root, host: fakeHost() });
    expect(await next.mount(wiki, c1, operation)).toBe(data);
    expect(calls).toEqual([]);
    await next.unmount(wiki, c1, operation);
    expect(calls).toEqual([`unmount ${data}`]);
  });

  test("is taken over also when the root is named through a link", async () => {
    const link = `${root}-link`;
    symlinkSync(root, link);
    try {
      const driver = localDriver({ root: link, host: fakeHost() });
      await driver.create({ name: wiki, options: tmpfs }, operation);
      expect(await driver.mount(wiki, c1, operation)).toBe(data);
      await driver.mount(wiki, c2, operation);
      expect(calls).toEqual([`mount ${data}`]);
    } finally {
      rmSync(link);
    }
  });

  test.each([
    ["username=me,password=hunter2", 1],
    ["username=me%hunter2,ro", 1],
    ["credentials=/etc/nas,ro", 0],
  ])("with %s in its options is warned of %d times, without it", async (o, count) => {
    const warnings: unknown[] = [];
    const warn = (...words: readonly unknown[]) => warnings.push(words);
    const driver = await withVolume({ type: "cifs", device: "//nas/share", o });
    await driver.mount(wiki, c1, { ...operation, log: { ...silentLog, warn } });
    expect(warnings).toHaveLength(count);
    expect(JSON.stringify(warnings)).not.toContain("hunter2");
  });

  test("whose unmount fails keeps its holder", async () => {
    const busy = new EngineError("volume.unmount_failed", "target is busy");
    const driver = await withVolume(tmpfs, fakeHost({ unmount: () => Promise.reject(busy) }));
    await driver.mount(wiki, c1, operation);
    expect(await failureOf(driver.unmount(wiki, c1, operation))).toBe(busy);
    expect((await failureOf(retire(driver))).code).toBe("volume.in_use");
  });

  test("that nobody of this life has mounted is unmounted when it is removed", async () => {
    await (await withVolume()).mount(wiki, c1, operation);
    calls = [];
    await retire(localDriver({ root, host: fakeHost() }));
    expect(calls).toEqual([`unmount ${data}`]);
  });

  test("that cannot be unmounted is not moved", async () => {
    const busy = new EngineError("volume.unmount_failed", "target is busy");
    const driver = await withVolume(tmpfs, fakeHost({ unmount: () => Promise.reject(busy) }));
    targets.push(data);
    expect(await failureOf(retire(driver))).toBe(busy);
    expect((await driver.get(wiki, operation)).state).toBe("found");
  });

  test("gets its mount point back, which holds no data", async () => {
    const driver = await withVolume();
    rmSync(data, { recursive: true });
    expect(await driver.mount(wiki, c1, operation)).toBe(data);
    expect(calls).toEqual([`mount ${data}`]);
  });

  test("whose options cannot be read is not taken for a plain directory", async () => {
    const driver = await withVolume();
    await Bun.write(join(root, "volumes", "wiki", "opts.json"), "{");
    const { code } = await failureOf(driver.mount(wiki, c1, operation));
    expect(code).toBe("storage.failed");
    expect((await driver.get(wiki, operation)).state).toBe("unknown");
  });
});

describe("a plain volume", () => {
  test("needs no mount, and is held all the same", async () => {
    const driver = await withVolume({});
    expect(await driver.mount(wiki, c1, operation)).toBe(data);
    expect((await failureOf(retire(driver))).message).toBe("volume has active mounts");
    await driver.unmount(wiki, c1, operation);
    await retire(driver);
    expect(calls).toEqual([]);
  });

  test("without its data is an error, and with a link in its place too", async () => {
    const driver = await withVolume({});
    rmSync(data, { recursive: true });
    const missing = await failureOf(driver.mount(wiki, c1, operation));
    expect(missing.code).toBe("volume.data_missing");
    expect(missing.message).toBe(
      `error while mounting volume '${data}': the data directory is missing`,
    );
    mkdirSync(join(root, "elsewhere"));
    symlinkSync(join(root, "elsewhere"), data);
    for (const work of [driver.mount(wiki, c1, operation), retire(driver)]) {
      expect((await failureOf(work)).code).toBe("volume.data_foreign");
    }
  });

  test("that is a link itself is refused everywhere", async () => {
    const driver = await withVolume({});
    mkdirSync(join(root, "elsewhere", "_data"), { recursive: true });
    rmSync(join(root, "volumes", "wiki"), { recursive: true });
    symlinkSync(join(root, "elsewhere"), join(root, "volumes", "wiki"));
    for (const work of [driver.mount(wiki, c1, operation), retire(driver)]) {
      expect((await failureOf(work)).code).toBe("volume.data_foreign");
    }
    expect((await driver.get(wiki, operation)).state).toBe("unknown");
    expect(await Array.fromAsync(driver.list(operation))).toEqual([]);
  });

  test("with a mount of somebody else below it is neither moved nor forgotten", async () => {
    const driver = await withVolume({});
    targets.push(join(data, "planted"));
    const { code, message } = await failureOf(retire(driver));
    expect(code).toBe("volume.in_use");
    expect(message).toContain(join(data, "planted"));
    expect((await driver.get(wiki, operation)).state).toBe("found");
  });
});
