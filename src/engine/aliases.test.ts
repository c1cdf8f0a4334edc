// Aliases: every verb takes them, nothing below the engine knows them, and they can be ended.
import { describe, expect, test } from "bun:test";
import { existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import {
  create,
  type EngineBench,
  type EngineBenchParts,
  failureOf,
  named,
  names,
  startedEngine,
} from "../../test/support/engine-bench.ts";
import { containerWith, memoryEngine } from "../../test/support/memory-engine.ts";
import { aliases, changes, filled, newest, rename } from "../../test/support/upkeep-bench.ts";
import { parseHolderId, parseVolumeName } from "../core/names.ts";

const holder = parseHolderId("job");

/** A volume `new` with the alias `old`. */
async function withAlias(parts: EngineBenchParts = {}): Promise<EngineBench> {
  const bench = await startedEngine(parts);
  await filled(bench, "old");
  await rename(bench, "old", "new", true);
  return bench;
}

describe("by an alias", () => {
  test("a volume is found, mounted, changed and unmounted under its own name", async () => {
    await using bench = await withAlias();
    const { volumes, upkeep } = bench.engine;
    expect([volumes.resolve("old"), volumes.resolve("new"), volumes.resolve("gone")]).toEqual([
      "new",
      "new",
      "gone",
    ]);
    expect(volumes.inspect("old")).toBe(volumes.inspect("new"));
    const path = await volumes.mount("old", holder, bench.operation());
    expect(path).toBe(await volumes.mount("new", holder, bench.operation()));
    const { name } = volumes.inspect("new");
    expect(bench.state.read((view) => view.holders(name))).toHaveLength(1);
    expect((await failureOf(volumes.remove("new", bench.operation()))).code).toBe("volume.in_use");
    await volumes.unmount("old", holder, bench.operation());
    await upkeep.protect("old", "asked for", bench.operation());
    expect(volumes.inspect("new").protection?.reason).toBe("asked for");
    await upkeep.unprotect("old", bench.operation());
    await newest(
      bench,
      "mount new job",
      "remove new (volume.in_use)",
      "unmount new job",
      "protect new asked for",
      "unprotect new",
    );
  });

  test("a create returns the volume, and no other driver gets the name", async () => {
    await using bench = await withAlias();
    expect(await create(bench, named("old"))).toBe(bench.engine.volumes.inspect("new"));
    const other = await failureOf(create(bench, named("old", { driver: "scratch" })));
    expect(other.code).toBe("volume.exists_differently");
    expect(names(bench)).toEqual(["new"]);
  });

  test("a rename renames the volume, and back to an alias makes that the name again", async () => {
    await using bench = await withAlias();
    expect((await rename(bench, "old", "third", true)).name).toBe(parseVolumeName("third"));
    expect(aliases(bench)).toEqual(["new → third", "old → third"]);
    expect((await rename(bench, "old", "third")).name).toBe(parseVolumeName("third"));
    await rename(bench, "third", "old");
    expect([names(bench), aliases(bench)]).toEqual([["old"], ["new → old"]]);
    await bench.restart();
    expect([names(bench), aliases(bench)]).toEqual([["old"], ["new → old"]]);
  });

  test("nothing is listed, and nothing adopted or released", async () => {
    await using bench = await withAlias();
    expect(bench.engine.volumes.page("", 9).entries.map(({ name }) => String(name))).toEqual([
      "new",
    ]);
    const { adoptions } = bench.engine;
    const foreign = adoptions.release("old", "docker:/nobody", bench.operation());
    expect((await failureOf(foreign)).code).toBe("request.invalid");
  });
});

describe("removing", () => {
  test("an alias leaves the volume, and says so in the history and as an event", async () => {
    await using bench = await withAlias();
    await bench.engine.upkeep.protect("new", "kept", bench.operation());
    await bench.engine.volumes.remove("old", bench.operation());
    expect([names(bench), aliases(bench)]).toEqual([["new"], []]);
    expect(changes(bench, 1)).toEqual(["forget new old"]);
    expect(bench.events.at(-1)).toMatchObject({
      action: "destroy",
      actor: "old",
      attributes: { driver: "local", "alias-of": "new" },
    });
    expect((await failureOf(bench.engine.volumes.remove("old", bench.operation()))).code).toBe(
      "volume.not_found",
    );
    await create(bench, named("old"));
    expect(names(bench).toSorted()).toEqual(["new", "old"]);
  });

  test("what is no alias is not found; of two at once one ends it", async () => {
    await using bench = await withAlias();
    const { upkeep } = bench.engine;
    for (const text of ["new", "gone", ""]) {
      const failure = await failureOf(upkeep.removeAlias(text, bench.operation()));
      expect(failure.code).toBe("volume.not_found");
    }
    const both = [1, 2].map(() => upkeep.removeAlias("old", bench.operation()));
    const ended = await Promise.allSettled(both);
    expect(ended.map(({ status }) => status).toSorted()).toEqual(["fulfilled", "rejected"]);
    expect(changes(bench, 2)).toEqual(["rename new old", "forget new old"]);
  });

  test("an alias for good is refused: it would leave the data", async () => {
    await using bench = await withAlias();
    const removal = bench.engine.volumes.remove("old", bench.operation(), { purge: true });
    expect(await failureOf(removal)).toMatchObject({
      code: "request.invalid",
      message: "purge old: it is an alias of the volume new: give the volume's own name",
    });
    expect([names(bench), aliases(bench)]).toEqual([["new"], ["old → new"]]);
  });

  test("a directory that somebody makes under one is left, and nobody gets it", async () => {
    await using bench = await withAlias();
    const stray = bench.volumePath("old");
    await bench.restart(() => mkdirSync(join(stray, "_data"), { recursive: true }));
    expect(bench.engine.recovery).toMatchObject({ adopted: [], failed: ["old"] });
    expect([names(bench), aliases(bench)]).toEqual([["new"], ["old → new"]]);
    expect(existsSync(join(stray, "_data"))).toBe(true);
  });

  test("the volume ends its aliases", async () => {
    await using bench = await withAlias();
    await bench.engine.volumes.remove("new", bench.operation());
    expect([names(bench), aliases(bench)]).toEqual([[], []]);
    expect(existsSync(bench.volumePath("new"))).toBe(false);
    expect((await create(bench, named("old"))).name).toBe(parseVolumeName("old"));
  });
});

describe("a container that knows the volume by an alias", () => {
  test("is one of the volume, and keeps the alias from being removed", async () => {
    const docker = memoryEngine();
    await using bench = await withAlias({ finder: docker.finder });
    const { lists, volumes, upkeep } = bench.engine;
    await lists.noteCaller({ ...bench.operation(), caller: docker.caller });
    docker.containers.push(containerWith("old", { isRunning: false }));
    const { containers } = await lists.ask(bench.operation());
    expect(containers.map((each) => each.volumes.map(({ volume }) => volume))).toEqual([["new"]]);
    const inUse = await failureOf(volumes.remove("new", bench.operation()));
    expect(inUse.message).toBe("remove new: volume is in use - [db (docker, stopped)]");
    const known = await failureOf(upkeep.removeAlias("old", bench.operation()));
    expect([known.code, known.message]).toEqual([
      "volume.in_use",
      "remove old: volume is in use - [db (docker, stopped)]",
    ]);
    docker.containers.splice(0, 1, containerWith("new"));
    await upkeep.removeAlias("old", bench.operation());
    expect(aliases(bench)).toEqual([]);
  });

  test("has its hold by that name, too, and the end of it is the volume's last use", async () => {
    const docker = memoryEngine();
    await using bench = await withAlias({ finder: docker.finder });
    const { holds, volumes, lastUse } = bench.engine;
    const operation = { ...bench.operation(), caller: docker.caller };
    await holds.noteCaller(operation);
    const id = "c".repeat(64);
    const engine = parseHolderId("mount-1");
    const path = await holds.mount("old", engine, operation);
    const container = containerWith("old", { id, name: "shop_db_1" });
    docker.containers.push(container);
    const end = bench.binds.copy(path, { container: id });
    expect([holds.has("old", engine), holds.has("new", engine)]).toEqual([true, true]);
    expect(await holds.mount("new", engine, operation)).toBe(path);
    await holds.refresh(bench.operation());
    const { name } = volumes.inspect("new");
    const held = bench.state.read((view) => holds.holdersOf(name, view));
    expect(held).toMatchObject([{ id, name: "shop_db_1", state: "running" }]);
    end();
    docker.containers.splice(0, 1, { ...container, isRunning: false });
    await holds.unmount("old", engine, operation);
    await holds.unmount("old", engine, operation);
    await newest(bench, "mount new mount-1", "unmount new shop_db_1");
    expect(lastUse.holderOf(name)).toBe("shop_db_1");
    // A Mount that no container follows, as dockerd makes one to copy files: only its Unmount
    // says so at once.
    docker.containers.splice(0, 1);
    await holds.mount("old", engine, operation);
    await holds.unmount("old", engine, operation);
    await volumes.remove("new", bench.operation());
  });
});
