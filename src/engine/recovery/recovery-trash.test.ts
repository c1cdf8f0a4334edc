// Recovery of the trash: rows and data find each other again, also when the state was lost.
import { describe, expect, test } from "bun:test";
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import {
  changedTrash,
  create,
  type EngineBenchParts,
  named,
  names,
} from "../../../test/support/engine-bench.ts";
import { dead, idOfTrash, only, retiredRow } from "../../../test/support/recovery-bench.ts";
import { type TrashBench, trashBench } from "../../../test/support/trash-bench.ts";
import { parseHolderId, parseVolumeName } from "../../core/names.ts";
import type { RetiredEntry, StateOrigin } from "../../core/state-store.ts";
import { describeRetired } from "../trash/retired-description.ts";

const salvaged: StateOrigin = {
  kind: "salvaged",
  reason: "state.db is missing",
  copiedAtMs: 7,
  damagedPath: null,
};

/** A bench whose later starts have their rows from an older copy, once that is said. */
async function salvagedLater(): Promise<{ bench: TrashBench; lose: () => void }> {
  let isLost = false;
  const bench = await trashBench({
    state: (state) => (isLost ? { ...state, origin: salvaged } : state),
  });
  return {
    bench,
    lose: () => {
      isLost = true;
    },
  };
}

/** The state forgets everything about removed volumes. */
async function forgetTrash({ engine }: TrashBench): Promise<void> {
  await engine.state.write((transaction) => {
    for (const { id } of [...transaction.retired()]) transaction.removeRetired(id);
  });
}

/** A start finds this, and the next one nothing but what stays so. */
async function finds(bench: TrashBench, first: object, second: object = {}): Promise<void> {
  await bench.engine.restart();
  expect(bench.engine.engine.recovery as object).toEqual(only(first));
  await bench.engine.restart();
  expect(bench.engine.engine.recovery as object).toEqual(only(second));
}

describe("data in the trash without a row", () => {
  test("says itself what it is, and can be restored", async () => {
    await using bench = await trashBench();
    const retired = await bench.removed("wiki");
    await bench.engine.engine.trash.protect(retired.id, "prod", bench.engine.operation());
    const before = bench.row(retired.id);
    await forgetTrash(bench);
    await finds(bench, { trashFound: [retired.id] });
    expect(bench.row(retired.id)).toEqual(before);
    const entry = await bench.restore(retired.id);
    expect([entry.labels, bench.file("wiki")]).toEqual([{ of: "wiki" }, "wiki"]);
  });

  test("that was copied back from a backup has an identity of its own now", async () => {
    await using bench = await trashBench();
    const { id, volume } = await bench.removed("wiki");
    await forgetTrash(bench);
    // Another directory with the same content.
    cpSync(bench.place(id), `${bench.place(id)}-copy`, { recursive: true });
    rmSync(bench.place(id), { recursive: true });
    renameSync(`${bench.place(id)}-copy`, bench.place(id));
    await finds(bench, { trashFound: [id] });
    expect(bench.row(id)?.volume.identity).not.toBe(volume.identity);
    await bench.restore(id);
    expect(bench.file("wiki")).toBe("wiki");
  });

  for (const [what, text] of [
    ["nothing", null],
    ["rubbish", "{"],
    ["something of another one", "other"],
  ] as const) {
    test(`and with ${what} beside it stays a stray, and is kept`, async () => {
      await using bench = await trashBench();
      const { id } = await bench.removed("wiki");
      const file = join(bench.place(id), "retired.json");
      if (text === null) rmSync(file);
      else if (text === "{") writeFileSync(file, text);
      else {
        const other = await bench.removed("other");
        const description = { entry: other, history: [] };
        writeFileSync(file, describeRetired(description));
        await bench.purge(other.id);
        await bench.engine.engine.trash.purged(other.id, bench.engine.operation());
      }
      await forgetTrash(bench);
      await finds(bench, { strays: [id] }, { strays: [id] });
      expect(existsSync(join(bench.place(id), "_data", "file"))).toBe(true);
    });
  }

  test("whose destruction had begun is destroyed", async () => {
    await using bench = await trashBench();
    const described = await bench.removed("described");
    const bare = await bench.removed("bare");
    rmSync(join(bench.place(bare.id), "retired.json"));
    for (const { id } of [described, bare]) {
      renameSync(bench.place(id), `${bench.place(id)}.purging`);
    }
    await forgetTrash(bench);
    await bench.engine.restart();
    expect(bench.engine.engine.recovery as object).toEqual(only({}));
    await bench.engine.purged();
    expect(readdirSync(join(bench.engine.root, "trash"))).toEqual([]);
  });
});

describe("a row of the trash", () => {
  test("whose data says that its destruction has begun is not offered any more", async () => {
    let isDead = true;
    await using bench = await trashBench(
      changedTrash((trash) => ({
        purge: (ids, operation) => (isDead ? Promise.reject(dead) : trash.purge(ids, operation)),
      })),
    );
    const { id } = await bench.removed("wiki");
    renameSync(bench.place(id), `${bench.place(id)}.purging`);
    await bench.engine.restart();
    expect(bench.row(id)?.phase).toBe("purging");
    isDead = false;
    await bench.engine.restart();
    await bench.engine.purged();
    expect(readdirSync(join(bench.engine.root, "trash"))).toEqual([]);
  });

  test("whose data is nowhere is dropped: there is nothing to restore", async () => {
    await using bench = await trashBench();
    const { volumes } = bench.engine.engine;
    await bench.filled("wiki");
    await volumes.mount("wiki", parseHolderId("job"), bench.engine.operation());
    await volumes.unmount("wiki", parseHolderId("job"), bench.engine.operation());
    await bench.remove("wiki");
    const { id } = bench.engine.engine.trash.find("wiki");
    await bench.removed("docs");
    rmSync(bench.place(id), { recursive: true });
    await finds(bench, {});
    expect(bench.kept()).toEqual(["docs"]);
    expect(bench.engine.log).toContainEqual(
      expect.objectContaining({ fields: { volume: "wiki", trash: id } }),
    );
  });

  test("of what nobody ever used stays without data, and its restore makes it again", async () => {
    await using bench = await trashBench();
    const { id } = await bench.removed("wiki");
    rmSync(bench.place(id), { recursive: true });
    await finds(bench, {});
    expect(bench.kept()).toEqual(["wiki"]);
    const { mountpoint } = await bench.restore(id);
    expect(readdirSync(mountpoint)).toEqual([]);
  });

  test("stays while the disk is not there", async () => {
    // Seen by the driver only: a start makes missing directories of a new root.
    let isThere = true;
    const parts: EngineBenchParts = {
      drivers: (it) => {
        const driver = it.local();
        const nothing = { async *list() {} };
        const get: typeof driver.get = async () => ({ state: "unknown", reason: "it is gone" });
        const trash = driver.trash && { ...driver.trash, ...nothing };
        return [isThere ? driver : { ...driver, ...nothing, get, trash }];
      },
    };
    await using other = await trashBench(parts);
    const kept = await other.removed("docs");
    isThere = false;
    await other.engine.restart();
    expect(other.row(kept.id)).toEqual(kept);
    isThere = true;
    await other.engine.restart();
    await other.restore(kept.id);
    expect(other.file("docs")).toBe("docs");
  });

  test("whose data was never moved has it moved, with its description", async () => {
    await using bench = await trashBench();
    const entry = await bench.filled("wiki");
    const retired = await rowOnly(bench, "wiki");
    await finds(bench, { retired: ["wiki"] });
    expect((await bench.described(retired.id))?.entry).toEqual(retired);
    await bench.restore(retired.id);
    expect(bench.engine.engine.volumes.inspect("wiki").labels).toEqual(entry.labels);
  });

  test("whose data somebody has moved out is a volume again, with all that was known", async () => {
    await using bench = await trashBench({ host: (host) => ({ ...host, nowMs: Date.now }) });
    for (const place of ["wiki", "moved"]) {
      const retired = await bench.removed("wiki");
      const { id } = retired;
      // It has been looked at there: before that nobody knows that it ever came so far.
      const measured = { ...retired, sizeBytes: 4 };
      await bench.engine.state.write((transaction) => transaction.putRetired(measured));
      await Bun.sleep(50); // The kernel's time stamps are coarse, and this one must be later.
      renameSync(bench.place(id), bench.engine.volumePath(place));
      await finds(bench, { restored: [place] });
      expect(bench.engine.engine.volumes.inspect(place)).toMatchObject({
        labels: { of: "wiki" },
        mountpoint: join(bench.engine.volumePath(place), "_data"),
      });
      expect([bench.row(id), bench.file(place)]).toEqual([undefined, "wiki"]);
      await bench.remove(place, { purge: true });
    }
  });
});

describe("a restore that a crash cut short", () => {
  test("is finished: the row is there, and the data follows", async () => {
    await using bench = await trashBench();
    const retired = await bench.removed("wiki");
    await restoredRow(bench, retired);
    await finds(bench, { restored: ["wiki"] });
    expect(bench.file("wiki")).toBe("wiki");
  });

  test("and a salvaged state: it is in the trash again, and is not lost", async () => {
    const { bench, lose } = await salvagedLater();
    await using _bench = bench;
    const retired = await bench.removed("wiki");
    await restoredRow(bench, retired);
    lose();
    await finds(bench, { leftRemoved: ["wiki"], trashFound: [retired.id] });
    await bench.restore(retired.id);
    expect(bench.file("wiki")).toBe("wiki");
  });
});

describe("an older copy of the state", () => {
  for (const usedAtMs of [1, null]) {
    test(`does not bring back what was removed since, used at ${usedAtMs}`, async () => {
      const { bench, lose } = await salvagedLater();
      await using _bench = bench;
      const before = await bench.filled("wiki");
      await bench.remove("wiki");
      const { id, volume } = bench.engine.engine.trash.find("wiki");
      const identity = usedAtMs === null ? "" : volume.identity;
      await forgetTrash(bench);
      await bench.engine.state.write((transaction) => {
        transaction.putVolume({ ...before, identity, usedAtMs });
      });
      lose();
      await finds(bench, { leftRemoved: ["wiki"], trashFound: [id] });
      expect([names(bench.engine), bench.kept()]).toEqual([[], ["wiki"]]);
    });
  }

  test("knows removals whose data was restored since: the volume stays", async () => {
    const { bench, lose } = await salvagedLater();
    await using _bench = bench;
    const retired = await bench.removed("wiki");
    await Bun.sleep(50); // The kernel's time stamps are coarse, and this one must be later.
    await bench.restore(retired.id, "docs");
    await bench.engine.state.write((transaction) => {
      const entry = transaction.volume("docs");
      if (entry !== undefined) transaction.removeVolume(entry.name);
      transaction.putRetired(retired);
    });
    lose();
    await finds(bench, { restored: ["docs"] });
    expect(bench.engine.engine.volumes.inspect("docs").labels).toEqual({ of: "wiki" });
  });

  test("knows removals whose data was purged since: they are forgotten", async () => {
    const { bench, lose } = await salvagedLater();
    await using _bench = bench;
    const retired = await bench.removed("wiki");
    await bench.purge(retired.id);
    await bench.engine.purged();
    await bench.engine.state.write((transaction) => transaction.putRetired(retired));
    lose();
    await finds(bench, {});
    expect(bench.engine.engine.trash.list()).toEqual([]);
  });
});

describe("a rename that a crash cut short", () => {
  test("is finished by identity, and its name is not made again", async () => {
    await using bench = await trashBench();
    await renamedRow(bench, "wiki", "docs");
    await finds(bench, { renamed: ["docs"] });
    expect(names(bench.engine)).toEqual(["docs"]);
    expect([bench.file("wiki"), bench.file("docs")]).toEqual([null, "wiki"]);
    const { mountpoint } = bench.engine.engine.volumes.inspect("docs");
    expect(mountpoint).toBe(join(bench.engine.volumePath("docs"), "_data"));
  });

  test("takes no directory that is another volume's", async () => {
    await using bench = await trashBench();
    await renamedRow(bench, "wiki", "docs");
    rmSync(bench.engine.volumePath("wiki"), { recursive: true });
    await create(bench.engine, named("wiki"));
    writeFileSync(join(bench.engine.volumePath("wiki"), "_data", "file"), "new");
    await finds(bench, { missing: ["docs"] }, { missing: ["docs"] });
    expect(bench.file("wiki")).toBe("new");
  });

  test("takes no directory of another identity either: that one is adopted", async () => {
    await using bench = await trashBench();
    await renamedRow(bench, "wiki", "docs");
    renameSync(bench.engine.volumePath("wiki"), join(bench.engine.root, "aside"));
    mkdirSync(join(bench.engine.volumePath("wiki"), "_data"), { recursive: true });
    await finds(bench, { adopted: ["wiki"], missing: ["docs"] }, { missing: ["docs"] });
  });

  test("that fails leaves both as they are, and nobody adopts the old name", async () => {
    let isDead = true;
    await using bench = await trashBench({
      drivers: (it) => {
        const driver = it.local();
        const rename: typeof driver.rename = driver.rename && {
          rename: (from, to, operation) =>
            isDead
              ? Promise.reject(dead)
              : (driver.rename?.rename(from, to, operation) ?? Promise.resolve()),
        };
        return [{ ...driver, rename }];
      },
    });
    await renamedRow(bench, "wiki", "docs");
    await bench.engine.restart();
    expect(bench.engine.engine.recovery.failed as readonly string[]).toContain("docs");
    expect(names(bench.engine)).toEqual(["docs"]);
    isDead = false;
    await bench.engine.restart();
    expect(bench.file("docs")).toBe("wiki");
  });
});

/** Removed by its row alone. */
async function rowOnly(bench: TrashBench, name: string): Promise<RetiredEntry> {
  const entry = bench.engine.engine.volumes.inspect(name);
  const identity = await identityOf(bench, name);
  const retired = retiredRow({ ...entry, identity }, { phase: "kept", purgeAtMs: null });
  await bench.engine.state.write((transaction) => {
    transaction.removeVolume(entry.name);
    transaction.putRetired(retired);
  });
  expect(retired.id).toBe(idOfTrash);
  return retired;
}

async function identityOf(bench: TrashBench, name: string): Promise<string> {
  const entry = bench.engine.engine.volumes.inspect(name);
  const presence = await bench.engine.local().get(entry.name, bench.engine.operation());
  if (presence.state !== "found") throw new Error("it is there");
  return presence.record.identity;
}

/** Restored by its row alone. */
async function restoredRow(bench: TrashBench, { id, volume }: RetiredEntry): Promise<void> {
  await bench.engine.state.write((transaction) => {
    transaction.removeRetired(id);
    transaction.putVolume(volume);
  });
}

/** Renamed by its row alone. */
async function renamedRow(bench: TrashBench, from: string, to: string): Promise<void> {
  const entry = await bench.filled(from);
  const identity = await identityOf(bench, from);
  await bench.engine.state.write((transaction) => {
    transaction.removeVolume(entry.name);
    transaction.putVolume({ ...entry, name: parseVolumeName(to), identity, usedAtMs: 1 });
  });
}
