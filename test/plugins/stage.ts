// Holdfast with plugins, a registry, and a real dockerd behind which its volumes are used.
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { type Ended, eventually, runToEnd } from "../support/child.ts";
import { HoldsBench, type HoldsBenchOptions, type OwnVolume } from "../support/holds-bench.ts";
import { unmountBelow } from "../support/plugin-stage.ts";
import { testImage } from "../support/test-image.ts";

const commandTimeoutMs = 60_000;
const patienceMs = 30_000;

/** What Holdfast's own API says of a plugin, as far as tests look at it. */
export interface ShownPlugin {
  readonly name: string;
  readonly state: string;
  readonly reason: string | null;
  readonly restarts: number;
  /** Of its manifest. */
  readonly digest: string | null;
}

/** Its docker command line talks to Holdfast's socket, with the logins of `folder/config.json`. */
export class Stage implements AsyncDisposable {
  readonly bench: HoldsBench;

  private constructor(options: HoldsBenchOptions) {
    this.bench = new HoldsBench(options);
  }

  /** With Holdfast, and with a dockerd unless `engine` says "none". */
  static async open(
    options: HoldsBenchOptions & { readonly engine?: "dockerd" | "none" } = {},
  ): Promise<Stage> {
    const stage = new Stage(options);
    try {
      await stage.bench.startDaemon();
      if (options.engine !== "none") await stage.bench.startDockerd();
      return stage;
    } catch (error) {
      await stage[Symbol.asyncDispose]();
      throw error;
    }
  }

  get folder(): string {
    return this.bench.folder;
  }

  /** The docker command line at Holdfast's socket. */
  run(...words: readonly string[]): Promise<Ended> {
    const place = ["--config", this.folder, "--host", `unix://${this.bench.daemon.socketPath}`];
    return runToEnd("docker", [...place, ...words], { timeoutMs: commandTimeoutMs });
  }

  /** What it printed; throws when it failed. */
  async docker(...words: readonly string[]): Promise<string> {
    const { exit, stdout, stderr } = await this.run(...words);
    if (exit === 0) return stdout.trim();
    throw new Error(`docker ${words.join(" ")}: ${exit}: ${stderr}\n${this.log()}`);
  }

  /** Makes a plugin of a folder and sends it to its registry; nothing of it stays here. */
  async publish(name: string, folder: string): Promise<void> {
    await this.docker("plugin", "create", name, folder);
    await this.docker("plugin", "push", name);
    await this.docker("plugin", "rm", name);
  }

  /** A container of dockerd that has a volume at /data, and sleeps. */
  async container(name: string, volume: string): Promise<void> {
    await this.bench.run(name, "-v", `${volume}:/data`);
  }

  /** Runs a line of its shell in a container of dockerd. */
  async shell(container: string, line: string): Promise<string> {
    return await this.bench.docker("exec", container, "sh", "-c", line);
  }

  /** The same in a new container, which is removed. */
  async shellOnce(volume: string, line: string): Promise<string> {
    const place = ["run", "--rm", "--network=none", "-v", `${volume}:/data`];
    return await this.bench.docker(...place, testImage, "sh", "-c", line);
  }

  /** undefined: there is none, or it has not been found yet. */
  async plugin(name: string): Promise<ShownPlugin | undefined> {
    const path = `/holdfast/v1/plugins/${encodeURIComponent(name)}`;
    const answer = await fetch(`http://holdfast${path}`, { unix: this.bench.daemon.socketPath });
    if (answer.status === 404) return undefined;
    if (answer.status !== 200) throw new Error(`${name}: ${await answer.text()}`);
    return (await answer.json()) as ShownPlugin; // The contract of src/api/holdfast/contract.ts.
  }

  volume(name: string): Promise<OwnVolume> {
    return this.bench.volume(name);
  }

  /** Waits until a look at Holdfast answers something. */
  async until<T>(what: string, look: () => Promise<T | undefined> | T | undefined): Promise<T> {
    const otherwise = () => `it did not come to be: ${what}\n${this.log()}`;
    return await eventually(look, { timeoutMs: patienceMs, otherwise });
  }

  async untilState(plugin: string, state: string): Promise<ShownPlugin> {
    return await this.until(`${plugin} is ${state}`, async () => {
      const shown = await this.plugin(plugin);
      return shown?.state === state ? shown : undefined;
    });
  }

  /** The first process of a managed plugin, on the host. */
  async processOf(plugin: string): Promise<number> {
    const id = await this.docker("plugin", "inspect", "--format", "{{.Id}}", plugin);
    return await this.until(`${plugin} has a process`, () => firstProcess(id));
  }

  log(): string {
    return this.bench.daemon.output().slice(-4_000);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      await this.#endPlugins();
    } finally {
      await this.bench[Symbol.asyncDispose]();
    }
  }

  /** With nobody left who has their volumes they end with the daemon, whoever started them. */
  async #endPlugins(): Promise<void> {
    const { bench, folder } = this;
    await bench.killDockerd();
    if (!existsSync(`/proc/${bench.daemon.pid}`)) await bench.startDaemon();
    const ids = (await this.docker("plugin", "ls", "--quiet")).split("\n").filter(Boolean);
    for (const id of ids) await this.run("plugin", "rm", "--force", id);
    await bench.daemon.stop();
    await unmountBelow(folder);
  }
}

/** The process that is number 1 in its container, by its control group. */
function firstProcess(id: string): number | undefined {
  for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
    try {
      const isFirst = /^NSpid:.*\t1$/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
      if (isFirst && readFileSync(`/proc/${pid}/cgroup`, "utf8").includes(id.slice(0, 16)))
        return Number(pid);
    } catch {
      // It has ended since it was listed.
    }
  }
  return undefined;
}
