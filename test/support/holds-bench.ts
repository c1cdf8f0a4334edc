// A Holdfast daemon and a real dockerd that keeps its volumes there, for one test file.
import { mkdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { type Ended, eventually, runToEnd } from "./child.ts";
import { holdfastCommand, type RunningDaemon, startDaemon, temporaryDirectory } from "./daemon.ts";
import { type DockerdOptions, type RunningDockerd, startDockerd } from "./dockerd.ts";
import { makePodman, type Podman } from "./podman.ts";
import { loadTestImage, testImage } from "./test-image.ts";

/** Short, so that tests of leaks need not wait for minutes. */
export const HOLD_GRACE_MS = 1_500;

/** How long a command may take. */
const commandTimeoutMs = 60_000;

export interface HoldsBenchOptions {
  readonly dockerd?: Partial<DockerdOptions>;
  /** The root directory; one in the bench's folder unless given. Its owner removes it. */
  readonly root?: string;
  /** Containers may lock: `lockDirectory` is served. */
  readonly servesContainers?: boolean;
  /** Further arguments of the Holdfast daemon. */
  readonly parameters?: readonly string[];
}

/** What Holdfast's own API says of a volume. */
export interface OwnVolume {
  readonly name: string;
  readonly state: string;
  readonly holders: readonly {
    readonly id: string;
    readonly state: string;
    readonly name: string | null;
    readonly project: string | null;
    readonly access: "ro" | "rw" | null;
    readonly reason: string | null;
  }[];
}

export class HoldsBench implements AsyncDisposable {
  readonly folder = temporaryDirectory();
  readonly #options: HoldsBenchOptions;
  #daemon: RunningDaemon | undefined;
  #dockerd: RunningDockerd | undefined;
  #podman: Podman | undefined;

  constructor(options: HoldsBenchOptions = {}) {
    this.#options = options;
    for (const folder of [this.pluginFolder, this.otherPlugins]) {
      mkdirSync(folder, { recursive: true });
    }
  }

  /** What dockerd sees as /run/docker/plugins. */
  get pluginFolder(): string {
    return join(this.folder, "plugins");
  }

  /** What containers get to find the locks' socket in. */
  get lockDirectory(): string {
    return join(this.folder, "locks");
  }

  /** Where Holdfast looks for plugins on sockets; dockerd does not see them. */
  get otherPlugins(): string {
    return join(this.folder, "others");
  }

  get root(): string {
    return this.#options.root ?? join(this.folder, "root");
  }

  get daemon(): RunningDaemon {
    if (this.#daemon === undefined) throw new Error("Holdfast does not run");
    return this.#daemon;
  }

  get dockerd(): RunningDockerd {
    if (this.#dockerd === undefined) throw new Error("dockerd does not run");
    return this.#dockerd;
  }

  /** Holdfast first, as at a boot: dockerd's mount namespace then gets its holds. */
  async start(): Promise<void> {
    await this.startDaemon();
    await this.startDockerd();
  }

  /** `further` arguments for this start only. */
  async startDaemon(...further: readonly string[]): Promise<void> {
    const parameters = ["--hold-grace", String(HOLD_GRACE_MS / 1_000), ...further];
    this.#daemon = await startDaemon({
      root: this.root,
      pluginSocketPath: join(this.pluginFolder, "holdfast.sock"),
      pluginSockets: this.otherPlugins,
      ...(this.#options.servesContainers === true ? { lockDirectory: this.lockDirectory } : {}),
      parameters: [...parameters, ...(this.#options.parameters ?? [])],
    });
  }

  async startDockerd(): Promise<void> {
    this.#dockerd = await startDockerd({
      dataRoot: join(this.folder, "docker"),
      pluginFolder: this.pluginFolder,
      ...this.#options.dockerd,
    });
    const dockerd = this.#dockerd;
    await loadTestImage((...parameters) => dockerd.docker(...parameters));
  }

  /** Thrown away: its containers need not be asked to end, which takes ten seconds each. */
  async killDockerd(): Promise<void> {
    await this.#dockerd?.kill();
  }

  /** A Podman whose driver `holdfast` this daemon is, with the test image. Ended with the bench. */
  async startPodman(): Promise<Podman> {
    const podman = makePodman({ plugins: { holdfast: join(this.pluginFolder, "holdfast.sock") } });
    this.#podman = podman;
    await loadTestImage(podman.run);
    return podman;
  }

  /** The docker command line; throws, with its words, unless it ends with 0. */
  async docker(...parameters: readonly string[]): Promise<string> {
    const ended = await this.dockerd.docker(...parameters);
    if (ended.exit === 0) return ended.stdout.trim();
    throw new Error(`docker ${parameters.join(" ")}: ${ended.exit} ${ended.stderr}`);
  }

  /** What docker says of a command that it refuses. */
  async refused(...parameters: readonly string[]): Promise<string> {
    const ended = await this.dockerd.docker(...parameters);
    if (ended.exit !== 0) return ended.stderr.trim();
    throw new Error(`docker ${parameters.join(" ")} was not refused`);
  }

  /** Starts a container with `sleep`, named, with `-v` arguments. Returns its id. */
  async run(name: string, ...mounts: readonly string[]): Promise<string> {
    // As the first process of a container `sleep` ignores SIGTERM.
    const place = ["--name", name, "--network", "none", "--init=false", "--stop-signal", "KILL"];
    return await this.docker("run", "-d", ...place, ...mounts, testImage, "sleep", "10000");
  }

  async createVolume(name: string, ...options: readonly string[]): Promise<void> {
    const words = options.flatMap((option) => ["-o", option]);
    await this.docker("volume", "create", "-d", "holdfast", ...words, name);
  }

  /** Holdfast's own command line. */
  async holdfast(...parameters: readonly string[]): Promise<Ended> {
    const [program, ...first] = holdfastCommand();
    const environment = { HOLDFAST_HOST: `unix://${this.daemon.socketPath}` };
    const words = [...first, ...parameters];
    return await runToEnd(program, words, { environment, timeoutMs: commandTimeoutMs });
  }

  async volume(name: string): Promise<OwnVolume> {
    const answer = await fetch(`http://holdfast/holdfast/v1/volumes/${name}`, {
      unix: this.daemon.socketPath,
    });
    if (answer.status !== 200) throw new Error(`${name}: ${answer.status} ${await answer.text()}`);
    return (await answer.json()) as OwnVolume; // The contract of src/api/holdfast/contract.ts.
  }

  /** One call of the volume driver socket, by a program that is no container engine. */
  async call(method: string, request: unknown): Promise<{ readonly Err?: string }> {
    const answer = await fetch(`http://holdfast/VolumeDriver.${method}`, {
      ...{ method: "POST", body: JSON.stringify(request) },
      unix: join(this.pluginFolder, "holdfast.sock"),
    });
    return (await answer.json()) as { readonly Err?: string }; // Docker's plugin protocol.
  }

  /** Waits until the holders of a volume, as `name state access`, are these. */
  async holders(volume: string, ...wanted: readonly string[]): Promise<void> {
    let seen: readonly string[] = [];
    await eventually(
      async () => {
        const { holders } = await this.volume(volume);
        seen = holders.map(({ id, name, state, access }) => `${name ?? id} ${state} ${access}`);
        return seen.toSorted().join() === wanted.toSorted().join() ? true : undefined;
      },
      {
        timeoutMs: 10_000,
        otherwise: () => `${volume}: ${JSON.stringify(seen)}\n${this.daemon.output()}`,
      },
    );
  }

  /** What is mounted for holds now, by the kernel. */
  holdMounts(): readonly string[] {
    return this.#mountsIn("holds");
  }

  #mountsIn(folder: string): readonly string[] {
    const place = `${join(this.root, folder)}/`;
    const lines = readFileSync("/proc/self/mountinfo", "utf8").split("\n");
    return lines.flatMap((line) => {
      const target = line.split(" ")[4] ?? "";
      return target.startsWith(place) ? [target] : [];
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#podman?.[Symbol.asyncDispose]();
    await this.killDockerd();
    await this.#daemon?.stop();
    const left = [...this.#mountsIn("holds"), ...this.#mountsIn("remote")];
    const locks = [this.lockDirectory, `${this.lockDirectory}.own`];
    for (const target of [...left, join(this.root, "holds"), ...locks]) {
      await runToEnd("umount", ["--lazy", target], { timeoutMs: commandTimeoutMs });
    }
    // What is left in the trash may have a sealed mount point.
    const unseal = ["-R", "-f", "-i", this.folder];
    await runToEnd("chattr", unseal, { timeoutMs: commandTimeoutMs });
    rmSync(this.folder, { recursive: true, force: true });
  }
}
