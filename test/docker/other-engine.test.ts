// What only a container engine has: empty lists, Docker's 404s, and a 501 that says why.
import { describe, expect, test } from "bun:test";
import { startedApi } from "../support/api-bench.ts";

describe("routes of a container engine", () => {
  test("are empty where clients only look", async () => {
    await using api = await startedApi();
    for (const path of [
      "/containers/json?all=1",
      "/images/json",
      "/networks",
      "/v1.41/containers/json",
    ]) {
      const answer = await api.send("GET", path);
      expect([path, answer.status, answer.body]).toEqual([path, 200, "[]\n"]);
    }
  });

  test("have nothing to prune", async () => {
    await using api = await startedApi();
    const pruned: Readonly<Record<string, object>> = {
      containers: { ContainersDeleted: null, SpaceReclaimed: 0 },
      images: { ImagesDeleted: null, SpaceReclaimed: 0 },
      networks: { NetworksDeleted: null },
      build: { CachesDeleted: null, SpaceReclaimed: 0 },
    };
    for (const [kind, expected] of Object.entries(pruned)) {
      const answer = await api.send("POST", `/${kind}/prune`);
      expect([kind, answer.status, answer.json]).toEqual([kind, 200, expected]);
    }
  });

  test("answer Docker's 404 for what is looked up, so that `docker inspect` goes on", async () => {
    await using api = await startedApi();
    const missing: Readonly<Record<string, string>> = {
      "/containers/wiki/json": "No such container: wiki",
      "/images/wiki/json": "No such image: wiki:latest",
      "/images/reg:5000/a/wiki/json": "No such image: reg:5000/a/wiki:latest",
      "/images/wiki:1/json": "No such image: wiki:1",
      "/images/wiki@sha256:00/json": "No such image: wiki@sha256:00",
      "/networks/wiki": "network wiki not found",
    };
    for (const [path, message] of Object.entries(missing)) {
      const answer = await api.send("GET", path);
      expect([path, answer.status, answer.json]).toEqual([path, 404, { message }]);
    }
  });

  test("are a 501 with the reason for everything else", async () => {
    await using api = await startedApi();
    const refused: readonly (readonly [string, string])[] = [
      ["POST", "/containers/create"],
      ["POST", "/containers/wiki/start"],
      ["DELETE", "/containers/wiki"],
      ["POST", "/images/create?fromImage=x"],
      ["POST", "/networks/create"],
      ["POST", "/build"],
      ["POST", "/session"],
      ["GET", "/exec/x/json"],
    ];
    for (const [method, path] of refused) {
      const answer = await api.send(method, path);
      expect([path, answer.status]).toEqual([path, 501]);
      expect(answer.body).toContain("Holdfast");
    }
  });

  test("of a swarm answer Docker's own 503", async () => {
    await using api = await startedApi();
    for (const path of ["/swarm", "/nodes", "/services", "/tasks", "/secrets", "/configs/x"]) {
      const answer = await api.send("GET", path);
      expect([path, answer.status]).toEqual([path, 503]);
      expect(answer.body).toContain("This node is not a swarm manager.");
    }
  });

  test("that only look like them are unknown pages", async () => {
    await using api = await startedApi();
    for (const path of ["/containersx", "/swarmy", "/imagesjson", "/authority"]) {
      expect([path, (await api.send("GET", path)).status]).toEqual([path, 404]);
    }
  });
});
