// Connections to a plugin that are used again, and those that must not be.
import { afterEach, beforeEach, expect, test } from "bun:test";
import { rmSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { eventually } from "../../../test/support/child.ts";
import { temporaryFolder } from "../../../test/support/driver-benches.ts";
import { testOperation } from "../../../test/support/operation.ts";
import { PluginClient } from "./client.ts";

let folder: string;
let path: string;
let server: Server;
/** Of all connections that were ever made. */
const sockets: Socket[] = [];
let head = "Content-Length: 2";
let closesAfter = false;

beforeEach(async () => {
  folder = temporaryFolder("kept");
  path = join(folder, "plugin.sock");
  [head, closesAfter] = ["Content-Length: 2", false];
  sockets.length = 0;
  server = createServer((socket) => {
    sockets.push(socket);
    socket.on("error", () => undefined);
    socket.on("data", () => {
      socket.write(`HTTP/1.1 200 OK\r\n${head}\r\n\r\n{}`);
      if (closesAfter) socket.end();
    });
  });
  await new Promise<void>((resolve) => server.listen(path, resolve));
});

afterEach(() => {
  for (const socket of sockets) socket.destroy();
  server.close();
  rmSync(folder, { recursive: true, force: true });
});

function client() {
  const made = new PluginClient({ name: "plug" });
  const address = { kind: "unix", path } as const;
  const call = { address, method: "VolumeDriver.Get", body: { Name: "v" } } as const;
  return { made, ask: () => made.call(call, (answer) => answer, testOperation()) };
}

/** Longer than a plugin has to leave a connection open, to be believed. */
const provingMs = 150;

async function proven() {
  const { made, ask } = client();
  await ask();
  await pause(provingMs);
  await ask();
  expect(sockets).toHaveLength(1);
  return { made, ask };
}

test("one that was left open is used again, from then on at once", async () => {
  const { ask } = await proven();
  for (let count = 0; count < 10; count++) await ask();
  expect(sockets).toHaveLength(1);
});

test("none is used before a plugin has shown that it leaves them open", async () => {
  const { ask } = client();
  await ask();
  await ask();
  expect(sockets).toHaveLength(2);
});

test("of a plugin that closes without a word none is used", async () => {
  const { ask } = client();
  closesAfter = true;
  for (let count = 1; count <= 3; count++) {
    await ask();
    await pause(provingMs);
    expect(sockets).toHaveLength(count);
  }
});

test("one whose answer says that it is closed, or ends with it, is not used", async () => {
  const { ask } = await proven();
  for (const said of ["Content-Length: 2\r\nConnection: close", "Content-Length: 3"]) {
    head = said;
    const before = sockets.length;
    // A length that is wrong leaves the answer unfinished.
    if (said.endsWith("3")) closesAfter = true;
    await ask().catch(() => undefined);
    [head, closesAfter] = ["Content-Length: 2", false];
    await ask();
    expect(sockets.length).toBe(before + 1);
  }
});

test("they are closed after a moment, and when another process is there", async () => {
  const { made, ask } = await proven();
  const isClosed = () => (sockets.every(({ destroyed }) => destroyed) ? true : undefined);
  const otherwise = () => "a connection is still open";
  await eventually(isClosed, { timeoutMs: 5_000, otherwise });
  await ask();
  made.forget();
  await eventually(isClosed, { timeoutMs: 500, otherwise });
});
