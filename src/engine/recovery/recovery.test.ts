// Recovery: every difference between rows and storage, found at the start, and settled twice alike.
import { describe, expect, test } from "bun:test";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { EngineBench, failureOf, startedEngine } from "../../../test/support/engine-bench.ts";
import {
  bracketed,
  dead,
  idOfTrash,
  only,
  retireRow,
  startsWith,
  withVolume,
} from "../../../test/support/recovery-bench.ts";
import { type DriverName, parseHolderId, type VolumeName } from "../../core/names.ts";

/** Mounts and unmounts: from now on the volume counts as used. */
async function use(bench: EngineBench): Promise<void> {
  const holder = parseHolderId("c1");
  await bench.engine.volumes.mount("wiki", holder, bench.operation());
  await bench.engine.volumes.unmount("wiki", holder, bench.operation());
}

describe("a volume without its directory", () => {
  test("is made again when it was never used", async () => {
    const { bench, entry } = await withVolume();
    await using _bench = bench;
    rmSync(bench.volumePath("wiki"), { recursive: true });
    await startsWith(bench, { rebuilt: ["wiki"] });
    expect(existsSync(entry.mountpoint)).toBe(true);
    expect(bench.engine.volumes.inspect("wiki").labels).toEqual({ a: "1" });
  });

  test("also when only the directory of the data is gone", async () => {
    const { bench, entry } = await withVolume();
    await using _bench = bench;
    rmSync(entry.mountpoint, { recursive: true });
    await startsWith(bench, { rebuilt: ["wiki"] });
    expect(existsSync(entry.mountpoint)).toBe(true);
  });

  test("is missing once it was used: its row stays, and mounting it is an error", async () => {
    const { bench, entry } = await withVolume();
    await using _bench = bench;
    await use(bench);
    rmSync(bench.volumePath("wiki"), { recursive: true });
    await startsWith(bench, { missing: ["wiki"] }, { missing: ["wiki"] });
    expect(bench.engine.volumes.inspect("wiki").labels).toEqual({ a: "1" });
    const { code, message } = await failureOf(use(bench));
    expect(code).toBe("volume.data_missing");
    expect(message).toBe(
      `error while mounting volume '${entry.mountpoint}': the data directory is missing`,
    );
    expect(existsSync(bench.volumePath("wiki"))).toBe(false);
  });

  test("comes back when its data lies in the trash without a record", async () => {
    const { bench, entry } = await withVolume();
    await using _bench = bench;
    await use(bench);
    writeFileSync(join(entry.mountpoint, "file"), "data");
    renameSync(bench.volumePath("wiki"), join(bench.root, "trash", idOfTrash));
    await startsWith(bench, { restored: ["wiki"] });
    expect(existsSync(join(entry.mountpoint, "file"))).toBe(true);
  });
});

describe("a removal that the power cut undid", () => {
  /** Removed by its row, and its directory in its old place: the rename was lost. */
  async function halfRemoved(): Promise<EngineBench> {
    const { bench, entry } = await withVolume();
    writeFileSync(join(entry.mountpoint, "file"), "data");
    await retireRow(bench, entry);
    return bench;
  }

  test("is finished", async () => {
    await using bench = await halfRemoved();
    await startsWith(bench, { retired: ["wiki"] });
    expect(bench.engine.volumes.list({})).toEqual([]);
    await bench.purged();
    expect(existsSync(bench.volumePath("wiki"))).toBe(false);
    expect(readdirSync(join(bench.root, "trash"))).toEqual([]);
  });

  test("leaves a new volume of the same name alone", async () => {
    await using bench = await halfRemoved();
    rmSync(bench.volumePath("wiki"), { recursive: true });
    const request = { name: "wiki", options: null, labels: { b: "2" } };
    const { mountpoint } = await bench.engine.volumes.create(request, bench.operation());
    writeFileSync(join(mountpoint, "new"), "data");
    await startsWith(bench, {});
    await bench.purged();
    expect(existsSync(join(mountpoint, "new"))).toBe(true);
  });

  test("makes room for a new volume of the same name whose directory is lost", async () => {
    await using bench = await halfRemoved();
    await bench.state.write((transaction) => {
      const retired = [...transaction.retired()][0]?.volume;
      if (retired === undefined) throw new Error("nothing is retired");
      transaction.putVolume({ ...retired, identity: "", labels: { b: "2" } });
    });
    await startsWith(bench, { retired: ["wiki"], rebuilt: ["wiki"] });
    expect(readdirSync(join(bench.volumePath("wiki"), "_data"))).toEqual([]);
    expect(bench.engine.volumes.inspect("wiki").labels).toEqual({ b: "2" });
  });

  test("is not finished on another directory of that name: that one is adopted", async () => {
    await using bench = await halfRemoved();
    renameSync(bench.volumePath("wiki"), join(bench.root, "aside"));
    mkdirSync(join(bench.volumePath("wiki"), "_data"), { recursive: true });
    await startsWith(bench, { adopted: ["wiki"] });
    await bench.purged();
    expect(existsSync(bench.volumePath("wiki"))).toBe(true);
  });
});

describe("storage without a row", () => {
  test("is adopted as used, without labels, and can be mounted", async () => {
    await using bench = new EngineBench({});
    mkdirSync(join(bench.volumePath("old"), "_data"), { recursive: true });
    await bench.start();
    expect(bench.engine.recovery as object).toEqual(only({ adopted: ["old"] }));
    const entry = bench.engine.volumes.inspect("old");
    expect(entry).toMatchObject({
      driver: "local" as DriverName,
      labels: null,
      options: null,
      phase: "ready",
      usedAtMs: bench.nowMs,
    });
    expect(entry.identity).not.toBe("");
    expect(bench.state.history({ order: "newest first", countMax: 1 }).entries).toMatchObject([
      { action: "adopt", volume: "old" as VolumeName },
    ]);
    await bench.restart();
    expect(bench.engine.recovery as object).toEqual(only({}));
    rmSync(bench.volumePath("old"), { recursive: true });
    await startsWith(bench, { missing: ["old"] }, { missing: ["old"] });
  });

  test("with Docker's options file gets its options back", async () => {
    await using bench = new EngineBench({});
    mkdirSync(join(bench.volumePath("old"), "_data"), { recursive: true });
    const words = { MountType: "tmpfs", MountOpts: "size=1m", MountDevice: "tmpfs" };
    writeFileSync(join(bench.volumePath("old"), "opts.json"), JSON.stringify(words));
    await bench.start();
    expect(bench.engine.volumes.inspect("old").options).toEqual({
      type: "tmpfs",
      o: "size=1m",
      device: "tmpfs",
    });
  });

  test("beside it, what dockerd keeps there does not stop the start", async () => {
    await using bench = new EngineBench({});
    mkdirSync(join(bench.volumePath("old"), "_data"), { recursive: true });
    writeFileSync(bench.volumePath("metadata.db"), "dockerd's");
    mkdirSync(bench.volumePath("backingFsBlockDev"));
    symlinkSync("/etc", bench.volumePath("link"));
    mkdirSync(join(bench.volumePath("damaged"), "_data"), { recursive: true });
    writeFileSync(join(bench.volumePath("damaged"), "opts.json"), "{");
    await bench.start();
    expect(bench.engine.recovery as object).toEqual(only({ adopted: ["old"] }));
    const told = bench.log.filter((line) => line.level === "warn").map((line) => line.fields);
    expect(told.map((fields) => String(fields["name"])).sort()).toEqual([
      "damaged",
      "link",
      "metadata.db",
    ]);
  });

  test("in the trash it is a stray, and is kept", async () => {
    await using bench = await startedEngine();
    const stray = join(bench.root, "trash", idOfTrash);
    mkdirSync(join(stray, "_data"), { recursive: true });
    writeFileSync(join(stray, "_data", "file"), "data");
    await startsWith(bench, { strays: [idOfTrash] }, { strays: [idOfTrash] });
    expect(existsSync(join(stray, "_data", "file"))).toBe(true);
  });
});

describe("what was under way", () => {
  test("a creation that never ended is forgotten, and its data is left alone", async () => {
    const { bench, entry } = await withVolume(bracketed(), "scratch");
    await using _bench = bench;
    const file = join(entry.mountpoint, "file");
    writeFileSync(file, "data");
    await bench.state.write((transaction) => {
      transaction.putVolume({ ...entry, phase: "creating" });
    });
    await startsWith(bench, { forgotten: ["wiki"] });
    expect(bench.engine.volumes.list({})).toEqual([]);
    expect(existsSync(file)).toBe(true);
  });

  test("a creation whose driver cannot forget it is begun again by the next create", async () => {
    let isDead = false;
    const parts = bracketed((driver) => ({
      forget: (name, operation) => (isDead ? Promise.reject(dead) : driver.forget(name, operation)),
    }));
    const { bench, entry } = await withVolume(parts, "scratch");
    await using _bench = bench;
    await bench.state.write((transaction) => {
      transaction.putVolume({ ...entry, phase: "creating" });
    });
    isDead = true;
    await startsWith(bench, { failed: ["wiki"] }, { failed: ["wiki"] });
    const request = { name: "wiki", driver: "scratch", options: null, labels: { b: "2" } };
    const again = await bench.engine.volumes.create(request, bench.operation());
    expect([again.phase, again.labels]).toEqual(["ready", { b: "2" }]);
  });

  test("a destruction that had not begun leaves the volume as it was", async () => {
    const { bench, entry } = await withVolume(bracketed(), "scratch");
    await using _bench = bench;
    await bench.state.write((transaction) => {
      transaction.putVolume({ ...entry, phase: "removing" });
    });
    await startsWith(bench, {});
    expect(bench.engine.volumes.inspect("wiki").phase).toBe("ready");
  });

  test("a destruction that was done takes its row along", async () => {
    const { bench, entry } = await withVolume(bracketed(), "scratch");
    await using _bench = bench;
    await bench.scratch().destroy(entry.name, bench.operation());
    await bench.state.write((transaction) => {
      transaction.putVolume({ ...entry, phase: "removing" });
    });
    await startsWith(bench, {});
    expect(bench.engine.volumes.list({})).toEqual([]);
  });
});
