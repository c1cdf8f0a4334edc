// Docker's routes of plugins over a socket: statuses, headers, streams, uploads, clients that go.
import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { EventStream, parseEvent, shapeOf } from "../../../test/docker/event-stream.ts";
import { recordingFolder } from "../../../test/docker/recordings.ts";
import { exchange, type WireAnswer } from "../../../test/docker/wire.ts";
import { eventually } from "../../../test/support/child.ts";
import { type PluginApi, startPluginApi } from "../../../test/support/plugin-api.ts";
import { connectRaw } from "../../../test/support/raw-http-client.ts";
import { emptyConfig, fullConfig } from "../../../test/support/scripted-plugins.ts";
import type { RegistryCall } from "../../core/plugin.ts";

const network = { name: "network", description: "d", value: ["host"] };
const layer = { status: "Waiting", id: "d9d8ef149be4", isOfLayer: true };
const granted = JSON.stringify([{ Name: "network", Value: ["host"] }]);

/** An API with a registry that has two plugins. */
async function started(): Promise<PluginApi> {
  const api = await startPluginApi();
  api.plugins.images.set("r.io/vp:v1", {
    config: fullConfig,
    privileges: [network],
    progress: [{ status: "Pulling from r.io/vp", id: "v1" }, layer],
  });
  api.plugins.images.set("r.io/vp:min", { config: emptyConfig, privileges: [], progress: [] });
  return api;
}

async function send(
  { socketPath }: PluginApi,
  route: string,
  body?: string | Uint8Array,
  headers: Readonly<Record<string, string>> = {},
): Promise<WireAnswer> {
  const [method = "", path = ""] = route.split(" ");
  const typed = body === undefined ? headers : { "Content-Type": "application/json", ...headers };
  const request = { method, path, headers: typed };
  return await exchange(socketPath, body === undefined ? request : { ...request, body });
}

const said = ({ status, body }: WireAnswer): unknown => [status, JSON.parse(body).message];

async function names(api: PluginApi, query = ""): Promise<readonly string[]> {
  const { body } = await send(api, `GET /plugins${query}`);
  const list: readonly { readonly Name: string }[] = JSON.parse(body);
  return list.map(({ Name }) => Name);
}

const filters = (value: unknown) => `?filters=${encodeURIComponent(JSON.stringify(value))}`;

async function create(api: PluginApi, name: string): Promise<WireAnswer> {
  return await send(api, `POST /plugins/create?name=${name}`, "tar", {
    "Content-Type": "application/x-tar",
  });
}

function within<T>(what: string, look: () => T | undefined): Promise<T> {
  return eventually(look, { timeoutMs: 5_000, otherwise: () => `${what} has not come` });
}

describe("one plugin", () => {
  test("is found by its name, with slashes, without its tag, and by its id", async () => {
    await using api = await started();
    await create(api, "r.io/a/b:latest");
    const [plugin] = api.plugins.list();
    for (const name of ["r.io/a/b:latest", "r.io/a/b", "r.io%2Fa%2Fb", plugin?.id, "0001"]) {
      const answer = await send(api, `GET /v1.43/plugins/${name}/json`);
      expect([answer.status, JSON.parse(answer.body).Name]).toEqual([200, "r.io/a/b:latest"]);
    }
    expect(said(await send(api, "GET /plugins/nosuch/json"))).toEqual([
      404,
      'plugin "nosuch" not found',
    ]);
    await create(api, "other");
    expect(said(await send(api, "GET /plugins/000/json"))).toEqual([
      400,
      'multiple plugins found for "000"',
    ]);
  });

  test("is enabled, disabled, set and removed", async () => {
    await using api = await started();
    await create(api, "vp");
    const empty = { status: 200, body: "", framing: "length" };
    expect(await send(api, "POST /plugins/vp/enable?timeout=0")).toMatchObject(empty);
    expect(said(await send(api, "POST /plugins/vp/enable?timeout=0"))).toEqual([
      409,
      "plugin already enabled: plugin vp:latest is enabled",
    ]);
    expect(said(await send(api, "DELETE /plugins/vp"))).toEqual([
      409,
      "plugin vp:latest is enabled",
    ]);
    expect(await send(api, "POST /plugins/vp/disable?force=1")).toMatchObject(empty);
    expect(said(await send(api, "POST /plugins/vp/disable"))).toEqual([
      409,
      "plugin is already disabled: plugin vp:latest found but disabled",
    ]);
    const set = await send(api, "POST /plugins/vp/set", '["DEBUG=1"]');
    expect([set.status, set.framing, set.headers.has("content-type")]).toEqual([
      204,
      "none",
      false,
    ]);
    expect(api.plugins.find("vp").settings.env).toEqual(["DEBUG=1", "FIXED=1"]);
    expect(said(await send(api, "POST /plugins/vp/set", '["A=1"]'))).toEqual([
      500,
      'setting "A" not found in the plugin configuration',
    ]);
    expect(said(await send(api, "POST /plugins/vp/set", '"A"'))).toEqual([
      400,
      "invalid JSON: json: cannot unmarshal string into Go value of type []string",
    ]);
    expect(await send(api, "DELETE /plugins/vp")).toMatchObject(empty);
    expect(await names(api)).toEqual([]);
  });

  test("is enabled with a timeout that is a number, or not at all", async () => {
    await using api = await started();
    await create(api, "vp");
    for (const [given, text] of [
      ["", '""'],
      ["?timeout=x", '"x"'],
      ["?timeout=1.5", '"1.5"'],
    ] as const) {
      expect(said(await send(api, `POST /plugins/vp/enable${given}`))).toEqual([
        400,
        `strconv.Atoi: parsing ${text}: invalid syntax`,
      ]);
    }
  });

  test("has no other routes", async () => {
    await using api = await started();
    for (const route of ["POST /plugins", "PUT /plugins/a", "GET /plugins/a", "POST /plugins/a"]) {
      expect(said(await send(api, route))).toEqual([404, "page not found"]);
    }
  });
});

describe("the list", () => {
  test("is filtered by whether they are enabled, and by what they can", async () => {
    await using api = await started();
    await create(api, "a");
    await create(api, "b");
    await send(api, "POST /plugins/b/enable?timeout=0");
    await send(api, "POST /plugins/pull?remote=r.io/vp:min");
    expect(await names(api)).toEqual(["a:latest", "b:latest", "r.io/vp:min"]);
    expect(await names(api, filters({ enabled: ["true"] }))).toEqual(["b:latest"]);
    expect(await names(api, filters({ enabled: { 0: true } }))).toEqual([
      "a:latest",
      "r.io/vp:min",
    ]);
    // What has no type passes: moby's rule.
    expect(await names(api, filters({ capability: ["authz"] }))).toEqual(["r.io/vp:min"]);
    expect(await names(api, filters({ capability: ["^volume"], enabled: ["1"] }))).toEqual([
      "b:latest",
    ]);
    for (const [value, text] of [
      [{ foo: ["bar"] }, "invalid filter 'foo'"],
      [{ enabled: ["maybe"] }, "invalid filter 'enabled=[maybe]'"],
      ["x", "invalid filter"],
    ] as const) {
      expect(said(await send(api, `GET /plugins${filters(value)}`))).toEqual([400, text]);
    }
  });
});

describe("a pull", () => {
  test("tells its progress, and the name beside it", async () => {
    await using api = await started();
    const answer = await send(api, "POST /plugins/pull?remote=r.io/vp:v1&name=mine", granted);
    expect([answer.status, answer.framing]).toEqual([200, "chunked"]);
    expect(answer.headers.get("docker-plugin-name")).toBe("mine:latest");
    expect(answer.headers.get("content-type")).toBe("application/json");
    expect(answer.body).toBe(
      '{"status":"Pulling from r.io/vp","id":"v1"}\r\n' +
        '{"status":"Waiting","progressDetail":{},"id":"d9d8ef149be4"}\r\n',
    );
    expect(api.plugins.find("mine").reference).toBe("r.io/vp:v1");
  });

  test("that fails before the first line has a status, after it a line", async () => {
    await using api = await started();
    const early = await send(api, "POST /plugins/pull?remote=r.io/nosuch");
    expect(said(early)).toEqual([500, "r.io/nosuch:latest: not found"]);
    expect(early.headers.get("docker-plugin-name")).toBe("r.io/nosuch:latest");
    const bad = await send(api, "POST /plugins/pull?remote=r.io/vp:v1&name=b@d");
    expect(said(bad)).toEqual([400, "invalid reference format"]);
    expect(bad.headers.has("docker-plugin-name")).toBe(false);
    const late = await send(api, "POST /plugins/pull?remote=r.io/vp:v1", "[]");
    expect(late.status).toBe(200);
    expect(late.body).toEndWith(
      '{"errorDetail":{"message":"incorrect privileges"},"error":"incorrect privileges"}\r\n',
    );
    expect(await names(api)).toEqual([]);
  });

  test("of a name that is taken is a 400, of a create a 409", async () => {
    await using api = await started();
    await send(api, "POST /plugins/pull?remote=r.io/vp:min");
    const again = await send(api, "POST /v1.43/plugins/pull?name=&remote=r.io/vp:min");
    expect(said(again)).toEqual([400, "plugin r.io/vp:min already exists"]);
    expect(again.headers.get("docker-plugin-name")).toBe("r.io/vp:min");
    expect(said(await create(api, "r.io/vp:min"))).toEqual([
      409,
      "plugin r.io/vp:min already exists",
    ]);
  });

  test("hands credentials and headers on, and shows them to nobody", async () => {
    await using api = await started();
    const secret = "s3cret-word";
    const auth = Buffer.from(JSON.stringify({ username: "u", password: secret }));
    const headers = { "X-Registry-Auth": auth.toString("base64url"), "X-Meta-Team": "a" };
    await send(api, "GET /plugins/privileges?remote=r.io/vp:v1", undefined, headers);
    const failed = await send(api, "POST /plugins/pull?remote=r.io/x", "[]", headers);
    const call: RegistryCall = {
      auth: { username: "u", password: secret },
      metaHeaders: [["X-Meta-Team", "a"]],
    };
    expect(api.plugins.calls).toEqual([call, call]);
    expect(JSON.stringify([failed.body, api.bench.log, api.bench.events])).not.toContain(secret);
  });

  test("ends with the client that has begun it", async () => {
    await using api = await started();
    const never = new Promise<void>(() => undefined);
    api.plugins.images.set("r.io/slow:latest", {
      ...{ config: emptyConfig, privileges: [], progress: [layer] },
      until: never,
    });
    const client = await connectRaw(api.socketPath);
    client.send("POST /plugins/pull?remote=r.io/slow HTTP/1.1\r\nHost: d\r\n\r\n");
    await client.until((text) => text.includes("Waiting"));
    client.socket.destroy();
    const told = await within("a line of the log", () =>
      api.bench.log.find(({ fields }) => fields["code"] === "operation.cancelled"),
    );
    expect(told.level).toBe("debug");
    expect(await names(api)).toEqual([]);
  });
});

describe("privileges", () => {
  test("are told in Docker's form; none are null, and no registry is an error", async () => {
    await using api = await started();
    const asked = await send(api, "GET /plugins/privileges?remote=r.io/vp:v1");
    expect(asked.body).toBe('[{"Name":"network","Description":"d","Value":["host"]}]\n');
    expect((await send(api, "GET /plugins/privileges?remote=r.io/vp:min")).body).toBe("null\n");
    expect(said(await send(api, "GET /plugins/privileges?remote=r.io/no"))).toEqual([
      500,
      "r.io/no:latest: not found",
    ]);
    expect(said(await send(api, "GET /plugins/privileges"))).toEqual([
      400,
      "invalid reference format",
    ]);
  });
});

describe("an upgrade and a push", () => {
  test("are streams; of what is not there a 404, of what runs a 409", async () => {
    await using api = await started();
    const none = await send(api, "POST /plugins/x/upgrade?remote=r.io/vp:v1", granted);
    expect(said(none)).toEqual([404, 'plugin "x:latest" not found']);
    expect(none.headers.get("docker-plugin-name")).toBe("x:latest");
    expect(said(await send(api, "POST /plugins/x/push"))).toEqual([404, 'plugin "x" not found']);
    await create(api, "r.io/x");
    await send(api, "POST /plugins/r.io/x/enable?timeout=0");
    const runs = await send(api, "POST /plugins/r.io/x/upgrade?remote=r.io/vp:v1", granted);
    expect(said(runs)).toEqual([
      409,
      "plugin must be disabled before upgrading: plugin r.io/x:latest is enabled",
    ]);
    await send(api, "POST /plugins/r.io/x/disable");
    const upgraded = await send(api, "POST /plugins/r.io/x/upgrade?remote=r.io/vp:v1", granted);
    expect(upgraded.status).toBe(200);
    expect(upgraded.headers.get("docker-plugin-name")).toBe("r.io/x:latest");
    expect(api.plugins.find("r.io/x").reference).toBe("r.io/vp:v1");
    const pushed = await send(api, "POST /plugins/r.io/x/push");
    expect(pushed.status).toBe(200);
    expect(pushed.body).toStartWith('{"status":"The push refers to repository [r.io/x]"}\r\n');
    expect(pushed.body).toEndWith('"error":"no registry at r.io"}\r\n');
  });
});

describe("a create", () => {
  test("takes what does not fit into memory's share of a request", async () => {
    await using api = await started();
    const large = Buffer.alloc(16 * 1024 * 1024, 1);
    const answer = await send(api, "POST /v1.24/plugins/create?name=large", large, {
      "Content-Type": "application/x-tar",
    });
    expect([answer.status, answer.body]).toEqual([204, ""]);
    expect(api.plugins.uploads).toEqual([large.length]);
    // By another spelling of the path the body is kept, and therefore bounded.
    const kept = "POST /plugins/creat%65?name=kept";
    expect((await send(api, kept, "tar")).status).toBe(204);
    expect((await send(api, kept, large)).status).toBe(413);
  });

  test("of nothing, or of a name that is none, is refused", async () => {
    await using api = await started();
    expect(said(await send(api, "POST /plugins/create?name=x"))).toEqual([
      500,
      "no rootfs found: EOF",
    ]);
    expect(said(await send(api, "POST /plugins/create?name=X", "tar"))).toEqual([
      400,
      "invalid reference format: repository name must be lowercase",
    ]);
  });

  test("that its client leaves in the middle makes nothing", async () => {
    await using api = await started();
    const client = connect(api.socketPath);
    client.write("POST /plugins/create?name=x HTTP/1.1\r\nHost: d\r\nContent-Length: 9\r\n\r\nabc");
    await within("a connection", () => api.connectionCount() === 1 || undefined);
    client.destroy();
    await within("its end", () => api.connectionCount() === 0 || undefined);
    expect(await names(api)).toEqual([]);
    expect(api.plugins.uploads).toEqual([]);
  });
});

test("events of plugins have the recorded form", async () => {
  await using api = await started();
  await create(api, "vp");
  await send(api, "POST /plugins/vp/enable?timeout=0");
  await send(api, "DELETE /plugins/vp?force=1");
  await send(api, "POST /plugins/pull?remote=r.io/vp:min");
  const text = readFileSync(join(recordingFolder, "events-api143.jsonl"), "utf8");
  const recorded = text.split("\n").filter(Boolean).map(parseEvent);
  const stream = await EventStream.open(api.socketPath, "since=0");
  const lines = await stream.linesUpTo(5);
  stream[Symbol.dispose]();
  const told = lines.map(parseEvent);
  expect(told.map(({ Action }) => Action)).toEqual([
    ...["create", "enable", "disable", "remove"],
    "pull",
  ]);
  for (const event of told) {
    const alike = recorded.find(({ Type, Action }) => Type === "plugin" && Action === event.Action);
    expect([event.Action, shapeOf(event)]).toEqual([event.Action, shapeOf(alike)]);
  }
});

test("what happens to plugins is told, and filtered by id and by name", async () => {
  await using api = await started();
  await create(api, "vp");
  await send(api, "POST /plugins/vp/enable?timeout=0");
  await send(api, "POST /plugins/vp/disable");
  await send(api, "POST /plugins/pull?remote=r.io/vp:min");
  await send(api, "DELETE /plugins/vp");
  const id = "0001".repeat(16);
  const events = async (given: unknown) => {
    const until = Math.ceil(api.bench.nowMs / 1000) + 1;
    const query = `?since=0&until=${until}&${filters(given).slice(1)}`;
    const { body } = await send(api, `GET /events${query}`);
    const lines = body.split("\n").filter(Boolean);
    return lines.map((line) => {
      const { Type, Action, Actor } = JSON.parse(line);
      return `${Type} ${Action} ${Actor.ID} ${Actor.Attributes.name}`;
    });
  };
  api.bench.nowMs = Date.now() - 60_000;
  const ofVp = [
    `plugin create ${id} vp:latest`,
    `plugin enable ${id} vp`,
    `plugin disable ${id} vp`,
  ];
  const pulled = "plugin pull r.io/vp:min r.io/vp:min";
  const removed = `plugin remove ${id} vp`;
  expect(await events({ type: ["plugin"] })).toEqual([...ofVp, pulled, removed]);
  expect(await events({ plugin: ["vp"] })).toEqual([...ofVp, removed]);
  expect(await events({ plugin: [id.slice(0, 8)] })).toEqual([...ofVp, removed]);
  expect(await events({ plugin: ["r.io"], event: ["pull"] })).toEqual([pulled]);
  expect(await events({ volume: ["vp"] })).toEqual([]);
});
