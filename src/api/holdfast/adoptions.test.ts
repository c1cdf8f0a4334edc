// The routes of adoptions: the plan says why not, and volumes come and go by PUT and DELETE.
import { expect, test } from "bun:test";
import { join } from "node:path";
import { type ApiBench, startedApi } from "../../../test/support/api-bench.ts";
import { DirectoryDocker, directoryDockerKey } from "../../../test/support/directory-docker.ts";
import { OWN_PREFIX } from "./route-contract.ts";

const query = `?engine=${encodeURIComponent(directoryDockerKey)}`;

async function startedDocker(): Promise<{ api: ApiBench; docker: DirectoryDocker }> {
  let docker: DirectoryDocker | undefined;
  const api = await startedApi({
    foreign: ({ root }) => {
      docker ??= new DirectoryDocker(join(root, "../docker"));
      return docker;
    },
  });
  if (docker === undefined) throw new Error("nobody asked for the other engine");
  return { api, docker };
}

test("a plan says who has a volume and why it stays", async () => {
  const { api, docker } = await startedDocker();
  await using _api = api;
  docker.make("free", { a: "1" });
  docker.make("used");
  docker.users.set("used", { name: "db", project: "shop", isRunning: true, isByPath: false });
  docker.make("odd", null, { colour: "green" });
  const { status, json } = await api.send("GET", `${OWN_PREFIX}adoptions${query}`);
  expect(status).toBe(200);
  const { volumes } = json as { readonly volumes: readonly object[] }; // The contract.
  expect(volumes).toMatchObject([
    { name: "free", labels: { a: "1" }, usedBy: [], action: "adopt", reason: null, code: null },
    {
      name: "used",
      usedBy: ["db of project shop (running)"],
      action: "none",
      reason: "adopt used: containers have it: db of project shop (running)",
      code: "adoption.in_use",
    },
    { name: "odd", action: "none", code: "volume.option_invalid" },
  ]);
});

test("a volume comes, is shown, and goes", async () => {
  const { api, docker } = await startedDocker();
  await using _api = api;
  docker.make("wiki", { a: "1" });
  const path = `${OWN_PREFIX}adoptions/wiki${query}`;
  const adopted = await api.send("PUT", path);
  expect(adopted.json).toMatchObject({ name: "wiki", labels: { a: "1" }, state: "idle" });
  expect(docker.names).toEqual([]);
  const there = await api.send("GET", "/volumes/wiki");
  expect(there.json).toMatchObject({ Driver: "local", CreatedAt: "2026-01-02T03:04:05Z" });
  docker.isSilent = true;
  expect(await api.send("DELETE", path)).toMatchObject({ status: 503 });
  expect((await api.send("GET", "/volumes/wiki")).status).toBe(200);
});
