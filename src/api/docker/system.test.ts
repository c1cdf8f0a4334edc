// Docker's routes about the engine itself: version, info, df, credentials.
import { describe, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { exchange } from "../../../test/docker/wire.ts";
import { startedApi } from "../../../test/support/api-bench.ts";
import { type PluginApi, startPluginApi } from "../../../test/support/plugin-api.ts";

test("version says who we are and which versions we speak", async () => {
  await using api = await startedApi();
  const { json } = await api.send("GET", "/version");
  expect(json).toMatchObject({
    ApiVersion: "1.51",
    MinAPIVersion: "1.24",
    Version: "1.2.3",
    Os: "linux",
    Arch: "amd64",
    Platform: { Name: "Holdfast" },
  });
});

test("info has what clients read, and the warnings of the start", async () => {
  await using api = await startedApi({}, { warnings: ["The data directory is missing of: wiki."] });
  await api.send("POST", "/volumes/create", {});
  const { json } = await api.send("GET", "/info");
  expect(json).toMatchObject({
    DockerRootDir: "/var/lib/holdfast",
    DriverStatus: [["Volumes", "1"]],
    Plugins: { Volume: ["local", "scratch"], Network: [], Authorization: null, Log: [] },
    Architecture: "x86_64",
    Swarm: { LocalNodeState: "inactive" },
    Warnings: ["The data directory is missing of: wiki."],
  });
});

test("df has volumes with sizes, and the other sections as they are asked for", async () => {
  await using api = await startedApi();
  await api.send("POST", "/volumes/create", { body: { Name: "wiki" } });
  writeFileSync(join(api.engine.volumePath("wiki"), "_data", "file"), "12345");
  const whole = await api.send("GET", "/system/df");
  expect(whole.json).toMatchObject({
    LayersSize: 0,
    Images: [],
    Containers: [],
    Volumes: [{ Name: "wiki", UsageData: { RefCount: 0, Size: 5 } }],
    BuildCache: [],
  });
  const images = await api.send("GET", "/v1.42/system/df?type=image");
  expect(images.body).toBe(
    '{"LayersSize":0,"Images":[],"Containers":null,"Volumes":null,"BuildCache":null}\n',
  );
  const both = await api.send("GET", "/system/df?type=volume&type=build-cache");
  expect(both.json).toMatchObject({ Images: null, BuildCache: [], Volumes: [{ Name: "wiki" }] });
  const unknown = await api.send("GET", "/system/df?type=bogus");
  expect([unknown.status, unknown.json]).toEqual([400, { message: "unknown object type: bogus" }]);
  expect((await api.send("GET", "/v1.41/system/df?type=bogus")).status).toBe(200);
  expect((await api.send("GET", "/system/df?type=__proto__")).status).toBe(400);
});

describe("POST /auth", () => {
  const login = (api: PluginApi, body: unknown) =>
    exchange(api.socketPath, {
      method: "POST",
      path: "/v1.41/auth",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
    });

  test("asks the registry, and says what it gave", async () => {
    await using api = await startPluginApi();
    const given = { username: "u", Password: "right", email: "e", serveraddress: "r.io" };
    const { status, body } = await login(api, given);
    expect([status, body]).toEqual([
      200,
      '{"IdentityToken":"a token","Status":"Login Succeeded"}\n',
    ]);
    expect(api.plugins.logins).toEqual([
      { server: "r.io", auth: { username: "u", password: "right", identityToken: "" } },
    ]);
  });

  test("is a 401 with the registry's words where it refuses, and shows no password", async () => {
    await using api = await startPluginApi();
    const { status, body } = await login(api, { username: "u", password: "hunter2" });
    expect([status, body]).toEqual([401, '{"message":"unauthorized: no"}\n']);
    const mistaken = await login(api, { username: "u", password: ["hunter2"] });
    expect(mistaken.status).toBe(400);
    expect(mistaken.body).toContain("AuthConfig.password of type string");
    expect(mistaken.body).not.toContain("hunter2");
  });
});
