// Restores: what was removed comes back whole, or stays in the trash, wherever storage fails.
import { describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, readdirSync } from "node:fs";
import { join } from "node:path";
import {
  changedTrash,
  create,
  failureOf,
  named,
  names,
} from "../../../test/support/engine-bench.ts";
import { dead } from "../../../test/support/recovery-bench.ts";
import { halfRemoved, newest, trashBench } from "../../../test/support/trash-bench.ts";
import { EngineError } from "../../core/errors.ts";
import { parseVolumeName } from "../../core/names.ts";
import type { VolumeEntry } from "../../core/state-store.ts";

describe("a restore", () => {
  test("brings all of it back, and is an event", async () => {
    await using bench = await trashBench();
    const before = await bench.filled("wiki", { options: { sharing: "none" } });
    await bench.remove("wiki");
    const { id, volume } = bench.engine.engine.trash.find("wiki");
    const entry = await bench.restore(id);
    expect(entry).toEqual({ ...before, identity: volume.identity });
    expect(bench.engine.engine.volumes.inspect("wiki")).toEqual(entry);
    expect(bench.file("wiki")).toBe("wiki");
    expect(bench.engine.engine.trash.list()).toEqual([]);
    expect(readdirSync(bench.engine.volumePath("wiki"))).toEqual(["_data"]);
    expect(newest(bench)).toMatchObject({ action: "restore", volume: "wiki", subject: id });
    expect(bench.engine.events.at(-1)).toMatchObject({
      ...{ action: "restore", actor: "wiki", attributes: { driver: "local", trash: id } },
    });
    await bench.engine.restart();
    expect(bench.engine.engine.volumes.inspect("wiki")).toEqual(entry);
    expect((await failureOf(bench.restore(id))).code).toBe("trash.not_found");
  });

  test("under another name has its place there", async () => {
    await using bench = await trashBench();
    const { id } = await bench.removed("wiki");
    await bench.filled("wiki");
    const entry = await bench.restore(id, "wiki-old");
    expect(entry.mountpoint).toBe(join(bench.engine.volumePath("wiki-old"), "_data"));
    expect([bench.file("wiki"), bench.file("wiki-old")]).toEqual(["wiki", "wiki"]);
    await bench.engine.restart();
    expect(bench.engine.engine.recovery).toMatchObject({ adopted: [], missing: [], rebuilt: [] });
  });

  test("takes no name that a volume, an alias or a directory has", async () => {
    await using bench = await trashBench();
    const { id } = await bench.removed("wiki");
    const other = await bench.filled("wiki");
    await bench.engine.state.write((transaction) =>
      transaction.putAlias({ alias: parseVolumeName("old"), volume: other.name, sinceMs: 1 }),
    );
    mkdirSync(join(bench.engine.volumePath("foreign"), "_data"), { recursive: true });
    for (const as of [undefined, "wiki", "old", "foreign"]) {
      expect((await failureOf(bench.restore(id, as))).code).toBe("volume.name_taken");
    }
    expect((await failureOf(bench.restore(id, "../x"))).code).toBe("volume.name_invalid");
    expect(bench.kept()).toEqual(["wiki"]);
    await bench.restore(id, "free");
  });

  test("and a create of the same name follow one another", async () => {
    await using bench = await trashBench();
    const { id } = await bench.removed("wiki");
    const [restored, created] = await Promise.all([
      bench.restore(id).then((entry): VolumeEntry | string => entry, codeOf),
      create(bench.engine, named("wiki", { labels: { of: "create" } })),
    ]);
    if (typeof restored === "string") expect(restored).toBe("volume.name_taken");
    else expect(created).toEqual(restored);
    expect(names(bench.engine)).toEqual(["wiki"]);
    expect(bench.kept().length + (bench.file("wiki") === "wiki" ? 1 : 0)).toBe(1);
  });

  test("is refused for what is being purged", async () => {
    await using bench = await trashBench(
      changedTrash(() => ({ purge: () => Promise.reject(dead) })),
    );
    const { id } = await bench.removed("wiki");
    await bench.purge(id);
    const { code, message } = await failureOf(bench.restore(id));
    expect(code).toBe("trash.purging");
    expect(message).toBe(`restore ${id}: wiki is being purged, and is not whole any more`);
  });
});

describe("a restore that fails", () => {
  test("leaves it in the trash, and can be repeated", async () => {
    let isDead = true;
    await using bench = await trashBench(
      changedTrash((trash) => ({
        restore: (id, name, operation) =>
          isDead ? Promise.reject(dead) : trash.restore(id, name, operation),
      })),
    );
    const retired = await bench.removed("wiki");
    expect(await failureOf(bench.restore(retired.id, "other"))).toBe(dead);
    expect(names(bench.engine)).toEqual([]);
    expect(bench.engine.engine.trash.list()).toEqual([retired]);
    expect(newest(bench)).toMatchObject({ action: "undo", volume: "other" });
    await bench.engine.restart();
    expect(bench.engine.engine.trash.list()).toEqual([retired]);
    isDead = false;
    await bench.restore(retired.id);
    expect(bench.file("wiki")).toBe("wiki");
  });

  test("only in its answer is done", async () => {
    await using bench = await trashBench(
      changedTrash((trash) => ({
        restore: async (id, name, operation) => {
          await trash.restore(id, name, operation);
          throw dead;
        },
      })),
    );
    const { id } = await bench.removed("wiki");
    await bench.restore(id);
    expect(bench.file("wiki")).toBe("wiki");
    expect(bench.engine.engine.trash.list()).toEqual([]);
  });

  for (const isRestarted of [false, true]) {
    test(`and cannot be looked at, is undone; after that ${isRestarted}`, async () => {
      let isDead = false;
      await using bench = await trashBench({
        drivers: (it) => {
          const driver = it.local();
          const { trash } = driver;
          if (trash === undefined) throw new Error("local has a trash");
          const restore: typeof trash.restore = async (id, name, operation) => {
            await trash.restore(id, name, operation);
            isDead = true;
            throw dead;
          };
          const get: typeof driver.get = (name, operation) =>
            isDead ? Promise.reject(dead) : driver.get(name, operation);
          return [{ ...driver, get, trash: { ...trash, restore } }];
        },
      });
      const { id } = await bench.removed("wiki");
      expect(await failureOf(bench.restore(id, "other"))).toBe(dead);
      isDead = false;
      if (isRestarted) {
        // Whoever asked was told that it failed: it goes back into the trash, and is whole there.
        await bench.engine.restart();
        expect([names(bench.engine), bench.kept()]).toEqual([[], ["other"]]);
        expect(existsSync(join(bench.place(id), "_data", "file"))).toBe(true);
      } else {
        // A new volume of that name starts empty, and what was removed can still be restored.
        await create(bench.engine, named("other"));
        expect(bench.file("other")).toBeNull();
        expect(bench.kept()).toEqual(["other"]);
        expect(existsSync(join(bench.place(id), "_data", "file"))).toBe(true);
      }
    });
  }
});

test("a restore of what is left under the old name works too", async () => {
  let isDead = true;
  await using bench = await trashBench(
    changedTrash((trash) => ({
      retire: (name, retirement, operation) =>
        isDead ? Promise.reject(dead) : trash.retire(name, retirement, operation),
    })),
  );
  const { id } = await halfRemoved(bench, "wiki");
  isDead = false;
  await bench.restore(id, "other");
  expect([bench.file("wiki"), bench.file("other")]).toEqual([null, "wiki"]);
});

function codeOf(error: unknown): string {
  return error instanceof EngineError ? error.code : String(error);
}
