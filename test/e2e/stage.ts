// Where tours are played: an engine of their own, under the paths that documents show.
//
// The machine's own engine and files are never touched: shown paths become paths below one
// temporary directory, programs come from a short list, and this file plays the service manager.
import { spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { type RunningDaemon, startDaemon, temporaryDirectory } from "../support/daemon.ts";
import { type RunningDockerd, startDockerd } from "../support/dockerd.ts";
import { untilMeasured } from "./measured.ts";
import { type Printed, runOnTerminal } from "./on-terminal.ts";

/** What documents show, and where it lies below the stage. */
const shownPaths: readonly (readonly [shown: string, below: string])[] = [
  ["/run/holdfast/holdfast.sock", "holdfast.sock"],
  ["/var/lib/holdfast", "root"],
  ["/var/lib/docker", "docker"],
  ["/var/backups", "backups"],
  ["/srv", "srv"],
];

/** Programs that change files; every path they get must lie below the stage. */
const filePrograms = new Set(["cat", "cp", "fallocate", "ls", "mkdir", "mv", "rm", "stat"]);

const clients = new Set(["curl", "docker", "holdfast"]);

/** Runs the words of one command after the other, and keeps what `export` and a failure leave. */
export class Stage implements AsyncDisposable {
  readonly #place = temporaryDirectory();
  readonly #executable: string;
  readonly #exported = new Map<string, string>();
  #daemon: RunningDaemon | undefined;
  #dockerd: RunningDockerd | undefined;
  #lastExit = 0;

  private constructor(executable: string) {
    this.#executable = executable;
    for (const name of ["home", "backups", "srv"]) mkdirSync(join(this.#place, name));
  }

  /** `executable` is the compiled Holdfast, as an absolute path. */
  static async open(executable: string): Promise<Stage> {
    const stage = new Stage(executable);
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
    await this.#dockerd?.stop();
    await this.#daemon?.stop();
    for (const target of mountsBelow(this.#place)) spawnSync("umount", ["--lazy", "--", target]);
    // Never remove what a mount shows: it may be another directory of this machine.
    if (mountsBelow(this.#place).length > 0) throw new Error(`mounts are left in ${this.#place}`);
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
    if (program !== "systemctl") return undefined;
    await this.#systemctl(rest.join(" "));
    return { text: "", exit: 0 };
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
      default:
        throw new Error(`nobody plays systemctl ${words}`);
    }
  }

  async #start(): Promise<void> {
    const root = join(this.#place, "root");
    const socketPath = join(this.#place, "holdfast.sock");
    this.#daemon = await startDaemon({ root, socketPath, command: [this.#executable] });
  }

  async #execute(words: readonly string[], answers: readonly string[]): Promise<Printed> {
    const [program = "", ...rest] = words;
    if (filePrograms.has(program)) this.#checkPaths(rest);
    else if (!clients.has(program)) throw new Error(`a tour may not run ${program}`);
    // Without it the machine's own Docker Engine would be asked.
    if (program === "docker" && !this.#exported.has("DOCKER_HOST")) {
      throw new Error("a tour with docker begins with export DOCKER_HOST=…");
    }
    const environment = {
      PATH: `${dirname(this.#executable)}:${process.env["PATH"] ?? ""}`,
      HOME: join(this.#place, "home"),
      LANG: "C.UTF-8",
      HOLDFAST_HOST: `unix://${join(this.#place, "holdfast.sock")}`,
      ...Object.fromEntries(this.#exported),
    };
    if (program === "holdfast") await untilMeasured(rest, join(this.#place, "holdfast.sock"));
    const path = program === "holdfast" ? this.#executable : program;
    return runOnTerminal({ command: [path, ...rest], environment, answers });
  }

  #checkPaths(words: readonly string[]): void {
    for (const word of words.filter((each) => !each.startsWith("-"))) {
      if (word.startsWith(`${this.#place}/`) && !word.includes("/../")) continue;
      throw new Error(`a tour may not touch ${word}`);
    }
  }

  #toOwn(word: string): string {
    return this.#paths().reduce((text, [shown, own]) => text.replaceAll(shown, own), word);
  }

  #toShown(text: string): string {
    return this.#paths().reduce((before, [shown, own]) => before.replaceAll(own, shown), text);
  }

  #paths(): readonly (readonly [shown: string, own: string])[] {
    const below = shownPaths.map(([shown, path]) => [shown, join(this.#place, path)] as const);
    if (this.#dockerd === undefined) return below;
    return [...below, ["/run/docker.sock", this.#dockerd.socketPath]];
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
