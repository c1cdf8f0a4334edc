// Holdfast's own routes: every one of the contract, and refusals that say the way out.
import { describe, expect, test } from "bun:test";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { type ApiAnswer, type ApiBench, startedApi } from "../../../test/support/api-bench.ts";
import { DirectoryDocker } from "../../../test/support/directory-docker.ts";
import { containerWith, memoryEngine } from "../../../test/support/memory-engine.ts";
import { errorTable } from "../../core/errors.ts";
import { ADOPTION_ENGINE_DEFAULT } from "./adoption-contract.ts";
import { contract } from "./contract.ts";
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
  const named = path.replace("{name}", "wiki").replace("{holder}", "c1");
  return named.replace("{key}", encodeURIComponent(engineKey));
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
    });
    await create(api, "wiki");
    await knowEngine(api);
    for (const route of Object.values<RouteContract>(contract)) {
      const answer = await api.send(route.method, own(filled(route)));
      const { path } = route;
      expect([path, answer.status]).toEqual([path, route.reply === undefined ? 204 : 200]);
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
    const whole = { volumes: [used.json], next: null };
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

describe("history", () => {
  test("has the newest first, of all or of one, also of one that is gone", async () => {
    await using api = await startedApi();
    await create(api, "wiki");
    await create(api, "other");
    await api.send("DELETE", "/volumes/wiki");
    const changes = async (query: string) => {
      const { json } = await api.send("GET", own(`history${query}`));
      const { changes } = json as {
        readonly changes: readonly { readonly action: string; readonly volume: string }[];
      };
      return changes.map(({ action, volume }) => `${action} ${volume}`);
    };
    expect(await changes("")).toEqual(["remove wiki", "create other", "create wiki"]);
    expect(await changes("?count=1")).toEqual(["remove wiki"]);
    expect(await changes("?volume=wiki")).toEqual(["remove wiki", "create wiki"]);
    expect(await changes("?volume=nobody-knows-it")).toEqual([]);
    const { json } = await api.send("GET", own("history?count=1"));
    expect(json).toMatchObject({
      changes: [
        {
          at: "2026-10-15T20:00:00.000Z",
          driver: "local",
          caller: { kind: "system" },
          operation: "test",
        },
      ],
    });
  });

  test("refuses counts that are none, and names that are none", async () => {
    await using api = await startedApi();
    for (const count of ["0", "1001", "-1", "x", "1.5", "", "1e3", "99999999999999999999"]) {
      const answer = await api.send("GET", own(`history?count=${count}`));
      const [status, code, message] = refusal(answer);
      expect([count, status, code]).toEqual([count, 400, "request.invalid"]);
      expect(message).toContain("a whole number from 1 to 1000 is needed");
    }
    expect(refusal(await api.send("GET", own("history?volume=%2F")))[0]).toBe(400);
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
    expect(api.engine.log.map((line) => line.level)).toEqual(["warn"]);
  });
});
