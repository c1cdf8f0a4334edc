// `local` volumes on a server that stops answering: sshfs by mount(8), and a real sshd on loopback.
import { afterEach, beforeEach, describe, expect } from "bun:test";
import { type ChildProcess, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { parseMountTable } from "../../src/host/mount-table.ts";
import { exchange, type WireAnswer } from "../docker/wire.ts";
import { eventually, hasEnded, startChild } from "../support/child.ts";
import { type RunningDaemon, startDaemon, temporaryDirectory } from "../support/daemon.ts";
import { type SshServer, startSshServer } from "../support/labs/ssh-server.ts";
import { whenPossible } from "../support/needs.ts";
import { SHORT_DEADLINES_MS } from "../support/short-deadlines.ts";

const requirements = ["root", "mount", "fuse", "sshfs", "sshd"] as const;
const command = [
  process.execPath,
  resolve(import.meta.dir, "../support/short-deadlines.ts"),
] as const;

/** What must not wait for storage answers within this. */
const promptMs = 3_000;
/** From a deadline to the answer: the driver's moment for giving up, and a busy machine's. */
const slackMs = 2_500;

let folder: string;
let server: SshServer | undefined;
let daemon: RunningDaemon;
let stuck: ChildProcess[];
beforeEach(() => {
  folder = temporaryDirectory();
  mkdirSync(exported());
  stuck = [];
});
afterEach(async () => {
  await daemon?.kill();
  await server?.thaw();
  for (const target of mounted()) spawnSync("umount", ["-l", target]);
  await server?.[Symbol.asyncDispose]();
  server = undefined;
  await Promise.all(stuck.filter((one) => !hasEnded(one)).map((one) => once(one, "exit")));
  rmSync(folder, { recursive: true, force: true });
});

function exported(): string {
  return join(folder, "exported");
}

async function start(): Promise<SshServer> {
  server ??= await startSshServer(join(folder, "sshd"));
  daemon = await startDaemon({ root: join(folder, "root"), command });
  return server;
}

function data(name: string): string {
  return join(folder, "root", "volumes", name, "_data");
}

/** Where something is mounted below the test's folder. */
function mounted(): readonly string[] {
  const table = parseMountTable(readFileSync("/proc/self/mountinfo", "utf8"));
  return table.map((line) => line.target).filter((target) => target.startsWith(folder));
}

interface TimedAnswer extends WireAnswer {
  readonly tookMs: number;
}

async function send(method: string, path: string, body?: unknown): Promise<TimedAnswer> {
  const startedMs = performance.now();
  const answer = await exchange(daemon.socketPath, {
    ...{ method, path },
    ...(body === undefined
      ? {}
      : { headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) }),
  });
  return { ...answer, tookMs: performance.now() - startedMs };
}

async function create(name: string): Promise<void> {
  // Nothing is remembered of the server: whoever looks at the mount asks it, and hangs with it.
  const uncached = "dir_cache=no,attr_timeout=0,entry_timeout=0";
  const o = `${server?.clientOptions},StrictHostKeyChecking=yes,${uncached}`;
  const options = { type: "fuse.sshfs", device: `root@127.0.0.1:${exported()}`, o };
  const body = { Name: name, Driver: "local", DriverOpts: options };
  expect((await send("POST", "/volumes/create", body)).status).toBe(201);
}

function hold(name: string, holder: string): Promise<TimedAnswer> {
  return send("PUT", `/holdfast/v1/volumes/${name}/holders/${holder}`);
}

function release(name: string, holder: string): Promise<TimedAnswer> {
  return send("DELETE", `/holdfast/v1/volumes/${name}/holders/${holder}`);
}

/** Each answers in time, and says what it should. */
async function expectOthersUnharmed(dead: string): Promise<void> {
  const other = `other-${crypto.randomUUID().slice(0, 8)}`;
  const asked: readonly (readonly [
    method: string,
    path: string,
    status: number,
    body?: unknown,
  ])[] = [
    ["GET", "/volumes", 200],
    ["GET", `/volumes/${dead}`, 200],
    ["GET", `/holdfast/v1/volumes/${dead}`, 200],
    ["GET", "/info", 200],
    ["GET", "/system/df", 200],
    ["GET", `/events?since=0&until=${Math.floor(Date.now() / 1_000)}`, 200],
    ["POST", "/volumes/create", 201, { Name: other }],
    ["PUT", `/holdfast/v1/volumes/${other}/holders/one`, 200],
    ["DELETE", `/holdfast/v1/volumes/${other}/holders/one`, 204],
    ["DELETE", `/volumes/${other}`, 204],
  ];
  for (const [method, path, status, body] of asked) {
    const answer = await send(method, path, body);
    expect({ path, status: answer.status }).toEqual({ path, status });
    expect(answer.tookMs, `${method} ${path}`).toBeLessThan(promptMs);
  }
}

describe("sshfs", () => {
  whenPossible(requirements, "one mount for all holders, until the last one ends it", async () => {
    await start();
    await create("remote");
    expect((await hold("remote", "one")).status).toBe(200);
    expect((await hold("remote", "two")).status).toBe(200);
    expect(mounted()).toEqual([data("remote")]);
    writeFileSync(join(data("remote"), "file"), "here");
    expect(readFileSync(join(exported(), "file"), "utf8")).toBe("here");
    expect((await release("remote", "one")).status).toBe(204);
    expect(readFileSync(join(data("remote"), "file"), "utf8")).toBe("here");
    expect((await release("remote", "two")).status).toBe(204);
    expect(mounted()).toEqual([]);
    expect((await send("DELETE", "/volumes/remote")).status).toBe(204);
    expect(readFileSync(join(exported(), "file"), "utf8")).toBe("here");
  });

  whenPossible(requirements, "a dead server stops nobody else, and can come back", async () => {
    const { freeze, thaw } = await start();
    await create("remote");
    await hold("remote", "one");
    writeFileSync(join(exported(), "file"), "here");
    await freeze();
    const reader = startChild("cat", [join(data("remote"), "file")]);
    const ended = once(reader, "exit");
    stuck.push(reader);
    await expectOthersUnharmed("remote");
    expect((await hold("remote", "two")).tookMs).toBeLessThan(promptMs);
    expect((await send("DELETE", "/volumes/remote")).status).toBe(409);
    // The state and the mount table know all that a start needs.
    await daemon.kill();
    await start();
    await expectOthersUnharmed("remote");
    expect((await release("remote", "two")).tookMs).toBeLessThan(promptMs);
    const busy = await release("remote", "one");
    expect(busy.body).toInclude("volume.unmount_failed");
    expect(busy.tookMs).toBeLessThan(SHORT_DEADLINES_MS.unmount + slackMs);
    expect(hasEnded(reader)).toBeFalse();

    await thaw();
    expect(await ended).toEqual([0, null]);
    expect((await release("remote", "one")).status).toBe(204);
    expect((await hold("remote", "one")).status).toBe(200);
    expect(readFileSync(join(data("remote"), "file"), "utf8")).toBe("here");
    expect((await release("remote", "one")).status).toBe(204);
    expect(mounted()).toEqual([]);
  });

  whenPossible(requirements, "with nobody in it, a dead mount is unmounted at once", async () => {
    const { freeze } = await start();
    await create("remote");
    await hold("remote", "one");
    await freeze();
    const ended = await release("remote", "one");
    expect({ status: ended.status, mounted: mounted() }).toEqual({ status: 204, mounted: [] });
    expect(ended.tookMs).toBeLessThan(promptMs);
    expect((await send("DELETE", "/volumes/remote")).status).toBe(204);
  });

  whenPossible(requirements, "a server that never answers the mount is given up on", async () => {
    const { freeze, thaw } = await start();
    await create("remote");
    await freeze();
    const mounting = hold("remote", "one");
    await expectOthersUnharmed("remote");
    const failed = await mounting;
    expect(JSON.parse(failed.body)).toMatchObject({ code: "driver.timed_out" });
    expect(failed.status).toBe(503);
    expect(failed.tookMs).toBeLessThan(SHORT_DEADLINES_MS.mount + slackMs);
    // sshfs mounts before it connects: what is left of that is undone right after the answer.
    await eventually(() => (mounted().length === 0 ? true : undefined), {
      timeoutMs: promptMs,
      otherwise: () => `still mounted: ${mounted().join(", ")}`,
    });
    expect(await programsOn("sshfs")).toEqual([]);
    await thaw();
    expect((await hold("remote", "one")).status).toBe(200);
    expect(mounted()).toEqual([data("remote")]);
    expect((await release("remote", "one")).status).toBe(204);
  });
});

/** Command lines of live programs of this name that have to do with the test's folder. */
async function programsOn(name: string): Promise<readonly string[]> {
  const { stdout } = spawnSync("ps", ["-eo", "stat=,args="], { encoding: "utf8" });
  return stdout
    .split("\n")
    .filter((line) => line.includes(name) && line.includes(folder) && !line.startsWith("Z"));
}
