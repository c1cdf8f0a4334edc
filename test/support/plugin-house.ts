// A daemon with plugins of both kinds that is killed and started again, and all that it may leave
// anywhere: directories, blobs, mounts, control groups, runtime state, processes.
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { readMountTable } from "../../src/host/mount-table.ts";
import {
  blobsOf,
  type PluginRecord,
  parseRecord,
  rootfsNamesOf,
} from "../../src/plugins/managed/record.ts";
import { runPlaces } from "../../src/plugins/runtime/run-places.ts";
import { Client } from "../crash/client.ts";
import { type Ended, eventually, runToEnd, signalAll } from "./child.ts";
import {
  type DaemonOptions,
  type RunningDaemon,
  startDaemon,
  temporaryDirectory,
} from "./daemon.ts";
import { pluginProcess } from "./plugin-process.ts";
import { unmountBelow } from "./plugin-stage.ts";

const commandTimeoutMs = 120_000;
const patienceMs = 20_000;

export class PluginHouse implements AsyncDisposable {
  readonly folder: string;
  readonly root: string;
  /** Where plugins with sockets are found. */
  readonly sockets: string;
  /** Where the running part of managed plugins lies. */
  readonly runDirectory: string;
  readonly #options: Partial<DaemonOptions>;
  /** Every plugin that was ever installed here. */
  readonly #ids = new Set<string>();
  #daemon: RunningDaemon | undefined;

  constructor(options: Partial<DaemonOptions> = {}) {
    this.#options = options;
    this.folder = temporaryDirectory();
    this.root = join(this.folder, "root");
    this.sockets = join(this.folder, "sockets");
    const hash = createHash("sha256").update(this.root).digest("hex").slice(0, 12);
    this.runDirectory = `/run/holdfast/${hash}`;
    mkdirSync(this.sockets);
  }

  get daemon(): RunningDaemon {
    if (this.#daemon === undefined) throw new Error("the daemon was never started");
    return this.#daemon;
  }

  get client(): Client {
    return new Client(this.daemon.socketPath);
  }

  async start(): Promise<void> {
    const { root, sockets: pluginSockets } = this;
    this.#daemon = await startDaemon({ root, pluginSockets, ...this.#options });
  }

  /** SIGKILL; the next one is there when it resolves. */
  async killAndStart(): Promise<void> {
    this.records();
    await this.daemon.kill();
    await this.start();
  }

  run(...words: readonly string[]): Promise<Ended> {
    return this.answering("", ...words);
  }

  /** The same, where somebody answers what it asks. */
  answering(input: string, ...words: readonly string[]): Promise<Ended> {
    const host = ["--host", `unix://${this.daemon.socketPath}`];
    return runToEnd("docker", [...host, ...words], { input, timeoutMs: commandTimeoutMs });
  }

  /** What it printed; throws when it failed. */
  async docker(...words: readonly string[]): Promise<string> {
    const { exit, stdout, stderr } = await this.run(...words);
    if (exit !== 0) throw new Error(`docker ${words.join(" ")}: ${exit}: ${stderr}`);
    return stdout;
  }

  /** What is installed, by the files that say so. */
  records(): readonly PluginRecord[] {
    const place = join(this.root, "plugins");
    const ids = listOf(place).filter((name) => existsSync(join(place, name, "plugin.json")));
    for (const id of ids) this.#ids.add(id);
    return ids.map((id) => parseRecord(readFileSync(join(place, id, "plugin.json"), "utf8"), id));
  }

  /** The one plugin that there is. */
  record(): PluginRecord {
    const [record, ...others] = this.records();
    if (record === undefined || others.length > 0) throw new Error("there is not one plugin");
    return record;
  }

  /** The process of a plugin on the host; undefined: it does not run. */
  pidOf(id: string): number | undefined {
    return pluginProcess(id);
  }

  /** Every process of a plugin, conmon and the runtime too. */
  processesOf(id: string): readonly string[] {
    const group = this.#groupOf(id);
    return processes()
      .filter(({ words, groups }) => {
        return groups.includes(group) || words.some((one) => one.includes(id));
      })
      .map(({ pid, words }) => `${pid} ${words.slice(0, 3).join(" ")}`);
  }

  pidsOf(program: string): readonly number[] {
    return processes()
      .filter(({ pid, words }) => {
        const isHere = words.some((word) => word.includes(this.runDirectory));
        return isHere && textOf(`/proc/${pid}/comm`).trim() === program;
      })
      .map(({ pid }) => pid);
  }

  /** Drivers that answer: built-in ones, and socket plugins. */
  async drivers(): Promise<readonly string[]> {
    const info = await this.client.expect(200, "GET", "/info");
    // GET /info of Docker.
    return (info as { readonly Plugins: { readonly Volume: readonly string[] } }).Plugins.Volume;
  }

  /** What the daemon has in memory. */
  memoryBytes(): number {
    const status = readFileSync(`/proc/${this.daemon.pid}/status`, "utf8");
    return Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1]) * 1024;
  }

  /** Throws, with all of it, unless what is here becomes what the records say, and no more. */
  async becomesWhole(when = ""): Promise<void> {
    let faults: readonly string[] = [];
    const look = () => {
      faults = this.#faults();
      return faults.length === 0 ? true : undefined;
    };
    const otherwise = () => `${when}:\n${faults.join("\n")}\n${this.daemon.output().slice(-4_000)}`;
    await eventually(look, { timeoutMs: patienceMs, otherwise });
  }

  /** What our own mounts of plugins' volumes are at, and their places without a mount. */
  ownMounts(): readonly string[] {
    const place = join(this.root, "plugins/mounts");
    const mounted = readMountTable()
      .filter(({ target }) => target.startsWith(`${place}/`))
      .map(({ target }) => `mounted ${target}`);
    return [...listOf(place).map((name) => `place ${name}`), ...mounted];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#daemon !== undefined) {
      this.records();
      await this.#daemon.stop();
    }
    for (const id of this.#ids) {
      const pids = this.processesOf(id).map((line) => Number.parseInt(line, 10));
      signalAll(pids, "SIGKILL");
    }
    await unmountBelow(this.folder);
    await unmountBelow(this.runDirectory);
    rmSync(this.folder, { recursive: true, force: true });
    rmSync(this.runDirectory, { recursive: true, force: true });
  }

  #groupOf(id: string): string {
    return runPlaces({ runDirectory: this.runDirectory, logDirectory: "" }, id).cgroupPath;
  }

  #faults(): readonly string[] {
    const records = this.records();
    return [...this.#faultsOnDisk(records), ...this.#faultsOfRuns(records)];
  }

  #faultsOnDisk(records: readonly PluginRecord[]): readonly string[] {
    const place = join(this.root, "plugins");
    const known = ["blobs", "logs", "mounts"];
    const ids = records.map(({ id }) => id);
    const blobs = new Set(records.flatMap(blobsOf).map((digest) => digest.replace(/.*:/, "")));
    const insides = records.flatMap((record) => {
      const names = ["plugin.json", "propagated-mount", ...rootfsNamesOf(record)];
      return differences(join(place, record.id), names);
    });
    return [
      ...differences(place, [...ids, ...known.filter((name) => existsSync(join(place, name)))]),
      ...insides,
      ...differences(join(place, "blobs/sha256"), [...blobs]),
      ...differences(join(place, "blobs/partial"), []),
    ];
  }

  #faultsOfRuns(records: readonly PluginRecord[]): readonly string[] {
    const enabled = records.filter(({ isEnabled }) => isEnabled).map(({ id }) => id);
    const stopped = [...this.#ids].filter((id) => !enabled.includes(id));
    const { runDirectory } = this;
    const groups = readMountTable()
      .filter(({ fileSystem }) => fileSystem.startsWith("cgroup"))
      .flatMap(({ target }) => stopped.map((id) => join(target, this.#groupOf(id))));
    const mounts = readMountTable()
      .map(({ target }) => target)
      .filter((target) => stopped.some((id) => target.includes(`/${id}/`)));
    return [
      ...enabled.filter((id) => this.pidOf(id) === undefined).map((id) => `${id} does not run`),
      ...stopped.flatMap((id) => this.processesOf(id)).map((line) => `process: ${line}`),
      ...this.#strays(enabled),
      ...groups.filter(existsSync).map((path) => `control group: ${path}`),
      ...mounts.map((target) => `mounted: ${target}`),
      ...differences(join(runDirectory, "bundles"), enabled),
      ...differences(join(runDirectory, "runtime"), enabled),
      ...differences(join(runDirectory, "exits"), []),
      ...listOf(join(runDirectory, "mounts"))
        .filter((id) => !enabled.includes(id))
        .map((id) => `file for mounts of ${id}`),
    ];
  }

  /** Each plugin has one conmon, and no runtime is at work. */
  #strays(enabled: readonly string[]): readonly string[] {
    const monitors = this.pidsOf("conmon");
    const extra = monitors.length === enabled.length ? [] : [`conmon: ${monitors.join(" ")}`];
    return [...extra, ...this.pidsOf("runc").map((pid) => `runc ${pid} is at work`)];
  }
}

interface SeenProcess {
  readonly pid: number;
  readonly words: readonly string[];
  readonly groups: string;
}

function processes(): readonly SeenProcess[] {
  return listOf("/proc")
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .map((pid) => ({
      pid: Number(pid),
      words: textOf(`/proc/${pid}/cmdline`).split("\0"),
      groups: textOf(`/proc/${pid}/cgroup`),
    }))
    .filter(({ pid }) => !textOf(`/proc/${pid}/stat`).includes(") Z "));
}

/** What is in a directory and should not be, and the other way round. */
function differences(directory: string, wanted: readonly string[]): readonly string[] {
  const found = listOf(directory);
  return [
    ...found.filter((name) => !wanted.includes(name)).map((name) => `left: ${directory}/${name}`),
    ...wanted.filter((name) => !found.includes(name)).map((name) => `lost: ${directory}/${name}`),
  ];
}

function listOf(directory: string): readonly string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}

function textOf(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return "";
  }
}
