// The routes that change a volume in place: protection, labels, note, options, name and aliases.
import { expect, test } from "bun:test";
import { type ApiBench, startedApi } from "../../../test/support/api-bench.ts";
import { eventually } from "../../../test/support/child.ts";
import { trashDefaults } from "../../engine/trash/policy.ts";
import { OWN_PREFIX } from "./route-contract.ts";

const path = `${OWN_PREFIX}volumes/wiki`;

async function withWiki(): Promise<ApiBench> {
  const api = await startedApi({ trash: { defaults: trashDefaults } });
  const body = { Name: "wiki", Labels: { a: "1", b: "2" } };
  expect((await api.send("POST", "/volumes/create", { body })).status).toBe(201);
  return api;
}

test("a protected volume says why, on every face, and is not removed", async () => {
  await using api = await withWiki();
  const given = await api.send("PUT", `${path}/protection`, { body: { reason: "prod orders" } });
  expect(given.json).toMatchObject({
    name: "wiki",
    protection: { reason: "prod orders", since: "2026-10-15T20:00:00.000Z", by: "holdfast" },
  });
  for (const target of ["/volumes/wiki?force=1", path, `${path}?purge=true&confirm=wiki`]) {
    const { status, body } = await api.send("DELETE", target);
    expect([target, status]).toEqual([target, 409]);
    expect(body).toContain("volume is protected: prod orders");
  }
  const lifted = await api.send("DELETE", `${path}/protection?confirm=wiki`);
  expect(lifted.json).toMatchObject({ name: "wiki", protection: null });
  expect((await api.send("DELETE", path)).status).toBe(204);
});

test("a protection is lifted by the volume's own name, also by way of an alias", async () => {
  await using api = await withWiki();
  const renamed = { to: "pgdata", keepAlias: true };
  await api.send("POST", `${path}/rename`, { body: renamed });
  await api.send("PUT", `${path}/protection`, { body: { reason: "prod orders" } });
  for (const query of ["", "?confirm=", "?confirm=yes", "?confirm=PGDATA", "?confirm=wiki"]) {
    const unsure = await api.send("DELETE", `${path}/protection${query}`);
    expect([query, unsure.status, unsure.json]).toMatchObject([
      ...[query, 400],
      { code: "confirmation.missing" },
    ]);
  }
  const lifted = await api.send("DELETE", `${path}/protection?confirm=pgdata`);
  expect(lifted.json).toMatchObject({ name: "pgdata", protection: null });
});

test("labels, note and options change in place, and what is not said stays", async () => {
  await using api = await withWiki();
  const change = {
    labelsSet: { owner: "kim", a: "3" },
    labelsRemoved: ["b"],
    note: "orders db",
    optionsSet: { trash: "30d", sharing: "none" },
  };
  const changed = await api.send("PATCH", path, { body: change });
  expect(changed.json).toMatchObject({
    labels: { owner: "kim", a: "3" },
    note: "orders db",
    options: { trash: "30d", sharing: "none" },
    sharing: "none",
    trash: "trash for 30 days",
  });
  const less = await api.send("PATCH", path, { body: { optionsRemoved: ["trash"] } });
  expect(less.json).toMatchObject({ note: "orders db", options: { sharing: "none" } });
  const nothing = await api.send("PATCH", path, { body: { note: null } });
  expect(nothing.json).toMatchObject({ note: null, trash: "trash for 7 days" });
  const refused = await api.send("PATCH", path, { body: { optionsSet: { device: "/dev/x" } } });
  expect([refused.status, refused.json]).toMatchObject([400, { code: "volume.option_invalid" }]);
  expect((await api.send("PATCH", `${OWN_PREFIX}volumes/nobody`, { body: {} })).status).toBe(404);
});

test.each([
  [{ trash: "off" }, "purged at once"],
  [{ reclaim: "retain" }, "trash until somebody purges it"],
  [{ trash: "36h" }, "trash for 36 hours"],
  [{ trash: "1d" }, "trash for 1 day"],
  [{ trash: "90m" }, "trash for 90 minutes"],
  [{ type: "tmpfs", device: "tmpfs" }, "let go of; data stays, purged or not"],
])("what becomes of a volume with %j is said", async (DriverOpts, trash) => {
  await using api = await withWiki();
  await api.send("POST", "/volumes/create", { body: { Name: "other", DriverOpts } });
  const { json } = await api.send("GET", `${OWN_PREFIX}volumes/other`);
  expect(json).toMatchObject({ trash });
});

test("a renamed volume keeps its alias where that is wanted, until it is removed", async () => {
  await using api = await withWiki();
  const refused = await api.send("POST", `${path}/rename`, { body: { to: "a/b" } });
  expect([refused.status, refused.json]).toMatchObject([400, { code: "volume.name_invalid" }]);
  const body = { to: "wiki-data", keepAlias: true };
  const renamed = await api.send("POST", `${path}/rename`, { body });
  expect(renamed.json).toMatchObject({ name: "wiki-data", aliases: ["wiki"], labels: { a: "1" } });
  expect((await api.send("GET", path)).json).toMatchObject({ name: "wiki-data" });
  const alias = `${OWN_PREFIX}aliases/wiki`;
  expect((await api.send("DELETE", alias)).status).toBe(204);
  expect((await api.send("GET", path)).status).toBe(404);
  const kept = await api.send("GET", `${OWN_PREFIX}volumes/wiki-data`);
  expect(kept.json).toMatchObject({ aliases: [] });
  await api.send("POST", "/volumes/create", { body: { Name: "other" } });
  const taken = await api.send("POST", `${OWN_PREFIX}volumes/wiki-data/rename`, {
    body: { to: "other" },
  });
  expect([taken.status, taken.json]).toMatchObject([409, { code: "volume.name_taken" }]);
});

test("a volume is shown with its changes since it was created, the newest first", async () => {
  await using api = await withWiki();
  await api.send("DELETE", path);
  api.engine.nowMs += 1_000;
  await api.send("POST", "/volumes/create", { body: { Name: "wiki" } });
  await api.send("PUT", `${path}/protection`, { body: { reason: "prod orders" } });
  await api.send("DELETE", path);
  // Nobody waits for the row of a refusal.
  const { history } = api.engine.engine;
  const isThere = () => history.all({ countMax: 1 }).entries[0]?.outcome !== "done";
  await eventually(() => (isThere() ? true : undefined), {
    timeoutMs: 5_000,
    otherwise: () => "the refusal is not in the history",
  });
  const { json } = await api.send("GET", path);
  expect(json).toMatchObject({
    history: [
      { action: "remove", outcome: "volume.protected" },
      { action: "protect", outcome: "done", subject: "prod orders", by: "holdfast" },
      { action: "create", outcome: "done" },
    ],
  });
  const { json: page } = await api.send("GET", `${OWN_PREFIX}volumes`);
  expect(page).toMatchObject({ volumes: [{ name: "wiki" }] });
  expect(JSON.stringify(page)).not.toContain('"history"');
});
