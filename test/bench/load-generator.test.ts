// The load generator against a server of its own: what it counts, and what it calls wrong.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Burst, compileLoadTools, type LoadTools } from "../../bench/load.ts";
import { skipLoudly } from "../support/needs.ts";

const directory = mkdtempSync(join(tmpdir(), "holdfast-load-"));
const socket = join(directory, "s");
const seen: string[] = [];
let tools: LoadTools | undefined;

/** A list of `count` volumes in parts of a few bytes, which is sent in chunks. */
function chunkedList(count: number): Response {
  const text = JSON.stringify({ Volumes: Array.from({ length: count }, () => ({ Name: "x" })) });
  return new Response(
    new ReadableStream({
      async pull(controller) {
        for (let at = 0; at < text.length; at += 7) {
          controller.enqueue(new TextEncoder().encode(text.slice(at, at + 7)));
          await Bun.sleep(0); // Without a turn of the loop the parts would become one.
        }
        controller.close();
      },
    }),
  );
}

const server = Bun.serve({
  unix: socket,
  async fetch(request) {
    const path = new URL(request.url).pathname.replace("/v1.41/volumes", "");
    seen.push(`${request.method} ${path} ${await request.text()}`.trim());
    switch (path) {
      case "/create":
        return new Response("{}", { status: 201 });
      case "/chunked":
        return chunkedList(3);
      case "/known-1":
        return new Response('{"Name":"known-1"}');
      case "/lease":
        return new Response('{"volume":"v","id":"a1b2","fence":"7"}');
      case "/broken":
        return new Response('a "bad" day', { status: 500 });
      default:
        return new Response(null, { status: request.method === "DELETE" ? 204 : 404 });
    }
  },
});

beforeAll(async () => {
  if (Bun.which("gcc") !== null) {
    tools = await compileLoadTools(directory, new AbortController().signal);
  }
});

afterAll(async () => {
  await server.stop(true);
  rmSync(directory, { recursive: true, force: true });
});

function burst(mode: Burst["mode"], more: Partial<Burst>): ReturnType<LoadTools["burst"]> {
  seen.length = 0;
  if (tools === undefined) {
    throw new Error("the load generator was not compiled");
  }
  return tools.burst({ mode, socket, connections: 1, prefix: "v", amount: { count: 1 }, ...more });
}

function withCompiler(name: string, run: () => Promise<void>): void {
  if (Bun.which("gcc") === null) {
    skipLoudly(name, "no program gcc (Debian packages gcc and libc6-dev)", run);
  } else {
    test(name, run);
  }
}

withCompiler("each name is created once, whatever the number of connections", async () => {
  const load = await burst("create", { connections: 4, amount: { count: 50 }, groups: 2 });
  expect(load.operations).toBe(50);
  expect(new Set(seen).size).toBe(50);
  expect(seen).toContain('POST /create {"Name":"v-7","Labels":{"group":"1"}}');
});

withCompiler("removing takes the names that creating made, from the first on", async () => {
  await burst("remove", { first: 10, amount: { count: 3 } });
  expect(seen.toSorted()).toEqual(["DELETE /v-10", "DELETE /v-11", "DELETE /v-12"]);
});

withCompiler("a list in chunks is read whole, and its volumes are counted", async () => {
  const list = { path: "/v1.41/volumes/chunked", amount: { count: 4 } };
  expect((await burst("list", { ...list, expect: 3 })).operations).toBe(4);
  await expect(burst("list", { ...list, expect: 2 })).rejects.toThrow("another number of volumes");
});

withCompiler("a wrong status is an error that shows the reply", async () => {
  const broken = { path: "/v1.41/volumes/broken", amount: { count: 2 } };
  await expect(burst("list", broken)).rejects.toThrow(
    "2 wrong replies, the first: unexpected status, status 500: a 'bad' day",
  );
});

withCompiler("an inspected volume must be the one that was asked for", async () => {
  const known = { prefix: "known", first: 1, names: 1, amount: { count: 5 } };
  expect((await burst("inspect", known)).operations).toBe(5);
  await expect(burst("inspect", { ...known, first: 2 })).rejects.toThrow("status 404");
});

withCompiler(
  "a call may name the connection, and what the answer before it called its id",
  async () => {
    const calls = ['POST /lease {"n":@}', "DELETE /leases/#/$id"];
    const load = await burst("calls", { calls, amount: { count: 2 }, first: 5 });
    expect(load.operations).toBe(2);
    expect(seen).toEqual([
      'POST /lease {"n":5}',
      "DELETE /leases/0/a1b2",
      'POST /lease {"n":6}',
      "DELETE /leases/0/a1b2",
    ]);
  },
);

withCompiler("nobody listening is an error, not a rate", async () => {
  const nowhere = join(directory, "nowhere");
  await expect(burst("remove", { socket: nowhere })).rejects.toThrow("connect");
});

withCompiler("a process is timed whole, and must end well and print enough", async () => {
  const environment = { BENCH_WORD: "from the environment" };
  const shown = { command: ["/usr/bin/printenv", "BENCH_WORD"], environment };
  const times = await tools?.timeProcess({ ...shown, linesMin: 1 });
  expect(times).toMatchObject({ exit: 0, lines: 1 });
  expect(times?.wallMs).toBeGreaterThan(0);
  const short = tools?.timeProcess({ ...shown, linesMin: 2 });
  await expect(short).rejects.toThrow("after 1 lines");
});
