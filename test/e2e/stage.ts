// Where tours are played: an engine of their own, under the paths that documents show.
//
// The machine's own engine and files are never touched: shown paths become paths below one
// temporary directory, programs come from a short list, and this file plays the service manager.
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { dirname, join } from "node:path";
import { linuxHost } from "../../src/host/linux.ts";
import { type RunningDaemon, startDaemon, temporaryDirectory } from "../support/daemon.ts";
import { type RunningDockerd, startDockerd } from "../support/dockerd.ts";
import { type RunningRegistry, startRegistry } from "../support/registry.ts";
import { type BackgroundPlace, BackgroundPrograms } from "./background.ts";
import { backgroundWord } from "./command-words.ts";
import { untilMeasured } from "./measured.ts";
import { type Printed, runOnTerminal } from "./on-terminal.ts";
import { publishPlugins } from "./published-plugins.ts";

/** What documents show, and where it lies below the stage. */
const shownPaths: readonly (readonly [shown: string, below: string])[] = [
  ["/run/holdfast/holdfast.sock", "holdfast.sock"],
  // Before the root, which its own path begins with.
  ["/etc/holdfast/secret.key", "root.key"],
  ["/var/lib/holdfast", "root"],
  ["/var/lib/docker", "docker"],
  ["/var/backups", "backups"],
  ["/run/docker/plugins", "plugins"],
  ["/srv", "srv"],
];

/** Programs that change files; every path they get must lie below the stage. */
const filePrograms = new Set(["cat", "cp", "fallocate", "ls", "mkdir", "mv", "rm", "stat"]);

/** Libraries of the machine, which may be copied. */
const library = /^\/lib(?:64)?\/[\w./+-]+$/;

const clients = new Set(["bun", "curl", "docker", "holdfast"]);

/** Programs that may run beside a tour. */
const servers = new Set(["bun", "docker-registry", "holdfast", "node", "rclone"]);

/** Where a document's registry listens; here it is a free port. */
const shownRegistry = "127.0.0.1:5000";
/** The same for a server on another machine, which a tour has beside itself. */
const shownServer = "127.0.0.1:8080";

/** Runs the words of one command after the other, and keeps what `export` and a failure leave. */
export class Stage implements AsyncDisposable {
  readonly #place = temporaryDirectory();
  readonly #executable: string;
  readonly #exported = new Map<string, string>();
  readonly #background = new BackgroundPrograms();
  readonly #serverPort: number;
  #registryPort: number;
  #registryProgram: RunningRegistry | undefined;
  #daemon: RunningDaemon | undefined;
  #dockerd: RunningDockerd | undefined;
  #lastExit = 0;

  private constructor(executable: string, registryPort: number, serverPort: number) {
    this.#executable = executable;
    this.#serverPort = serverPort;
    this.#registryPort = registryPort;
    const names = ["home", "backups", "srv", "plugins", "work"];
    for (const name of names) mkdirSync(join(this.#place, name));
  }

  /**
   * `executable` is the compiled Holdfast, as an absolute path; `files` lie where programs run.
   */
  static async open(
    executable: string,
    files: ReadonlyMap<string, string> = new Map(),
  ): Promise<Stage> {
    const stage = new Stage(executable, await freePort(), await freePort());
    for (const [name, text] of files) {
      const path = join(stage.#place, "work", name);
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(path, text.replaceAll(shownRegistry, stage.#registry));
    }
    await stage.#start();
    return stage;
  }

  /** What the command prints, in the words of the document. Throws where it may not be run. */
  async run(words: readonly string[], answers: readonly string[]): Promise<string> {
    const own = words.map((word) => this.#toOwn(word));
    const played = await this.#play(own);
    const printed = played ?? (await this.#execute(own, answers));
    this.#lastExit = printed.exit;
    return this.#toShown(printed.text);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#background[Symbol.asyncDispose]();
    await this.#dockerd?.stop();
    await this.#registryProgram?.[Symbol.asyncDispose]();
    await this.#daemon?.stop();
    for (const target of mountsBelow(this.#place)) spawnSync("umount", ["--lazy", "--", target]);
    // Never remove what a mount shows: it may be another directory of this machine.
    if (mountsBelow(this.#place).length > 0) throw new Error(`mounts are left in ${this.#place}`);
    unsealAll(this.#place);
    rmSync(this.#place, { recursive: true });
  }

  /** What only a shell or a service manager can do; undefined: it is a program. */
  async #play(words: readonly string[]): Promise<Printed | undefined> {
    const [program, ...rest] = words;
    if (program === "export") {
      for (const word of rest) this.#export(word);
      return { text: "", exit: 0 };
    }
    if (program === "echo" && rest.join(" ") === "$?") {
      return { text: `${this.#lastExit}\n`, exit: 0 };
    }
    if (program === "kill") await this.#background.kill(rest, this.#backgroundPlace());
    else if (program === "systemctl") await this.#systemctl(rest.join(" "));
    else if (words.at(-1) === backgroundWord) await this.#beside(words.slice(0, -1));
    else return undefined;
    return { text: "", exit: 0 };
  }

  async #beside(words: readonly string[]): Promise<void> {
    const [program = "", ...rest] = words;
    if (!servers.has(program)) throw new Error(`a tour may not run ${program} beside itself`);
    const server = rest.includes(this.#server) ? this.#serverPort : undefined;
    const port = program === "docker-registry" ? this.#registryPort : server;
    const path = program === "holdfast" ? this.#executable : programOf(program);
    await this.#background.start([path, ...rest], this.#backgroundPlace(), port);
  }

  #backgroundPlace(): BackgroundPlace {
    return {
      directory: join(this.#place, "work"),
      environment: this.#environment(),
      pluginFolder: join(this.#place, "plugins"),
      socketPath: join(this.#place, "holdfast.sock"),
    };
  }

  #export(word: string): void {
    const [, name, value] = /^([A-Z_]+)=(.*)$/.exec(word) ?? [];
    if (name === undefined || value === undefined) throw new Error(`export takes X=Y: ${word}`);
    this.#exported.set(name, value);
  }

  async #systemctl(words: string): Promise<void> {
    switch (words) {
      case "start holdfast":
        return this.#start();
      case "stop holdfast":
        return this.#daemon?.stop();
      case "restart holdfast":
        await this.#daemon?.stop();
        return this.#start();
      case "kill --signal=KILL holdfast":
        // The unit of an installation says Restart=on-failure.
        await this.#daemon?.kill();
        return this.#start();
      case "start docker":
        this.#dockerd ??= await startDockerd({ dataRoot: join(this.#place, "docker") });
        return;
      case "start docker-registry":
        return this.#startRegistry();
      default:
        throw new Error(`nobody plays systemctl ${words}`);
    }
  }

  async #start(): Promise<void> {
    const root = join(this.#place, "root");
    const socketPath = join(this.#place, "holdfast.sock");
    const pluginSockets = join(this.#place, "plugins");
    const command = [this.#executable] as const;
    this.#daemon = await startDaemon({ root, socketPath, pluginSockets, command });
  }

  async #startRegistry(): Promise<void> {
    this.#registryProgram = await startRegistry();
    this.#registryPort = Number(this.#registryProgram.host.split(":").at(-1));
    const holdfast = { command: [this.#executable], environment: this.#environment() } as const;
    await publishPlugins(this.#registry, join(this.#place, "published"), holdfast);
  }

  async #execute(words: readonly string[], answers: readonly string[]): Promise<Printed> {
    const [program = "", ...rest] = words;
    if (filePrograms.has(program)) this.#checkPaths(rest);
    else if (!clients.has(program)) throw new Error(`a tour may not run ${program}`);
    // Without it the machine's own Docker Engine would be asked.
    if (program === "docker" && !this.#exported.has("DOCKER_HOST")) {
      throw new Error("a tour with docker begins with export DOCKER_HOST=…");
    }
    const environment = this.#environment();
    if (program === "holdfast") await untilMeasured(rest, join(this.#place, "holdfast.sock"));
    const path = program === "holdfast" ? this.#executable : programOf(program);
    const directory = join(this.#place, "work");
    return runOnTerminal({ command: [path, ...rest], environment, answers, directory });
  }

  #environment(): Readonly<Record<string, string>> {
    return {
      PATH: `${dirname(this.#executable)}:${process.env["PATH"] ?? ""}`,
      HOME: join(this.#place, "home"),
      LANG: "C.UTF-8",
      HOLDFAST_HOST: `unix://${join(this.#place, "holdfast.sock")}`,
      HOLDFAST_PLUGIN_SOCKETS: join(this.#place, "plugins"),
      ...Object.fromEntries(this.#exported),
    };
  }

  #checkPaths(words: readonly string[]): void {
    const paths = words.filter((each) => !each.startsWith("-"));
    for (const [index, word] of paths.entries()) {
      const isBelow = word.startsWith(`${this.#place}/`) || !word.startsWith("/");
      const isRead = index < paths.length - 1 && library.test(word);
      if ((isBelow || isRead) && !word.split("/").includes("..")) continue;
      throw new Error(`a tour may not touch ${word}`);
    }
  }

  get #registry(): string {
    return `127.0.0.1:${this.#registryPort}`;
  }

  get #server(): string {
    return `127.0.0.1:${this.#serverPort}`;
  }

  #toOwn(word: string): string {
    return this.#paths().reduce((text, [shown, own]) => text.replaceAll(shown, own), word);
  }

  #toShown(text: string): string {
    return this.#paths().reduce((before, [shown, own]) => before.replaceAll(own, shown), text);
  }

  #paths(): readonly (readonly [shown: string, own: string])[] {
    const below: (readonly [string, string])[] = [
      ...shownPaths.map(([shown, path]) => [shown, join(this.#place, path)] as const),
      [shownRegistry, this.#registry],
      [shownServer, this.#server],
      ["port=8080", `port=${this.#serverPort}`],
    ];
    if (this.#dockerd === undefined) return below;
    return [...below, ["/run/docker.sock", this.#dockerd.socketPath]];
  }
}

/** Mount points of remote volumes take nothing, nor can they be removed, while they are sealed. */
function unsealAll(folder: string): void {
  if (!existsSync(folder)) return;
  const host = linuxHost();
  for (const entry of readdirSync(folder, { recursive: true, encoding: "utf8" })) {
    if (entry.endsWith("/data")) host.seal(join(folder, entry), false);
  }
}

/** Deepest first. */
function mountsBelow(place: string): readonly string[] {
  return readFileSync("/proc/self/mountinfo", "utf8")
    .split("\n")
    .map((line) => line.split(" ")[4] ?? "")
    .filter((target) => target.startsWith(`${place}/`))
    .toReversed();
}

/** Bun is the one that runs the tests: there may be no other. */
function programOf(name: string): string {
  return name === "bun" ? process.execPath : name;
}

/** One that nobody listens at, at the moment. */
async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  return typeof address === "object" && address !== null ? address.port : 0;
}
