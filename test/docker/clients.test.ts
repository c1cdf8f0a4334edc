// Real clients against the engine: the docker CLI, Debian's python3-docker, dockerode on Node.
import { describe, expect } from "bun:test";
import { spawnSync } from "node:child_process";
import { existsSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { debianPython } from "../../tools/debian-packages.ts";
import { type Ended, runToEnd, startChild, stopChild } from "../support/child.ts";
import { temporaryDirectory } from "../support/daemon.ts";
import { type Requirement, skipLoudly, whenPossible } from "../support/needs.ts";
import { type Engine, type EngineKind, engineKinds } from "./engines.ts";

const clientTimeoutMs = 60_000;

/** The script counts what it has checked: one that returns early is noticed. */
const pythonChecksMin = 39;

/** What the engines say of themselves. */
const newestApi = { Holdfast: "1.51", "dockerd 20.10": "1.41" } as const;

/** Debian's CLI, and whichever comes first in PATH: often an older and a newer one. */
const programs = [...new Set([Bun.which("docker") ?? "docker", "/usr/bin/docker"])];

interface Cli {
  readonly program: string;
  readonly version: string;
  readonly major: number;
}

const clis: readonly Cli[] = programs.filter((path) => existsSync(path)).map(describeCli);

function describeCli(program: string): Cli {
  const said = spawnSync(program, ["--version"], { encoding: "utf8" }).stdout ?? "";
  const version = /version ([\d.]+)/.exec(said)?.[1] ?? "0";
  return { program, version, major: Number(version.split(".")[0]) };
}

/** A CLI that speaks to one engine, with a configuration of its own. */
class CliSession implements Disposable {
  readonly cli: Cli;
  readonly #folder = temporaryDirectory();
  readonly #socketPath: string;

  constructor(cli: Cli, engine: Engine) {
    this.cli = cli;
    this.#socketPath = engine.socketPath;
  }

  get environment(): Readonly<Record<string, string>> {
    return { DOCKER_HOST: `unix://${this.#socketPath}`, DOCKER_CONFIG: this.#folder };
  }

  docker(line: string, input = ""): Promise<Ended> {
    const { environment } = this;
    const options = { input, environment, timeoutMs: clientTimeoutMs };
    return runToEnd(this.cli.program, line.split(" "), options);
  }

  /** The output of a command that must succeed. */
  async prints(line: string, input = ""): Promise<string> {
    const ended = await this.docker(line, input);
    expect({ line, exit: ended.exit, stderr: ended.stderr }).toEqual({ line, exit: 0, stderr: "" });
    return ended.stdout;
  }

  [Symbol.dispose](): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

function withCli(
  kind: EngineKind,
  cli: Cli,
  name: string,
  run: (session: CliSession, engine: Engine) => Promise<void>,
): void {
  const requirements: readonly Requirement[] = ["docker-cli", ...kind.requirements];
  whenPossible(
    requirements,
    name,
    async () => {
      await using engine = await kind.start();
      using session = new CliSession(cli, engine);
      await run(session, engine);
    },
    clientTimeoutMs,
  );
}

if (clis.length === 0) skipLoudly("the docker CLI", "no program docker", () => undefined);

for (const kind of engineKinds) {
  for (const cli of clis)
    describe(`docker CLI ${cli.version} on ${kind.name}`, () => cliTests(kind, cli));
}

function cliTests(kind: EngineKind, cli: Cli): void {
  withCli(kind, cli, "creates, lists, inspects", createAndRead);
  withCli(kind, cli, "removes, and tells what it could not", removals);
  withCli(kind, cli, "asks what there is, in all of Docker's words", looksAround);
  withCli(kind, cli, "asks before a prune", (session) => prompts(session, kind));
  withCli(kind, cli, "follows events", follows);
  // Below API 1.42 every prune is one of all volumes, and the CLI refuses the flag.
  if (kind.name !== "Holdfast") return;
  if (cli.major >= 23) withCli(kind, cli, "prunes all with -a", pruneAll);
  else skipLoudly("prunes all with -a", `docker CLI ${cli.version} has no -a`, () => undefined);
}

async function createAndRead(session: CliSession): Promise<void> {
  expect(await session.prints("volume create myvol")).toBe("myvol\n");
  const create = "volume create -d local -o type=tmpfs -o device=tmpfs -o o=size=64m --label k=v";
  expect(await session.prints(`${create} scratch`)).toBe("scratch\n");
  const unnamed = await session.prints("volume create");
  expect(unnamed).toMatch(/^[0-9a-f]{64}\n$/);
  const listed = (await session.prints("volume ls")).split("\n");
  expect(listed[0]).toMatch(/^DRIVER {4}VOLUME NAME$/);
  const rows = [unnamed.trim(), "myvol", "scratch"].map((name) => `local     ${name}`);
  expect(listed.slice(1)).toEqual([...rows, ""]);
  expect(await session.prints("volume ls -q --filter label=k=v")).toBe("scratch\n");
  expect(await session.prints("volume ls -q --filter name=^my")).toBe("myvol\n");
  expect(await session.prints("volume ls -q --filter dangling=false")).toBe("");
  expect(await session.prints("volume ls -q --filter driver=nosuch")).toBe("");
  const [myvol, scratch] = JSON.parse(await session.prints("volume inspect myvol scratch"));
  expect(statSync(myvol.Mountpoint).isDirectory()).toBe(true);
  expect(Object.keys(myvol)).toEqual(Object.keys(myvol).toSorted());
  expect(myvol).toMatchObject({ Driver: "local", Name: "myvol", Scope: "local" });
  // Old clients send an empty object, new ones nothing: the engine gives back what was sent.
  expect(myvol.Options ?? {}).toEqual({});
  expect(scratch.Options).toEqual({ device: "tmpfs", o: "size=64m", type: "tmpfs" });
  expect(JSON.parse(await session.prints("inspect myvol"))).toEqual([myvol]);
}

async function removals(session: CliSession): Promise<void> {
  for (const name of ["one", "two"]) await session.prints(`volume create ${name}`);
  const several = await session.docker("volume rm one nosuch two nosuch2");
  expect(several.exit).toBe(1);
  expect(several.stdout).toBe("one\ntwo\n");
  expect(several.stderr).toMatch(/no such volume.*\n.*no such volume/i);
  expect(await session.prints("volume rm -f nosuch")).toBe("nosuch\n");
  const missing = await session.docker("volume inspect nosuch");
  expect(missing.exit).toBe(1);
  expect(missing.stdout).toBe("[]\n");
  expect(missing.stderr).toMatch(/no such volume/i);
  const refused = await session.docker("volume create a/b");
  expect(refused.exit).toBe(1);
  expect(refused.stderr).toContain('create a/b: "a/b" includes invalid characters');
}

async function looksAround(session: CliSession): Promise<void> {
  await session.prints("volume create one");
  expect(await session.prints("ps -q")).toBe("");
  expect(await session.prints("images -q")).toBe("");
  expect(await session.prints("version --format {{.Server.Os}}")).toBe("linux\n");
  const info = await session.docker("info --format {{.OSType}}");
  expect(info.exit).toBe(0);
  expect(info.stdout).toBe("linux\n");
  const usage = await session.prints("system df --format {{.Type}}:{{.TotalCount}}:{{.Size}}");
  expect(usage.split("\n")).toContain("Local Volumes:1:0B");
  expect(await session.prints("system df -v")).toMatch(/\none +0 +0B\n/);
}

async function prompts(session: CliSession, kind: EngineKind): Promise<void> {
  await session.prints("volume create named");
  const unnamed = (await session.prints("volume create")).trim();
  const refused = await session.docker("volume prune", "n\n");
  expect(refused.stdout).toContain("Are you sure you want to continue? [y/N]");
  expect((await session.prints("volume ls -q")).split("\n")).toHaveLength(3);
  const granted = await session.docker("volume prune", "y\n");
  expect(granted.exit).toBe(0);
  expect(granted.stdout).toContain("Deleted Volumes:\n");
  expect(granted.stdout).toContain(unnamed);
  expect(granted.stdout).toEndWith("Total reclaimed space: 0B\n");
  // From API 1.42 on only anonymous volumes are pruned.
  const keepsNamed = kind.name === "Holdfast" && session.cli.major >= 23;
  expect(await session.prints("volume ls -q")).toBe(keepsNamed ? "named\n" : "");
}

async function pruneAll(session: CliSession): Promise<void> {
  await session.prints("volume create named");
  await session.prints("volume create -o type=tmpfs -o device=tmpfs withoptions");
  const printed = await session.prints("volume prune -a", "y\n");
  expect(printed).toStartWith(
    "WARNING! This will remove all local volumes not used by at least one container.\n",
  );
  expect(printed).toEndWith("Deleted Volumes:\nnamed\n\nTotal reclaimed space: 0B\n");
  expect(await session.prints("volume ls -q")).toBe("withoptions\n");
  expect(await session.prints("volume prune -a -f")).toBe("Total reclaimed space: 0B\n");
}

async function follows(session: CliSession): Promise<void> {
  const since = Math.floor(Date.now() / 1000) - 1;
  const parameters = ["events", "--since", `${since}`, "--filter", "type=volume"];
  const format = ["--format", "{{.Action}} {{.Actor.ID}} {{.Actor.Attributes.driver}}"];
  const child = startChild(session.cli.program, [...parameters, ...format], session.environment);
  try {
    const heard = new Promise<string>((resolve, reject) => {
      let text = "";
      child.stdout?.on("data", (chunk: Buffer) => {
        text += chunk.toString("utf8");
        if (/^destroy .*\n/m.test(text)) resolve(text);
      });
      child.once("close", () => reject(new Error(`docker events ended: ${text}`)));
    });
    await session.prints("volume create seen");
    await session.prints("volume rm seen");
    expect(await heard).toBe("create seen local\ndestroy seen local\n");
  } finally {
    await stopChild(child);
  }
}

for (const kind of engineKinds) {
  describe(`libraries on ${kind.name}`, () => {
    const newest = newestApi[kind.name];

    whenPossible(
      ["python3-docker", ...kind.requirements],
      "Debian's python3-docker",
      async () => {
        await using engine = await kind.start();
        const script = join(import.meta.dir, "clients/docker-py.py");
        const ended = await run(debianPython, [script, engine.socketPath, newest]);
        expect({ exit: ended.exit, stderr: ended.stderr }).toEqual({ exit: 0, stderr: "" });
        expect(JSON.parse(ended.stdout).checks).toBeGreaterThanOrEqual(pythonChecksMin);
      },
      clientTimeoutMs,
    );

    whenPossible(
      kind.requirements,
      "dockerode on Node",
      async () => {
        await using engine = await kind.start();
        const script = join(import.meta.dir, "clients/dockerode.mjs");
        const ended = await run("node", [script, engine.socketPath, newest]);
        expect(ended).toEqual({ exit: 0, stdout: "dockerode: done\n", stderr: "" });
      },
      clientTimeoutMs,
    );
  });
}

function run(program: string, parameters: readonly string[]): Promise<Ended> {
  return runToEnd(program, parameters, { timeoutMs: clientTimeoutMs });
}
