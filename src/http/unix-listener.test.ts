// Where the server's socket is put, and what it never replaces.
import { afterEach, beforeEach, expect, test } from "bun:test";
import { spawn } from "node:child_process";
import { closeSync, lstatSync, openSync, readdirSync, renameSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { join } from "node:path";
import {
  bodyIs,
  fixtureForEachTest,
  get,
  type HttpFixture,
  ok,
} from "../../test/support/http-fixture.ts";
import { whenPossible } from "../../test/support/needs.ts";
import { connectRaw } from "../../test/support/raw-http-client.ts";
import {
  ListenError,
  listen,
  listenAtPath,
  listenOnDescriptor,
  SOCKET_PATH_BYTES_MAX,
} from "./unix-listener.ts";

let fixture: HttpFixture;
let listeners: Server[];

fixtureForEachTest((fresh) => {
  fixture = fresh;
});

beforeEach(() => {
  listeners = [];
});

afterEach(() => {
  for (const listener of listeners) {
    listener.close();
  }
});

function listener(): Server {
  const made = createServer((socket) => socket.end());
  listeners.push(made);
  return made;
}

async function reasonOf(listening: Promise<unknown>): Promise<string> {
  try {
    await listening;
    return "none";
  } catch (error) {
    if (error instanceof ListenError) {
      return error.reason;
    }
    throw error;
  }
}

/** What a killed process leaves: a socket on which nobody listens. */
async function leaveStaleSocket(path: string): Promise<void> {
  const dead = createServer();
  await listen(dead, { path: `${path}.dead` });
  renameSync(`${path}.dead`, path);
  await new Promise((resolve) => dead.close(resolve));
}

test("a socket is 0660 and leaves nothing beside it, before and after its removal", async () => {
  const placed = await listenAtPath(listener(), { path: fixture.path });
  const found = lstatSync(fixture.path);
  expect([found.isSocket(), found.mode & 0o777]).toEqual([true, 0o660]);
  expect(readdirSync(fixture.directory)).toEqual(["h.sock"]);
  placed.remove();
  expect(readdirSync(fixture.directory)).toEqual([]);
});

whenPossible(["root"], "a socket gets the mode and the group that are asked for", async () => {
  await listenAtPath(listener(), { path: fixture.path, mode: 0o600, groupId: 4242 });
  const found = lstatSync(fixture.path);
  expect([found.mode & 0o777, found.uid, found.gid]).toEqual([0o600, 0, 4242]);
});

test("a stale socket is replaced", async () => {
  await leaveStaleSocket(fixture.path);
  await fixture.serve(() => ok("alive"));
  const client = await fixture.open();
  client.send(get("/"));
  await client.until(bodyIs("alive"));
});

test("a living socket is never replaced", async () => {
  await fixture.serve(() => ok("first"));
  expect(await reasonOf(listenAtPath(listener(), { path: fixture.path }))).toBe("in_use");
  const client = await fixture.open();
  client.send(get("/"));
  await client.until(bodyIs("first"));
});

test("what is no socket is never replaced", async () => {
  writeFileSync(fixture.path, "precious");
  expect(await reasonOf(listenAtPath(listener(), { path: fixture.path }))).toBe("not_a_socket");
  expect(lstatSync(fixture.path).size).toBe(8);
});

test("a path that is too long, and a directory that is missing, are refused", async () => {
  const tooLong = join(fixture.directory, "x".repeat(SOCKET_PATH_BYTES_MAX));
  expect(await reasonOf(listenAtPath(listener(), { path: tooLong }))).toBe("path_too_long");
  const nowhere = join(fixture.directory, "none", "h.sock");
  expect(await reasonOf(listenAtPath(listener(), { path: nowhere }))).toBe("failed");
});

test("a descriptor that cannot listen is refused like a place that cannot be had", async () => {
  const file = openSync("/dev/null", "r");
  try {
    for (const descriptor of [file, 99_999]) {
      const listening = listenOnDescriptor(listener(), descriptor);
      await expect(listening).rejects.toThrow(`the inherited descriptor ${descriptor}: `);
      await expect(listening).rejects.toBeInstanceOf(ListenError);
    }
  } finally {
    closeSync(file);
  }
});

test("a server that closes leaves the socket of its successor alone", async () => {
  await fixture.serve(() => ok("old"));
  const successor = createServer((socket) => socket.end("new"));
  const elsewhere = join(fixture.directory, "new.sock");
  await listen(successor, { path: elsewhere });
  renameSync(elsewhere, fixture.path);
  await fixture.server.close({ drainMs: 0 });
  const client = await connectRaw(fixture.path);
  expect(await client.untilEnd()).toBe("new");
  client.socket.destroy();
  await new Promise((resolve) => successor.close(resolve));
});

test("a server that closes removes its own socket", async () => {
  await fixture.serve(() => ok("x"));
  await fixture.server.close({ drainMs: 0 });
  expect(readdirSync(fixture.directory)).toEqual([]);
});

test("a socket that was handed down, as systemd does, is served and not removed", async () => {
  const parent = listener();
  await listen(parent, { path: fixture.path });
  // `as`: neither runtime's types name the handle.
  const { _handle: handle } = parent as unknown as { readonly _handle: { readonly fd: number } };
  const program = `
    const { HttpServer } = await import(${JSON.stringify(join(import.meta.dir, "server.ts"))});
    const server = new HttpServer({
      handler: () => ({ status: 200, headers: [], body: "child" }),
      onHandlerError: (error) => { throw error; },
      onServerError: (error) => { throw error; },
      peerOf: () => undefined,
      clock: { monotonicMs: () => performance.now(), nowMs: () => Date.now() },
    });
    await server.listen({ descriptor: 3 });
    process.stdout.write("ready");
    process.stdin.once("data", async () => {
      process.stdout.write(String(await server.close({ drainMs: 1000 })));
      process.exit(0);
    });
  `;
  const child = spawn(process.execPath, ["-e", program], {
    stdio: ["pipe", "pipe", "inherit", handle.fd],
  });
  const exited = new Promise((resolve) => child.once("exit", resolve));
  await new Promise((resolve) => child.stdout?.once("data", resolve));
  // From here only the child accepts: the parent's copy of the socket is closed, its path kept.
  renameSync(fixture.path, `${fixture.path}.kept`);
  await new Promise((resolve) => parent.close(resolve));
  const client = await connectRaw(`${fixture.path}.kept`);
  client.send(get("/"));
  await client.until(bodyIs("child"));
  client.socket.destroy();
  child.stdin?.write("stop");
  expect(await exited).toBe(0);
  expect(lstatSync(`${fixture.path}.kept`).isSocket()).toBe(true);
});
