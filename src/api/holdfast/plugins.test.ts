// The routes of plugins: a list of both kinds, one by any of its names, an upgrade of what runs.
import { expect, test } from "bun:test";
import { type ApiBench, type ApiStream, startedApi } from "../../../test/support/api-bench.ts";
import { eventually } from "../../../test/support/child.ts";
import { OnePlugin, newerImage as remote } from "../../../test/support/one-plugin.ts";
import { parseDriverName } from "../../core/names.ts";
import type { PluginHost, PluginStatus } from "../../core/plugin.ts";
import { noPlugins } from "../../engine/plugins/no-plugins.ts";
import { OWN_PREFIX } from "./route-contract.ts";

const plugins = `${OWN_PREFIX}plugins`;
const privilege = { name: "network", description: "", value: ["host"] };

const dead: PluginStatus = {
  name: parseDriverName("rclone"),
  kind: "socket",
  state: "unreachable",
  sinceMs: Date.UTC(2026, 9, 15, 19),
  reason: "connection refused",
  restartCount: 0,
  address: "unix:///run/docker/plugins/rclone.sock",
};

const host: PluginHost = {
  ...noPlugins.host,
  statuses: () => [dead],
  status: (name) => (name === dead.name ? dead : undefined),
};

async function started(): Promise<{ readonly api: ApiBench; readonly one: OnePlugin }> {
  const one = new OnePlugin("vp");
  return { api: await startedApi({ pluginParts: { host, managed: one.managed } }), one };
}

async function ended(stream: ApiStream): Promise<readonly string[]> {
  await eventually(() => stream.hasEnded() || undefined, {
    timeoutMs: 5_000,
    otherwise: () => "no end",
  });
  return stream.lines;
}

test("the list has managed plugins and sockets, sorted by name", async () => {
  const { api } = await started();
  await using _api = api;
  const { json } = await api.send("GET", plugins);
  expect(json).toMatchObject({
    plugins: [
      {
        name: "rclone",
        kind: "socket",
        id: null,
        state: "unreachable",
        since: "2026-10-15T19:00:00.000Z",
        reason: "connection refused",
        restarts: 0,
        volumes: 0,
        version: null,
        address: "unix:///run/docker/plugins/rclone.sock",
      },
      { name: "vp:latest", kind: "managed", state: "ready", reason: null, volumes: 0 },
    ],
  });
});

test("one is found by its name, by its id, and a socket by its name", async () => {
  const { api } = await started();
  await using _api = api;
  const { json } = await api.send("GET", `${plugins}/vp`);
  const { id } = json as { readonly id: string }; // The contract.
  expect(json).toMatchObject({
    directory: `/var/lib/holdfast/plugins/${id}`,
    description: "research volume plugin",
    previous: null,
  });
  expect((await api.send("GET", `${plugins}/${id}`)).json).toEqual(json);
  expect((await api.send("GET", `${plugins}/rclone`)).json).toMatchObject({ kind: "socket" });
  const missing = await api.send("GET", `${plugins}/nosuch`);
  expect(missing.status).toBe(404);
  expect(missing.json).toMatchObject({ code: "plugin.not_found" });
});

test("a log has at most as many lines as are asked for", async () => {
  const { api } = await started();
  await using _api = api;
  expect((await api.send("GET", `${plugins}/vp/logs?count=5`)).json).toMatchObject({
    lines: [{}, {}, { at: "1970-01-01T00:00:00.003Z", stream: "stderr", text: "line 3" }],
  });
  expect((await api.send("GET", `${plugins}/vp/logs?count=0`)).status).toBe(400);
});

test("an upgrade of what runs tells its progress, and it runs afterwards", async () => {
  const { api, one } = await started();
  await using _api = api;
  const auth = Buffer.from('{"username":"kim","password":"s"}').toString("base64url");
  const stream = await api.follow(`${plugins}/vp/upgrade`, "POST", {
    body: { remote, granted: [privilege] },
    headers: { "x-registry-auth": auth },
  });
  expect(await ended(stream)).toEqual(['{"status":"Pulling from vp","id":"v2"}\r\n']);
  expect(one.plugin).toMatchObject({ reference: remote, isEnabled: true });
  expect(one.requests.at(-1)?.auth).toEqual({ username: "kim", password: "s" });
});

test("what is refused at once has its status, and later the last line has it", async () => {
  const { api, one } = await started();
  await using _api = api;
  const path = `${plugins}/vp/upgrade`;
  const absent = { body: { remote: "127.0.0.1:5000/none", granted: [] } };
  expect((await api.send("POST", path, absent)).status).toBe(404);
  expect((await api.send("POST", path, { body: { remote } })).status).toBe(400);
  const odd = await api.send("POST", path, { body: { granted: ["network"] } });
  expect(odd.json).toMatchObject({ message: 'granted[0] "network": an object is needed' });
  const stream = await api.follow(path, "POST", { body: { remote, granted: [] } });
  expect(JSON.parse((await ended(stream)).at(-1) ?? "")).toMatchObject({
    error: "incorrect privileges",
    code: "plugin.privileges",
  });
  expect(one.plugin).toMatchObject({ reference: "127.0.0.1:5000/vp:v1", isEnabled: true });
});
