// Holdfast's own routes: every one of the contract, and refusals that say the way out.
import { describe, expect, test } from "bun:test";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { type ApiAnswer, type ApiBench, startedApi } from "../../../test/support/api-bench.ts";
import { eventually } from "../../../test/support/child.ts";
import { DirectoryDocker } from "../../../test/support/directory-docker.ts";
import { containerWith, memoryEngine } from "../../../test/support/memory-engine.ts";
import { newerImage, OnePlugin } from "../../../test/support/one-plugin.ts";
import { errorTable } from "../../core/error-table.ts";
import { SecretValue } from "../../core/secret-store.ts";
import { noPlugins } from "../../engine/plugins/no-plugins.ts";
import { trashDefaults } from "../../engine/trash/policy.ts";
import { ADOPTION_ENGINE_DEFAULT } from "./adoption-contract.ts";
import { contract, type RouteName } from "./contract.ts";
import { openApiDocument } from "./open-api.ts";
import { OWN_PREFIX, type RouteContract } from "./route-contract.ts";

const own = (path: string): string => `${OWN_PREFIX}${path}`;

async function create(api: ApiBench, name: string, more: object = {}): Promise<void> {
  const answer = await api.send("POST", "/volumes/create", { body: { Name: name, ...more } });
  expect(answer.status).toBe(201);
}

const engineKey = "docker:/run/docker.sock";

/** As if it had used the driver socket in an earlier life. It does not answer. */
async function knowEngine(api: ApiBench): Promise<void> {
  const engine = { key: engineKey, sinceMs: api.engine.nowMs };
  await api.engine.state.write((transaction) => transaction.putEngine(engine));
}

/** A route's path with things that are there. */
function filled({ path }: RouteContract): string {
  return path
    .replace("{name}", "wiki")
    .replace("{holder}", "c1")
    .replace("{ref}", "gone")
    .replace("{alias}", "older")
    .replace("{lock}", "backup")
    .replace("{key}", encodeURIComponent(engineKey));
}

/** What a route needs beside its path. */
const needs: Partial<Record<RouteName, { readonly query?: string; readonly body?: object }>> = {
  events: { query: "?follow=false" },
  makePrunePlan: { body: {} },
  protect: { body: { reason: "ask kim" } },
  protectTrash: { body: { reason: "ask kim" } },
  purge: { query: "?confirm=gone" },
  putSecret: { body: { value: "aHVudGVyMg==", replace: true } },
  rename: { body: { to: "wiki-data" } },
  restore: { body: { as: "back" } },
  unprotect: { query: "?confirm=wiki" },
  unprotectTrash: { query: "?confirm=gone" },
  upgradePlugin: {
    body: { remote: newerImage, granted: [{ name: "network", value: ["host"] }] },
  },
  update: { body: { note: "orders" } },
};

/** Things for every route: an idle volume, one with an alias, one in the trash. */
async function furnish(api: ApiBench): Promise<void> {
  const { upkeep, trash } = api.engine.engine;
  const operation = api.engine.operation();
  await create(api, "wiki");
  const value = new SecretValue(new Uint8Array(1));
  await api.engine.engine.secrets.put("wiki", value, { mayReplace: true }, operation);
  await upkeep.unprotect("wiki", operation);
  if (api.engine.state.read((view) => view.alias("older")) === undefined) {
    await create(api, "older");
    const to = `newer-${api.engine.events.length}`;
    await upkeep.rename("older", to, { keepAlias: true }, operation);
  }
  if (!trash.list().some(({ volume, phase }) => volume.name === "gone" && phase === "kept")) {
    await create(api, "gone");
    await api.engine.engine.volumes.remove("gone", operation);
  }
}

/** A lock that can be taken away. */
async function lockedFence(api: ApiBench): Promise<string> {
  const { json } = await api.send("POST", own("volumes/wiki/locks/backup"), { body: {} });
  return (json as { readonly fence: string }).fence;
}

function hasId(json: unknown): json is { readonly id: string } {
  return typeof json === "object" && json !== null && "id" in json && typeof json.id === "string";
}

/** A refusal must have its code, its kind and a way out, all of the table. */
function refusal(answer: ApiAnswer): readonly [number, unknown, unknown] {
  const { message, code, kind, recovery } = answer.json as Readonly<Record<string, unknown>>;
  const entry = Object.entries(errorTable).find(([key]) => key === code)?.[1];
  expect([kind, recovery]).toEqual([entry?.kind, entry?.recovery]);
  expect(answer.headers.get("content-type")).toBe("application/json");
  return [answer.status, code, message];
}

describe("the contract", () => {
  test("every route has a handler that answers", async () => {
    await using api = await startedApi({
      foreign: ({ root }) => new DirectoryDocker(join(root, "../docker"), ADOPTION_ENGINE_DEFAULT),
      trash: { defaults: trashDefaults },
      pluginParts: { host: noPlugins.host, managed: new OnePlugin("wiki").managed },
    });
    /** What was made last and has an id: a plan, a lock. */
    let id = "";
    for (const [name, route] of Object.entries<RouteContract>(contract)) {
      await furnish(api);
      // It does not answer: whoever removes anything would be refused.
      if (route.path.startsWith("engines")) await knowEngine(api);
      const { query = "", body } = needs[name as RouteName] ?? {}; // The keys of the table.
      const fence = name === "stealLock" ? `?fence=${await lockedFence(api)}` : "";
      const path = `${filled(route).replace("{id}", id)}${query}${fence}`;
      if (route.isEventStream) {
        const stream = await api.follow(own(path), route.method, { body });
        expect(stream.lines[0]).toStartWith("event: granted\ndata: {");
        stream.leave();
        continue;
      }
      if (route.isStream) {
        const stream = await api.follow(own(path), route.method, { body });
        const otherwise = () => `${path} does not end`;
        const hasEnded = () => stream.hasEnded() || undefined;
        await eventually(hasEnded, { timeoutMs: 5_000, otherwise });
        continue;
      }
      // They work on real storage in a helper process: test/publish.
      if (route.path.includes("publish")) continue;
      const answer = await api.send(route.method, own(path), { body });
      expect([path, answer.status]).toEqual([path, route.reply === undefined ? 204 : 200]);
      if (hasId(answer.json)) id = answer.json.id;
      if (route.reply === undefined) expect(answer.body).toBe("");
      const required = (route.reply?.["required"] ?? []) as readonly string[];
      for (const key of required) expect(answer.json).toHaveProperty([key]);
    }
  });

  test("every route stands in the OpenAPI document with its parameters", async () => {
    await using api = await startedApi();
    const { json } = await api.send("GET", own("openapi.json"));
    expect(json).toEqual(JSON.parse(JSON.stringify(openApiDocument("1.2.3"))));
    const { paths, openapi } = json as {
      readonly openapi: string;
      readonly paths: Readonly<Record<string, Readonly<Record<string, { parameters: unknown[] }>>>>;
    };
    expect(openapi).toBe("3.1.0");
    for (const route of Object.values<RouteContract>(contract)) {
      const operation = paths[own(route.path)]?.[route.method.toLowerCase()];
      const names = [...route.path.matchAll(/\{(\w+)\}/g)].map((match) => match[1]);
      const takesBody = route.body !== undefined || route.upload !== undefined;
      expect(operation !== undefined && "requestBody" in operation).toBe(takesBody);
      expect(operation?.parameters).toMatchObject(
        [...names, ...Object.keys(route.query)].map((name) => ({ name })),
      );
    }
  });

  test("no route takes a query parameter that it does not name", async () => {
    await using api = await startedApi();
    await create(api, "wiki");
    for (const route of Object.values<RouteContract>(contract)) {
      const path = filled(route);
      const answer = await api.send(route.method, own(`${path}?colour=1`));
      const [status, code, message] = refusal(answer);
      expect([path, status, code]).toEqual([path, 400, "request.invalid"]);
      expect(message).toStartWith("unknown query parameter colour: it takes ");
      expect(answer.json).toMatchObject({ details: { field: "colour" } });
    }
    const { Volumes } = (await api.send("GET", "/volumes")).json as { Volumes: readonly unknown[] };
    expect(Volumes).toHaveLength(1);
    expect(api.engine.events.map((event) => event.action)).toEqual(["create"]);
  });

  test("a wrong method names the right ones, an unknown path where all are listed", async () => {
    await using api = await startedApi();
    expect(refusal(await api.send("PATCH", own("health")))[2]).toContain("takes GET, not PATCH");
    expect(refusal(await api.send("POST", own("volumes")))).toEqual([
      400,
      "request.invalid",
      `${own("volumes")} takes GET, not POST`,
    ]);
    expect(refusal(await api.send("GET", own("volumes/wiki/holders/c1")))[2]).toContain(
      "takes PUT or DELETE, not GET",
    );
    for (const path of ["", "nothing", "openapixjson", "volumes/", "volumes/a/b", "v2"]) {
      const [status, , message] = refusal(await api.send("GET", own(path)));
      expect([path, status]).toEqual([path, 404]);
      expect(message).toContain("openapi.json lists all");
    }
  });
});

describe("container engines", () => {
  const path = own(`engines/${encodeURIComponent("docker:/memory")}`);

  test("are listed with what they have, and forgotten when they are gone or by force", async () => {
    const docker = memoryEngine();
    await using api = await startedApi({ finder: docker.finder });
    await create(api, "wiki");
    const { engine, nowMs } = api.engine;
    await engine.holds.noteCaller({ ...api.engine.operation(), caller: docker.caller });
    docker.containers.push(containerWith("wiki"));
    const since = new Date(nowMs).toISOString();
    expect((await api.send("GET", own("engines"))).json).toEqual({
      engines: [{ key: docker.key, since, containers: 1, error: null }],
    });
    expect(refusal(await api.send("DELETE", path))).toEqual([
      409,
      "engine.in_use",
      "docker:/memory answers, and has containers with volumes: db",
    ]);
    expect(refusal(await api.send("DELETE", `${path}?force=1`))[1]).toBe("request.invalid");
    docker.isThere = false;
    expect((await api.send("GET", own("engines"))).json).toMatchObject({
      engines: [{ containers: null, error: "nobody listens" }],
    });
    expect((await api.send("DELETE", path)).status).toBe(204);
    expect(refusal(await api.send("DELETE", path))[1]).toBe("engine.unknown");
    docker.isThere = true;
    await engine.holds.noteCaller({ ...api.engine.operation(), caller: docker.caller });
    expect((await api.send("DELETE", `${path}?force=true`)).status).toBe(204);
  });

  test("fill the Status of Docker's inspect, which an idle volume has not", async () => {
    const docker = memoryEngine();
    await using api = await startedApi({ finder: docker.finder });
    await create(api, "wiki");
    await api.engine.engine.holds.noteCaller({
      ...api.engine.operation(),
      caller: docker.caller,
    });
    expect((await api.send("GET", "/volumes/wiki")).json).not.toHaveProperty("Status");
    docker.containers.push(containerWith("wiki", { project: "shop", isRunning: false }));
    expect((await api.send("GET", "/volumes/wiki")).json).toMatchObject({
      Status: {
        state: "in use",
        sharing: "all",
        holders: [{ name: "db", project: "shop", state: "stopped", access: "rw" }],
      },
    });
  });
});

describe("pages of volumes", () => {
  test("hold each volume once, by name, whatever their size", async () => {
    await using api = await startedApi();
    const names = ["b", "a", "e", "d", "c"].map((letter) => `volume-${letter}`);
    for (const name of names) await create(api, name);
    for (const count of [1, 2, 5, 1_000]) {
      const seen: string[] = [];
      let pageCount = 0;
      for (let after: string | null = ""; after !== null; pageCount++) {
        const { json } = await api.send("GET", `${own("volumes")}?count=${count}&after=${after}`);
        const page = json as { volumes: { name: string }[]; next: string | null }; // The contract.
        expect(page.volumes.length).toBeLessThanOrEqual(count);
        seen.push(...page.volumes.map(({ name }) => name));
        after = page.next;
      }
      expect({ seen, pageCount }).toEqual({
        seen: [...names].sort(),
        pageCount: Math.ceil(5 / count),
      });
    }
  });

  test("of no size or too large a one are refused", async () => {
    await using api = await startedApi();
    for (const count of ["0", "1001", "x", "-1"]) {
      const answer = await api.send("GET", `${own("volumes")}?count=${count}`);
      expect(answer.status).toBe(400);
      expect(answer.json).toMatchObject({ code: "request.invalid", details: { value: count } });
    }
  });
});

describe("volumes", () => {
  test("show their state, their first use and their holders", async () => {
    await using api = await startedApi();
    await create(api, "wiki", { Labels: { a: "1" } });
    const idle = await api.send("GET", own("volumes/wiki"));
    expect(idle.json).toMatchObject({
      name: "wiki",
      driver: "local",
      state: "idle",
      createdAt: "2026-10-15T20:00:00.000Z",
      firstUsedAt: null,
      labels: { a: "1" },
      options: null,
      holders: [],
    });
    const mounted = await api.send("PUT", own("volumes/wiki/holders/c%2F1"));
    expect(mounted.json).toEqual({ path: (idle.json as { mountpoint: string }).mountpoint });
    const used = await api.send("GET", own("volumes/wiki"));
    expect(used.json).toMatchObject({
      state: "in use",
      firstUsedAt: "2026-10-15T20:00:00.000Z",
      holders: [{ id: "c/1", since: "2026-10-15T20:00:00.000Z" }],
    });
    // Both are of a single volume only.
    const { history, doctor, ...rest } = used.json as Readonly<Record<string, unknown>>;
    expect(doctor).toBeNull();
    expect(history).toMatchObject([{ action: "mount", subject: "c/1" }, { action: "create" }]);
    const whole = { volumes: [rest], next: null };
    expect((await api.send("GET", own("volumes"))).json).toEqual(whole);
  });

  test("that lost their data say so, and a new one of that name does not", async () => {
    await using api = await startedApi();
    const state = async () => {
      const { json } = await api.send("GET", own("volumes/wiki"));
      return (json as { readonly state: string }).state;
    };
    await create(api, "wiki");
    await api.send("PUT", own("volumes/wiki/holders/c1"));
    await api.send("DELETE", own("volumes/wiki/holders/c1"));
    rmSync(api.engine.volumePath("wiki"), { recursive: true });
    await api.restart();
    expect(await state()).toBe("data missing");
    const refused = await api.send("PUT", own("volumes/wiki/holders/c1"));
    expect(refusal(refused).slice(0, 2)).toEqual([500, "volume.data_missing"]);
    expect((await api.send("DELETE", "/volumes/wiki")).status).toBe(204);
    api.engine.nowMs += 1_000;
    await create(api, "wiki");
    expect(await state()).toBe("idle");
  });

  test("that are not there are 404", async () => {
    await using api = await startedApi();
    for (const [method, path] of [
      ["GET", "volumes/wiki"],
      ["PUT", "volumes/wiki/holders/c1"],
      ["DELETE", "volumes/wiki/holders/c1"],
    ] as const) {
      expect(refusal(await api.send(method, own(path)))).toEqual([
        404,
        "volume.not_found",
        "get wiki: no such volume",
      ]);
    }
  });

  test("take holders of 1 to 255 printable characters", async () => {
    await using api = await startedApi();
    await create(api, "wiki");
    for (const holder of ["%00", "h".repeat(256), "%0a", "%7f"]) {
      const answer = await api.send("PUT", own(`volumes/wiki/holders/${holder}`));
      expect(refusal(answer).slice(0, 2)).toEqual([400, "request.invalid"]);
    }
    const bad = await api.send("PUT", own("volumes/wiki/holders/%zz"));
    expect(refusal(bad)).toEqual([400, "request.invalid", "holder: bad percent-encoding in %zz"]);
    expect((await api.send("PUT", own(`volumes/wiki/holders/${"h".repeat(255)}`))).status).toBe(
      200,
    );
  });
});

describe("secrets", () => {
  test("in options are in no error body and in no log line", async () => {
    await using api = await startedApi();
    const DriverOpts = {
      type: "nosuchfs",
      device: "//u:hunter3@h/s",
      o: "user=u,password=hunter2",
    };
    await create(api, "share", { DriverOpts });
    const answer = await api.send("PUT", own("volumes/share/holders/c1"));
    expect(refusal(answer).slice(0, 2)).toEqual([503, "volume.mount_failed"]);
    for (const secret of ["hunter2", "hunter3"]) {
      expect(answer.body).not.toContain(secret);
      expect(JSON.stringify(api.engine.log)).not.toContain(secret);
    }
    expect(api.engine.log.map((line) => line.level)).toEqual(["warn", "warn"]);
  });
});
