// Programs that run beside a tour, as `PROGRAM … &` starts them in a shell: plugins, a registry.
//
// Whoever reads a document types more slowly than a test: by then a program listens, and Holdfast
// has found the plugin, or has noticed that it is gone.
import { connect } from "node:net";
import { descendants, eventually, signalAll } from "../support/child.ts";

const timeoutMs = 30_000;

/** Those of a test run that is killed go too: setpriv(1) becomes the program, same pid. */
const diesWithParent = Bun.which("setpriv") === null ? [] : ["setpriv", "--pdeathsig", "KILL"];

export interface BackgroundPlace {
  readonly directory: string;
  readonly environment: Readonly<Record<string, string>>;
  /** Where Holdfast looks for plugins. */
  readonly pluginFolder: string;
  /** Holdfast's own. */
  readonly socketPath: string;
}

interface Running {
  readonly process: Bun.Subprocess;
  /** A plugin's socket. */
  readonly socket: string | undefined;
}

export class BackgroundPrograms implements AsyncDisposable {
  readonly #running: Running[] = [];

  /** Resolves when it listens, at its argument that is a socket or at `port`. */
  async start(
    command: readonly string[],
    place: BackgroundPlace,
    port: number | undefined,
  ): Promise<void> {
    const said = `${place.directory}/.background-${this.#running.length + 1}`;
    const process = Bun.spawn([...diesWithParent, ...command], {
      cwd: place.directory,
      env: { ...place.environment },
      stdin: "ignore",
      stdout: Bun.file(said),
      stderr: Bun.file(`${said}.errors`),
    });
    const path = command.findLast((word) => word.endsWith(".sock"))?.replace("unix://", "");
    this.#running.push({
      process,
      socket: path?.startsWith(place.pluginFolder) ? path : undefined,
    });
    const target = port === undefined ? { path: path ?? "" } : { host: "127.0.0.1", port };
    await eventually(() => isListening(target), {
      timeoutMs,
      otherwise: () => `${command.join(" ")} does not listen: see ${said}`,
    });
    await this.#untilSeen(path, place, true);
  }

  /** `kill [-9] %N`. Resolves when it has ended. */
  async kill(words: readonly string[], place: BackgroundPlace): Promise<void> {
    const [, number = ""] = /^%(\d+)$/.exec(words.at(-1) ?? "") ?? [];
    const running = this.#running[Number(number) - 1];
    if (running === undefined) throw new Error(`nothing was started as ${words.at(-1)}`);
    await end(running, words[0] === "-9" ? "SIGKILL" : "SIGTERM");
    await this.#untilSeen(running.socket, place, false);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const running of this.#running) await end(running, "SIGTERM");
  }

  async #untilSeen(path: string | undefined, place: BackgroundPlace, isReady: boolean) {
    if (path === undefined || !path.startsWith(place.pluginFolder)) return;
    let seen = "";
    const isSeen = async (): Promise<true | undefined> => {
      const unix = place.socketPath;
      // Listing has plugins asked.
      await (await fetch("http://holdfast/volumes", { unix })).text();
      const answer = await fetch("http://holdfast/holdfast/v1/plugins", { unix });
      seen = await answer.text();
      // The contract of src/api/holdfast/plugin-contract.ts.
      const { plugins } = JSON.parse(seen) as {
        plugins: readonly { readonly address: string | null; readonly state: string }[];
      };
      const states = plugins.filter(({ address }) => address === `unix://${path}`);
      return states.some(({ state }) => state === "ready") === isReady ? true : undefined;
    };
    await eventually(isSeen, { timeoutMs, otherwise: () => `${path} is not seen: ${seen}` });
  }
}

async function end({ process }: Running, signal: "SIGKILL" | "SIGTERM"): Promise<void> {
  if (process.exitCode !== null || process.signalCode !== null) return;
  signalAll(await descendants(process.pid), signal);
  await process.exited;
}

async function isListening(
  target: { readonly path: string } | { readonly host: string; readonly port: number },
): Promise<true | undefined> {
  const { promise, resolve } = Promise.withResolvers<true | undefined>();
  const socket = connect(target);
  socket.once("connect", () => resolve(true));
  socket.once("error", () => resolve(undefined));
  const answer = await promise;
  socket.destroy();
  return answer;
}
