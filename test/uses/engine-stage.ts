// Where tours with a container engine are played: Holdfast beside a real dockerd, or a real Podman.
//
// Documents show paths of an installed Holdfast and an image `busybox`; here they are of a bench
// and an image of our own.
import { mkdirSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { type BackgroundPlace, BackgroundPrograms } from "../e2e/background.ts";
import { backgroundWord } from "../e2e/command-words.ts";
import { untilMeasured } from "../e2e/measured.ts";
import { type Printed, runOnTerminal } from "../e2e/on-terminal.ts";
import { holdfastCommand } from "../support/daemon.ts";
import { HoldsBench } from "../support/holds-bench.ts";
import { makePodman, type Podman, podmanRunArguments } from "../support/podman.ts";
import { loadTestImage, testImage } from "../support/test-image.ts";

/** What documents call it: an image that everybody knows. */
const shownImage = "busybox";

/** What docker-compose says of its progress, in no certain order. */
const composeProgress = /^(?:Creating|Starting|Stopping|Recreating|Removing|Pulling|Killing) /;

/** The end of an error of `docker run`, which each of its versions words in its own way. */
const seeHelp = /\n?\n(?:Run 'docker run --help' for more information|See 'docker run --help'\.)/;

/** By this name the kernel knows a command line that runs from its source. */
const runsFromSource = `${basename(process.execPath)} (`;

/** Which path dockerd was given last at a place is not shown: it is of no use to the reader. */
const lastPath = /volume '[^']*':/g;

export class EngineStage implements AsyncDisposable {
  readonly #bench = new HoldsBench();
  readonly #background = new BackgroundPrograms();
  readonly #place: "docker" | "podman";
  readonly #podman: Podman | undefined;
  readonly #exported = new Map<string, string>();

  private constructor(place: "docker" | "podman") {
    this.#place = place;
    const socket = join(this.#bench.pluginFolder, "holdfast.sock");
    if (place === "podman") this.#podman = makePodman({ plugins: { holdfast: socket } });
  }

  /** Everything runs; `files` lie in the directory in which docker-compose is called. */
  static async open(
    place: "docker" | "podman",
    files: ReadonlyMap<string, string>,
  ): Promise<EngineStage> {
    const stage = new EngineStage(place);
    await stage.#open(files);
    return stage;
  }

  /** What the command prints, in the words of the document. Throws where it may not be run. */
  async run(words: readonly string[], answers: readonly string[]): Promise<string> {
    const { text } = await this.#play(
      words.map((word) => this.#toOwn(word)),
      answers,
    );
    return text
      .replaceAll(this.#bench.root, "/var/lib/holdfast")
      .replaceAll(runsFromSource, "holdfast (")
      .replace(seeHelp, "")
      .replaceAll(lastPath, "volume:");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#background[Symbol.asyncDispose]();
    await this.#podman?.[Symbol.asyncDispose]();
    await this.#bench[Symbol.asyncDispose]();
  }

  async #open(files: ReadonlyMap<string, string>): Promise<void> {
    mkdirSync(this.#project);
    mkdirSync(join(this.#bench.folder, "srv"));
    for (const [name, text] of files) writeFileSync(join(this.#project, basename(name)), text);
    if (this.#podman !== undefined) {
      await this.#bench.startDaemon();
      await loadTestImage(this.#podman.run);
      await this.#podman.run("tag", testImage, shownImage);
    } else {
      await this.#bench.start();
      await this.#bench.docker("tag", testImage, shownImage);
    }
  }

  /** Paths of documents that are others here: where plugins and their data are. */
  #toOwn(word: string): string {
    return word
      .replaceAll("/run/docker/plugins", this.#bench.otherPlugins)
      .replaceAll("/srv", join(this.#bench.folder, "srv"));
  }

  /** Its name is the Compose project's. */
  get #project(): string {
    return join(this.#bench.folder, "shop");
  }

  async #play(words: readonly string[], answers: readonly string[]): Promise<Printed> {
    const [program = "", ...rest] = words;
    const isBeside = words.at(-1) === backgroundWord;
    switch (program) {
      case "rclone":
        if (!isBeside) throw new Error("rclone runs beside the tour");
        await this.#background.start(words.slice(0, -1), this.#backgroundPlace(), undefined);
        return { text: "", exit: 0 };
      case "kill":
        await this.#background.kill(rest, this.#backgroundPlace());
        return { text: "", exit: 0 };
      case "export":
        for (const [, name = "", value = ""] of rest.map(
          (word) => /^(\w+)=(.*)$/.exec(word) ?? [],
        )) {
          this.#exported.set(name, value);
        }
        return { text: "", exit: 0 };
      case "systemctl":
        await this.#systemctl(rest.join(" "));
        return { text: "", exit: 0 };
      case "holdfast":
        await untilMeasured(rest, this.#bench.daemon.socketPath);
        return await this.#onTerminal([...holdfastCommand(), ...rest], answers);
      case "docker":
        return await this.#onTerminal([program, ...rest], answers);
      case "docker-compose":
        return await this.#compose(rest);
      case "podman":
        return await this.#onTerminal([program, ...(this.#podman?.flags ?? []), ...ready(rest)]);
      default:
        throw new Error(`a tour with an engine may not run ${program}`);
    }
  }

  #backgroundPlace(): BackgroundPlace {
    return {
      directory: this.#project,
      environment: { PATH: process.env["PATH"] ?? "", HOME: this.#bench.folder },
      pluginFolder: this.#bench.otherPlugins,
      socketPath: this.#bench.daemon.socketPath,
    };
  }

  async #compose(words: readonly string[]): Promise<Printed> {
    const place = ["--ansi", "never", "--project-directory", this.#project];
    const file = ["--file", join(this.#project, "compose.yml")];
    const printed = await this.#onTerminal(["docker-compose", ...place, ...file, ...words]);
    const lines = printed.text.split("\n").filter((line) => !composeProgress.test(line));
    return { ...printed, text: lines.join("\n") };
  }

  async #systemctl(words: string): Promise<void> {
    const [verb = "", unit = ""] = words.split(" ");
    if (unit === "holdfast" && ["stop", "restart"].includes(verb)) await this.#bench.daemon.stop();
    if (unit === "holdfast" && ["start", "restart"].includes(verb)) {
      await this.#bench.startDaemon();
    } else if (words === "restart docker") {
      await this.#bench.dockerd.restart();
    } else if (words !== "stop holdfast") {
      throw new Error(`nobody plays systemctl ${words}`);
    }
  }

  #onTerminal(
    command: readonly [string, ...string[]],
    answers: readonly string[] = [],
  ): Promise<Printed> {
    const engine =
      this.#place === "docker"
        ? { DOCKER_HOST: `unix://${this.#bench.dockerd.socketPath}` }
        : (this.#podman?.environment ?? {});
    const environment = {
      PATH: process.env["PATH"] ?? "",
      HOME: this.#bench.folder,
      LANG: "C.UTF-8",
      NO_COLOR: "1",
      HOLDFAST_HOST: `unix://${this.#bench.daemon.socketPath}`,
      ...Object.fromEntries(this.#exported),
      ...engine,
    };
    return runOnTerminal({ command, environment, answers });
  }
}

/** What Podman needs on a test machine, behind `run` and `create`. */
function ready(words: readonly string[]): readonly string[] {
  const [command = "", ...rest] = words;
  if (!["create", "run"].includes(command)) return words;
  return [command, ...podmanRunArguments, ...rest];
}
