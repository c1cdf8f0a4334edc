// The routes of the trash: pages, one entry by whatever names it, back, and gone for good.
import { describe, expect, test } from "bun:test";
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type ApiBench, startedApi } from "../../../test/support/api-bench.ts";
import { parseDriverName } from "../../core/names.ts";
import { trashDefaults } from "../../engine/trash/policy.ts";
import { OWN_PREFIX } from "./route-contract.ts";

const absent = parseDriverName("absent");
const trash = `${OWN_PREFIX}trash`;

interface Entry {
  readonly id: string;
  readonly name: string;
}

interface Page {
  readonly entries: readonly Entry[];
  readonly next: string | null;
  readonly totals: object;
}

function started(): Promise<ApiBench> {
  return startedApi({ trash: { defaults: trashDefaults } });
}

async function create(api: ApiBench, name: string, more: object = {}): Promise<void> {
  await api.send("POST", "/volumes/create", { body: { Name: name, ...more } });
}

async function remove(api: ApiBench, name: string): Promise<void> {
  expect((await api.send("DELETE", `/volumes/${name}`)).status).toBe(204);
}

async function entryOf(api: ApiBench, ref: string): Promise<Entry> {
  const { json, status } = await api.send("GET", `${trash}/${ref}`);
  expect(status).toBe(200);
  return json as Entry; // The contract.
}

describe("the list", () => {
  test("has everything of a removed volume, with the sums of all", async () => {
    await using api = await started();
    await create(api, "wiki", { Labels: { owner: "kim" }, DriverOpts: { trash: "30d" } });
    api.engine.nowMs += 1_000;
    await remove(api, "wiki");
    const { entries, next, totals } = (await api.send("GET", trash)).json as Page;
    expect(next).toBeNull();
    expect(totals).toMatchObject({ entries: 1, purging: 0, budgetBytes: null });
    expect(entries).toMatchObject([
      {
        name: "wiki",
        driver: "local",
        phase: "kept",
        removedAt: "2026-10-15T20:00:01.000Z",
        removedBy: "holdfast",
        purgesAt: "2026-11-14T20:00:01.000Z",
        protection: null,
        labels: { owner: "kim" },
        options: { trash: "30d" },
        note: null,
        createdAt: "2026-10-15T20:00:00.000Z",
        aliases: [],
        wasAnonymous: false,
      },
    ]);
    expect(entries[0]?.id).toMatch(/^t-[0-9a-f]{16}$/);
    await api.send("POST", "/volumes/create", { body: {} });
    const [made] = api.engine.engine.volumes.list({});
    await remove(api, made?.name ?? "");
    expect(await entryOf(api, made?.name ?? "")).toMatchObject({ wasAnonymous: true });
  });

  test("has each entry once, the newest first, whatever the size of a page", async () => {
    await using api = await started();
    for (const name of ["v1", "v2", "v3", "v4", "v5"]) {
      await create(api, name);
      if (name !== "v3") api.engine.nowMs += 1_000;
      await remove(api, name);
    }
    const all = ((await api.send("GET", trash)).json as Page).entries;
    expect(all.map(({ name }) => name).sort()).toEqual(["v1", "v2", "v3", "v4", "v5"]);
    expect(all[0]?.name).toBe("v5");
    for (const count of [1, 2, 5, 1_000]) {
      const seen: Entry[] = [];
      for (let after = ""; ; ) {
        const answer = await api.send("GET", `${trash}?count=${count}${after}`);
        const page = answer.json as Page;
        seen.push(...page.entries);
        if (page.next === null) break;
        after = `&after=${encodeURIComponent(page.next)}`;
      }
      expect(seen).toEqual([...all]);
    }
    const named = ((await api.send("GET", `${trash}?name=v2`)).json as Page).entries;
    expect(named.map(({ name }) => name)).toEqual(["v2"]);
    for (const query of ["count=0", "count=x", "after=x", "after=1:t-", "colour=1"]) {
      expect((await api.send("GET", `${trash}?${query}`)).status).toBe(400);
    }
  });
});

describe("an entry", () => {
  test("is found by id, by the beginning of one and by name, of several by id only", async () => {
    await using api = await started();
    await create(api, "wiki");
    await remove(api, "wiki");
    const { id } = await entryOf(api, "wiki");
    expect((await entryOf(api, id)).id).toBe(id);
    expect((await entryOf(api, id.slice(0, 8))).id).toBe(id);
    await create(api, "wiki");
    await remove(api, "wiki");
    const ambiguous = await api.send("GET", `${trash}/wiki`);
    expect(ambiguous.status).toBe(409);
    expect(ambiguous.json).toMatchObject({ code: "trash.ambiguous" });
    expect(ambiguous.body).toContain(id);
    for (const ref of ["nothing", "t-", "%2F"]) {
      const { status, json } = await api.send("GET", `${trash}/${ref}`);
      expect([ref, status, json]).toMatchObject([ref, 404, { code: "trash.not_found" }]);
    }
  });

  test("comes back with its data, labels and options; over another one it does not", async () => {
    await using api = await started();
    await create(api, "wiki", { Labels: { a: "1" } });
    writeFileSync(join(api.engine.volumePath("wiki"), "_data", "page"), "text");
    await remove(api, "wiki");
    await create(api, "wiki");
    const { id } = await entryOf(api, "wiki");
    const path = `${trash}/${id}/restore`;
    const taken = await api.send("POST", path);
    expect([taken.status, taken.json]).toMatchObject([409, { code: "volume.name_taken" }]);
    const bad = await api.send("POST", path, { body: { as: "/" } });
    expect(bad.status).toBe(400);
    const back = await api.send("POST", path, { body: { as: "wiki-old" } });
    expect(back.json).toMatchObject({ name: "wiki-old", labels: { a: "1" }, state: "idle" });
    expect(existsSync(join(api.engine.volumePath("wiki-old"), "_data", "page"))).toBe(true);
    expect((await api.send("POST", path)).status).toBe(404);
  });

  test("has the aliases of its volume, which mean it again when it is back", async () => {
    await using api = await started();
    await create(api, "wiki");
    const renaming = { body: { to: "docs", keepAlias: true } };
    await api.send("POST", `${OWN_PREFIX}volumes/wiki/rename`, renaming);
    await remove(api, "docs");
    expect(await entryOf(api, "docs")).toMatchObject({ aliases: ["wiki"] });
    const back = await api.send("POST", `${trash}/docs/restore`, { body: { as: "back" } });
    expect(back.json).toMatchObject({ name: "back", aliases: ["wiki"] });
  });

  test("is purged only with its name, and is gone when that was waited for", async () => {
    await using api = await started();
    await create(api, "wiki");
    await remove(api, "wiki");
    const { id } = await entryOf(api, "wiki");
    for (const query of ["", "?confirm=", `?confirm=${id}`, "?wait=true&confirm=wik"]) {
      const { status, json } = await api.send("DELETE", `${trash}/${id}${query}`);
      expect([query, status, json]).toMatchObject([query, 400, { code: "confirmation.missing" }]);
    }
    expect((await api.send("DELETE", `${trash}/${id}?confirm=wiki&wait=yes`)).status).toBe(400);
    await entryOf(api, id);
    const purged = await api.send("DELETE", `${trash}/${id}?confirm=wiki&wait=true`);
    expect([purged.status, purged.body]).toEqual([204, ""]);
    expect((await api.send("GET", `${trash}/${id}`)).status).toBe(404);
    expect(existsSync(join(api.engine.root, "trash", id))).toBe(false);
  });

  test("that is being purged says so, and no time at which that may begin", async () => {
    await using api = await started();
    await create(api, "wiki");
    await remove(api, "wiki");
    const { volume, ...kept } = api.engine.engine.trash.find("wiki");
    // Its driver is not here: so it stays as it is.
    const purging = { ...kept, phase: "purging" as const, volume: { ...volume, driver: absent } };
    await api.engine.state.write((transaction) => transaction.putRetired(purging));
    expect(await entryOf(api, "wiki")).toMatchObject({ phase: "purging", purgesAt: null });
    const { entries } = (await api.send("GET", trash)).json as Page;
    expect(entries).toMatchObject([{ phase: "purging", purgesAt: null }]);
  });

  test("that is protected is not purged, until that is lifted with its name", async () => {
    await using api = await started();
    await create(api, "wiki");
    await remove(api, "wiki");
    const path = `${trash}/wiki/protection`;
    const given = await api.send("PUT", path, { body: { reason: "tax" } });
    expect(given.json).toMatchObject({
      name: "wiki",
      protection: { reason: "tax", since: "2026-10-15T20:00:00.000Z", by: "holdfast" },
    });
    const refused = await api.send("DELETE", `${trash}/wiki?confirm=wiki`);
    expect([refused.status, refused.json]).toMatchObject([409, { code: "volume.protected" }]);
    expect((await api.send("DELETE", path)).json).toMatchObject({ code: "confirmation.missing" });
    const lifted = await api.send("DELETE", `${path}?confirm=wiki`);
    expect(lifted.json).toMatchObject({ protection: null });
    expect((await api.send("DELETE", `${trash}/wiki?confirm=wiki`)).status).toBe(204);
  });
});

describe("a removal", () => {
  const path = `${OWN_PREFIX}volumes/wiki`;

  test("goes to the trash, and with purge and the name to nowhere", async () => {
    await using api = await started();
    await create(api, "wiki");
    expect((await api.send("DELETE", path)).status).toBe(204);
    await entryOf(api, "wiki");
    await create(api, "wiki");
    const unsure = await api.send("DELETE", `${path}?purge=true`);
    expect([unsure.status, unsure.json]).toMatchObject([400, { code: "confirmation.missing" }]);
    expect((await api.send("DELETE", `${path}?confirm=wiki`)).status).toBe(400);
    expect((await api.send("DELETE", `${path}?purge=true&confirm=wiki`)).status).toBe(204);
    const { entries } = (await api.send("GET", trash)).json as Page;
    expect(entries.filter((entry) => "phase" in entry && entry.phase === "kept")).toHaveLength(1);
  });
});
