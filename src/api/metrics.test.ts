// /metrics: every line is in Prometheus's format, and the figures are those of the engine.
import { describe, expect, test } from "bun:test";
import { type ApiBench, startedApi } from "../../test/support/api-bench.ts";
import { OnePlugin } from "../../test/support/one-plugin.ts";
import { parseDriverName } from "../core/names.ts";
import type { PluginStatus } from "../core/plugin.ts";
import { noPlugins } from "../engine/plugins/no-plugins.ts";
import { trashDefaults } from "../engine/trash/policy.ts";
import { OWN_PREFIX } from "./holdfast/route-contract.ts";

const name = "[a-zA-Z_:][a-zA-Z0-9_:]*";
const label = '[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\\\\n]|\\\\["\\\\n])*"';
const value = "[+-]?(?:[0-9]*\\.?[0-9]+(?:[eE][+-]?[0-9]+)?|Inf|NaN)";
const lineForms = [
  new RegExp(`^# HELP ${name} [^\\n]*$`),
  new RegExp(`^# TYPE ${name} (counter|gauge|histogram)$`),
  new RegExp(`^${name}(\\{${label}(,${label})*,?\\})? ${value}$`),
];

async function scrape(api: ApiBench): Promise<ReadonlyMap<string, number>> {
  const { status, headers, body } = await api.send("GET", "/metrics");
  expect(status).toBe(200);
  expect(headers.get("content-type")).toStartWith("text/plain; version=0.0.4");
  expect(body).toEndWith("\n");
  const lines = body.split("\n").filter((line) => line !== "");
  const samples = new Map<string, number>();
  for (const line of lines) {
    expect(lineForms.some((form) => form.test(line)) ? "" : line).toBe("");
    const at = line.lastIndexOf(" ");
    if (line.startsWith("#")) continue;
    // No series twice.
    expect(samples.has(line.slice(0, at)) ? line : "").toBe("");
    samples.set(line.slice(0, at), Number(line.slice(at + 1)));
  }
  return samples;
}

async function create(api: ApiBench, body: object): Promise<void> {
  expect((await api.send("POST", "/volumes/create", { body })).status).toBe(201);
}

const own = (path: string): string => `${OWN_PREFIX}${path}`;

describe("the metrics", () => {
  test("count what there is, what was done and what was refused", async () => {
    await using api = await startedApi({ trash: { defaults: trashDefaults } });
    for (const Name of ["one", "two", "three", "four"]) await create(api, { Name });
    await create(api, { Name: "scratched", Driver: "scratch" });
    await api.send("PUT", own("volumes/one/protection"), { body: { reason: "x" } });
    await api.send("PUT", own("volumes/one/holders/c1"));
    await api.send("DELETE", "/volumes/one");
    await api.send("GET", own("nothing"));
    for (const Name of ["two", "three", "four"]) await api.send("DELETE", `/volumes/${Name}`);
    await api.send("POST", own("trash/two/restore"));
    await api.send("DELETE", own("trash/three?confirm=three&wait=true"));
    const samples = await scrape(api);
    const expected: Readonly<Record<string, number>> = {
      'holdfast_volumes{driver="local"}': 2,
      'holdfast_volumes{driver="scratch"}': 1,
      'holdfast_volume_state{state="in use"}': 1,
      'holdfast_volume_state{state="idle"}': 2,
      'holdfast_volume_state{state="violated"}': 0,
      'holdfast_volume_state{state="shared database"}': 0,
      holdfast_volume_holders: 1,
      holdfast_protected_volumes: 1,
      'holdfast_trash_entries{phase="kept"}': 1,
      'holdfast_trash_entries{phase="purging"}': 0,
      'holdfast_removals_total{action="remove"}': 3,
      'holdfast_removals_total{action="prune"}': 0,
      holdfast_restores_total: 1,
      holdfast_purges_total: 1,
      holdfast_evictions_total: 0,
      'holdfast_errors_total{code="volume.protected"}': 1,
      'holdfast_errors_total{code="request.no_route"}': 1,
      'holdfast_build_info{version="1.2.3",commit="abc1234",runtime="bun1"}': 1,
    };
    const found = Object.keys(expected).map((key) => [key, samples.get(key)]);
    expect(Object.fromEntries(found)).toEqual(expected);
    expect(samples.has("holdfast_trash_bytes")).toBe(true);
    expect(samples.has("holdfast_trash_unmeasured_entries")).toBe(true);
    expect(samples.has("holdfast_trash_budget_bytes")).toBe(false);
    // Asked again, and twice at once, nothing is counted twice.
    const again = await Promise.all([scrape(api), scrape(api)]);
    expect(again).toEqual([samples, samples]);
  });

  test("have as many series as there are kinds, not volumes", async () => {
    await using api = await startedApi();
    const before = (await scrape(api)).size;
    for (let count = 0; count < 50; count++) await create(api, { Name: `volume-${count}` });
    expect((await scrape(api)).size).toBe(before);
  });

  test("are read with GET, and nothing below them is there", async () => {
    await using api = await startedApi();
    const refused = await api.send("POST", "/metrics");
    const body = '{"message":"/metrics takes GET, not POST"}\n';
    expect([refused.status, refused.body]).toEqual([400, body]);
    expect((await api.send("GET", "/metrics/x")).status).toBe(404);
  });
});

test("say of each plugin whether it answers, and how often it was started again", async () => {
  const status: PluginStatus = {
    name: parseDriverName("rclone"),
    ...{ kind: "socket", state: "unreachable", reason: "connection refused" },
    ...{ sinceMs: 0, restartCount: 0, address: "" },
  };
  const host = {
    ...noPlugins.host,
    statuses: () => [status],
    status: (plugin: string) => (plugin === "rclone" ? status : undefined),
  };
  const { managed } = new OnePlugin("vp");
  await using api = await startedApi({ pluginParts: { host, managed } });
  const samples = await scrape(api);
  expect(samples.get('holdfast_plugin_up{plugin="rclone",kind="socket"}')).toBe(0);
  expect(samples.get('holdfast_plugin_restarts{plugin="rclone",kind="socket"}')).toBe(0);
});
