// Managed plugins really run: they come up, are stopped, crash, and are taken over, with runc.
import { describe, expect } from "bun:test";
import {
  existsSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import type { PluginEnv } from "../../src/core/plugin.ts";
import type { RunRequest } from "../../src/plugins/runtime/run-request.ts";
import type { PluginRuntime } from "../../src/plugins/runtime/runtime.ts";
import { eventually } from "../support/child.ts";
import { failureOf } from "../support/engine-bench.ts";
import { sideBySide, whenPossible } from "../support/needs.ts";
import { testOperation } from "../support/operation.ts";
import { callPlugin, testPluginConfig } from "../support/plugin-rootfs.ts";
import {
  makePluginRuntimeBench,
  type PluginRuntimeBench,
  tracesOf,
} from "../support/plugin-runtime-bench.ts";

const needed = ["root", "plugin-runtime"] as const;
const operation = testOperation();

function variable(name: string): PluginEnv {
  return { name, description: "", settable: null, value: "" };
}

/** The plugin's first process. */
function pidOf(runtime: PluginRuntime, { id }: RunRequest): number {
  return Number.parseInt(runtime.state(id).life, 10);
}

function monitorOf({ runDirectory }: PluginRuntimeBench, { id }: RunRequest): number {
  return Number(readFileSync(join(runDirectory, "bundles", id, "conmon.pid"), "utf8"));
}

describe("a plugin that is well", () => {
  whenPossible(needed, "comes up, serves volumes, and leaves nothing when stopped", async () => {
    await using bench = makePluginRuntimeBench();
    const { runtime } = bench;
    const request = await bench.plugin({ environment: { LOG_LINES: "3" } });
    const told: string[] = [];
    runtime.follow((id) => told.push(runtime.state(id).state));
    await runtime.start(request, operation);
    const modes = ["..", "."].map((name) => statSync(join(bench.runDirectory, name)).mode & 0o777);
    expect(modes).toEqual([0o755, 0o700]);
    const { state, socketPath, life } = runtime.state(request.id);
    expect({ state, hasLife: life !== "" }).toEqual({ state: "running", hasLife: true });
    expect(await callPlugin(socketPath, "VolumeDriver.Create", { Name: "v" })).toEqual({ Err: "" });
    expect(readdirSync(request.propagated ?? "")).toContain("v");
    expect((await runtime.logs(request.id, 10)).map(({ text }) => text)).toEqual([
      ...["line 1", "line 2", "line 3", "listening on /run/docker/plugins/plugin.sock"],
    ]);
    expect((await runtime.logs(request.id, 2)).map(({ text }) => text)[0]).toBe("line 3");
    const pid = pidOf(runtime, request);
    await runtime.stop(request.id, operation);
    expect(bench.host.processStart(pid)).toBeUndefined();
    expect(runtime.state(request.id)).toMatchObject({ state: "stopped", socketPath: "", life: "" });
    expect(tracesOf(bench, request.id)).toEqual([]);
    expect(told).toEqual(["starting", "running", "stopped"]);
    expect(readdirSync(request.propagated ?? "")).toContain("v");
    await runtime.stop(request.id, operation);
    runtime.forget(request.id);
    expect(existsSync(join(bench.logDirectory, request.id))).toBe(false);
  });

  whenPossible(needed, "mounts what reaches the host once, until it is stopped", async () => {
    await using bench = makePluginRuntimeBench();
    const { runtime } = bench;
    const request = await bench.plugin();
    await runtime.start(request, operation);
    const { socketPath } = runtime.state(request.id);
    const opts = { type: "tmpfs" };
    await callPlugin(socketPath, "VolumeDriver.Create", { Name: "v", Opts: opts });
    const mounted = await callPlugin(socketPath, "VolumeDriver.Mount", { Name: "v", ID: "x" });
    expect(mounted).toEqual({ Err: "", Mountpoint: "/mnt/volumes/v" });
    const target = join(request.propagated ?? "", "v");
    const here = () => bench.host.mounts().filter((mount) => mount.target === target);
    expect(here()).toHaveLength(1);
    writeFileSync(join(target, "file"), "from outside");
    const read = await callPlugin(socketPath, "Test.Read", { Name: "/mnt/volumes/v/file" });
    expect(read).toEqual({ Err: "", Text: "from outside" });
    // What it had mounted stays there when it ends by itself.
    await callPlugin(socketPath, "Test.Exit", { Name: "7" }).catch(() => undefined);
    await bench.until(() => runtime.state(request.id).state === "restarting", "a restart");
    expect(runtime.state(request.id).reason).toBe("it has ended (exit status 7)");
    expect(here()).toHaveLength(1);
    await bench.until(() => runtime.state(request.id).state === "running", "running again");
    expect(runtime.state(request.id).restartCount).toBe(1);
    expect(here()).toHaveLength(1);
    const shared = bench.host.mounts().filter((mount) => mount.target === request.propagated);
    expect(shared).toHaveLength(1);
    await runtime.stop(request.id, operation);
    expect(tracesOf(bench, request.id)).toEqual([]);
  });

  whenPossible(needed, "is confined to what it was granted", async () => {
    await using bench = makePluginRuntimeBench();
    const { runtime } = bench;
    const name = "s".repeat(80);
    const environment = { SOCKET: name };
    const env = [...(testPluginConfig("rootfs").env ?? []), variable("SOCKET")];
    const config = {
      ...{ env, interface: { types: [], socket: name, protocolScheme: "" } },
      ...{ network: { type: "none" }, workDir: "/tmp" },
    };
    const request = await bench.plugin({ kind: "rootfs", environment, config });
    await runtime.start(request, operation);
    const { socketPath } = runtime.state(request.id);
    // The directory alone has 46 bytes, and there is room for 107.
    expect(socketPath).toMatch(/^\/proc\/self\/fd\/\d+\/s+$/);
    const read = async (file: string) =>
      String((await callPlugin(socketPath, "Test.Read", { Name: file }))["Text"]);
    const status = await read("/proc/self/status");
    expect(status).toMatch(/^CapEff:\t00000000a80425fb$/m);
    expect(status).toMatch(/^CapBnd:\t00000000a80425fb$/m);
    expect(status).toMatch(/^CapInh:\t0000000000000000$/m);
    expect(status).toMatch(/^Seccomp:\t2$/m);
    expect(status).toMatch(/^NSpid:\t1$/m);
    expect(await read("/proc/self/oom_score_adj")).toBe("0\n");
    expect(await read("/etc/hosts")).toBe(readFileSync("/etc/hosts", "utf8"));
    expect((await read("/proc/net/dev")).trim().split("\n").slice(2)).toHaveLength(1);
    expect(await read("/proc/self/cgroup")).toMatch(/:\/holdfast\/[\da-f]{12}-a{16}$/m);
    const groups = await read("/proc/self/mountinfo");
    expect(groups).toContain(" /run/docker/plugins ");
    await runtime.stop(request.id, operation);
    expect(tracesOf(bench, request.id)).toEqual([]);
  });

  whenPossible(needed, "may write much: the end of it is kept", async () => {
    await using bench = makePluginRuntimeBench();
    const { runtime } = bench;
    const request = await bench.plugin({ environment: { LOG_LINES: "60000" } });
    await runtime.start(request, operation);
    const { socketPath } = runtime.state(request.id);
    await callPlugin(socketPath, "Test.Log", { Name: "the last word" });
    // Standard output and errors are two pipes: what was written first may be read last.
    const lines = async () => (await runtime.logs(request.id, 60_001)).map(({ text }) => text);
    const isThere = async () => (await lines()).includes("the last word");
    await eventually(async () => ((await isThere()) ? true : undefined), {
      timeoutMs: 10_000,
      otherwise: () => "the last line does not arrive",
    });
    const folder = join(bench.logDirectory, request.id);
    const sizes = readdirSync(folder).map((name) => statSync(join(folder, name)).size);
    expect(sizes.reduce((sum, size) => sum + size, 0)).toBeLessThan(3 * 1024 * 1024);
    await runtime.stop(request.id, operation);
  });
});

describe("a plugin that does not come up", () => {
  whenPossible(needed, "is refused in Docker's words, and nothing of it stays", async () => {
    await using bench = makePluginRuntimeBench();
    const { runtime } = bench;
    const entrypoint = ["/bin/nothere"];
    const nothere = await bench.plugin({ config: { entrypoint } });
    const failure = await failureOf(runtime.start(nothere, operation));
    expect(failure.code).toBe("plugin.start_failed");
    expect(failure.message).toBe(
      "failed to create shim task: OCI runtime create failed: runc create failed: unable to " +
        'start container process: exec: "/bin/nothere": stat /bin/nothere: no such file or ' +
        "directory: unknown",
    );
    expect(tracesOf(bench, nothere.id)).toEqual([]);
    expect(runtime.state(nothere.id)).toMatchObject({ state: "stopped", reason: failure.message });
  });

  whenPossible(needed, "is told of with its last words when it has ended", async () => {
    await using bench = makePluginRuntimeBench();
    const { runtime } = bench;
    const request = await bench.plugin({ environment: { EXIT_AT_START: "4" } });
    const startedAtMs = performance.now();
    const { code, message } = await failureOf(runtime.start(request, operation));
    expect(performance.now() - startedAtMs).toBeLessThan(3_000);
    expect(code).toBe("plugin.start_failed");
    expect(message).toEndWith(
      "connect: no such file or directory: it has ended (exit status 4); its last words: cannot " +
        "start: EXIT_AT_START=4",
    );
    // What an earlier life has written is none of them.
    const again = await failureOf(runtime.start(request, operation));
    expect(again.message).toEndWith("; its last words: cannot start: EXIT_AT_START=4");
    expect(tracesOf(bench, request.id)).toEqual([]);
    const devices = [{ name: "", description: "", settable: null, path: "/dev/nothere" }];
    const settings = { ...request.settings, devices };
    const failure = await failureOf(runtime.start({ ...request, settings }, operation));
    expect(failure.message).toContain('custom device "/dev/nothere": no such file or directory');
    const { config } = request;
    for (const socket of ["../x.sock", "", ".."]) {
      const wrong = { ...config, interface: { ...config.interface, socket } };
      const refused = await failureOf(runtime.start({ ...request, config: wrong }, operation));
      expect(refused.code).toBe("plugin.config_invalid");
    }
    expect(tracesOf(bench, request.id)).toEqual([]);
  });

  whenPossible(needed, "can be stopped while it starts", async () => {
    await using bench = makePluginRuntimeBench();
    const { runtime } = bench;
    const environment = { LISTEN: "never", LOG_LINES: "1" };
    const request = await bench.plugin({ environment });
    const starting = failureOf(runtime.start(request, operation));
    // From here on it obeys SIGTERM.
    const log = join(bench.logDirectory, request.id, "log");
    await bench.until(() => existsSync(log) && statSync(log).size > 0, "its first words");
    await runtime.stop(request.id, operation);
    expect((await starting).message).toBe("it was stopped while it started");
    expect(tracesOf(bench, request.id)).toEqual([]);
  });
});

describe("what is given its ten seconds", () => {
  sideBySide(
    needed,
    "a plugin is not believed when its socket is a link to another one",
    async () => {
      await using bench = makePluginRuntimeBench();
      const { runtime } = bench;
      const real = await bench.plugin({ digit: "b" });
      await runtime.start(real, operation);
      const request = await bench.plugin({ environment: { LISTEN: "never" } });
      const starting = failureOf(runtime.start(request, operation));
      const folder = join(bench.runDirectory, "a".repeat(16));
      await bench.until(() => existsSync(folder), "its directory of sockets");
      symlinkSync(runtime.state(real.id).socketPath, join(folder, "plugin.sock"));
      expect((await starting).message).toEndWith("connect: connection refused");
    },
  );

  sideBySide(needed, "a plugin is killed when it does not obey", async () => {
    await using bench = makePluginRuntimeBench();
    const { runtime } = bench;
    const environment = { IGNORE_TERM: "1", CHILD: "1" };
    const request = await bench.plugin({ environment, config: { pidHost: true } });
    await runtime.start(request, operation);
    const startedAtMs = performance.now();
    await runtime.stop(request.id, operation);
    const tookMs = performance.now() - startedAtMs;
    expect(tookMs).toBeGreaterThan(9_900);
    expect(tookMs).toBeLessThan(13_000);
    expect(tracesOf(bench, request.id)).toEqual([]);
  });

  sideBySide(needed, "a plugin that never listens is refused in Docker's words", async () => {
    await using bench = makePluginRuntimeBench();
    const silent = await bench.plugin({ environment: { LISTEN: "never" } });
    const startedAtMs = performance.now();
    const refused = await failureOf(bench.runtime.start(silent, operation));
    expect(performance.now() - startedAtMs).toBeGreaterThan(9_000);
    const socketPath = join(bench.runDirectory, "a".repeat(16), "plugin.sock");
    expect(refused.message).toBe(`dial unix ${socketPath}: connect: no such file or directory`);
    expect(tracesOf(bench, silent.id)).toEqual([]);
  });
});

describe("a plugin that ends by itself", () => {
  whenPossible(needed, "is started again after a pause that doubles", async () => {
    await using bench = makePluginRuntimeBench();
    const { runtime } = bench;
    const request = await bench.plugin();
    await runtime.start(request, operation);
    const first = runtime.state(request.id).life;
    process.kill(pidOf(runtime, request), "SIGKILL");
    await bench.until(() => runtime.state(request.id).state === "restarting", "a restart");
    expect(runtime.state(request.id).reason).toBe("it has ended (signal 9)");
    await bench.until(() => runtime.state(request.id).state === "running", "running again");
    expect(runtime.state(request.id).life).not.toBe(first);
    process.kill(pidOf(runtime, request), "SIGKILL");
    await bench.until(() => runtime.state(request.id).state === "restarting", "a restart");
    const endedAtMs = performance.now();
    await bench.until(() => runtime.state(request.id).state === "running", "running again");
    expect(performance.now() - endedAtMs).toBeGreaterThan(1_900);
    expect(runtime.state(request.id).restartCount).toBe(2);
    await runtime.stop(request.id, operation);
    expect(runtime.state(request.id).restartCount).toBe(0);
  });

  whenPossible(needed, "counts as ended when conmon has", async () => {
    await using bench = makePluginRuntimeBench();
    const { runtime } = bench;
    const request = await bench.plugin();
    await runtime.start(request, operation);
    const pid = pidOf(runtime, request);
    process.kill(monitorOf(bench, request), "SIGKILL");
    await bench.until(() => runtime.state(request.id).state === "restarting", "a restart");
    expect(runtime.state(request.id).reason).toBe("its monitor (conmon) has ended");
    expect(bench.host.processStart(pid)).toBeUndefined();
    await bench.until(() => runtime.state(request.id).state === "running", "running again");
  });

  whenPossible(needed, "is not started again once it was stopped", async () => {
    await using bench = makePluginRuntimeBench();
    const { runtime } = bench;
    const request = await bench.plugin();
    await runtime.start(request, operation);
    process.kill(pidOf(runtime, request), "SIGKILL");
    await bench.until(() => runtime.state(request.id).state === "restarting", "a restart");
    await runtime.stop(request.id, operation);
    const told: string[] = [];
    runtime.follow((id) => told.push(`${id.slice(0, 1)} ${runtime.state(id).state}`));
    // Another one that ended later is back: the pause of this one would be over, too.
    const other = await bench.plugin({ digit: "b" });
    await runtime.start(other, operation);
    process.kill(pidOf(runtime, other), "SIGKILL");
    await bench.until(() => runtime.state(other.id).state === "restarting", "a restart");
    await bench.until(() => runtime.state(other.id).state === "running", "running again");
    expect(told.filter((text) => text.startsWith("a"))).toEqual([]);
    expect(tracesOf(bench, request.id)).toEqual([]);
  });
});

describe("after the death of a daemon", () => {
  whenPossible(needed, "what runs is taken over, and what is not wanted is ended", async () => {
    await using bench = makePluginRuntimeBench();
    const kept = await bench.plugin();
    const removed = await bench.plugin({ digit: "b" });
    const gone = await bench.plugin({ digit: "c" });
    const fresh = await bench.plugin({ digit: "d" });
    for (const one of [kept, removed, gone]) await bench.runtime.start(one, operation);
    const before = bench.runtime.state(kept.id);
    const dead = pidOf(bench.runtime, gone);
    // As SIGKILL does, but for the process of the test: nothing is done from here on.
    await bench.runtime.stopAll(new Set([kept.id, removed.id, gone.id]), operation);
    process.kill(dead, "SIGKILL");
    await bench.until(() => bench.host.processStart(dead) === undefined, "the end");

    const runtime = bench.another();
    const reasons = new Set<string>();
    runtime.follow((id) => reasons.add(runtime.state(id).reason));
    await runtime.adopt([kept, gone, fresh], operation);
    expect(runtime.state(kept.id)).toMatchObject({ state: "running", life: before.life });
    expect(runtime.state(kept.id).sinceMs).toBeLessThanOrEqual(before.sinceMs);
    expect(tracesOf(bench, removed.id)).toEqual([]);
    const states = () => [kept, gone, fresh].map(({ id }) => runtime.state(id).state);
    await bench.until(() => states().every((state) => state === "running"), "all are running");
    expect(reasons).toContain("it ended while no daemon was there (signal 9)");
    expect(runtime.state(gone.id).restartCount).toBe(1);
    expect(runtime.state(fresh.id).restartCount).toBe(0);
    // It is watched as any other.
    process.kill(pidOf(runtime, kept), "SIGKILL");
    await bench.until(() => runtime.state(kept.id).state === "restarting", "a restart");
    await bench.until(() => runtime.state(kept.id).state === "running", "running again");

    await runtime.stopAll(new Set([kept.id]), operation);
    expect([...tracesOf(bench, gone.id), ...tracesOf(bench, fresh.id)]).toEqual([]);
    expect(bench.host.processStart(pidOf(runtime, kept))).toBeDefined();
  });
});
