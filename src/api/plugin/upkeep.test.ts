// The volume driver socket by an alias, and what it says of protected volumes.
import { describe, expect, test } from "bun:test";
import { ApiBench } from "../../../test/support/api-bench.ts";
import { containerWith, memoryEngine } from "../../../test/support/memory-engine.ts";
import { call, errorOf, pluginHandler, startedPlugin } from "../../../test/support/plugin-bench.ts";
import { aliases, filled, rename } from "../../../test/support/upkeep-bench.ts";

/** A volume `new` with the alias `old`. */
async function withAlias(): Promise<ApiBench> {
  const bench = await startedPlugin();
  await filled(bench.engine, "old");
  await rename(bench.engine, "old", "new", true);
  return bench;
}

/** The `Volume` of a Get. */
async function got(bench: ApiBench, Name: string): Promise<Readonly<Record<string, unknown>>> {
  const { json } = await call(bench, "Get", { Name });
  const { Volume, Err } = json as {
    readonly Volume?: Record<string, unknown>;
    readonly Err: string;
  };
  if (Volume === undefined) throw new Error(Err);
  return Volume;
}

describe("an alias", () => {
  test("is answered with the name that was asked for, and its volume's place", async () => {
    await using bench = await withAlias();
    const own = await got(bench, "new");
    const { Mountpoint } = own;
    expect(own).toMatchObject({ Name: "new", Status: { aliases: ["old"] } });
    expect(await got(bench, "old")).toMatchObject({
      ...{ Name: "old", Mountpoint },
      Status: { "alias-of": "new", aliases: ["old"] },
    });
    const path = await call(bench, "Path", { Name: "old" });
    expect(path.json).toEqual({ Mountpoint, Err: "" });
    expect((await call(bench, "List", {})).json).toEqual({
      Volumes: [
        { Name: "new", Mountpoint },
        { Name: "old", Mountpoint },
      ],
      Err: "",
    });
  });

  test("mounts and unmounts the volume, and a create of it is one of the volume", async () => {
    await using bench = await withAlias();
    const mounted = await call(bench, "Mount", { Name: "old", ID: "a" });
    expect(mounted.json).toEqual({ Mountpoint: (await got(bench, "new"))["Mountpoint"], Err: "" });
    expect(await errorOf(bench, "Remove", { Name: "new" })).toStartWith("volume is in use - [a]");
    expect(await errorOf(bench, "Unmount", { Name: "old", ID: "a" })).toBe("");
    expect(await errorOf(bench, "Create", { Name: "old", Opts: null })).toBe("");
    expect(await errorOf(bench, "Create", { Name: "old", Opts: { sharing: "none" } })).toStartWith(
      "volume new exists already, without the option",
    );
  });

  test("is removed as one, and the volume stays", async () => {
    await using bench = await withAlias();
    expect(await errorOf(bench, "Remove", { Name: "old" })).toBe("");
    expect(aliases(bench.engine)).toEqual([]);
    expect((await got(bench, "new"))["Name"]).toBe("new");
    expect(await errorOf(bench, "Remove", { Name: "old" })).toStartWith("no such volume");
  });
});

test("a container that has the volume by an alias keeps both from being removed", async () => {
  const docker = memoryEngine();
  await using bench = new ApiBench({ handler: pluginHandler(), finder: docker.finder });
  await bench.start();
  await filled(bench.engine, "old");
  await rename(bench.engine, "old", "new", true);
  const { lists } = bench.engine.engine;
  await lists.noteCaller({ ...bench.engine.operation(), caller: docker.caller });
  docker.containers.push(containerWith("old", { isRunning: false }));
  for (const Name of ["old", "new"]) {
    const refusal = await errorOf(bench, "Remove", { Name });
    expect(refusal).toStartWith("volume is in use - [db (docker, stopped)]");
  }
});

test("protection, the note and the refusal read well behind dockerd's own words", async () => {
  await using bench = await startedPlugin();
  await filled(bench.engine, "pgdata");
  const { upkeep } = bench.engine.engine;
  const reason = "prod orders, ask before touching.";
  await upkeep.protect("pgdata", reason, bench.engine.operation());
  const nothing = { labelsSet: {}, labelsRemoved: [], optionsSet: {}, optionsRemoved: [] };
  const change = { ...nothing, note: "orders of the shop" };
  await upkeep.update("pgdata", change, bench.engine.operation());
  expect((await got(bench, "pgdata"))["Status"]).toMatchObject({
    note: "orders of the shop",
    protected: reason,
  });
  expect(await errorOf(bench, "Remove", { Name: "pgdata" })).toBe(
    "volume is protected: prod orders, ask before touching. Lift the protection with " +
      "`holdfast volume unprotect`, which wants the name again.",
  );
});
