// The routes of prune plans: what would go, and exactly that, once.
import { expect, test } from "bun:test";
import { type ApiBench, startedApi } from "../../../test/support/api-bench.ts";
import { trashDefaults } from "../../engine/trash/policy.ts";
import { OWN_PREFIX } from "./route-contract.ts";

const path = `${OWN_PREFIX}prune-plans`;
const dayMs = 86_400_000;

interface Plan {
  readonly id: string;
  readonly volumes: readonly { readonly name: string }[];
  readonly kept: readonly { readonly name: string; readonly why: string }[];
}

async function started(): Promise<ApiBench> {
  const api = await startedApi({ trash: { defaults: trashDefaults } });
  for (const [Name, Labels] of [
    ["old", { ci: "1" }],
    ["kept", { ci: "1" }],
    ["shop", { "com.docker.compose.project": "shop" }],
  ] as const) {
    await api.send("POST", "/volumes/create", { body: { Name, Labels } });
  }
  const body = { reason: "prod orders" };
  await api.send("PUT", `${OWN_PREFIX}volumes/kept/protection`, { body });
  api.engine.nowMs += 40 * dayMs;
  await api.send("POST", "/volumes/create", { body: { Name: "new" } });
  return api;
}

async function plan(api: ApiBench, body: object): Promise<Plan> {
  const { json, status } = await api.send("POST", path, { body });
  expect(status).toBe(200);
  return json as Plan; // The contract.
}

const namesOf = ({ volumes }: Plan): readonly string[] => volumes.map(({ name }) => name).sort();

test("a plan says what would go and why, and what stays", async () => {
  await using api = await started();
  const made = await plan(api, { all: true, unusedForMs: 30 * dayMs });
  expect(namesOf(made)).toEqual(["old", "shop"]);
  expect(made.kept).toMatchObject([{ name: "kept" }]);
  expect(made.kept[0]?.why).toContain("prod orders");
  expect(made).toMatchObject({
    madeAt: "2026-11-24T20:00:00.000Z",
    volumes: [{ name: "old", driver: "local", lastUsedAt: null, lastHolder: null }, {}],
  });
  expect((await api.send("GET", `${path}/${made.id}`)).json).toEqual(made);
  expect(api.engine.engine.volumes.list({})).toHaveLength(4);
});

test("the question is narrowed by each of its fields", async () => {
  await using api = await started();
  expect(namesOf(await plan(api, {}))).toEqual([]);
  expect(namesOf(await plan(api, { all: true }))).toEqual(["new", "old", "shop"]);
  expect(namesOf(await plan(api, { all: true, labels: ["ci=1"] }))).toEqual(["old"]);
  expect(namesOf(await plan(api, { all: true, withoutLabels: ["ci"] }))).toEqual(["new", "shop"]);
  expect(namesOf(await plan(api, { all: true, projects: ["shop"] }))).toEqual(["shop"]);
  expect(namesOf(await plan(api, { all: true, drivers: ["scratch"] }))).toEqual([]);
  expect(namesOf(await plan(api, { all: true, largerBytes: 1_000_000 }))).toEqual([]);
});

test("a plan is applied once, and names what has changed since", async () => {
  await using api = await started();
  const { id } = await plan(api, { all: true, unusedForMs: 30 * dayMs });
  const body = { reason: "wait" };
  await api.send("PUT", `${OWN_PREFIX}volumes/shop/protection`, { body });
  const applied = await api.send("POST", `${path}/${id}/apply`);
  expect(applied.json).toMatchObject({ removed: [{ name: "old" }], skipped: [{ name: "shop" }] });
  const { removed } = applied.json as { readonly removed: readonly { readonly trashId: string }[] };
  const entry = await api.send("GET", `${OWN_PREFIX}trash/${removed[0]?.trashId}`);
  expect(entry.json).toMatchObject({ name: "old" });
  for (const [method, target] of [
    ["POST", `${path}/${id}/apply`],
    ["GET", `${path}/p-000000`],
  ] as const) {
    const { status, json } = await api.send(method, target);
    expect([status, json]).toMatchObject([404, { code: "prune.plan_not_found" }]);
  }
});
