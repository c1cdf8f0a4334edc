// What dockerd sent to a recorded plugin, sent to ours: its requests get answers of the same shape.
import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { ApiBench } from "../../../test/support/api-bench.ts";
import { startedApi } from "../../../test/support/api-bench.ts";
import { HttpFixture } from "../../../test/support/http-fixture.ts";
import { call, errorOf, pluginHandler, startedPlugin } from "../../../test/support/plugin-bench.ts";
import { EngineError } from "../../core/errors.ts";
import type { Handler } from "../../http/message.ts";
import type { ApiParts } from "../handler.ts";
import type { HoldsPort } from "./router.ts";

interface Answer {
  readonly Err?: string;
  readonly Volume?: { readonly Name: string; readonly CreatedAt: string; readonly Status: object };
  readonly Volumes?: readonly { readonly Name: string; readonly Mountpoint: string }[];
  readonly Mountpoint?: string;
}

interface Recorded {
  readonly method: string;
  readonly path: string;
  readonly host: string;
  readonly headers: Readonly<Record<string, readonly string[]>>;
  readonly body: string;
  readonly status: number;
  readonly response: Answer;
}

const fixtures = join(import.meta.dir, "../../../test/fixtures/recordings");

const recorded: readonly Recorded[] = readFileSync(
  join(fixtures, "plugin-wire-legacy.jsonl"),
  "utf8",
)
  .trimEnd()
  .split("\n")
  .map((line) => JSON.parse(line));

/** The recorded plugin refused this mount to see what dockerd says. */
const REFUSED_MOUNT = "mount refused by plugin";

/** What dockerd looks at: which fields are there, which volumes, and whether it failed. */
function shapeOf(answer: Answer): object {
  const { Err = "", Volume, Volumes, Mountpoint, ...rest } = answer;
  return {
    ...rest,
    hasFailed: Err !== "",
    ...(Volume && { volume: [Volume.Name, Object.keys(Volume).toSorted()] }),
    ...(Volumes && { volumes: Volumes.map(({ Name }) => Name).toSorted() }),
    hasMountpoint: Mountpoint?.startsWith("/") ?? false,
  };
}

async function replay(bench: ApiBench, { method, path, headers, host, body }: Recorded) {
  const fields = Object.entries(headers).map(([name, values]) => [name.toLowerCase(), values[0]]);
  return await bench.send(method, path, {
    body,
    isUntyped: true,
    headers: { ...Object.fromEntries(fields), host },
  });
}

test("every recorded request is answered in the shape of the recorded answer", async () => {
  await using bench = await startedPlugin();
  for (const request of recorded) {
    const { Name = "", Opts = null, ID = "" } = JSON.parse(request.body || "{}");
    if (Opts !== null) {
      // The recorded plugin took options that ours does not know.
      expect(await errorOf(bench, "Create", { Name, Opts })).toStartWith("unknown option");
      expect(await errorOf(bench, "Create", { Name, Opts: null })).toBe("");
      continue;
    }
    const answer = await replay(bench, request);
    expect(answer.headers.get("content-type")).toBe("application/vnd.docker.plugins.v1.2+json");
    if (request.response.Err === REFUSED_MOUNT) {
      expect(await errorOf(bench, "Unmount", { Name, ID })).toBe("");
      continue;
    }
    const expected = { status: request.status, ...shapeOf(withScope(request.response)) };
    expect({ status: answer.status, ...shapeOf(answer.json as Answer) }).toEqual(expected);
  }
  expect(bench.engine.engine.volumes.list({})).toEqual([]);
});

/** The recorded plugin's volumes were of all hosts; ours are of one. */
function withScope(response: Answer): Answer {
  const text = JSON.stringify(response);
  return JSON.parse(text.replace('"Scope":"global"', '"Scope":"local"'));
}

test("a creation time that Go reads, and nothing that Docker does not know", async () => {
  await using bench = await startedPlugin();
  await call(bench, "Create", { Name: "wiki", Opts: null });
  const { Volume } = (await call(bench, "Get", { Name: "wiki" })).json as Answer;
  expect(Volume?.CreatedAt).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:Z|[+-]\d\d:\d\d)$/);
});

test("over a socket, with dockerd's bytes: no Host, no Content-Type, no body", async () => {
  let handler: Handler | undefined;
  const keep = (parts: ApiParts): Handler => {
    handler = pluginHandler()(parts);
    return handler;
  };
  await using bench = await startedApi({ handler: keep });
  await using server = new HttpFixture();
  if (handler === undefined) throw new Error(`${bench.engine.root} has been started`);
  await server.serve(handler);
  const first = recorded.find(({ path }) => path === "/Plugin.Activate");
  const last = recorded.findLast(({ path }) => path === "/VolumeDriver.Get");
  for (const request of [first, last]) {
    if (request === undefined) throw new Error("the recording has both");
    const fields = Object.entries(request.headers).map(([name, values]) => `${name}: ${values[0]}`);
    const head = [`POST ${request.path} HTTP/1.1`, `Host: ${request.host}`, ...fields].join("\r\n");
    const client = await server.open();
    client.send(`${head}\r\n\r\n${request.body}`);
    const answer = await client.until((received) => received.endsWith("}\n"));
    expect(answer).toStartWith("HTTP/1.1 200 OK\r\n");
  }
  expect(server.failures).toEqual([]);
});

describe("a Get that cannot be told gets no answer: dockerd would see a missing volume", () => {
  const cases: readonly (readonly [string, string, Partial<HoldsPort>])[] = [
    ["its body was lost", "", {}],
    [
      "the disk is full",
      '{"Name":"wiki"}',
      { noteCaller: () => Promise.reject(new EngineError("storage.full", "no space")) },
    ],
  ];
  test.each(cases)("%s", async (_, body, changed) => {
    let handler: Handler | undefined;
    const keep = (parts: ApiParts): Handler => {
      handler = pluginHandler(changed)(parts);
      return handler;
    };
    await using bench = await startedApi({ handler: keep });
    await using server = new HttpFixture();
    if (handler === undefined) throw new Error(`${bench.engine.root} has been started`);
    await server.serve(handler);
    const client = await server.open();
    const head = `POST /VolumeDriver.Get HTTP/1.1\r\nHost: x\r\nContent-Length: ${body.length}`;
    client.send(`${head}\r\n\r\n${body}`);
    expect(await client.untilEnd()).toBe("");
    expect(server.failures).toEqual([]);
  });
});
