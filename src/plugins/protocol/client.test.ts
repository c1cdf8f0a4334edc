// The client of the plugin protocol: what it sends, what it makes of answers, when it gives up.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { temporaryFolder } from "../../../test/support/driver-benches.ts";
import { type FaultPlugin, startFaultPlugin } from "../../../test/support/fault-plugin.ts";
import { testOperation } from "../../../test/support/operation.ts";
import { sourceRoot } from "../../../tools/source-root.ts";
import { EngineError, toEngineError } from "../../core/errors.ts";
import { connectTo, parsePluginAddress } from "./address.ts";
import { AnswerReader } from "./answer-reader.ts";
import { PluginClient } from "./client.ts";
import type { JsonObject } from "./fields.ts";
import { LISTED_COUNT_MAX, readList } from "./list-answer.ts";
import { type PluginMethod, pluginMethods } from "./methods.ts";
import { parseTimeMs, readVolume } from "./volume-answer.ts";

/** One call that a real Docker Engine made. */
interface Recorded {
  readonly path: string;
  readonly host: string;
  readonly headers: Readonly<Record<string, readonly string[]>>;
  readonly body: string;
}

const recordings = readFileSync(
  join(sourceRoot, "test/fixtures/recordings/plugin-wire-legacy.jsonl"),
  "utf8",
)
  .trim()
  .split("\n")
  .map((line) => JSON.parse(line) as Recorded);

let folder: string;
let plugin: FaultPlugin;
let socketPath: string;

beforeEach(async () => {
  folder = temporaryFolder("client");
  socketPath = join(folder, "plugin.sock");
  plugin = await startFaultPlugin(socketPath, join(folder, "volumes"));
});

afterEach(async () => {
  await plugin[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true });
});

function call(method: PluginMethod, body: JsonObject | undefined, timeoutMs?: number) {
  const client = new PluginClient({
    name: "plug",
    timeoutsMs: timeoutMs === undefined ? {} : { [method]: timeoutMs },
  });
  const address = { kind: "unix", path: socketPath } as const;
  return client.call({ address, method, body }, (answer) => answer, testOperation());
}

async function failure(work: Promise<unknown>): Promise<EngineError> {
  try {
    await work;
  } catch (error) {
    return toEngineError(error);
  }
  throw new Error("it succeeded");
}

describe("what is sent", () => {
  const known = recordings.filter(({ path }) => Object.hasOwn(pluginMethods, path.slice(1)));

  test("is byte by byte what Docker sends, but for the name of who sends it", async () => {
    expect(known.length).toBeGreaterThan(100);
    for (const { path, host, headers, body } of known) {
      // What stands there is the name of a method: it was looked for above.
      await call(path.slice(1) as PluginMethod, body === "" ? undefined : JSON.parse(body)).catch(
        () => undefined,
      );
      const sent = plugin.requests.at(-1);
      expect(sent?.body).toBe(body);
      const lines = (sent?.head ?? "").split("\r\n");
      expect(lines[0]).toBe(`POST ${path} HTTP/1.1`);
      const expected = Object.entries(headers).map(([name, [value]]) =>
        name === "User-Agent" ? "User-Agent: Holdfast" : `${name}: ${value}`,
      );
      // Docker 20.10 sends no host.
      expect(host === "" || host === "plugin.moby.localhost").toBe(true);
      expect(lines.slice(1).sort()).toEqual([...expected, "Host: plugin.moby.localhost"].sort());
    }
  });

  test("has HTML's characters as Go has them", async () => {
    await call("VolumeDriver.Create", { Name: "v", Opts: { o: "<&>\u2028é" } });
    expect(plugin.requests.at(-1)?.body).toBe(
      '{"Name":"v","Opts":{"o":"\\u003c\\u0026\\u003e\\u2028é"}}\n',
    );
  });
});

describe("an answer", () => {
  const get = () => call("VolumeDriver.Get", { Name: "v" });

  test("with an Err is thrown in the plugin's words", async () => {
    plugin.misbehave("*", { err: "the lid is “open”\nreally" });
    const error = await failure(get());
    expect([error.code, error.message]).toEqual(["plugin.failed", "the lid is “open”\nreally"]);
    expect(error.details["words"]).toBe(error.message);
  });

  test("of another status has its call before it, with and without JSON", async () => {
    plugin.misbehave("*", "refuse");
    expect((await failure(get())).message).toBe("VolumeDriver.Get: it is refused");
    plugin.misbehave("*", "page");
    expect((await failure(get())).message).toBe("VolumeDriver.Get: no plugin");
  });

  test("that is none is a failure", async () => {
    for (const how of ["no_json", "no_object", "not_http", "flood_head", "flood"] as const) {
      plugin.misbehave("*", how);
      expect([how, (await failure(get())).code]).toEqual([how, "plugin.failed"]);
    }
  });

  test("that brings next to nothing and goes on is a failure before its time is over", () => {
    const chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    for (const [head, part] of [
      ["", "HTTP/1.1 100 Continue\r\n\r\n"],
      [chunked, `1;${"x".repeat(1_000)}\r\n \r\n`],
    ] as const) {
      const reader = new AnswerReader(1_024);
      reader.push(Buffer.from(head));
      const pour = () => {
        for (let count = 0; count < 100_000; count++) reader.push(Buffer.from(part));
      };
      expect(pour).toThrow("no end");
    }
  });

  test("that is not finished is no answer", async () => {
    for (const how of ["crash", "cut"] as const) {
      plugin.misbehave("*", how);
      const error = await failure(get());
      expect([how, error.code, error.details["wasSent"]]).toEqual([
        how,
        "plugin.unreachable",
        true,
      ]);
    }
  });

  test("that does not end dies at the deadline, however it is kept alive", async () => {
    for (const how of ["hang", "trickle"] as const) {
      plugin.misbehave("*", how);
      const startedAtMs = performance.now();
      const error = await failure(call("VolumeDriver.Get", { Name: "v" }, 150));
      expect([how, error.code]).toEqual([how, "plugin.unreachable"]);
      expect(error.message).toContain("took longer than 150 ms");
      expect(performance.now() - startedAtMs).toBeWithin(140, 1_000);
    }
  });

  test("may be in chunks, in pieces of any size, with trailers", async () => {
    const { AnswerReader } = await import("./answer-reader.ts");
    const text =
      "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" +
      '5\r\n{"Err\r\n4;x=y\r\n":""\r\n1\r\n}\r\n0\r\nX-T: 1\r\n\r\n';
    for (const size of [1, 2, 3, 7, 1_000]) {
      const reader = new AnswerReader(100);
      let answer: unknown;
      for (let start = 0; start < text.length; start += size) {
        answer ??= reader.push(Buffer.from(text.slice(start, start + size)));
      }
      expect(answer).toEqual({ status: 200, body: new Uint8Array(Buffer.from('{"Err":""}')) });
    }
  });

  test("has its fields in any case, and null for nothing", async () => {
    plugin.misbehave("*", { answer: { err: null, volume: { name: "v", mountpoint: "/v" } } });
    const answer = await get();
    expect(readVolume(answer, "v")?.mountpoint).toBe("/v");
  });
});

test("a request that may have arrived is never sent again", async () => {
  plugin.misbehave("*", "crash");
  await failure(call("VolumeDriver.Create", { Name: "v", Opts: null }));
  expect(plugin.calls).toEqual(["VolumeDriver.Create v"]);
});

test("where nobody listens, that is known at once", async () => {
  await plugin.die();
  const startedAtMs = performance.now();
  const error = await failure(call("VolumeDriver.Get", { Name: "v" }));
  expect([error.code, error.details["wasSent"]]).toEqual(["plugin.unreachable", false]);
  expect(error.message).toBe("plugin plug does not answer: connection refused");
  expect(performance.now() - startedAtMs).toBeLessThan(2_000);
});

test("a plugin that begins to listen a moment later is reached", async () => {
  await plugin.die();
  const answer = call("VolumeDriver.Create", { Name: "v", Opts: null });
  // When this one is refused, the first attempt has been refused too.
  const address = { kind: "unix", path: socketPath } as const;
  await expect(connectTo(address, testOperation().signal)).rejects.toThrow("ECONNREFUSED");
  plugin = await startFaultPlugin(socketPath, join(folder, "volumes"));
  expect(await answer).toEqual({});
});

test("who waits for a plugin can give up", async () => {
  plugin.misbehave("*", "hang");
  const controller = new AbortController();
  const client = new PluginClient({ name: "plug" });
  const address = { kind: "unix", path: socketPath } as const;
  const work = client.list(address, testOperation(controller.signal));
  controller.abort(new EngineError("operation.cancelled", "enough"));
  expect((await failure(work)).code).toBe("operation.cancelled");
});

describe("a list", () => {
  const read = (text: string) => readList(Buffer.from(text));

  test.each([
    ['{"Volumes":[{"Name":"a","Mountpoint":"/a"},{"Name":"b"}],"Err":""}', ["a", "b"]],
    ['{"Err":"","volumes" : [ {"name":"}],{\\"" } ] }', ['}],{"']],
    ['{"Volumes":[]}', []],
    ['{"Volumes":null}', []],
    ['{"Volumes":[ \n ],"More":[{"Name":"no"}]}', []],
    ['{"More":{"Volumes":[{"Name":"no"}]},"Volumes":[{"Name":"y","Status":{"a":[1,2]}}]}', ["y"]],
    ["{}", []],
  ])("%s", async (text, names) => {
    expect((await read(text)).volumes.map(({ name }) => name)).toEqual(names as string[]);
  });

  test.each([
    '{"Volumes":[{"Name":"a"}',
    '{"Volumes":[{"Name":"a"}{"Name":"b"}]}',
    '{"Volumes":[{"Name":"a"},]}',
    '{"Volumes":[null]}',
    '{"Volumes":[{"Name":7}]}',
    '{"Volumes":{"Name":"a"}}',
    '{"Volumes":[{"Name":"a"}]',
    '[{"Name":"a"}]',
    '{"Volumes":[{"Name":"a"]]}',
    "",
  ])("%s is none", async (text) => {
    expect((await failure(read(text))).code).toBe("plugin.failed");
  });

  test("of very many volumes is refused while others are served", async () => {
    const text = `{"Volumes":[${'{"Name":"a"},'.repeat(LISTED_COUNT_MAX + 1)}{"Name":"b"}]}`;
    let turnCount = 0;
    const ticking = setInterval(() => {
      turnCount += 1;
    }, 1);
    expect((await failure(read(text))).message).toContain("more than 200000 volumes");
    clearInterval(ticking);
    // Some hundred milliseconds of work, in pieces of four.
    expect(turnCount).toBeGreaterThan(5);
  });
});

describe("addresses and times", () => {
  const tls = { isVerified: true, caFile: "/ca", certificateFile: "", keyFile: "" };

  test.each([
    ["unix:///run/p.sock", { kind: "unix", path: "/run/p.sock" }],
    ["tcp://127.0.0.1:7000", { kind: "tcp", host: "127.0.0.1", port: 7000 }],
    ["http://plug/some/path", { kind: "tcp", host: "plug", port: 80 }],
    ["https://plug", { kind: "tls", host: "plug", port: 443, tls }],
    ["https://[::1]:80/x", { kind: "tls", host: "::1", port: 80, tls }],
  ])("%s", (text, address) => {
    expect(parsePluginAddress(text, tls)).toEqual(address as ReturnType<typeof parsePluginAddress>);
  });

  test.each(["", "/run/p.sock", "unix://p.sock", "ftp://h", "tcp://"])("%s is none", (text) => {
    expect(() => parsePluginAddress(text, undefined)).toThrow();
  });

  test.each([
    ["2026-01-02T03:04:05Z", Date.UTC(2026, 0, 2, 3, 4, 5)],
    ["2026-01-02T03:04:05.123456789+01:00", Date.UTC(2026, 0, 2, 2, 4, 5, 123)],
    ["0001-01-01T00:00:00Z", 0],
    ["yesterday", undefined],
    ["2026-13-45T99:04:05Z", undefined],
    ["2026-01-02", undefined],
  ])("%s", (text, timeMs) => {
    expect(parseTimeMs(text)).toBe(timeMs as number);
  });
});
