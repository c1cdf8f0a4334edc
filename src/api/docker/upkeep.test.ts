// Docker's routes by an alias, and the `Status` of what somebody has said something of.
import { describe, expect, test } from "bun:test";
import { type ApiBench, startedApi } from "../../../test/support/api-bench.ts";
import { aliases, filled, rename } from "../../../test/support/upkeep-bench.ts";
import { parseHolderId } from "../../core/names.ts";

/** A volume `new` with the alias `old`. */
async function withAlias(): Promise<ApiBench> {
  const api = await startedApi();
  await filled(api.engine, "old");
  await rename(api.engine, "old", "new", true);
  return api;
}

async function inspected(api: ApiBench, name: string): Promise<Readonly<Record<string, unknown>>> {
  const { json } = await api.send("GET", `/volumes/${name}`);
  return json as Readonly<Record<string, unknown>>; // Docker's Volume.
}

describe("an alias", () => {
  test("is inspected under its own name, and says whose it is", async () => {
    await using api = await withAlias();
    const { Mountpoint } = await inspected(api, "new");
    const volume = await inspected(api, "old");
    expect(volume).toMatchObject({ Name: "old", Mountpoint, Driver: "local" });
    expect(volume["Status"]).toMatchObject({ "alias-of": "new", aliases: ["old"], state: "idle" });
    expect(Object.keys(volume["Status"] ?? {})).toEqual(
      Object.keys(volume["Status"] ?? {}).toSorted(),
    );
  });

  test("is created as the volume that is there, and is in no list", async () => {
    await using api = await withAlias();
    const created = await api.send("POST", "/volumes/create", { body: { Name: "old" } });
    expect([created.status, created.json]).toMatchObject([201, { Name: "old" }]);
    const { json } = await api.send("GET", "/volumes");
    const { Volumes } = json as { readonly Volumes: readonly { readonly Name: string }[] };
    expect(Volumes.map(({ Name }) => Name)).toEqual(["new"]);
  });

  test("is removed as one; no prune takes it, and the volume takes it along", async () => {
    await using api = await withAlias();
    const filters = encodeURIComponent(JSON.stringify({ all: ["true"], label: ["none"] }));
    const pruned = await api.send("POST", `/volumes/prune?filters=${filters}`);
    expect(pruned.json).toMatchObject({ VolumesDeleted: [] });
    expect(aliases(api.engine)).toEqual(["old → new"]);
    expect((await api.send("DELETE", "/volumes/old")).status).toBe(204);
    expect((await api.send("DELETE", "/volumes/old")).status).toBe(404);
    expect([aliases(api.engine), (await inspected(api, "new"))["Name"]]).toEqual([[], "new"]);
    await rename(api.engine, "new", "newer", true);
    expect((await api.send("DELETE", "/volumes/newer")).status).toBe(204);
    expect((await api.send("GET", "/volumes/new")).status).toBe(404);
  });
});

test("a protected volume says so, idle as it is, and is not removed", async () => {
  await using api = await startedApi();
  await filled(api.engine, "pgdata");
  expect(await inspected(api, "pgdata")).not.toHaveProperty("Status");
  const { upkeep, volumes } = api.engine.engine;
  await upkeep.protect("pgdata", "prod orders", api.engine.operation());
  expect((await inspected(api, "pgdata"))["Status"]).toEqual({
    ...{ holders: [], lastUsedAt: null, protected: "prod orders", sharing: "all", state: "idle" },
  });
  for (const query of ["", "?force=true"]) {
    const { status, json } = await api.send("DELETE", `/volumes/pgdata${query}`);
    expect([status, json]).toEqual([
      409,
      { message: "remove pgdata: volume is protected: prod orders" },
    ]);
  }
  const filters = encodeURIComponent(JSON.stringify({ all: ["true"] }));
  const pruned = await api.send("POST", `/volumes/prune?filters=${filters}`);
  expect(pruned.json).toMatchObject({ VolumesDeleted: [] });
  await volumes.mount("pgdata", parseHolderId("job"), api.engine.operation());
  expect((await inspected(api, "pgdata"))["Status"]).toMatchObject({ state: "in use" });
});
