// A daemon and a server that gets into trouble, and what a client asks of them.
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { DriverOptions } from "../../src/core/driver.ts";
import { runDirectoryOf } from "../../src/daemon/run-directory.ts";
import { parseMountTable } from "../../src/host/mount-table.ts";
import { exchange } from "../docker/wire.ts";
import { eventually, runToEnd, signalAll } from "../support/child.ts";
import { commandLinesWith } from "../support/command-lines.ts";
import { type RunningDaemon, startDaemon, temporaryDirectory } from "../support/daemon.ts";
import { servers, type TroubledServer } from "./survive-servers.ts";

const cleanUpMs = 10_000;
/**
 * What must not wait for storage answers so soon after what asks nothing (a ping): the machine is
 * busy with other tests. In milliseconds; the bench has the bound without that.
 */
const promptMs = { usual: 100, max: 4_000 } as const;
/** Fewer say more of the machine. */
const samplesMin = 30;

/** What was there before there was any volume: not one byte of it ever changes. */
export const planted: Readonly<Record<string, string | Buffer>> = {
  theirs: "was there before",
  "photos/1.raw": Buffer.alloc(70_000, "photo"),
  "photos/deep/er/2.raw": "\u2028",
  empty: "",
};

export interface Answer {
  readonly status: number;
  readonly json: Record<string, unknown>;
  readonly tookMs: number;
}

export interface StageParts {
  readonly environment?: Readonly<Record<string, string>>;
  /** Of the daemon: a program and arguments in front of it, which become it. */
  readonly command?: readonly [string, ...string[]];
  /** A program and arguments in front of the server: another network. */
  readonly enter?: readonly string[];
  /** Exists, and goes with the stage. */
  readonly folder?: string;
  /** How much room there is for what is served. As much as wanted, unless given. */
  readonly roomBytes?: number;
}

export interface SurviveStage extends AsyncDisposable {
  readonly folder: string;
  readonly root: string;
  readonly server: TroubledServer;
  /** What a boot empties. */
  readonly run: string;
  daemon(): RunningDaemon;
  startDaemon(): Promise<void>;
  send(method: string, path: string, body?: unknown): Promise<Answer>;
  /** The same, and expects success. */
  done(method: string, path: string, body?: unknown): Promise<Answer>;
  create(name: string, more?: DriverOptions): Promise<Answer>;
  /** Somebody has the volume; answers where its data is. */
  hold(name: string): Promise<string>;
  release(name: string): Promise<void>;
  /** Its state and the reason: `in use`, `unreachable: why`. */
  state(name: string): Promise<string>;
  /** Throws when one of the questions for the state has waited for something. */
  mustBePrompt(): void;
  untilState(name: string, wanted: RegExp, timeoutMs: number): Promise<void>;
  /** Mount points below the stage's folder. */
  mounted(): readonly string[];
}

export const own = (path: string): string => `/holdfast/v1/${path}`;

/** A daemon that knows the secret of a server that has `planted`. */
export async function openStage(
  driver: TroubledServer["driver"],
  parts: StageParts = {},
): Promise<SurviveStage> {
  const folder = parts.folder ?? temporaryDirectory();
  const root = join(folder, "root");
  const server = await servers[driver](folder, parts.enter);
  if (parts.roomBytes !== undefined) {
    const words = ["-t", "tmpfs", "-o", `size=${parts.roomBytes}`, "holdfast-test", server.served];
    await mustRun("mount", ...words);
  }
  plant(server.served);
  const { environment = {}, command } = parts;
  const start = () =>
    startDaemon({ root, environment, ...(command === undefined ? {} : { command }) });
  let daemon = await start();
  const run = runDirectoryOf(root);
  const send = (method: string, path: string, body?: unknown) =>
    ask(daemon.socketPath, method, path, body);
  const done = async (method: string, path: string, body?: unknown) => {
    const answer = await send(method, path, body);
    const { status, json } = answer;
    if (status >= 300) throw new Error(`${method} ${path}: ${status} ${JSON.stringify(json)}`);
    return answer;
  };
  const tookMs: number[] = [];
  const state = async (name: string) => await currentState(send, name, tookMs);
  await done("PUT", own("secrets/nas"), { value: Buffer.from(server.secret).toString("base64") });
  return {
    ...{ folder, root, server, run, send, done, state },
    mustBePrompt: () => mustBePrompt(tookMs),
    daemon: () => daemon,
    async startDaemon() {
      daemon = await start();
    },
    create: (name, more = {}) =>
      send("POST", "/volumes/create", {
        ...{ Name: name, Driver: driver },
        DriverOpts: { ...server.options(), ...more },
      }),
    async hold(name) {
      const { json } = await done("PUT", own(`volumes/${name}/holders/one`));
      return String(json["path"]);
    },
    release: async (name) => void (await done("DELETE", own(`volumes/${name}/holders/one`))),
    async untilState(name, wanted, timeoutMs) {
      let last = "";
      await eventually(
        async () => {
          last = await state(name);
          return wanted.test(last) ? true : undefined;
        },
        { timeoutMs, otherwise: () => `not ${wanted} in ${timeoutMs} ms: ${last}` },
      );
    },
    mounted: () => mountedBelow(folder),
    async [Symbol.asyncDispose]() {
      await server.thaw();
      await daemon.stop();
      for (const each of [folder, dirname(server.served)]) await unmountAll(each);
      await server[Symbol.asyncDispose]();
      await endProcesses(root);
      // What is left in the trash has a sealed mount point.
      await runToEnd("chattr", ["-R", "-f", "-i", folder], { timeoutMs: cleanUpMs });
      for (const each of [folder, run]) rmSync(each, { recursive: true, force: true });
    },
  };
}

function plant(served: string): void {
  for (const [name, content] of Object.entries(planted)) {
    mkdirSync(dirname(join(served, name)), { recursive: true });
    writeFileSync(join(served, name), content);
  }
}

async function ask(
  socketPath: string,
  method: string,
  path: string,
  body?: unknown,
): Promise<Answer> {
  const startedMs = performance.now();
  const answer = await exchange(socketPath, {
    ...{ method, path },
    ...(body === undefined
      ? {}
      : { headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) }),
  });
  const tookMs = performance.now() - startedMs;
  return { status: answer.status, tookMs, json: answer.body === "" ? {} : parse(answer.body) };
}

/** A stream of lines has its outcome in the last one; a ping has a word. */
function parse(body: string): Record<string, unknown> {
  if (body === "OK") return {};
  return JSON.parse(body.trimEnd().split("\n").at(-1) ?? "{}");
}

async function currentState(
  send: SurviveStage["send"],
  name: string,
  tookMs: number[],
): Promise<string> {
  const list = await send("GET", own("volumes"));
  const one = await send("GET", own(`volumes/${name}`));
  const docker = await send("GET", `/volumes/${name}`);
  const ping = await send("GET", "/_ping");
  for (const answer of [list, one, docker]) tookMs.push(answer.tookMs - ping.tookMs);
  const { state, stateReason } = one.json;
  return stateReason == null ? String(state) : `${state}: ${stateReason}`;
}

/** Throws when `ls` or `inspect` has waited for something. */
function mustBePrompt(tookMs: readonly number[]): void {
  const sorted = tookMs.toSorted((left, right) => left - right);
  // The machine is busy with other tests; what waits for storage waits always.
  if (sorted.length < samplesMin) return;
  const usual = sorted[Math.floor(sorted.length / 4)] ?? 0;
  const max = sorted.at(-1) ?? 0;
  if (usual <= promptMs.usual && max <= promptMs.max) return;
  throw new Error(`ls and inspect take ${usual} ms, at most ${max} ms`);
}

function mountedBelow(folder: string): readonly string[] {
  const table = parseMountTable(readFileSync("/proc/self/mountinfo", "utf8"));
  return table.map(({ target }) => target).filter((target) => target.startsWith(`${folder}/`));
}

/** Throws what a program said that failed. */
export async function mustRun(program: string, ...words: readonly string[]): Promise<void> {
  const { exit, stderr } = await runToEnd(program, words, { timeoutMs: cleanUpMs });
  if (exit !== 0) throw new Error(`${program} ${words.join(" ")}: ${stderr}`);
}

/** Lazily, and whatever lies on top of each other: what a boot does. */
export async function unmountAll(folder: string): Promise<void> {
  for (const target of mountedBelow(folder).toReversed()) {
    await runToEnd("umount", ["-l", target], { timeoutMs: cleanUpMs });
  }
}

/** SIGKILL to what has the directory among its arguments: the FUSE processes of a root. */
export async function endProcesses(root: string): Promise<void> {
  const left = () => commandLinesWith(`${root}/`).map(({ pid }) => pid);
  signalAll(left(), "SIGKILL");
  await eventually(() => (left().length === 0 ? true : undefined), {
    timeoutMs: cleanUpMs,
    otherwise: () => `processes of ${root} do not end`,
  });
}
