// Real mounts of `local` volumes, through a daemon of its own: tmpfs, bind, a device that hangs.
import { afterEach, beforeEach, describe, expect } from "bun:test";
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseHolderId } from "../../src/core/names.ts";
import { parseMountTable } from "../../src/host/mount-table.ts";
import { makeStuckFolder } from "../../src/host/stuck-folder.fixture.ts";
import { withDeadlines } from "../../src/layers/deadline.ts";
import { eventually } from "../support/child.ts";
import { type RunningDaemon, startDaemon, temporaryDirectory } from "../support/daemon.ts";
import { failureOf, startedEngine } from "../support/engine-bench.ts";
import { whenPossible } from "../support/needs.ts";
import { exchange, type WireAnswer } from "./wire.ts";

let root: string;
beforeEach(() => {
  root = temporaryDirectory();
});
afterEach(() => {
  for (const { target } of mounted()) spawnSync("umount", ["-l", target]);
  rmSync(root, { recursive: true, force: true });
});

/** What is mounted below the test's own root, in the order of the table. */
function mounted(): readonly { readonly target: string; readonly fileSystem: string }[] {
  const table = parseMountTable(readFileSync("/proc/self/mountinfo", "utf8"));
  return table.filter((line) => line.target.startsWith(`${root}/`));
}

function data(name: string): string {
  return join(root, "volumes", name, "_data");
}

type Options = Readonly<Record<string, string>>;

function send(daemon: RunningDaemon, method: string, path: string): Promise<WireAnswer> {
  return exchange(daemon.socketPath, { method, path });
}

async function create(daemon: RunningDaemon, name: string, options: Options): Promise<void> {
  const body = JSON.stringify({ Name: name, Driver: "local", DriverOpts: options });
  const headers = { "Content-Type": "application/json" };
  const request = { method: "POST", path: "/volumes/create", headers, body };
  expect((await exchange(daemon.socketPath, request)).status).toBe(201);
}

function mount(daemon: RunningDaemon, name: string, holder: string): Promise<WireAnswer> {
  return send(daemon, "PUT", `/holdfast/v1/volumes/${name}/holders/${holder}`);
}

async function unmount(daemon: RunningDaemon, name: string, holder: string): Promise<void> {
  const { status } = await send(daemon, "DELETE", `/holdfast/v1/volumes/${name}/holders/${holder}`);
  expect(status).toBe(204);
}

async function stateOf(daemon: RunningDaemon, name: string): Promise<string> {
  return JSON.parse((await send(daemon, "GET", `/holdfast/v1/volumes/${name}`)).body).state;
}

async function warningsOf(daemon: RunningDaemon): Promise<readonly string[]> {
  return JSON.parse((await send(daemon, "GET", "/holdfast/v1/health")).body).warnings;
}

const tmpfs = { type: "tmpfs", device: "tmpfs", o: "size=64k,mode=0700" };

describe("tmpfs", () => {
  whenPossible(
    ["root", "mount"],
    "is mounted at first, shared, and unmounted at last",
    async () => {
      await using daemon = await startDaemon({ root });
      await create(daemon, "scratch", tmpfs);
      expect(mounted()).toEqual([]);
      const answer = await mount(daemon, "scratch", "c1");
      expect(JSON.parse(answer.body)).toEqual({ path: data("scratch") });
      expect(mounted().map((line) => [line.target, line.fileSystem])).toEqual([
        [data("scratch"), "tmpfs"],
      ]);
      writeFileSync(join(data("scratch"), "file"), "data");
      await mount(daemon, "scratch", "c2");
      await unmount(daemon, "scratch", "c1");
      expect(readFileSync(join(data("scratch"), "file"), "utf8")).toBe("data");
      const refused = await send(daemon, "DELETE", "/volumes/scratch");
      expect(refused.status).toBe(409);
      expect(refused.body).toContain("remove scratch: volume is in use - [c2]");
      await unmount(daemon, "scratch", "c2");
      expect(mounted()).toEqual([]);
      expect(existsSync(join(data("scratch"), "file"))).toBe(false);
    },
  );

  whenPossible(["root", "mount"], "survives kill -9 and is taken over, once", async () => {
    const first = await startDaemon({ root });
    await create(first, "scratch", tmpfs);
    await mount(first, "scratch", "c1");
    writeFileSync(join(data("scratch"), "file"), "data");
    await first.kill();
    await using second = await startDaemon({ root });
    await mount(second, "scratch", "c2");
    expect(mounted()).toHaveLength(1);
    expect(readFileSync(join(data("scratch"), "file"), "utf8")).toBe("data");
    await unmount(second, "scratch", "c2");
    expect(mounted()).toHaveLength(1);
    await unmount(second, "scratch", "c1");
    expect(mounted()).toEqual([]);
    expect((await send(second, "DELETE", "/volumes/scratch")).status).toBe(204);
  });
});

describe("a mount that went while no daemon ran", () => {
  whenPossible(["root", "mount"], "is made again for its holders by the start", async () => {
    const first = await startDaemon({ root });
    await create(first, "scratch", tmpfs);
    await mount(first, "scratch", "c1");
    await mount(first, "scratch", "c2");
    await first.kill();
    expect(spawnSync("umount", [data("scratch")]).status).toBe(0);
    await using second = await startDaemon({ root });
    await eventually(() => (mounted().length === 1 ? true : undefined), {
      timeoutMs: 10_000,
      otherwise: () => `not mounted again: ${second.output()}`,
    });
    expect(await stateOf(second, "scratch")).toBe("in use");
    await unmount(second, "scratch", "c1");
    expect(mounted()).toHaveLength(1);
    await unmount(second, "scratch", "c2");
    expect(mounted()).toEqual([]);
  });

  whenPossible(["root", "mount"], "and cannot be made again is told of until it is", async () => {
    const host = temporaryDirectory();
    try {
      const first = await startDaemon({ root });
      await create(first, "bound", { type: "none", device: join(host, "dir"), o: "bind" });
      mkdirSync(join(host, "dir"));
      await mount(first, "bound", "c1");
      await first.kill();
      expect(spawnSync("umount", [data("bound")]).status).toBe(0);
      rmSync(join(host, "dir"), { recursive: true });
      await using second = await startDaemon({ root });
      await eventually(
        async () => ((await stateOf(second, "bound")) === "not mounted" ? true : undefined),
        { timeoutMs: 10_000, otherwise: () => `it is said to be mounted: ${second.output()}` },
      );
      expect(await warningsOf(second)).toEqual([
        "Not mounted though held, see the log: bound. Mount it again for one of its holders, or " +
          "end them.",
      ]);
      expect((await send(second, "DELETE", "/volumes/bound")).status).toBe(409);
      mkdirSync(join(host, "dir"));
      expect((await mount(second, "bound", "c1")).status).toBe(200);
      expect(await stateOf(second, "bound")).toBe("in use");
      expect(await warningsOf(second)).toEqual([]);
      await unmount(second, "bound", "c1");
    } finally {
      rmSync(host, { recursive: true, force: true });
    }
  });
});

describe("bind", () => {
  whenPossible(
    ["root", "mount"],
    "shows the host's data, and its removal leaves it alone",
    async () => {
      const host = temporaryDirectory();
      try {
        writeFileSync(join(host, "file"), "the host's");
        await using daemon = await startDaemon({ root });
        await create(daemon, "bound", { type: "none", device: host, o: "bind" });
        await mount(daemon, "bound", "c1");
        expect(readFileSync(join(data("bound"), "file"), "utf8")).toBe("the host's");
        // Docker's df counts volumes without options only, and prune takes no other.
        expect((await send(daemon, "GET", "/system/df")).body).not.toContain("bound");
        await daemon.kill();
        await using next = await startDaemon({ root });
        await unmount(next, "bound", "c1");
        expect((await send(next, "DELETE", "/volumes/bound")).status).toBe(204);
        await next.stop();
        expect(existsSync(join(root, "volumes", "bound"))).toBe(false);
        expect(readFileSync(join(host, "file"), "utf8")).toBe("the host's");
      } finally {
        rmSync(host, { recursive: true, force: true });
      }
    },
  );

  whenPossible(["root", "mount"], "planted inside a volume, it stops the removal", async () => {
    const host = temporaryDirectory();
    try {
      writeFileSync(join(host, "file"), "the host's");
      await using daemon = await startDaemon({ root });
      await create(daemon, "wiki", {});
      const planted = join(data("wiki"), "planted");
      mkdirSync(planted);
      expect(spawnSync("mount", ["--bind", host, planted]).status).toBe(0);
      const refused = await send(daemon, "DELETE", "/volumes/wiki");
      expect(refused.status).toBe(409);
      expect(refused.body).toContain(planted);
      expect(readFileSync(join(planted, "file"), "utf8")).toBe("the host's");
      expect(spawnSync("umount", [planted]).status).toBe(0);
      expect((await send(daemon, "DELETE", "/volumes/wiki")).status).toBe(204);
      expect(readFileSync(join(host, "file"), "utf8")).toBe("the host's");
    } finally {
      rmSync(host, { recursive: true, force: true });
    }
  });
});

describe("a mount that fails", () => {
  whenPossible(
    ["root", "mount"],
    "says so in mount's words, and never says a password",
    async () => {
      await using daemon = await startDaemon({ root, parameters: ["--log-level", "debug"] });
      const options = {
        type: "nosuchfs",
        device: "//server/share",
        o: "username=u,password=hunter2",
      };
      await create(daemon, "share", options);
      const refused = await mount(daemon, "share", "c1");
      expect(refused.status).toBe(503);
      const failure = JSON.parse(refused.body);
      expect(failure).toMatchObject({ code: "volume.mount_failed", kind: "unavailable" });
      expect(failure.message).toContain("unknown filesystem type 'nosuchfs'");
      expect(failure.message).toContain("password=****");
      expect(failure.recovery).toMatch(/^[A-Z].*\.$/);
      const removed = await send(daemon, "DELETE", "/volumes/share");
      expect(removed.status).toBe(204);
      const history = await send(daemon, "GET", "/holdfast/v1/history");
      await daemon.stop();
      expect(daemon.output()).toContain("volume.mount_failed");
      for (const text of [refused.body, history.body, daemon.output()]) {
        expect(text).not.toContain("hunter2");
      }
    },
  );
});

describe("a device that hangs", () => {
  whenPossible(["root", "mount", "fuse"], "keeps nobody else waiting", async () => {
    await using stuck = await makeStuckFolder();
    await using daemon = await startDaemon({ root });
    const device = join(stuck.path, "x");
    await create(daemon, "dead", { type: "none", device, o: "bind" });
    await create(daemon, "alive", tmpfs);
    const waiting = mount(daemon, "dead", "c1");
    await stuck.untilAsked();
    const startedMs = performance.now();
    expect((await send(daemon, "GET", "/volumes/dead")).status).toBe(200);
    expect((await send(daemon, "GET", "/volumes")).status).toBe(200);
    expect((await mount(daemon, "alive", "c1")).status).toBe(200);
    await unmount(daemon, "alive", "c1");
    expect((await send(daemon, "GET", "/system/df")).status).toBe(200);
    expect(performance.now() - startedMs).toBeLessThan(5_000);
    stuck.release();
    expect((await waiting).status).toBe(503);
    expect(mounted()).toEqual([]);
  });

  whenPossible(["root", "mount", "fuse"], "is given up on at its deadline", async () => {
    await using stuck = await makeStuckFolder();
    const clock = { monotonicMs: () => performance.now() };
    await using bench = await startedEngine({
      drivers: (it) => [
        withDeadlines(it.local(), { ...clock, deadlinesMs: { mount: 300 }, giveUpMs: 300 }),
      ],
    });
    const { volumes } = bench.engine;
    const device = join(stuck.path, "x");
    const options = { type: "none", device, o: "bind" };
    await volumes.create({ name: "dead", options, labels: null }, bench.operation());
    const holder = parseHolderId("c1");
    const { code } = await failureOf(volumes.mount("dead", holder, bench.operation()));
    expect(code).toBe("driver.timed_out");
    expect(bench.engine.volumes.list({})).toHaveLength(1);
    const again = await failureOf(volumes.mount("dead", holder, bench.operation()));
    expect(again.code).toBe("driver.timed_out");
    stuck.release();
  });
});
