// How the daemon ends: it drains at SIGTERM, ends at once at a second one, and tells its manager.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { existsSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { makeStuckFolder } from "../../src/host/stuck-folder.fixture.ts";
import { exchange } from "../docker/wire.ts";
import { eventually } from "../support/child.ts";
import { holdfastCommand, temporaryDirectory, withoutPlugins } from "../support/daemon.ts";
import { whenPossible } from "../support/needs.ts";
import { connectRaw } from "../support/raw-http-client.ts";

const patienceMs = 10_000;

let folder: string;
let socket: string;
beforeEach(() => {
  folder = temporaryDirectory();
  socket = join(folder, "h.sock");
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

type Child = Bun.Subprocess<"ignore", "pipe", "pipe">;

function place(): readonly string[] {
  return ["--root", join(folder, "root"), "--host", `unix://${socket}`, ...withoutPlugins];
}

/** A daemon of which only the test decides how it ends. Ready when this resolves. */
async function started(
  environment: Readonly<Record<string, string>> = {},
  before: readonly string[] = [],
): Promise<Child> {
  const child = Bun.spawn([...before, ...holdfastCommand(), "daemon", ...place()], {
    env: { ...process.env, ...environment },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  await firstChunk(child.stdout, "is ready on");
  return child;
}

async function firstChunk(stream: ReadableStream<Uint8Array>, text: string): Promise<string> {
  const reader = stream.getReader();
  let received = "";
  while (!received.includes(text)) {
    const { value, done } = await reader.read();
    if (done) throw new Error(`it ended without ${JSON.stringify(text)}: ${received}`);
    received += new TextDecoder().decode(value);
  }
  reader.releaseLock();
  return received;
}

/** Debian's Perl stands in for systemd: it prints every datagram on a line of its own. */
function manager(path: string): Bun.Subprocess<"ignore", "pipe", "inherit"> {
  const code =
    "socket(S, PF_UNIX, SOCK_DGRAM, 0); bind(S, sockaddr_un($ARGV[0]));" +
    'while (defined(recv(S, $words, 4096, 0))) { syswrite(STDOUT, "$words\\n") }';
  return Bun.spawn(["perl", "-MSocket", "-e", code, path], { stdin: "ignore", stdout: "pipe" });
}

async function gone(): Promise<void> {
  await eventually(() => (existsSync(socket) ? undefined : true), {
    timeoutMs: patienceMs,
    otherwise: () => "the socket is still there",
  });
}

/** A PUT that mounts what hangs: it is under way until the folder lets go. */
async function mountStuck(path: string): Promise<ReturnType<typeof exchange>> {
  const headers = { "Content-Type": "application/json" };
  const options = { type: "none", device: join(path, "x"), o: "bind" };
  const body = JSON.stringify({ Name: "dead", DriverOpts: options });
  await exchange(socket, { method: "POST", path: "/volumes/create", headers, body });
  return exchange(socket, { method: "PUT", path: "/holdfast/v1/volumes/dead/holders/c1" });
}

describe("SIGTERM", () => {
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    test(`(or ${signal}) with nothing to do ends cleanly and takes the socket away`, async () => {
      await using child = await started();
      child.kill(signal);
      expect(await child.exited).toBe(0);
      expect(existsSync(socket)).toBe(false);
      const log = await new Response(child.stderr).text();
      expect(log).toContain('"message":"stopped"');
    });
  }

  test("lets a request that is being sent come to its end", async () => {
    await using child = await started();
    const body = '{"Name":"wiki"}';
    const client = await connectRaw(socket);
    client.send(
      "POST /volumes/create HTTP/1.1\r\nHost: d\r\nContent-Type: application/json\r\n" +
        `Content-Length: ${body.length}\r\nExpect: 100-continue\r\n\r\n`,
    );
    // The daemon has read the head: it is waiting for this body.
    await client.until((received) => received.includes("100 Continue"));
    child.kill("SIGTERM");
    await gone();
    client.send(body);
    expect(await client.untilEnd()).toContain("201 Created");
    client.socket.destroy();
    expect(await child.exited).toBe(0);
    expect(existsSync(join(folder, "root", "volumes", "wiki", "_data"))).toBe(true);
  });

  test("ends event streams in order", async () => {
    await using child = await started();
    const client = await connectRaw(socket);
    client.send("GET /events HTTP/1.1\r\nHost: d\r\n\r\n");
    await client.until((received) => received.includes("\r\n\r\n"));
    child.kill("SIGTERM");
    expect(await client.untilEnd()).toEndWith("0\r\n\r\n");
    client.socket.destroy();
    expect(await child.exited).toBe(0);
  });

  whenPossible(["root", "mount", "fuse"], "waits for a request in progress", async () => {
    await using stuck = await makeStuckFolder();
    await using child = await started();
    const waiting = mountStuck(stuck.path);
    await stuck.untilAsked();
    child.kill("SIGTERM");
    await gone();
    expect(child.exitCode).toBeNull();
    stuck.release();
    expect((await waiting).status).toBe(503);
    expect(await child.exited).toBe(0);
  });

  whenPossible(["root", "mount", "fuse"], "a second time ends it at once", async () => {
    await using stuck = await makeStuckFolder();
    await using child = await started();
    const waiting = mountStuck(stuck.path).catch(() => "cut off");
    await stuck.untilAsked();
    child.kill("SIGTERM");
    await gone();
    child.kill("SIGTERM");
    expect(await child.exited).toBe(1);
    expect(await waiting).toBe("cut off");
    stuck.release();
  });
});

test("kill -9 keeps no successor out, and loses nothing that was acknowledged", async () => {
  await using first = await started();
  const headers = { "Content-Type": "application/json" };
  const request = { method: "POST", path: "/volumes/create", headers, body: '{"Name":"wiki"}' };
  expect((await exchange(socket, request)).status).toBe(201);
  first.kill("SIGKILL");
  await first.exited;
  expect(existsSync(socket)).toBe(true);
  await using second = await started();
  const { status } = await exchange(socket, { method: "GET", path: "/volumes/wiki" });
  expect(status).toBe(200);
  second.kill("SIGTERM");
  expect(await second.exited).toBe(0);
});

describe("the service manager", () => {
  test("is told READY and STOPPING", async () => {
    const path = join(folder, "notify");
    await using listening = manager(path);
    await eventually(() => (existsSync(path) ? true : undefined), {
      timeoutMs: patienceMs,
      otherwise: () => "perl does not listen",
    });
    await using child = await started({ NOTIFY_SOCKET: path });
    expect(await firstChunk(listening.stdout, "\n")).toBe("READY=1\n");
    child.kill("SIGTERM");
    expect(await firstChunk(listening.stdout, "\n")).toBe("STOPPING=1\n");
    expect(await child.exited).toBe(0);
    listening.kill();
    await listening.exited;
  });

  test("that cannot be told is a warning, and no reason to stop", async () => {
    await using child = await started({ NOTIFY_SOCKET: join(folder, "nobody") });
    expect((await exchange(socket, { method: "GET", path: "/_ping" })).status).toBe(200);
    child.kill("SIGTERM");
    expect(await child.exited).toBe(0);
    expect(await new Response(child.stderr).text()).toContain("could not be told");
  });

  test("may hand over the socket to listen on, which stays its own", async () => {
    const path = join(folder, "activated.sock");
    const activate =
      "$^F = 9; socket(S, PF_UNIX, SOCK_STREAM, 0); bind(S, sockaddr_un(shift)); listen(S, 8);" +
      "$ENV{LISTEN_PID} = $$; $ENV{LISTEN_FDS} = 1; exec @ARGV";
    await using child = await started({}, ["perl", "-MSocket", "-e", activate, path]);
    expect((await exchange(path, { method: "GET", path: "/_ping" })).status).toBe(200);
    // The caller of a change is known here as well.
    const headers = { "Content-Type": "application/json" };
    const request = { method: "POST", path: "/volumes/create", headers, body: '{"Name":"wiki"}' };
    expect((await exchange(path, request)).status).toBe(201);
    const { body } = await exchange(path, { method: "GET", path: "/holdfast/v1/history" });
    expect(JSON.parse(body).changes[0].caller).toMatchObject({ kind: "process", pid: process.pid });
    expect(existsSync(socket)).toBe(false);
    child.kill("SIGTERM");
    expect(await child.exited).toBe(0);
    expect(existsSync(path)).toBe(true);
  });

  test("may hand over the driver's socket alone: clients keep that of the settings", async () => {
    const path = join(folder, "activated.sock");
    const activate =
      "$^F = 9; socket(S, PF_UNIX, SOCK_STREAM, 0); bind(S, sockaddr_un(shift)); listen(S, 8);" +
      "$ENV{LISTEN_PID} = $$; $ENV{LISTEN_FDS} = 1; $ENV{LISTEN_FDNAMES} = 'plugin'; exec @ARGV";
    await using child = await started({}, ["perl", "-MSocket", "-e", activate, path]);
    expect((await exchange(socket, { method: "GET", path: "/_ping" })).status).toBe(200);
    // It is the driver that answers there, and not the API.
    const activation = await exchange(path, { method: "POST", path: "/Plugin.Activate" });
    expect(JSON.parse(activation.body)).toEqual({ Implements: ["VolumeDriver"] });
    expect((await exchange(path, { method: "GET", path: "/volumes" })).status).toBe(404);
    child.kill("SIGTERM");
    expect(await child.exited).toBe(0);
    // For engines it may have made a mount there, which outlives it.
    spawnSync("umount", [join(folder, "root/holds")], { stdio: "ignore" });
  });
});

describe("what is no HTTP", () => {
  test("gets an answer in HTTP, and keeps nobody else from being served", async () => {
    await using child = await started();
    for (const bytes of [
      "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
      "HELO\r\n\r\n",
      "GET\r\n\r\n",
    ]) {
      const client = await connectRaw(socket);
      client.send(bytes);
      client.socket.end();
      expect(await client.untilEnd()).toStartWith("HTTP/1.1 400 ");
      client.socket.destroy();
    }
    const silent = connect(socket);
    expect((await exchange(socket, { method: "GET", path: "/_ping" })).status).toBe(200);
    silent.destroy();
    child.kill("SIGTERM");
    expect(await child.exited).toBe(0);
  });
});

test("nobody reads its announcement: it serves all the same", async () => {
  await using child = Bun.spawn([...holdfastCommand(), "daemon", ...place()], {
    stdin: "ignore",
    stdout: "pipe",
    stderr: "ignore",
  });
  await child.stdout.cancel();
  await eventually(() => (existsSync(socket) ? true : undefined), {
    timeoutMs: patienceMs,
    otherwise: () => "the daemon does not start",
  });
  expect((await exchange(socket, { method: "GET", path: "/_ping" })).status).toBe(200);
  child.kill("SIGTERM");
  expect(await child.exited).toBe(0);
});
