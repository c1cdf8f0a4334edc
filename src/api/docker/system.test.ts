// Docker's routes about the engine itself: version, info, df.
import { expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { startedApi } from "../../../test/support/api-bench.ts";

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
