// Docker's routes of volumes: statuses, texts and bodies, null and `{}`, both meanings of prune.
import { describe, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { type ApiAnswer, type ApiBench, startedApi } from "../../../test/support/api-bench.ts";
import { parseHolderId } from "../../core/names.ts";

function create(api: ApiBench, body: unknown, version = ""): Promise<ApiAnswer> {
  return api.send("POST", `${version}/volumes/create`, { body });
}

function message(answer: ApiAnswer): readonly [number, unknown] {
  return [answer.status, (answer.json as { readonly message?: unknown }).message];
}

function filters(value: unknown): string {
  return `filters=${encodeURIComponent(JSON.stringify(value))}`;
}

/** The names of a list, in its order. */
async function listed(api: ApiBench, query = ""): Promise<readonly string[]> {
  const { json } = await api.send("GET", `/volumes${query === "" ? "" : `?${query}`}`);
  const { Volumes } = json as { readonly Volumes: readonly { readonly Name: string }[] };
  return Volumes.map((volume) => volume.Name);
}

describe("create", () => {
  test("answers 201 with the volume, and again the same for the same name", async () => {
    await using api = await startedApi();
    const first = await create(api, { Name: "wiki", Labels: { b: "2", a: "1" } });
    expect([first.status, first.headers.get("content-type")]).toEqual([201, "application/json"]);
    expect(first.body).toBe(
      '{"CreatedAt":"2026-10-15T20:00:00Z","Driver":"local","Labels":{"a":"1","b":"2"},' +
        `"Mountpoint":"${join(api.engine.volumePath("wiki"), "_data")}","Name":"wiki",` +
        '"Options":null,"Scope":"local"}\n',
    );
    const second = await create(api, { name: "wiki", Labels: {}, DriverOpts: { foo: "1" } });
    expect([second.status, second.body]).toEqual([201, first.body]);
  });

  test("keeps null, nothing and an empty object apart", async () => {
    await using api = await startedApi();
    const shapes = [{}, { Labels: null, DriverOpts: null }, { Labels: {}, DriverOpts: {} }];
    const answers = await Promise.all(
      shapes.map((shape, index) => create(api, { Name: `volume-${index}`, ...shape })),
    );
    const seen = answers.map(({ json }) => {
      const { Labels, Options } = json as Readonly<Record<string, unknown>>;
      return [Labels, Options];
    });
    expect(seen).toEqual([
      [null, null],
      [null, null],
      [{}, {}],
    ]);
  });

  test("without a body makes an anonymous volume", async () => {
    await using api = await startedApi();
    for (const request of [{}, { body: "" }, { body: "null" }, { body: "{}" }]) {
      const answer = await api.send("POST", "/v1.30/volumes/create", request);
      expect(answer.status).toBe(201);
      expect(answer.json).toMatchObject({
        Name: expect.stringMatching(/^[0-9a-f]{64}$/),
        Labels: { "com.docker.volume.anonymous": "" },
      });
    }
  });

  test("refuses with Docker's statuses and texts", async () => {
    await using api = await startedApi();
    await create(api, { Name: "taken", Driver: "scratch" });
    const refused: readonly (readonly [unknown, number, string])[] = [
      [
        { Name: "x" },
        400,
        "create x: volume name is too short, names should be at least two alphanumeric characters",
      ],
      [
        { Name: "a/b" },
        400,
        'create a/b: "a/b" includes invalid characters for a local volume name, only ' +
          '"[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed. If you intended to pass a host directory, ' +
          "use absolute path",
      ],
      [
        { Name: "n".repeat(300) },
        400,
        `create ${"n".repeat(300)}: volume name is too long (300 bytes), names should be at most ` +
          "255 bytes",
      ],
      [
        { Name: "wiki", Driver: "nosuch" },
        404,
        'create wiki: error looking up volume plugin nosuch: plugin "nosuch" not found',
      ],
      [{ Name: "wiki", DriverOpts: { foo: "1" } }, 400, 'create wiki: invalid option: "foo"'],
      [
        { Name: "wiki", DriverOpts: { o: "1" } },
        400,
        'create wiki: missing required option: "device"',
      ],
      [{ DriverOpts: { foo: "1" } }, 400, 'create: invalid option: "foo"'],
      [
        { Name: "taken", Driver: "local" },
        409,
        "create taken: driver 'scratch' already has volume 'taken': volume name must be unique",
      ],
      [
        { Name: "wiki", ClusterVolumeSpec: {} },
        503,
        'This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" to ' +
          "connect this node to swarm and try again.",
      ],
    ];
    for (const [body, status, text] of refused) {
      expect(message(await create(api, body))).toEqual([status, text]);
    }
    expect(await listed(api)).toEqual(["taken"]);
    expect((await create(api, { Name: "wiki", ClusterVolumeSpec: {} }, "/v1.41")).status).toBe(201);
  });

  test("reads the query before the body, and the type before the JSON", async () => {
    await using api = await startedApi();
    const odd = { body: "{", headers: { "content-type": "text/plain" } };
    expect(message(await api.send("POST", "/volumes/create?%zz", odd))).toEqual([
      400,
      'invalid URL escape "%zz"',
    ]);
    expect(message(await api.send("POST", "/volumes/create", odd))).toEqual([
      400,
      "unsupported Content-Type header (text/plain): must be 'application/json'",
    ]);
  });

  test("never says a password when it refuses", async () => {
    await using api = await startedApi();
    const o = "username=u,password=hunter2";
    for (const options of [{ o }, { o, type: "cifs" }, { o, type: "cifs", device: "x", foo: o }]) {
      const answer = await create(api, { Name: "wiki", DriverOpts: options });
      expect(answer.status).toBe(400);
      expect(answer.body).not.toContain("hunter2");
    }
    expect(JSON.stringify(api.engine.log)).not.toContain("hunter2");
  });
});

describe("list and inspect", () => {
  test("an empty list is empty, with no warnings", async () => {
    await using api = await startedApi();
    expect((await api.send("GET", "/volumes")).body).toBe('{"Volumes":[],"Warnings":null}\n');
  });

  test("a list is a join of what inspect answers", async () => {
    await using api = await startedApi();
    for (const name of ["zz", "aa"]) await create(api, { Name: name });
    const one = await api.send("GET", "/volumes/zz");
    const two = await api.send("GET", "/volumes/aa");
    const { body } = await api.send("GET", "/volumes");
    expect(body).toBe(`{"Volumes":[${one.body.trim()},${two.body.trim()}],"Warnings":null}\n`);
  });

  test("filters select, and bad ones are refused under the route's name", async () => {
    await using api = await startedApi();
    await create(api, { Name: "aa", Labels: { a: "1" } });
    await create(api, { Name: "bb" });
    await api.engine.engine.volumes.mount("bb", parseHolderId("c1"), api.engine.operation());
    expect(await listed(api, filters({ dangling: ["true"] }))).toEqual(["aa"]);
    expect(await listed(api, filters({ dangling: { false: true } }))).toEqual(["bb"]);
    expect(await listed(api, filters({ label: ["a=1"], name: ["^a"] }))).toEqual(["aa"]);
    expect(await listed(api, filters({ driver: ["local"] }))).toEqual(["aa", "bb"]);
    expect(message(await api.send("GET", "/volumes?filters=x"))).toEqual([
      400,
      "error reading volume filters: invalid filter",
    ]);
    expect(message(await api.send("GET", `/volumes?${filters({ scope: ["x"] })}`))).toEqual([
      400,
      "invalid filter 'scope'",
    ]);
  });
});

describe("remove", () => {
  test("answers 204 without a body or a type", async () => {
    await using api = await startedApi();
    await create(api, { Name: "wiki" });
    const answer = await api.send("DELETE", "/volumes/wiki");
    expect([answer.status, answer.body, answer.headers.has("content-type")]).toEqual([
      204,
      "",
      false,
    ]);
  });

  test("what is not there is 404, and 204 with force, but for an empty name", async () => {
    await using api = await startedApi();
    expect(message(await api.send("DELETE", "/volumes/wiki"))).toEqual([
      404,
      "get wiki: no such volume",
    ]);
    expect((await api.send("DELETE", "/volumes/wiki?force=1")).status).toBe(204);
    expect((await api.send("DELETE", "/volumes/wiki?force=no")).status).toBe(404);
    expect(message(await api.send("DELETE", "/volumes/?force=1"))).toEqual([
      404,
      "get: no such volume",
    ]);
  });

  test("what is in use is 409, with force too", async () => {
    await using api = await startedApi();
    await create(api, { Name: "wiki" });
    await api.engine.engine.volumes.mount("wiki", parseHolderId("c1"), api.engine.operation());
    for (const query of ["", "?force=true"]) {
      expect(message(await api.send("DELETE", `/volumes/wiki${query}`))).toEqual([
        409,
        "remove wiki: volume is in use - [c1]",
      ]);
    }
  });

  test("what cannot be looked at is not removed", async () => {
    await using api = await startedApi();
    await create(api, { Name: "wiki" });
    writeFileSync(join(api.engine.volumePath("wiki"), "opts.json"), "{");
    const [status, text] = message(await api.send("DELETE", "/volumes/wiki"));
    expect(status).toBe(500);
    expect(String(text)).toStartWith("remove wiki: error while reading");
    expect(await listed(api)).toEqual(["wiki"]);
  });
});

describe("prune", () => {
  const named = { Name: "named", Labels: { a: "1" } };

  test("takes anonymous volumes from 1.42 on, and all before", async () => {
    await using api = await startedApi();
    const { json } = await create(api, {});
    const { Name } = json as { readonly Name: string };
    writeFileSync(join(api.engine.volumePath(Name), "_data", "file"), "12345");
    await create(api, named);
    const newer = await api.send("POST", "/v1.42/volumes/prune");
    expect([newer.status, newer.body]).toEqual([
      200,
      `{"VolumesDeleted":["${Name}"],"SpaceReclaimed":5}\n`,
    ]);
    const none = await api.send("POST", "/volumes/prune");
    expect(none.body).toBe('{"VolumesDeleted":[],"SpaceReclaimed":0}\n');
    expect(await listed(api)).toEqual(["named"]);
    const older = await api.send("POST", "/v1.41/volumes/prune");
    expect(older.json).toEqual({ VolumesDeleted: ["named"], SpaceReclaimed: 0 });
  });

  test("obeys all, label and label!, and refuses other filters", async () => {
    await using api = await startedApi();
    const prune = (value: unknown) => api.send("POST", `/volumes/prune?${filters(value)}`);
    await create(api, named);
    expect((await prune({ all: ["1"], label: ["b"] })).json).toMatchObject({ VolumesDeleted: [] });
    expect((await prune({ all: ["1"], "label!": ["a=1"] })).json).toMatchObject({
      VolumesDeleted: [],
    });
    expect((await prune({ all: ["true"], label: ["a"] })).json).toMatchObject({
      VolumesDeleted: ["named"],
    });
    expect(message(await prune({ until: ["1h"] }))).toEqual([400, "invalid filter 'until'"]);
    expect(message(await prune({ all: ["1", "0"] }))[1]).toContain("only one value is expected");
    expect(message(await api.send("POST", "/volumes/prune?filters=x"))).toEqual([
      400,
      "invalid filter",
    ]);
  });

  test("two at once: one of them is a 409", async () => {
    await using api = await startedApi();
    await create(api, {});
    const answers = await Promise.all([
      api.send("POST", "/volumes/prune"),
      api.send("POST", "/volumes/prune"),
    ]);
    expect(answers.map((answer) => answer.status).sort()).toEqual([200, 409]);
  });
});

test("an update is for cluster volumes only", async () => {
  await using api = await startedApi();
  await create(api, { Name: "wiki" });
  expect(message(await api.send("PUT", "/volumes/wiki?version=1"))).toEqual([
    503,
    "volume update only valid for cluster volumes, but swarm is unavailable",
  ]);
  const [status, text] = message(await api.send("PUT", "/volumes/wiki?version=x"));
  expect(status).toBe(400);
  expect(text).toBe(
    `invalid swarm object version 'x': strconv.ParseUint: parsing "x": invalid syntax`,
  );
});
