// Docker's routes over volumes of plugins: texts, statuses, warnings, and what force does.
import { describe, expect, test } from "bun:test";
import { type ApiBench, startedApi } from "../../../test/support/api-bench.ts";
import { EngineError } from "../../core/errors.ts";

const failure = new EngineError("plugin.failed", "the back end says no");

async function withWiki(isRefusing = false): Promise<ApiBench> {
  const api = await startedApi({
    plugins: (all) =>
      void all.install("mp:latest", () =>
        isRefusing ? { destroy: async () => Promise.reject(failure) } : {},
      ),
  });
  await api.send("POST", "/volumes/create", { body: { Name: "wiki", Driver: "mp" } });
  return api;
}

const prefix =
  'get wiki: error while checking if volume "wiki" exists in driver "mp:latest": error looking ' +
  "up volume plugin mp:latest: plugin ";

describe("DELETE", () => {
  test("has the plugin's words and 500, and with force 204 and the name free", async () => {
    await using api = await withWiki(true);
    const refused = await api.send("DELETE", "/volumes/wiki");
    expect([refused.status, refused.json]).toEqual([
      500,
      { message: "remove wiki: the back end says no" },
    ]);
    expect((await api.send("DELETE", "/volumes/wiki?force=true")).status).toBe(204);
    expect((await api.send("GET", "/volumes/wiki")).status).toBe(404);
  });

  test("of a plugin that is stopped or gone is Docker's refusal, and 204 with force", async () => {
    await using api = await withWiki();
    api.engine.plugins.become("mp:latest", "disabled");
    const disabled = await api.send("DELETE", "/volumes/wiki");
    expect([disabled.status, disabled.json]).toEqual([
      409,
      { message: `${prefix}mp:latest found but disabled` },
    ]);
    api.engine.plugins.forget("mp:latest");
    const gone = await api.send("DELETE", "/volumes/wiki");
    expect([gone.status, gone.json]).toEqual([404, { message: `${prefix}"mp:latest" not found` }]);
    expect((await api.send("DELETE", "/volumes/wiki?force=true")).status).toBe(204);
    const again = await api.send("POST", "/volumes/create", { body: { Name: "wiki" } });
    expect(again.json).toMatchObject({ Driver: "local" });
  });
});

test("GET /volumes warns of plugins that do not answer, and lists their volumes", async () => {
  await using api = await withWiki();
  const list = async () => (await api.send("GET", "/volumes")).json;
  const Volumes = [{ Name: "wiki", Driver: "mp:latest" }];
  expect(await list()).toMatchObject({ Volumes, Warnings: null });
  api.engine.plugins.become("mp:latest", "unreachable", "connection refused");
  const Warnings = ["list mp:latest: connection refused"];
  expect(await list()).toMatchObject({ Volumes, Warnings });
  api.engine.plugins.become("mp:latest", "disabled");
  expect(await list()).toMatchObject({ Volumes, Warnings: null });
});

test("GET /volumes/{name} has the plugin's Status, and the state where it is away", async () => {
  await using api = await withWiki();
  const inspect = async () => (await api.send("GET", "/volumes/wiki")).json;
  expect(await inspect()).toMatchObject({ Status: { of: "wiki" } });
  api.engine.plugins.become("mp:latest", "unreachable", "connection refused");
  expect(await inspect()).toMatchObject({
    Status: { state: "unreachable", stateReason: "connection refused" },
  });
});

test("creates by a plugin that is not there or stopped have Docker's texts at once", async () => {
  await using api = await withWiki();
  const make = async (Driver: string) => {
    const { status, json } = await api.send("POST", "/volumes/create", {
      body: { Name: "new", Driver },
    });
    return [status, json];
  };
  expect(await make("nope")).toEqual([
    404,
    { message: 'create new: error looking up volume plugin nope: plugin "nope" not found' },
  ]);
  api.engine.plugins.become("mp:latest", "disabled");
  expect(await make("mp")).toEqual([
    409,
    {
      message: "create new: error looking up volume plugin mp: plugin mp:latest found but disabled",
    },
  ]);
  // A volume that is there is answered, whatever its plugin does.
  const body = { Name: "wiki", Driver: "" };
  expect((await api.send("POST", "/volumes/create", { body })).status).toBe(201);
});

test("a volume of Holdfast's own routes says since when and why its plugin is away", async () => {
  await using api = await withWiki();
  api.engine.plugins.become("mp:latest", "unreachable", "connection refused");
  const { json } = await api.send("GET", "/holdfast/v1/volumes/wiki");
  expect(json).toMatchObject({
    ...{ state: "unreachable", stateReason: "connection refused", trash: "removed by its plugin" },
    stateSince: "1970-01-01T00:00:00.002Z",
  });
  expect((await api.send("DELETE", "/holdfast/v1/volumes/wiki?force=true")).status).toBe(204);
});
