// A real dockerd as a container engine: found by its process, found by its key, asked, restarted.
import { expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findContainerEngines } from "../../src/containers/finder.ts";
import type { ContainerEngine, ContainerEngineFinder } from "../../src/core/container-engine.ts";
import type { Caller } from "../../src/core/operation.ts";
import { linuxHost } from "../../src/host/linux.ts";
import { type Ended, eventually } from "../support/child.ts";
import { startDirectoryPlugin } from "../support/directory-plugin.ts";
import { type DockerdOptions, type RunningDockerd, startDockerd } from "../support/dockerd.ts";
import { whenPossible } from "../support/needs.ts";
import { testOperation } from "../support/operation.ts";
import { loadTestImage, testImage } from "../support/test-image.ts";

const requirements = ["root", "dockerd", "docker-cli", "unshare", "busybox"] as const;

/** `sleep` as the first process of a container ignores SIGTERM. */
const atOnce = ["--stop-signal=KILL"];

interface Bench extends AsyncDisposable {
  readonly dockerd: RunningDockerd;
  readonly finder: ContainerEngineFinder;
  readonly folder: string;
  caller(): Caller;
}

async function startBench(options: Partial<DockerdOptions> = {}): Promise<Bench> {
  const folder = mkdtempSync(join(tmpdir(), "holdfast-containers-"));
  const pluginFolder = join(folder, "plugins");
  mkdirSync(pluginFolder);
  const socket = join(pluginFolder, "holdfast.sock");
  const plugin = await startDirectoryPlugin(socket, join(folder, "volumes"));
  const dataRoot = join(folder, "docker");
  const dockerd = await startDockerd({ dataRoot, pluginFolder, ...options });
  await loadTestImage(dockerd.docker);
  return {
    dockerd,
    finder: findContainerEngines({ host: linuxHost(), driver: "holdfast" }),
    folder,
    caller: () => ({ kind: "process", uid: 0, gid: 0, pid: dockerd.pid }),
    async [Symbol.asyncDispose]() {
      await dockerd.kill();
      await plugin[Symbol.asyncDispose]();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

async function succeed(command: Promise<Ended>): Promise<string> {
  const ended = await command;
  if (ended.exit !== 0) throw new Error(ended.stderr);
  return ended.stdout.trim();
}

function run({ dockerd }: Bench, ...more: readonly string[]): Promise<string> {
  return succeed(dockerd.docker("run", "--detach", "--network=none", ...atOnce, ...more));
}

function engineOf({ finder, caller }: Bench): ContainerEngine {
  const engine = finder.ofCaller(caller());
  if (engine === undefined) throw new Error("the engine was not found");
  return engine;
}

whenPossible(requirements, "dockerd is found, asked and told to stop a container", async () => {
  await using bench = await startBench();
  const { dockerd, finder } = bench;
  const engine = engineOf(bench);
  expect(engine).toMatchObject({
    kind: "docker",
    key: `docker:${dockerd.socketPath}`,
    isAskableInCalls: true,
    mountsOnceForAll: false,
  });
  expect(await engine.containers(testOperation())).toEqual([]);
  const wiki = ["--volume-driver=holdfast", "--volume=wiki:/data:ro"];
  const label = "--label=com.docker.compose.project=shop";
  const id = await run(bench, "--name=c1", label, ...wiki, testImage, "sleep", "600");
  await run(bench, "--name=c2", "--volume=plain:/data", testImage, "sleep", "600");
  const mount = "--mount=type=volume,volume-driver=holdfast,source=blog,target=/blog";
  await succeed(dockerd.docker("create", "--name=c3", "--link=c1:x", mount, testImage, "true"));
  const found = [...(await engine.containers(testOperation()))];
  expect(found.sort((one, other) => (one.name < other.name ? -1 : 1))).toEqual([
    {
      id,
      name: "c1",
      project: "shop",
      isRunning: true,
      volumes: [{ volume: "wiki", destination: "/data", isReadOnly: true }],
    },
    {
      id: expect.stringMatching(/^[0-9a-f]{64}$/),
      name: "c3",
      project: null,
      isRunning: false,
      volumes: [{ volume: "blog", destination: "/blog", isReadOnly: false }],
    },
  ]);
  await succeed(dockerd.docker("pause", "c1"));
  expect((await named(engine, "c1"))?.isRunning).toBe(true);
  await succeed(dockerd.docker("unpause", "c1"));
  expect(await engine.isBusyWith(id, testOperation())).toBe(false);
  expect(await engine.isBusyWith("f".repeat(64), testOperation())).toBe(false);
  await engine.restart(id, testOperation());
  expect((await named(engine, "c1"))?.isRunning).toBe(true);
  await engine.stop(id, testOperation());
  expect((await named(engine, "c1"))?.isRunning).toBe(false);
  await engine.stop(id, testOperation());
  await engine.restart("f".repeat(64), testOperation());
  expect(finder.ofKey(engine.key)).toBe(engine);
  // A finder that has seen nobody, as after a restart of Holdfast.
  const later = findContainerEngines({ host: linuxHost(), driver: "holdfast" });
  expect(await later.ofKey(engine.key)?.containers(testOperation())).toHaveLength(2);
  const others = findContainerEngines({ host: linuxHost(), driver: "another" });
  expect(await others.ofKey(engine.key)?.containers(testOperation())).toEqual([]);
});

async function named(engine: ContainerEngine, name: string) {
  return (await engine.containers(testOperation())).find((one) => one.name === name);
}

whenPossible(requirements, "an engine that does not run is named", async () => {
  await using bench = await startBench();
  const engine = engineOf(bench);
  await bench.dockerd.killEngineOnly();
  await expect(engine.containers(testOperation())).rejects.toMatchObject({
    code: "containers.unreachable",
    message: `${engine.key} cannot be asked: dockerd does not run: nobody listens on its socket`,
  });
  await expect(engine.stop("c1", testOperation())).rejects.toMatchObject({
    code: "containers.unreachable",
  });
  await bench.dockerd.restart();
  expect(await engine.containers(testOperation())).toEqual([]);
  expect(bench.finder.ofCaller(bench.caller())).toBe(engine);
});

whenPossible(requirements, "sockets of another mount namespace are reached", async () => {
  // The launcher's own tmpfs hides /run/docker from us.
  const hidden = "/run/docker/docker.sock";
  await using bench = await startBench({ parameters: [`--host=unix://${hidden}`] });
  const wiki = ["--volume-driver=holdfast", "--volume=wiki:/data"];
  await succeed(bench.dockerd.docker("create", "--name=c1", ...wiki, testImage, "true"));
  const engine = engineOf(bench);
  expect(engine.key).toBe(`docker:${hidden}`);
  expect(await engine.containers(testOperation())).toHaveLength(1);
  // With something else at this path here, it is another socket, and its key says so.
  writeFileSync(hidden, "");
  try {
    const fresh = findContainerEngines({ host: linuxHost(), driver: "holdfast" });
    const other = fresh.ofCaller(bench.caller());
    expect(other?.key).toMatch(/^docker:\/run\/docker\/docker\.sock@\d+:\d+$/);
    expect(await other?.containers(testOperation())).toHaveLength(1);
  } finally {
    rmSync(hidden);
  }
});

whenPossible(requirements, "containers survive a kill of dockerd with live restore", async () => {
  await using bench = await startBench({ liveRestore: true });
  const { dockerd } = bench;
  const wiki = ["--volume-driver=holdfast", "--volume=wiki:/data"];
  await run(bench, "--name=c1", ...wiki, testImage, "sleep", "600");
  const before = await containerPid(dockerd);
  const engine = engineOf(bench);
  const killed = dockerd.pid;
  await dockerd.killEngineOnly();
  expect(isAlive(before)).toBe(true);
  await dockerd.restart();
  expect(dockerd.pid).not.toBe(killed);
  expect(await containerPid(dockerd)).toBe(before);
  expect((await named(engine, "c1"))?.isRunning).toBe(true);
  expect(await succeed(dockerd.docker("exec", "c1", "echo", "alive"))).toBe("alive");
  await dockerd.restart();
  expect(await containerPid(dockerd)).toBe(before);
  // What ends while nobody of its own is left to wait for it leaves no zombie.
  await dockerd.killEngineOnly();
  process.kill(await parentOf(before), "SIGKILL");
  process.kill(before, "SIGKILL");
  await eventually(() => (isAlive(before) ? undefined : true), {
    timeoutMs: 20_000,
    otherwise: () => `process ${before} of the container was not reaped`,
  });
  await dockerd.restart();
  expect((await named(engine, "c1"))?.isRunning).toBe(false);
});

whenPossible(requirements, "a dockerd that was killed starts again on its data", async () => {
  await using bench = await startBench();
  const { dockerd } = bench;
  const wiki = ["--volume-driver=holdfast", "--volume=wiki:/data"];
  await run(bench, "--name=c1", ...wiki, testImage, "sleep", "600");
  await dockerd.killEngineOnly();
  await dockerd.restart();
  expect((await named(engineOf(bench), "c1"))?.isRunning).toBe(false);
  await succeed(dockerd.docker("start", "c1"));
  expect((await named(engineOf(bench), "c1"))?.isRunning).toBe(true);
});

test("a process that is no engine is none", () => {
  const finder = findContainerEngines({ host: linuxHost(), driver: "holdfast" });
  expect(finder.ofCaller({ kind: "system" })).toBeUndefined();
  const caller = { kind: "process", uid: 0, gid: 0, pid: process.pid } as const;
  expect(finder.ofCaller(caller)).toBeUndefined();
  expect(finder.ofCaller({ ...caller, pid: 0 })).toBeUndefined();
  expect(finder.ofKey("containerd:/run/x.sock")).toBeUndefined();
});

async function containerPid(dockerd: RunningDockerd): Promise<number> {
  return Number(await succeed(dockerd.docker("inspect", "--format={{.State.Pid}}", "c1")));
}

/** Of a container's first process it is the shim. */
async function parentOf(pid: number): Promise<number> {
  const status = await Bun.file(`/proc/${pid}/status`).text();
  return Number(/^PPid:\s*(\d+)$/m.exec(status)?.[1]);
}

/** A zombie counts as alive. */
function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}
