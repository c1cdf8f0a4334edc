// Renaming: row first, then the directory; refused for what is used, and undone when it fails.
import { describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import {
  changedLocal,
  create,
  type EngineBench,
  failureOf,
  named,
  names,
  startedEngine,
} from "../../test/support/engine-bench.ts";
import { gate } from "../../test/support/http-fixture.ts";
import { containerWith, memoryEngine } from "../../test/support/memory-engine.ts";
import {
  aliases,
  changedRename,
  changes,
  dataOf,
  directories,
  filled,
  newest,
  rename,
} from "../../test/support/upkeep-bench.ts";
import { EngineError } from "../core/errors.ts";
import { parseHolderId, parseVolumeName } from "../core/names.ts";
import type { StateStore } from "../core/state-store.ts";

const dead = new EngineError("storage.failed", "the disk does not answer");

describe("rename", () => {
  test("moves the data and the row, and everything else stays", async () => {
    await using bench = await startedEngine();
    const labels = { tier: "prod" };
    await create(bench, named("old", { labels, options: { sharing: "none" } }));
    writeFileSync(join(bench.volumePath("old"), "_data", "file"), "old");
    const before = bench.engine.volumes.inspect("old");
    const after = await rename(bench, "old", "new");
    const { identity } = after;
    expect(identity).not.toBe("");
    const mountpoint = join(bench.volumePath("new"), "_data");
    expect(after).toEqual({ ...before, name: parseVolumeName("new"), identity, mountpoint });
    expect([names(bench), directories(bench), dataOf(bench, "new")]).toEqual([
      ["new"],
      ["new"],
      "old",
    ]);
    expect(changes(bench, 2)).toEqual(["create old", "rename new old"]);
    expect(bench.events.at(-1)).toMatchObject({
      action: "rename",
      actor: "new",
      attributes: { driver: "local", from: "old" },
    });
    await bench.restart();
    expect(bench.engine.volumes.inspect("new")).toEqual(after);
    expect(bench.engine.recovery).toMatchObject({ adopted: [], missing: [], failed: [] });
  });

  test("leaves the old name free, for a volume that has nothing of it", async () => {
    await using bench = await startedEngine();
    await filled(bench, "old");
    await bench.engine.volumes.mount("old", parseHolderId("job"), bench.operation());
    await bench.engine.volumes.unmount("old", parseHolderId("job"), bench.operation());
    await rename(bench, "old", "new");
    const again = await create(bench, named("old"));
    expect([again.usedAtMs, again.lastUse, dataOf(bench, "old")]).toEqual([null, null, undefined]);
    expect(dataOf(bench, "new")).toBe("old");
    for (const name of ["old", "new"]) {
      await bench.engine.volumes.mount(name, parseHolderId("job"), bench.operation());
      await bench.engine.volumes.unmount(name, parseHolderId("job"), bench.operation());
      await bench.engine.volumes.remove(name, bench.operation());
    }
    expect(directories(bench)).toEqual([]);
  });

  test("to the name that it has returns it", async () => {
    await using bench = await startedEngine();
    const entry = await filled(bench, "old");
    expect(await rename(bench, "old", "old")).toEqual(entry);
    expect(changes(bench, 9)).toEqual(["create old"]);
  });
});

describe("rename refuses", () => {
  test("names that are taken or are none, and the history has what concerns a volume", async () => {
    await using bench = await startedEngine();
    for (const name of ["aa", "bb", "cc"]) await filled(bench, name);
    await rename(bench, "cc", "dd", true);
    const refused = async (name: string, to: string) =>
      (await failureOf(rename(bench, name, to))).message;
    expect(await refused("aa", "bb")).toBe("rename aa: bb is taken: a volume has this name");
    expect(await refused("aa", "cc")).toBe("rename aa: cc is taken: an alias of dd");
    expect((await failureOf(rename(bench, "aa", "../bb"))).code).toBe("volume.name_invalid");
    expect((await failureOf(rename(bench, "gone", "ee"))).code).toBe("volume.not_found");
    await newest(
      bench,
      "rename dd cc",
      "rename aa bb (volume.name_taken)",
      "rename aa cc (volume.name_taken)",
    );
    expect(directories(bench)).toEqual(["aa", "bb", "dd"]);
  });

  test("what a client holds, or a container has, running or not", async () => {
    const docker = memoryEngine();
    await using bench = await startedEngine({ finder: docker.finder });
    await filled(bench, "old");
    const holder = parseHolderId("job");
    await bench.engine.volumes.mount("old", holder, bench.operation());
    const held = await failureOf(rename(bench, "old", "new"));
    expect([held.code, held.message]).toEqual([
      "volume.in_use",
      "rename old: volume is in use - [job]",
    ]);
    await bench.engine.volumes.unmount("old", holder, bench.operation());
    await bench.engine.lists.noteCaller({ ...bench.operation(), caller: docker.caller });
    docker.containers.push(containerWith("old", { isRunning: false }));
    const listed = await failureOf(rename(bench, "old", "new"));
    expect(listed.message).toBe("rename old: volume is in use - [db (docker, stopped)]");
    docker.isThere = false;
    expect((await failureOf(rename(bench, "old", "new"))).code).toBe("containers.unreachable");
    expect([names(bench), directories(bench)]).toEqual([["old"], ["old"]]);
  });

  test("a volume whose data is missing, and a driver that cannot rename", async () => {
    await using bench = await startedEngine();
    await filled(bench, "old");
    rmSync(bench.volumePath("old"), { recursive: true });
    expect((await failureOf(rename(bench, "old", "new"))).code).toBe("volume.data_missing");
    await using other = await startedEngine(changedLocal(() => ({ rename: undefined })));
    await filled(other, "old");
    const failure = await failureOf(rename(other, "old", "new"));
    expect([failure.code, failure.message]).toEqual([
      "driver.unsupported",
      "the driver local cannot rename volumes",
    ]);
  });

  test("a name under which a directory lies that no row has", async () => {
    await using bench = await startedEngine();
    await filled(bench, "old");
    mkdirSync(join(bench.volumePath("new"), "_data"), { recursive: true });
    expect((await failureOf(rename(bench, "old", "new"))).code).toBe("volume.exists_differently");
    expect([names(bench), dataOf(bench, "old"), aliases(bench)]).toEqual([["old"], "old", []]);
    const refusal = "rename old new (volume.exists_differently)";
    await newest(bench, "create old", "rename new old", "undo new old", refusal);
  });
});

describe("a rename that the storage refuses", () => {
  test("is undone, with its aliases, and can be repeated", async () => {
    let isDead = false;
    await using bench = await startedEngine(
      changedRename((facet) => ({
        rename: async (...call) => (isDead ? Promise.reject(dead) : await facet.rename(...call)),
      })),
    );
    await filled(bench, "first");
    await rename(bench, "first", "old", true);
    const before = bench.engine.volumes.inspect("old");
    isDead = true;
    expect(await failureOf(rename(bench, "old", "new", true))).toBe(dead);
    expect(bench.engine.volumes.inspect("old")).toEqual(before);
    expect(aliases(bench)).toEqual(["first → old"]);
    expect(bench.events.at(-1)?.attributes["from"]).toBe("first");
    isDead = false;
    await rename(bench, "old", "new", true);
    expect([aliases(bench), dataOf(bench, "new")]).toEqual([["first → new", "old → new"], "first"]);
  });

  test("has been done when only its answer was lost", async () => {
    await using bench = await startedEngine(
      changedRename((facet) => ({
        async rename(...call) {
          await facet.rename(...call);
          throw dead;
        },
      })),
    );
    await filled(bench, "old");
    expect((await rename(bench, "old", "new")).name).toBe(parseVolumeName("new"));
    expect([names(bench), dataOf(bench, "new")]).toEqual([["new"], "old"]);
  });

  test("and whose undoing fails too keeps its old name from being made anew", async () => {
    let isDead = true;
    let writes = 0;
    const state = (store: StateStore): StateStore => ({
      ...tolerant(store),
      write: (work) =>
        isDead && writes++ === WRITES_BEFORE_UNDO ? Promise.reject(dead) : store.write(work),
    });
    const parts = changedRename((facet) => ({
      rename: async (...call) => (isDead ? Promise.reject(dead) : await facet.rename(...call)),
    }));
    await using bench = await startedEngine({ ...parts, state });
    await filled(bench, "old");
    expect(await failureOf(rename(bench, "old", "new"))).toBe(dead);
    expect([names(bench), directories(bench)]).toEqual([["new"], ["old"]]);
    expect(await failureOf(create(bench, named("old")))).toBe(dead);
    isDead = false;
    await create(bench, named("old"));
    expect([dataOf(bench, "new"), dataOf(bench, "old")]).toEqual(["old", undefined]);
  });
});

/** Creating and the first row of the rename. */
const WRITES_BEFORE_UNDO = 2;

/** All members of a state, as an object whose members can be replaced. */
function tolerant(store: StateStore): StateStore {
  return {
    origin: store.origin,
    id: store.id,
    read: (work) => store.read(work),
    write: (work) => store.write(work),
    history: (query) => store.history(query),
    close: () => store.close(),
  };
}

describe("a start", () => {
  test("finishes what a crash cut short between row and directory", async () => {
    await using bench = await startedEngine();
    const { name } = await filled(bench, "old");
    await rename(bench, "old", "new", true);
    await crashedBetween(bench, "new", "old");
    expect(bench.engine.recovery).toMatchObject({ adopted: [], missing: [] });
    expect([names(bench), directories(bench), aliases(bench)]).toEqual([
      ["new"],
      ["new"],
      ["old → new"],
    ]);
    expect(dataOf(bench, "new")).toBe("old");
    expect(bench.engine.volumes.inspect(name).mountpoint).toBe(
      join(bench.volumePath("new"), "_data"),
    );
  });

  test("finishes two renames that exchanged names", async () => {
    await using bench = await startedEngine();
    await filled(bench, "aa");
    await filled(bench, "bb");
    await rename(bench, "aa", "cc");
    await rename(bench, "bb", "aa");
    await rename(bench, "cc", "bb");
    expect([dataOf(bench, "aa"), dataOf(bench, "bb")]).toEqual(["bb", "aa"]);
    await crashedBetween(bench, "bb", "cc");
    expect([dataOf(bench, "aa"), dataOf(bench, "bb")]).toEqual(["bb", "aa"]);
    expect(names(bench).toSorted()).toEqual(["aa", "bb"]);
  });
});

/** A new life in which the directory still has the name that it had before the last rename. */
async function crashedBetween(bench: EngineBench, row: string, directory: string): Promise<void> {
  await bench.restart(() => renameSync(bench.volumePath(row), bench.volumePath(directory)));
}

describe("at the same time", () => {
  test("a rename and a create of its target, or of its own name, leave whole volumes", async () => {
    await using bench = await startedEngine();
    for (let round = 0; round < 20; round++) {
      await filled(bench, "old");
      const work = [rename(bench, "old", "new", round % 2 === 0), create(bench, named("new"))];
      const ended = await Promise.allSettled([...work, create(bench, named("old"))]);
      for (const one of ended) {
        if (one.status === "rejected")
          expect(one.reason).toMatchObject({ code: "volume.name_taken" });
      }
      const all = names(bench).toSorted();
      expect(directories(bench)).toEqual([...all]);
      expect(all.map((name) => dataOf(bench, name)).filter((text) => text === "old")).toHaveLength(
        1,
      );
      for (const name of all) await bench.engine.volumes.remove(name, bench.operation());
    }
  });

  test("a mount by the new name waits for the data", async () => {
    const [begun, going] = [gate(), gate()];
    await using bench = await startedEngine(
      changedRename((facet) => ({
        async rename(...call) {
          begun.open();
          await going.opened;
          await facet.rename(...call);
        },
      })),
    );
    await filled(bench, "old");
    const renaming = rename(bench, "old", "new", true);
    await begun.opened;
    const { volumes } = bench.engine;
    const mounting = ["new", "old"].map((name, index) =>
      volumes.mount(name, parseHolderId(`job-${index}`), bench.operation()),
    );
    await new Promise(setImmediate);
    going.open();
    const { mountpoint } = await renaming;
    expect(await Promise.all(mounting)).toEqual([mountpoint, mountpoint]);
  });

  test("renames of two volumes to each other's names all end", async () => {
    await using bench = await startedEngine();
    await filled(bench, "aa");
    await filled(bench, "bb");
    const work = [rename(bench, "aa", "bb"), rename(bench, "bb", "aa")];
    const ended = await Promise.allSettled(work);
    expect(ended.map(({ status }) => status)).toEqual(["rejected", "rejected"]);
    expect([dataOf(bench, "aa"), dataOf(bench, "bb")]).toEqual(["aa", "bb"]);
  });

  test("a removal of the old name does not take the renamed volume", async () => {
    await using bench = await startedEngine();
    await filled(bench, "old");
    const renaming = rename(bench, "old", "new", true);
    const removing = bench.engine.volumes.remove("old", bench.operation());
    const [renamed, removed] = await Promise.allSettled([renaming, removing]);
    const isRenamed = renamed.status === "fulfilled";
    expect(isRenamed).toBe(removed.status === "rejected");
    expect(existsSync(bench.volumePath("new"))).toBe(isRenamed);
    expect(dataOf(bench, "new")).toBe(isRenamed ? "old" : undefined);
  });
});
