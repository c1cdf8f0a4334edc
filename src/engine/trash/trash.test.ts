// The trash: what is removed can be brought back, whole, until it is given up for good.
import { describe, expect, test } from "bun:test";
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import {
  changedTrash,
  create,
  failureOf,
  named,
  names,
} from "../../../test/support/engine-bench.ts";
import { dead } from "../../../test/support/recovery-bench.ts";
import {
  halfRemoved,
  newest,
  type TrashBench,
  trashBench,
} from "../../../test/support/trash-bench.ts";
import { EngineError } from "../../core/errors.ts";
import { makeTrashId } from "../../core/names.ts";

const DAY_MS = 86_400_000;

function actions({ engine }: TrashBench): readonly string[] {
  return engine.events.map((event) => event.action);
}

async function protect(bench: TrashBench, name: string): Promise<void> {
  await bench.engine.state.write((transaction) => {
    const entry = transaction.volume(name);
    if (entry === undefined) throw new Error("it is there");
    const protection = { reason: "prod", sinceMs: 1, by: "holdfast" };
    transaction.putVolume({ ...entry, protection });
  });
}

describe("a removal", () => {
  test("leaves the whole volume in the trash, for its time", async () => {
    await using bench = await trashBench();
    const entry = await bench.filled("wiki");
    await bench.remove("wiki");
    expect(names(bench.engine)).toEqual([]);
    const [retired, ...others] = bench.engine.engine.trash.list();
    expect(others).toEqual([]);
    if (retired === undefined) throw new Error("it is in the trash");
    const { volume, ...rest } = retired;
    expect(rest).toEqual({
      id: retired.id,
      phase: "kept",
      retiredAtMs: bench.engine.nowMs,
      removedBy: "holdfast",
      purgeAtMs: bench.engine.nowMs + 7 * DAY_MS,
      sizeBytes: null,
      aliases: [],
    });
    expect(volume).toEqual({ ...entry, identity: volume.identity });
    expect(newest(bench)).toMatchObject({ action: "remove", subject: retired.id, outcome: "done" });
    expect(existsSync(join(bench.place(retired.id), "_data", "file"))).toBe(true);
    expect((await bench.described(retired.id))?.entry).toEqual(retired);
    // Nothing purges it: not the purger, not a start.
    await bench.engine.restart();
    expect(bench.kept()).toEqual(["wiki"]);
    expect(bench.engine.engine.trash.totals()).toEqual({
      ...{ entryCount: 1, purgingCount: 0, knownBytes: 0, unmeasuredCount: 1, budgetBytes: null },
    });
  });

  test("with `purge` is refused while a mount shows what would be destroyed", async () => {
    const shown = { directory: "/", target: "/data", pid: 4711, container: null };
    let isShown = true;
    const mountsBelow = async () => ({ mounts: isShown ? [shown] : [], isWhole: true });
    await using bench = await trashBench({ host: (host) => ({ ...host, mountsBelow }) });
    await bench.filled("wiki");
    const error = await failureOf(bench.remove("wiki", { purge: true }));
    expect([error.code, error.message]).toEqual([
      "volume.in_use",
      "remove wiki: process 4711 still has its directory, at /data",
    ]);
    expect(bench.file("wiki")).toBe("wiki");
    // Nothing of this is destroyed, so nobody loses it.
    await create(bench.engine, named("share", { options: { type: "tmpfs", device: "tmpfs" } }));
    await bench.remove("share", { purge: true });
    expect(names(bench.engine)).toEqual(["wiki"]);
    isShown = false;
    await bench.remove("wiki", { purge: true });
    expect(names(bench.engine)).toEqual([]);
  });

  test("with `purge` leaves nothing, nor where the volume says so itself", async () => {
    await using bench = await trashBench();
    await bench.filled("wiki");
    await bench.remove("wiki", { purge: true });
    await bench.filled("cache", { options: { trash: "off" } });
    await bench.remove("cache");
    await bench.filled("build", { options: { reclaim: "delete" } });
    await bench.remove("build");
    expect(bench.kept()).toEqual([]);
    await bench.engine.purged();
    expect(readdirSync(join(bench.engine.root, "trash"))).toEqual([]);
    expect(new Set(actions(bench))).toEqual(new Set(["create", "destroy"]));
  });

  test("of a volume whose data is gone leaves nothing", async () => {
    await using bench = await trashBench({ drivers: (it) => [it.local()] });
    const { name } = await bench.filled("wiki");
    await bench.engine.local().destroy(name, bench.engine.operation());
    await bench.remove("wiki");
    await bench.engine.purged();
    expect(bench.engine.engine.trash.list()).toEqual([]);
  });

  test("is refused for a protected volume, also with `purge` and in a prune", async () => {
    await using bench = await trashBench();
    await bench.filled("wiki");
    await protect(bench, "wiki");
    for (const how of [{ purge: false }, { purge: true }]) {
      const { code, message } = await failureOf(bench.remove("wiki", how));
      expect(code).toBe("volume.protected");
      expect(message).toBe("remove wiki: volume is protected: prod");
    }
    const entry = bench.engine.engine.volumes.inspect("wiki");
    const pruning = bench.engine.engine.volumes.removeHeld(
      entry,
      "prune",
      bench.engine.operation(),
    );
    expect((await failureOf(pruning)).code).toBe("volume.protected");
    expect(bench.file("wiki")).toBe("wiki");
  });
});

describe("what is in the trash is found", () => {
  test("by its id, by its beginning, and by the volume's name", async () => {
    await using bench = await trashBench();
    const wiki = await bench.removed("wiki");
    const docs = await bench.removed("docs");
    const { trash } = bench.engine.engine;
    for (const entry of [wiki, docs]) {
      expect(trash.find(entry.id)).toEqual(entry);
      expect(trash.find(entry.id.slice(0, 14))).toEqual(entry);
      expect(trash.find(entry.volume.name)).toEqual(entry);
    }
    expect(trash.list()).toHaveLength(2);
    for (const ref of ["other", "", "t-", "t-zz", makeTrashId("0".repeat(16)), "../etc"]) {
      expect((await failureOf(() => trash.find(ref))).code).toBe("trash.not_found");
    }
  });

  test("newest first, and of several the name is no answer", async () => {
    await using bench = await trashBench();
    const older = await bench.removed("wiki");
    bench.engine.nowMs += 1;
    await bench.filled("wiki");
    await bench.remove("wiki");
    const { trash } = bench.engine.engine;
    const [newer] = trash.list();
    if (newer === undefined) throw new Error("there are two");
    expect(trash.list().map(({ id }) => id)).toEqual([newer.id, older.id]);
    const { code, message } = await failureOf(() => trash.find("wiki"));
    expect(code).toBe("trash.ambiguous");
    expect(message).toEndWith(`: ${newer.id}, ${older.id}`);
  });
});

describe("a purge", () => {
  test("is durable at once, and its end is an event", async () => {
    await using bench = await trashBench();
    const { id } = await bench.removed("wiki");
    await bench.engine.state.write((transaction) => {
      const row = transaction.retiredEntry(id);
      if (row !== undefined) transaction.putRetired({ ...row, sizeBytes: 4 });
    });
    await bench.purge(id);
    expect(bench.row(id)?.phase ?? "purging").toBe("purging");
    expect(newest(bench)).toMatchObject({ action: "purge", subject: id, outcome: "done" });
    await bench.engine.engine.trash.purged(id, bench.engine.operation());
    expect(bench.row(id)).toBeUndefined();
    expect(existsSync(bench.place(id))).toBe(false);
    expect(bench.engine.events.at(-1)).toMatchObject({
      ...{ action: "purge", actor: "wiki", attributes: { trash: id, bytes: "4" } },
    });
    expect(bench.engine.engine.purger.done).toEqual({ entryCount: 1, bytes: 4 });
    expect((await failureOf(bench.purge(id))).code).toBe("trash.not_found");
    await bench.engine.engine.trash.purged(id, bench.engine.operation());
  });

  test("is urgent as long as somebody waits for one", async () => {
    const slow = Promise.withResolvers<void>();
    const asked: (() => boolean | undefined)[] = [];
    await using bench = await trashBench(
      changedTrash((trash) => ({
        async purge(ids, operation, isUrgent) {
          asked.push(() => isUrgent?.());
          await slow.promise;
          await trash.purge(ids, operation);
        },
      })),
    );
    const { id } = await bench.removed("wiki");
    await bench.purge(id);
    const isUrgent = await bench.until("its purge should begin", () => asked[0]);
    expect(isUrgent()).toBe(false);
    const waiting = bench.engine.engine.trash.purged(id, bench.engine.operation());
    expect(isUrgent()).toBe(true);
    slow.resolve();
    await waiting;
    expect(isUrgent()).toBe(false);
  });

  test("that fails says why to who waits, and is tried again when asked", async () => {
    let isDead = true;
    await using bench = await trashBench(
      changedTrash((trash) => ({
        purge: (ids, operation) => (isDead ? Promise.reject(dead) : trash.purge(ids, operation)),
      })),
    );
    const { id } = await bench.removed("wiki");
    await bench.purge(id);
    const { trash } = bench.engine.engine;
    expect(await failureOf(trash.purged(id, bench.engine.operation()))).toBe(dead);
    expect(bench.row(id)?.phase).toBe("purging");
    isDead = false;
    // Giving it up again changes nothing.
    await bench.purge(id);
    await trash.purged(id, bench.engine.operation());
    expect(bench.row(id)).toBeUndefined();
  });

  test("goes on in the next life", async () => {
    let isDead = true;
    await using bench = await trashBench(
      changedTrash((trash) => ({
        purge: (ids, operation) => (isDead ? Promise.reject(dead) : trash.purge(ids, operation)),
      })),
    );
    const { id } = await bench.removed("wiki");
    await bench.removed("docs");
    await bench.purge(id);
    isDead = false;
    await bench.engine.restart();
    await bench.until("it should be purged", () => bench.row(id) === undefined);
    expect(bench.kept()).toEqual(["docs"]);
  });

  test("is refused while a mount shows it: nothing is given up", async () => {
    const inUse = new EngineError("volume.in_use", "container 1 still has it");
    await using bench = await trashBench(
      changedTrash(() => ({ refuseShown: () => Promise.reject(inUse) })),
    );
    const { id } = await bench.removed("wiki");
    expect(await failureOf(bench.purge(id))).toBe(inUse);
    expect(bench.row(id)?.phase).toBe("kept");
    await bench.until("the refusal should be history", () => newest(bench)?.action === "purge");
    expect(newest(bench)).toMatchObject({ subject: id, outcome: "volume.in_use" });
    await bench.restore(id);
    expect(bench.file("wiki")).toBe("wiki");
  });

  test("takes what is left under the old name along", async () => {
    let isDead = true;
    await using bench = await trashBench(
      changedTrash((trash) => ({
        retire: (name, retirement, operation) =>
          isDead ? Promise.reject(dead) : trash.retire(name, retirement, operation),
      })),
    );
    const { id } = await halfRemoved(bench, "wiki");
    isDead = false;
    await bench.purge(id);
    await bench.engine.engine.trash.purged(id, bench.engine.operation());
    expect(existsSync(bench.engine.volumePath("wiki"))).toBe(false);
  });
});

describe("protection in the trash", () => {
  test("is refused to be purged, until it is lifted, and stands beside the data", async () => {
    await using bench = await trashBench();
    const { id } = await bench.removed("wiki");
    const { trash } = bench.engine.engine;
    const operation = bench.engine.operation();
    const entry = await trash.protect(id, "ask before touching", operation);
    expect(entry.volume.protection).toEqual({
      ...{ reason: "ask before touching", sinceMs: bench.engine.nowMs, by: "holdfast" },
    });
    expect(bench.row(id)).toEqual(entry);
    expect((await bench.described(id))?.entry).toEqual(entry);
    expect(newest(bench)).toMatchObject({ action: "protect", subject: "ask before touching" });
    const { code, message } = await failureOf(bench.purge(id));
    expect(code).toBe("volume.protected");
    expect(message).toBe("purge wiki: volume is protected: ask before touching");
    expect((await trash.unprotect(id, operation)).volume.protection).toBeNull();
    expect((await bench.described(id))?.entry.volume.protection).toBeNull();
    await bench.purge(id);
    await trash.purged(id, operation);
    expect(actions(bench).slice(-4)).toEqual(["destroy", "protect", "unprotect", "purge"]);
  });

  test("goes with the volume that is restored", async () => {
    await using bench = await trashBench();
    const { id } = await bench.removed("wiki");
    await bench.engine.engine.trash.protect(id, "prod", bench.engine.operation());
    await bench.restore(id);
    expect((await failureOf(bench.remove("wiki"))).code).toBe("volume.protected");
  });

  test("does not save what is being purged", async () => {
    await using bench = await trashBench(
      changedTrash(() => ({ purge: () => Promise.reject(dead) })),
    );
    const { id } = await bench.removed("wiki");
    await bench.purge(id);
    const late = bench.engine.engine.trash.protect(id, "prod", bench.engine.operation());
    expect((await failureOf(late)).code).toBe("trash.purging");
  });
});

test("without its driver nothing is restored or purged", async () => {
  let hasLocal = true;
  await using bench = await trashBench({
    drivers: (it) => (hasLocal ? [it.local()] : [it.scratch()]),
  });
  const { id } = await bench.removed("wiki");
  hasLocal = false;
  await bench.engine.restart();
  for (const work of [bench.restore(id), bench.purge(id)]) {
    expect((await failureOf(work)).code).toBe("driver.not_found");
  }
  expect(bench.kept()).toEqual(["wiki"]);
});
