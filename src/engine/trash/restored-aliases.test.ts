// The aliases of a removed volume: free while it is in the trash, and back with it where they are.
import { describe, expect, test } from "bun:test";
import { renameSync } from "node:fs";
import {
  changedTrash,
  create,
  failureOf,
  named,
  names,
} from "../../../test/support/engine-bench.ts";
import { dead } from "../../../test/support/recovery-bench.ts";
import { type TrashBench, trashBench } from "../../../test/support/trash-bench.ts";
import { aliases, rename } from "../../../test/support/upkeep-bench.ts";
import { parseVolumeName } from "../../core/names.ts";
import type { RetiredEntry } from "../../core/state-store.ts";

/** A volume `wiki` that was called `first` and then `old`. */
async function renamed(bench: TrashBench): Promise<void> {
  await bench.filled("first");
  await rename(bench.engine, "first", "old", true);
  await rename(bench.engine, "old", "wiki", true);
}

/** The same, removed. */
async function removed(bench: TrashBench): Promise<RetiredEntry> {
  await renamed(bench);
  await bench.remove("wiki");
  return bench.engine.engine.trash.find("wiki");
}

const both = ["first → wiki", "old → wiki"];
const bothNames = ["first", "old"].map(parseVolumeName);

describe("a removed volume's aliases", () => {
  test("stand in its row and beside its data, and come back with it", async () => {
    await using bench = await trashBench();
    const retired = await removed(bench);
    expect(retired.aliases).toEqual(bothNames);
    expect((await bench.described(retired.id))?.entry.aliases).toEqual(bothNames);
    expect(aliases(bench.engine)).toEqual([]);
    await bench.engine.restart();
    expect(bench.row(retired.id)?.aliases).toEqual(bothNames);
    await bench.restore(retired.id);
    expect(aliases(bench.engine)).toEqual(both);
    expect(String(bench.engine.engine.volumes.inspect("first").name)).toBe("wiki");
    await bench.engine.restart();
    expect(aliases(bench.engine)).toEqual(both);
    await bench.remove("wiki");
    expect(bench.engine.engine.trash.find("wiki").aliases).toEqual(bothNames);
  });

  test("are free meanwhile: what has taken one keeps it, and the log says so", async () => {
    await using bench = await trashBench();
    const { id } = await removed(bench);
    await bench.filled("first");
    await bench.filled("other");
    await rename(bench.engine, "other", "old");
    await rename(bench.engine, "old", "other", true);
    await bench.restore(id);
    expect(aliases(bench.engine)).toEqual(["old → other"]);
    expect([bench.file("first"), bench.file("wiki")]).toEqual(["first", "first"]);
    expect(JSON.stringify(bench.engine.log)).toContain("some aliases do not come back");
    expect(names(bench.engine).toSorted()).toEqual(["first", "other", "wiki"]);
  });

  test("go with it to another name, which none of them keeps from being one of them", async () => {
    await using bench = await trashBench();
    const { id } = await removed(bench);
    await bench.restore(id, "docs");
    expect(aliases(bench.engine)).toEqual(["first → docs", "old → docs"]);
    await bench.remove("docs");
    await bench.restore(bench.engine.engine.trash.find("docs").id, "old");
    expect(aliases(bench.engine)).toEqual(["first → old"]);
    expect(names(bench.engine)).toEqual(["old"]);
  });

  test("and a create of one of them follow one another", async () => {
    await using bench = await trashBench();
    const { id } = await removed(bench);
    const [, made] = await Promise.all([bench.restore(id), create(bench.engine, named("first"))]);
    const isAlias = String(made.name) === "wiki";
    expect(aliases(bench.engine)).toEqual(isAlias ? both : ["old → wiki"]);
    expect(names(bench.engine).length).toBe(isAlias ? 1 : 2);
  });

  test("are those of the first thousand", async () => {
    await using bench = await trashBench();
    const { name } = await bench.filled("wiki");
    const many = Array.from({ length: 1_001 }, (_, index) => parseVolumeName(`a${1_000 + index}`));
    await bench.engine.state.write((transaction) => {
      for (const alias of many) transaction.putAlias({ alias, volume: name, sinceMs: 1 });
    });
    await bench.remove("wiki");
    const { id, aliases: kept } = bench.engine.engine.trash.find("wiki");
    expect(kept).toEqual(many.slice(0, 1_000));
    expect((await bench.described(id))?.entry.aliases).toEqual(kept);
    await bench.restore(id);
    expect(aliases(bench.engine)).toHaveLength(1_000);
  });
});

describe("what fails", () => {
  test("a removal: they are there as before", async () => {
    await using bench = await trashBench(
      changedTrash(() => ({ retire: () => Promise.reject(dead) })),
    );
    await renamed(bench);
    expect(await failureOf(bench.remove("wiki"))).toBe(dead);
    expect(aliases(bench.engine)).toEqual(both);
    await bench.engine.restart();
    expect(aliases(bench.engine)).toEqual(both);
  });

  test("a removal, while somebody takes one of them: the volume is there without it", async () => {
    let taking: Promise<unknown> | undefined;
    const bench = await trashBench(
      changedTrash(() => ({
        retire: async () => {
          taking = create(bench.engine, named("first"));
          await taking;
          throw dead;
        },
      })),
    );
    await using _bench = bench;
    await renamed(bench);
    expect(await failureOf(bench.remove("wiki"))).toBe(dead);
    expect(aliases(bench.engine)).toEqual(["old → wiki"]);
    expect(names(bench.engine).toSorted()).toEqual(["first", "wiki"]);
  });

  test("a restore: they are free again, and come with the next one", async () => {
    let isDead = true;
    await using bench = await trashBench(
      changedTrash((trash) => ({
        restore: (id, name, operation) =>
          isDead ? Promise.reject(dead) : trash.restore(id, name, operation),
      })),
    );
    const { id } = await removed(bench);
    expect(await failureOf(bench.restore(id))).toBe(dead);
    expect([aliases(bench.engine), bench.row(id)?.aliases]).toEqual([[], bothNames]);
    isDead = false;
    await bench.restore(id);
    expect(aliases(bench.engine)).toEqual(both);
  });
});

describe("recovery", () => {
  test("of a lost state finds them beside the data", async () => {
    await using bench = await trashBench();
    const { id } = await removed(bench);
    await bench.engine.state.write((transaction) => transaction.removeRetired(id));
    await bench.engine.restart();
    expect(bench.row(id)?.aliases).toEqual(bothNames);
    await bench.restore(id);
    expect(aliases(bench.engine)).toEqual(both);
  });

  test("of what was moved out of the trash by hand gives back those that are free", async () => {
    await using bench = await trashBench({ host: (host) => ({ ...host, nowMs: Date.now }) });
    const retired = await removed(bench);
    await bench.filled("first");
    // It has been looked at there: before that nobody knows that it ever came so far.
    await bench.engine.state.write((transaction) => {
      transaction.putRetired({ ...retired, sizeBytes: 4 });
    });
    renameSync(bench.place(retired.id), bench.engine.volumePath("moved"));
    await bench.engine.restart();
    expect(bench.engine.engine.recovery.restored.map(String)).toEqual(["moved"]);
    expect(aliases(bench.engine)).toEqual(["old → moved"]);
  });
});
