// An engine in this process whose volumes are FUSE mounts that a test kills, and a real dockerd.
import type { ChildProcess } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { makePluginHandler } from "../../src/api/plugin/router.ts";
import { findContainerEngines } from "../../src/containers/finder.ts";
import { systemCaller } from "../../src/core/operation.ts";
import { makeHoldsDirectory } from "../../src/daemon/holds-directory.ts";
import { linuxHost } from "../../src/host/linux.ts";
import { readMountTable } from "../../src/host/mount-table.ts";
import { peerOf } from "../../src/host/peer.ts";
import { HttpServer } from "../../src/http/server.ts";
import { eventually, runToEnd, startChild, stopChild } from "./child.ts";
import { type RunningDockerd, startDockerd } from "./dockerd.ts";
import { EngineBench } from "./engine-bench.ts";
import { IllStorage } from "./ill-storage.ts";
import { makePodman, type Podman } from "./podman.ts";
import { loadTestImage, testImage } from "./test-image.ts";

const waitMs = 20_000;

/** Volumes have the driver `ill`, and are served by one rclone each. */
export class HealingBench implements AsyncDisposable {
  readonly #folder = mkdtempSync(join(tmpdir(), "hfh-"));
  readonly #servers = new Map<string, ChildProcess>();
  readonly engines: EngineBench;
  readonly ill: IllStorage;
  #http: HttpServer | undefined;
  #dockerd: RunningDockerd | undefined;
  #podman: Podman | undefined;

  constructor() {
    const host = linuxHost();
    const finder = findContainerEngines({ host, driver: "holdfast", socketFolder: this.#plugins });
    this.engines = new EngineBench({
      drivers: (bench) => [this.ill.driver, bench.local()],
      host: () => host,
      finder,
    });
    this.ill = new IllStorage(this.engines.root, {
      mount: (source, target) => this.#mount(source, target),
      unmount: (target) => this.#unmount(target),
    });
  }

  get #plugins(): string {
    return join(this.#folder, "plugins");
  }

  async start(): Promise<void> {
    mkdirSync(this.#plugins, { recursive: true });
    mkdirSync(this.engines.root, { recursive: true });
    const where = { root: this.engines.root, isForEngines: true };
    await makeHoldsDirectory(where, this.engines.host, this.engines.operation());
    await this.engines.start();
    await this.#listen();
    const dataRoot = join(this.#folder, "docker");
    const dockerd = await startDockerd({ dataRoot, pluginFolder: this.#plugins });
    this.#dockerd = dockerd;
    await loadTestImage((...parameters) => dockerd.docker(...parameters));
  }

  async #listen(): Promise<void> {
    const { engine } = this.engines;
    this.#http = new HttpServer({
      handler: makePluginHandler({
        engine,
        holds: engine.holds,
        operation: ({ peer }) => ({
          ...this.engines.operation(),
          caller: peer === undefined ? systemCaller : { kind: "process", ...peer },
        }),
      }),
      peerOf,
      clock: this.engines.host,
      onServerError: (error) => console.error(error),
      onHandlerError: (error) => {
        throw error;
      },
    });
    await this.#http.listen({ path: join(this.#plugins, "holdfast.sock") });
  }

  /** A new life of the engine over the same storage and containers. */
  async restartEngine(): Promise<void> {
    await this.#http?.close({ drainMs: 1_000 });
    await this.engines.restart();
    await this.#listen();
  }

  /** The docker command line; throws unless it ends with 0. */
  async docker(...parameters: readonly string[]): Promise<string> {
    if (this.#dockerd === undefined) throw new Error("dockerd does not run");
    const ended = await this.#dockerd.docker(...parameters);
    if (ended.exit === 0) return ended.stdout.trim();
    throw new Error(`docker ${parameters.join(" ")}: ${ended.exit} ${ended.stderr}`);
  }

  async create(name: string, ...options: readonly string[]): Promise<void> {
    const words = ["driver=ill", "server=10.0.0.5", ...options].flatMap((one) => ["-o", one]);
    await this.docker("volume", "create", "-d", "holdfast", ...words, name);
  }

  /** Starts a container that runs a line of shell; with the volume at /data. Returns its id. */
  async run(name: string, volume: string, line = "sleep 1000"): Promise<string> {
    const place = ["--name", name, "--network", "none", "--init=false", "--stop-signal", "KILL"];
    const mount = ["-v", `${volume}:/data`];
    return await this.docker("run", "-d", ...place, ...mount, testImage, "sh", "-c", line);
  }

  /** What a container reads: `server-1` of the first mount of its volume. */
  async read(container: string): Promise<string> {
    return await this.docker("exec", container, "cat", "/data/origin").catch(String);
  }

  async reads(container: string, wanted: string): Promise<void> {
    let seen = "";
    await eventually(
      async () => {
        seen = await this.read(container);
        return seen === wanted ? true : undefined;
      },
      { timeoutMs: waitMs, otherwise: () => `${seen}\n${JSON.stringify(this.engines.log)}` },
    );
  }

  /** A Podman whose driver `holdfast` this engine is. */
  async startPodman(): Promise<Podman> {
    const plugins = { holdfast: join(this.#plugins, "holdfast.sock") };
    const podman = makePodman({ plugins });
    this.#podman = podman;
    await loadTestImage(podman.run);
    return podman;
  }

  /** SIGKILL to what serves the volume: its mount is dead, and nobody has noticed. */
  async killServer(volume: string): Promise<void> {
    const target = join(this.engines.root, "ill", volume, "data");
    const child = this.#servers.get(target);
    child?.kill("SIGKILL");
    if (child !== undefined) await stopChild(child);
  }

  /** The next look, which comes now, sees that the mount is dead. */
  noticeDeath(volume: string): void {
    this.ill.volumes.set(volume, { state: "stale", reason: "its process has died", tookMs: null });
    this.engines.engine.health.askSoon(this.engines.engine.volumes.inspect(volume).name);
  }

  /** Waits until these containers, by id, are those that must restart. */
  async mustRestart(volume: string, ...wanted: readonly string[]): Promise<void> {
    const { care, holds, volumes } = this.engines.engine;
    const { name } = volumes.inspect(volume);
    await eventually(
      async () => {
        await holds.refresh(this.engines.operation());
        const seen = [...care.mustRestart(name)].sort();
        return seen.join() === wanted.toSorted().join() ? true : undefined;
      },
      { timeoutMs: waitMs, otherwise: () => JSON.stringify([...care.mustRestart(name)]) },
    );
  }

  /** Mounts of all holds, now. */
  holdMounts(): readonly string[] {
    const place = `${this.engines.root}/holds/`;
    return readMountTable().flatMap(({ target }) => (target.startsWith(place) ? [target] : []));
  }

  async noHolds(): Promise<void> {
    await eventually(() => (this.holdMounts().length === 0 ? true : undefined), {
      timeoutMs: waitMs,
      otherwise: () => JSON.stringify([this.holdMounts(), this.engines.log.slice(-10)]),
    });
  }

  async #mount(source: string, target: string): Promise<void> {
    await this.#unmount(target);
    writeFileSync(join(source, "origin"), source.slice(source.lastIndexOf("/") + 1));
    const words = ["mount", source, target, "--allow-other", "--config", "/dev/null"];
    this.#servers.set(target, startChild("rclone", words));
    await eventually(
      () => (readMountTable().some((line) => line.target === target) ? true : undefined),
      { timeoutMs: waitMs, otherwise: () => `rclone does not mount ${target}` },
    );
  }

  async #unmount(target: string): Promise<void> {
    if (readMountTable().some((line) => line.target === target)) {
      await runToEnd("umount", ["--lazy", target], { timeoutMs: waitMs });
    }
    const child = this.#servers.get(target);
    if (child !== undefined) await stopChild(child);
    this.#servers.delete(target);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#podman?.[Symbol.asyncDispose]();
    await this.#dockerd?.kill();
    await this.#http?.close({ drainMs: 1_000 });
    for (const target of [...this.#servers.keys()]) await this.#unmount(target);
    for (const target of [...this.holdMounts(), join(this.engines.root, "holds")]) {
      await runToEnd("umount", ["--lazy", target], { timeoutMs: waitMs });
    }
    await this.engines[Symbol.asyncDispose]();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
