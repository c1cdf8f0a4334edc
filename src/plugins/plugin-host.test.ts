// Plugins over their lives: found, lost, silent, back again; which names they have, and whose.
import { describe, expect, test } from "bun:test";
import {
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { createServer } from "node:tls";
import { eventually, runToEnd } from "../../test/support/child.ts";
import { startFaultPlugin } from "../../test/support/fault-plugin.ts";
import { whenPossible } from "../../test/support/needs.ts";
import { testOperation } from "../../test/support/operation.ts";
import {
  pluginStage,
  readyDriver,
  statedEndpoints,
  untilState,
} from "../../test/support/plugin-stage.ts";
import { toEngineError } from "../core/errors.ts";
import { parseDriverName, parseVolumeName } from "../core/names.ts";
import type { ManagedEndpoint, PluginStatus } from "../core/plugin.ts";
import type { RunningPluginHost } from "./plugin-host.ts";

const wiki = parseVolumeName("wiki");

const names = (host: RunningPluginHost) => host.statuses().map(({ name }) => String(name));

async function failure(work: Promise<unknown> | undefined) {
  try {
    await work;
  } catch (error) {
    const { code, message } = toEngineError(error);
    return { code, message };
  }
  return { code: "none", message: "it succeeded" };
}

describe("discovery", () => {
  test("finds what comes into a directory that did not exist", async () => {
    await using stage = pluginStage();
    const host = stage.open();
    await host.lookAgain();
    expect(names(host)).toEqual([]);
    await stage.start("late");
    await untilState(host, "late", "ready");
    expect(host.driver("late")?.scope).toBe("local");
    expect(host.statuses()[0]?.address).toBe(`unix://${stage.sockets}/late.sock`);
  });

  test("finds sockets and specs in directories of their own", async () => {
    await using stage = pluginStage();
    const host = stage.open();
    mkdirSync(join(stage.sockets, "own"), { recursive: true });
    await using _own = await startFaultPlugin(
      join(stage.sockets, "own", "own.sock"),
      join(stage.folder, "own"),
      { scope: "global" },
    );
    const far = join(stage.folder, "far.sock");
    await using _far = await startFaultPlugin(far, join(stage.folder, "far"));
    mkdirSync(join(stage.specs, "spec"), { recursive: true });
    writeFileSync(join(stage.specs, "spec", "spec.spec"), `unix://${far}\n`);
    writeFileSync(join(stage.specs, "json.json"), JSON.stringify({ addr: `unix://${far}` }));
    for (const name of ["own", "spec", "json"]) await untilState(host, name, "ready");
    expect(host.driver("own")?.scope).toBe("global");
    expect(names(host)).toEqual(["json", "own", "spec"]);
  });

  test("takes sockets before specs, and the first of several", async () => {
    await using stage = pluginStage();
    await stage.start("plug");
    mkdirSync(join(stage.specs, "two"), { recursive: true });
    for (const [file, socket] of [
      ["plug.spec", "/nowhere/1.sock"],
      ["two.spec", "/nowhere/2.sock"],
      ["two/two.spec", "/nowhere/3.sock"],
      ["two.json", "/nowhere/4.sock"],
    ] as const) {
      writeFileSync(join(stage.specs, file), `unix://${socket}`);
    }
    const host = stage.open();
    await host.lookAgain();
    const addresses = host.statuses().map(({ address }) => address);
    expect(addresses).toEqual([`unix://${stage.sockets}/plug.sock`, "unix:///nowhere/2.sock"]);
  });

  test("says why a file is no good, and takes no directory or text for a socket", async () => {
    await using stage = pluginStage();
    mkdirSync(join(stage.sockets, "folder.sock"), { recursive: true });
    mkdirSync(stage.specs, { recursive: true });
    writeFileSync(join(stage.sockets, "text.sock"), "");
    writeFileSync(join(stage.specs, "bad.spec"), "/run/plug.sock\n");
    writeFileSync(join(stage.specs, "worse.json"), "{");
    const host = stage.open();
    await host.lookAgain();
    expect(names(host)).toEqual(["bad", "worse"]);
    expect(host.status("bad")).toMatchObject({ state: "unreachable", address: "" });
    expect(host.status("bad")?.reason).toEndWith("bad.spec: Unknown protocol");
    expect(
      await failure(host.driver("bad")?.create({ name: wiki, options: {} }, testOperation())),
    ).toMatchObject({ code: "plugin.unreachable" });
  });

  test("leaves out our own sockets, whatever they are called", async () => {
    await using stage = pluginStage();
    await stage.start("ours");
    mkdirSync(stage.specs);
    const socket = join(stage.sockets, "ours.sock");
    symlinkSync(socket, join(stage.sockets, "alias.sock"));
    symlinkSync(stage.folder, join(stage.folder, "link"));
    writeFileSync(join(stage.specs, "spec.spec"), `unix://${socket}`);
    await stage.start("other");
    const host = stage.open({ ownSockets: [join(stage.folder, "link/sockets/ours.sock")] });
    await untilState(host, "other", "ready");
    expect(names(host)).toEqual(["other"]);
  });

  test("shows no plugin of another sort, and asks it only once", async () => {
    await using stage = pluginStage();
    const plugin = await stage.start("authz", { implementations: ["authz"] });
    const host = stage.open();
    await eventually(() => (plugin.calls.length > 0 ? true : undefined), {
      timeoutMs: 5_000,
      otherwise: () => "it was never asked",
    });
    await eventually(() => (names(host).length === 0 ? true : undefined), {
      timeoutMs: 5_000,
      otherwise: () => names(host).join(),
    });
    await host.lookAgain();
    await host.lookAgain();
    expect(plugin.calls).toEqual(["Plugin.Activate"]);
    expect([host.driver("authz"), host.status("authz")]).toEqual([undefined, undefined]);
  });
});

describe("a plugin that", () => {
  test("dies is unreachable, and ready again when it is back, told as another", async () => {
    await using stage = pluginStage();
    const plugin = await stage.start("plug");
    const host = stage.open();
    const driver = await readyDriver(host, "plug");
    const told: PluginStatus[] = [];
    host.follow((status) => told.push(status));
    await plugin.die();
    await host.lookAgain();
    expect(await driver.get(wiki, testOperation())).toMatchObject({ state: "unknown" });
    await untilState(host, "plug", "unreachable");
    expect(host.status("plug")?.reason).toBe("connection refused");
    expect(host.driver("plug")).toBeDefined();
    const startedAtMs = performance.now();
    const { code } = await failure(driver.create({ name: wiki, options: {} }, testOperation()));
    expect(code).toBe("plugin.unreachable");
    expect(performance.now() - startedAtMs).toBeLessThan(2_000);
    told.length = 0;
    await stage.start("plug");
    await untilState(host, "plug", "ready");
    expect(told.map(({ state }) => state).slice(-2)).toEqual(["starting", "ready"]);
    expect((await readyDriver(host, "plug")).name).toBe(parseDriverName("plug"));
  });

  test("leaves is gone, and has no driver", async () => {
    await using stage = pluginStage();
    const plugin = await stage.start("plug");
    const host = stage.open();
    await untilState(host, "plug", "ready");
    await plugin[Symbol.asyncDispose]();
    rmSync(join(stage.sockets, "plug.sock"), { force: true });
    await untilState(host, "plug", "gone");
    expect([host.driver("plug"), names(host)]).toEqual([undefined, []]);
  });

  test("makes a new socket is another, even when nobody saw it go", async () => {
    await using stage = pluginStage();
    await stage.start("plug");
    const host = stage.open();
    const driver = await readyDriver(host, "plug");
    const told: string[] = [];
    host.follow(({ state }) => told.push(state));
    const socket = join(stage.sockets, "plug.sock");
    await using _next = await startFaultPlugin(`${socket}.next`, join(stage.folder, "next"));
    renameSync(`${socket}.next`, socket);
    await eventually(() => (told.includes("ready") ? true : undefined), {
      timeoutMs: 5_000,
      otherwise: () => told.join(),
    });
    expect(told).toEqual(["starting", "ready"]);
    expect(host.driver("plug")).not.toBe(driver);
  });

  test("hangs when it is found keeps nobody waiting for long, and is tried again", async () => {
    await using stage = pluginStage();
    const plugin = await stage.start("plug");
    plugin.misbehave("*", "hang");
    const host = stage.open({ timeoutsMs: { "Plugin.Activate": 200 } });
    await host.lookAgain();
    const driver = host.driver("plug");
    const error = await failure(driver?.create({ name: wiki, options: {} }, testOperation()));
    expect(error).toEqual({
      code: "plugin.unreachable",
      message: "plugin plug does not answer: Plugin.Activate took longer than 200 ms",
    });
    expect(host.status("plug")?.state).toBe("unreachable");
    plugin.misbehave("*", undefined);
    await untilState(host, "plug", "ready");
    // With no call in between: a probe of our own found out.
    expect(plugin.calls.filter((call) => call.includes("Create"))).toEqual([]);
  });

  test("says no scope, or nonsense, is local", async () => {
    await using stage = pluginStage();
    const plugin = await stage.start("plug");
    plugin.misbehave("VolumeDriver.Capabilities", "page");
    const host = stage.open();
    expect((await readyDriver(host, "plug")).scope).toBe("local");
  });
});

describe("names", () => {
  const endpoint = (about: Partial<ManagedEndpoint>): ManagedEndpoint => ({
    name: parseDriverName("plug:latest"),
    id: "1".repeat(64),
    state: "running",
    sinceMs: 5,
    reason: "",
    restartCount: 0,
    socketPath: "",
    life: "1",
    rootfs: "/",
    propagated: null,
    ...about,
  });

  test("of managed plugins go before those of sockets, also while they are disabled", async () => {
    await using stage = pluginStage();
    const managed = statedEndpoints();
    const host = stage.open({ managed });
    await stage.start("plug", { scope: "global" });
    await untilState(host, "plug", "ready");
    expect(host.driver("plug")?.scope).toBe("global");
    managed.say([endpoint({ state: "disabled" })]);
    expect(String(host.driver("plug")?.name)).toBe("plug:latest");
    expect(host.status("plug:latest")).toMatchObject({ state: "disabled", sinceMs: 5 });
    const creation = host.driver("plug")?.create({ name: wiki, options: {} }, testOperation());
    expect(await failure(creation)).toEqual({
      code: "plugin.disabled",
      message: "plugin plug:latest found but disabled",
    });
    expect(names(host)).toEqual(["plug", "plug:latest"]);
    managed.say([]);
    expect(String(host.driver("plug")?.name)).toBe("plug");
    expect(host.status("plug:latest")?.state).toBe("gone");
  });

  test("of one that is being started wait a moment for it", async () => {
    await using stage = pluginStage();
    const managed = statedEndpoints();
    const host = stage.open({ managed });
    await stage.start("inner");
    managed.say([endpoint({ state: "starting" })]);
    const driver = host.driver("plug");
    const creation = driver?.create({ name: wiki, options: {} }, testOperation());
    managed.say([endpoint({ socketPath: join(stage.sockets, "inner.sock"), life: "2" })]);
    expect(await creation).toMatchObject({ name: wiki });
    managed.say([endpoint({ state: "restarting", reason: "exit status 1", restartCount: 3 })]);
    expect(host.status("plug")).toMatchObject({ state: "restarting", restartCount: 3 });
    expect((await failure(driver?.destroy(wiki, testOperation()))).message).toBe(
      "plugin plug:latest does not answer: exit status 1",
    );
  });

  test("have their own socket: what lies in its place is not asked", async () => {
    await using stage = pluginStage();
    const managed = statedEndpoints();
    const host = stage.open({ managed });
    const other = await stage.start("other");
    await stage.start("inner");
    const socketPath = join(stage.sockets, "inner.sock");
    managed.say([endpoint({ socketPath })]);
    const driver = await readyDriver(host, "plug:latest");
    await driver.create({ name: wiki, options: {} }, testOperation());
    rmSync(socketPath);
    symlinkSync(join(stage.sockets, "other.sock"), socketPath);
    expect(await failure(driver.destroy(wiki, testOperation()))).toMatchObject({
      code: "plugin.unreachable",
    });
    expect(other.calls.filter((call) => call.startsWith("VolumeDriver.Remove"))).toEqual([]);
  });
});

whenPossible(["openssl"], "a plugin behind TLS, verified and not", async () => {
  await using stage = pluginStage();
  mkdirSync(stage.specs, { recursive: true });
  const [key, cert] = [join(stage.folder, "key.pem"), join(stage.folder, "cert.pem")];
  const subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"];
  const made = await runToEnd(
    "openssl",
    ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", cert, ...subject],
    { timeoutMs: 30_000 },
  );
  expect([made.exit, existsSync(cert)]).toEqual([0, true]);
  const secrets = { key: readFileSync(key), cert: readFileSync(cert) };
  const server = createServer(secrets, (socket) => {
    socket.on("error", () => undefined);
    socket.once("data", () => {
      const body = '{"Implements":["VolumeDriver"]}';
      socket.end(`HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
    });
  });
  const { promise, resolve } = Promise.withResolvers<void>();
  server.listen(0, "127.0.0.1", resolve);
  await promise;
  const address = server.address();
  const port = typeof address === "object" ? address?.port : undefined;
  const spec = (host: string, TLSConfig: object) =>
    JSON.stringify({ Addr: `https://${host}:${port}`, TLSConfig });
  writeFileSync(join(stage.specs, "right.json"), spec("localhost", { CAFile: cert }));
  writeFileSync(join(stage.specs, "wrong.json"), spec("127.0.0.1", { CAFile: cert }));
  writeFileSync(join(stage.specs, "none.json"), spec("127.0.0.1", {}));
  const host = stage.open();
  await untilState(host, "right", "ready");
  await untilState(host, "none", "ready");
  await untilState(host, "wrong", "unreachable");
  expect(host.status("right")?.address).toBe(`https://localhost:${port}`);
  server.close();
});
