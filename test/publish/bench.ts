// A daemon with volumes that trees are published to, over its API and by its command line.
import { mkdirSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { type Ended, eventually, runToEnd } from "../support/child.ts";
import {
  holdfastCommand,
  type RunningDaemon,
  startDaemon,
  temporaryDirectory,
} from "../support/daemon.ts";
import { type TarPart, tarOf } from "../support/tar-maker.ts";

/** How long a command may take; the machine may be busy. */
const commandTimeoutMs = 60_000;

export interface Answer {
  readonly status: number;
  /** Of a refusal. */
  readonly code?: string;
  readonly message?: string;
  readonly method?: string;
  readonly guarantee?: string;
  readonly kept?: number;
  readonly tree?: { readonly files: number; readonly leftOut: readonly string[] } | null;
}

export class PublishBench implements AsyncDisposable {
  readonly folder = temporaryDirectory();
  readonly root = join(this.folder, "root");
  #daemon: RunningDaemon | undefined;

  get daemon(): RunningDaemon {
    if (this.#daemon === undefined) throw new Error("Holdfast does not run");
    return this.#daemon;
  }

  async start(): Promise<void> {
    this.#daemon = await startDaemon({ root: this.root });
  }

  /** Holdfast's own command line. */
  async holdfast(...parameters: readonly string[]): Promise<Ended> {
    return await this.holdfastAs([], ...parameters);
  }

  /** The same behind a program and its words: as somebody else. */
  async holdfastAs(before: readonly string[], ...parameters: readonly string[]): Promise<Ended> {
    const [program = "", ...words] = [...before, ...holdfastCommand(), ...parameters];
    const environment = { HOLDFAST_HOST: `unix://${this.daemon.socketPath}` };
    return await runToEnd(program, words, { environment, timeoutMs: commandTimeoutMs });
  }

  async createVolume(name: string, ...options: readonly string[]): Promise<void> {
    const words = options.flatMap((option) => ["-o", option]);
    const made = await this.holdfast("volume", "create", ...words, name);
    if (made.exit !== 0) throw new Error(made.stderr);
  }

  /** Where a volume of the driver `local` has its data. */
  dataOf(name: string): string {
    return join(this.root, "volumes", name, "_data");
  }

  /** `PUT volumes/{name}/publish` with such an archive. */
  async put(
    target: string,
    archive: Uint8Array | readonly TarPart[],
    more: Readonly<Record<string, string>> = {},
  ): Promise<Answer> {
    const body = archive instanceof Uint8Array ? archive : tarOf(...archive);
    return await this.#call("PUT", target, { path: "publish", query: more, body });
  }

  /** `POST volumes/{name}/publish/rollback`. */
  async rollBack(target: string): Promise<Answer> {
    return await this.#call("POST", target, { path: "publish/rollback", query: {} });
  }

  async #call(
    method: string,
    target: string,
    what: {
      readonly path: string;
      readonly query: Readonly<Record<string, string>>;
      readonly body?: Uint8Array;
    },
  ): Promise<Answer> {
    const [volume = "", path = ""] = target.split(":");
    const query = new URLSearchParams({ path, ...what.query });
    const url = `http://holdfast/holdfast/v1/volumes/${volume}/${what.path}?${query}`;
    const body = what.body === undefined ? {} : { body: Buffer.from(what.body) };
    const answer = await fetch(url, { method, unix: this.daemon.socketPath, ...body });
    // The contract of src/api/holdfast/publish-contract.ts, or a refusal.
    return { status: answer.status, ...((await answer.json()) as object) };
  }

  async holders(volume: string): Promise<readonly string[]> {
    const url = `http://holdfast/holdfast/v1/volumes/${volume}`;
    const answer = await fetch(url, { unix: this.daemon.socketPath });
    // As above.
    const { holders } = (await answer.json()) as { readonly holders: readonly { id: string }[] };
    return holders.map(({ id }) => id);
  }

  /** Waits until nothing of a publish is left in a directory, and nobody holds the volume. */
  async untilTidy(volume: string, directory: string): Promise<void> {
    const left = async () => [...(await this.holders(volume)), ...passing(directory)];
    let seen: readonly string[] = [];
    await eventually(
      async () => {
        seen = await left();
        return seen.length === 0 ? true : undefined;
      },
      { timeoutMs: 20_000, otherwise: () => `left: ${seen}\n${this.daemon.output()}` },
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#daemon?.stop();
    // A mount point of remote storage is sealed.
    const unseal = ["-R", "-f", "-i", this.folder];
    await runToEnd("chattr", unseal, { timeoutMs: commandTimeoutMs });
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** What is there only while something is published. */
export function passing(directory: string): readonly string[] {
  return readdirSync(directory).filter((name) =>
    /^\.holdfast-(?:publish|ready|gap|link|probe)-/.test(name),
  );
}

/** A tree of a version: two files that name it, at some length, and a directory. */
export function siteParts(version: number, lines = 500): readonly TarPart[] {
  const data = `version ${version}\n`.repeat(lines);
  return [
    { name: "./", type: "5", mode: 0o755 },
    { name: "a", data },
    { name: "sub/", type: "5", mode: 0o755 },
    { name: "sub/b", data },
  ];
}

/** A directory of its own for a test. */
export function madeDirectory(...parts: readonly string[]): string {
  const directory = join(...parts);
  mkdirSync(directory, { recursive: true });
  return directory;
}
