// Docker's routes, found by method, version and path: odd names, unknown paths, refusals.
import { describe, expect, test } from "bun:test";
import { startedApi } from "../../../test/support/api-bench.ts";
import { EngineError } from "../../core/errors.ts";

const notFound = { message: "page not found" };

describe("routes", () => {
  test("are there with every version, and without one", async () => {
    await using api = await startedApi();
    for (const prefix of ["", "/v1.24", "/v1.41", "/v1.51"]) {
      for (const path of ["/_ping", "/version", "/info", "/volumes", "/system/df"]) {
        expect([prefix, path, (await api.send("GET", `${prefix}${path}`)).status]).toEqual([
          prefix,
          path,
          200,
        ]);
      }
    }
  });

  test("versions outside of the range are refused with Docker's words", async () => {
    await using api = await startedApi();
    const tooNew = await api.send("GET", "/v1.52/volumes");
    expect(tooNew.status).toBe(400);
    expect(tooNew.json).toEqual({
      message: "client version 1.52 is too new. Maximum supported API version is 1.51",
    });
    expect(tooNew.headers.has("docker-experimental")).toBe(false);
    const tooOld = await api.send("GET", "/v1.23/volumes");
    expect(tooOld.status).toBe(400);
    expect(tooOld.headers.get("content-type")).toBe("text/plain; charset=utf-8");
    expect(tooOld.body).toBe(
      "client version 1.23 is too old. Minimum supported API version is 1.24, " +
        "please upgrade your client to a newer version\n",
    );
  });

  test("an unknown path is 404, and so is a known one with another method", async () => {
    await using api = await startedApi();
    const unknown: readonly (readonly [string, string])[] = [
      ["GET", "/"],
      ["GET", "/nothing"],
      ["GET", "/v1.43"],
      ["GET", "/vfoo/volumes"],
      ["POST", "/volumes"],
      ["DELETE", "/volumes"],
      ["PATCH", "/volumes/wiki"],
      ["HEAD", "/volumes/wiki"],
      ["POST", "/volumes/wiki"],
      ["GET", "/volumes/"],
      ["get", "/_ping"],
      ["GET", "/holdfast/v1"],
      ["GET", "/__proto__"],
      ["__proto__", "/volumes/wiki"],
      ["constructor", "/volumes/wiki"],
    ];
    for (const [method, path] of unknown) {
      const answer = await api.send(method, path);
      const expected = path === "/volumes/" ? { message: "get: no such volume" } : notFound;
      expect([method, path, answer.status, answer.json]).toEqual([method, path, 404, expected]);
    }
  });

  test("a ping is OK, and its HEAD has no body", async () => {
    await using api = await startedApi();
    const get = await api.send("GET", "/_ping");
    const head = await api.send("HEAD", "/v1.43/_ping");
    expect([get.body, head.body, head.status]).toEqual(["OK", "", 200]);
    expect(head.headers).toEqual(get.headers);
  });
});

describe("names in paths", () => {
  test("may hold anything, and come back in the answer as they were meant", async () => {
    await using api = await startedApi();
    const names: readonly (readonly [string, string])[] = [
      ["a/b", "a/b"],
      ["a%2Fb", "a/b"],
      ["%2e%2e", ".."],
      ["../etc", "../etc"],
      ["wiki/", "wiki/"],
      ["%00", "\0"],
      ["a%20b+c", "a b+c"],
      ["%C3%A4", "ä"],
      ["%22%3C", '"<'],
      ["json", "json"],
    ];
    for (const [path, name] of names) {
      const inspected = await api.send("GET", `/volumes/${path}`);
      expect([path, inspected.status]).toEqual([path, 404]);
      expect(inspected.json).toEqual({ message: `get ${name}: no such volume` });
      const removed = await api.send("DELETE", `/v1.43/volumes/${path}`);
      expect(removed.json).toEqual({ message: `get ${name}: no such volume` });
    }
  });

  test("may be the names of routes", async () => {
    await using api = await startedApi();
    for (const name of ["create", "prune"]) {
      await api.send("POST", "/volumes/create", { body: { Name: name } });
      expect((await api.send("GET", `/volumes/${name}`)).status).toBe(200);
      expect((await api.send("DELETE", `/volumes/${name}`)).status).toBe(204);
    }
  });

  test("with a bad escape are refused", async () => {
    await using api = await startedApi();
    const answer = await api.send("GET", "/volumes/%zz");
    expect([answer.status, answer.json]).toEqual([400, { message: 'invalid URL escape "%zz"' }]);
  });
});

describe("refusals", () => {
  test("a bug is a 500 with a report id, logged with its stack, and not explained", async () => {
    const bug = new TypeError("x is not a function");
    await using api = await startedApi({
      drivers: (it) => [
        {
          ...it.local(),
          validate: () => {
            throw bug;
          },
        },
      ],
    });
    const answer = await api.send("POST", "/volumes/create", { body: { Name: "wiki" } });
    expect(answer.status).toBe(500);
    expect(answer.json).toEqual({ message: "create wiki: x is not a function (report id test)" });
    const [line] = api.engine.log;
    expect(line?.level).toBe("error");
    expect(String(line?.fields["stack"])).toContain("not a function");
  });

  test("what a client did wrong is no warning in the log", async () => {
    await using api = await startedApi();
    await api.send("GET", "/volumes/nothing");
    await api.send("POST", "/volumes/create", { body: { Name: "-" } });
    expect(api.engine.log.map((line) => line.level)).toEqual(["debug", "debug"]);
  });

  test("what storage did wrong is one, once", async () => {
    const dead = new EngineError("storage.failed", "the disk does not answer");
    await using api = await startedApi({
      drivers: (it) => [{ ...it.local(), get: () => Promise.reject(dead) }],
    });
    await api.send("POST", "/volumes/create", { body: { Name: "wiki" } });
    const answer = await api.send("DELETE", "/volumes/wiki");
    expect([answer.status, answer.json]).toEqual([
      500,
      { message: "remove wiki: the disk does not answer" },
    ]);
    expect(api.engine.log.map((line) => line.level)).toEqual(["warn"]);
  });
});
