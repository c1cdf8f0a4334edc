// The whole life of a managed plugin, with the docker command line against our socket: made,
// pushed, installed, used, upgraded and removed; over clean ends and kills of the daemon.
import { afterEach, beforeEach, expect } from "bun:test";
import { createHash } from "node:crypto";
import { existsSync, readdirSync, realpathSync, rmSync } from "node:fs";
import { join } from "node:path";
import { exchange } from "../docker/wire.ts";
import { type Ended, eventually, runToEnd } from "../support/child.ts";
import { type RunningDaemon, startDaemon, temporaryDirectory } from "../support/daemon.ts";
import { whenPossible } from "../support/needs.ts";
import { pluginProcess } from "../support/plugin-process.ts";
import { makePluginRootfs } from "../support/plugin-rootfs.ts";
import { type RunningRegistry, startRegistry } from "../support/registry.ts";

const needed = ["root", "docker-cli", "docker-registry", "plugin-runtime"] as const;
const commandTimeoutMs = 60_000;
const patienceMs = 20_000;
const testTimeoutMs = 120_000;

let folder: string;
let registry: RunningRegistry;
let daemon: RunningDaemon;

beforeEach(async () => {
  folder = temporaryDirectory();
});

afterEach(async () => {
  // What a killed daemon has left running ends with the next one that is stopped.
  if (daemon !== undefined) {
    await daemon.stop();
    expect(existsSync(runDirectory())).toBe(false);
  }
  if (registry !== undefined) await registry[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true, force: true });
});

/** Where the running parts of this data root's plugins lie. */
function runDirectory(): string {
  const root = realpathSync(join(folder, "root"));
  return `/run/holdfast/${createHash("sha256").update(root).digest("hex").slice(0, 12)}`;
}

async function begin(): Promise<void> {
  registry = await startRegistry();
  await start();
}

async function start(): Promise<void> {
  daemon = await startDaemon({ root: join(folder, "root") });
}

function run(...words: readonly string[]): Promise<Ended> {
  const host = ["--host", `unix://${daemon.socketPath}`];
  return runToEnd("docker", [...host, ...words], { timeoutMs: commandTimeoutMs });
}

/** What it printed; throws when it failed. */
async function docker(...words: readonly string[]): Promise<string> {
  const { exit, stdout, stderr } = await run(...words);
  if (exit !== 0) throw new Error(`docker ${words.join(" ")}: ${exit}: ${stderr}`);
  return stdout;
}

/** What it was refused with. */
async function refusal(...words: readonly string[]): Promise<string> {
  const { exit, stderr } = await run(...words);
  expect([words, exit]).toEqual([words, 1]);
  return stderr.trim();
}

const remote = (tag: string) => `${registry.host}/vp:${tag}`;

/** Makes a plugin and sends it to the registry; nothing of it stays here. */
async function publish(tag: string, changes: Parameters<typeof makePluginRootfs>[2] = {}) {
  const place = join(folder, tag);
  await makePluginRootfs(place, "propagated", { description: `version ${tag}`, ...changes });
  await docker("plugin", "create", remote(tag), place);
  await docker("plugin", "push", remote(tag));
  await docker("plugin", "rm", remote(tag));
}

const install = (...words: readonly string[]) =>
  docker("plugin", "install", "--grant-all-permissions", ...words);

const upgrade = (tag: string) =>
  docker(
    ...["plugin", "upgrade", "--skip-remote-check", "--grant-all-permissions", "vp", remote(tag)],
  );

const inspect = async (format: string) =>
  (await docker("plugin", "inspect", "--format", format, "vp")).trim();

/** The process id of the plugin on the host, once it runs. */
async function processOf(id: string): Promise<number> {
  const otherwise = () => `the plugin ${id} does not run`;
  return await eventually(() => pluginProcess(id), { timeoutMs: patienceMs, otherwise });
}

const holder = (method: string) =>
  exchange(daemon.socketPath, { method, path: "/holdfast/v1/volumes/wiki/holders/c1" });

/** What is left of plugins on disk. */
function left(): readonly string[] {
  const place = join(folder, "root/plugins");
  const blobs = readdirSync(join(place, "blobs/sha256")).map((name) => `blob ${name}`);
  return [...readdirSync(place).filter((name) => /^\.|^[0-9a-f]{64}$/.test(name)), ...blobs];
}

/** A container that starts beside it shows everything for a moment: then it is tried again. */
async function becomesClean(): Promise<void> {
  await eventually(() => (left().length === 0 ? true : undefined), {
    timeoutMs: patienceMs,
    otherwise: () => `something is left: ${left()}\n${daemon.output().slice(-2_000)}`,
  });
}

whenPossible(
  needed,
  "from create to rm",
  async () => {
    await begin();
    await publish("v1");
    await publish("v2");
    await becomesClean();
    const installed = await install("--alias", "vp", remote("v1"));
    expect(installed).toEndWith(`Complete\nInstalled plugin ${remote("v1")}\n`);
    expect(await docker("plugin", "ls")).toMatch(
      /^ID +NAME +DESCRIPTION +ENABLED\n[0-9a-f]{12} +vp:latest +version v1 +true\n$/,
    );
    expect(await inspect("{{.PluginReference}}")).toBe(remote("v1"));

    expect(await docker("volume", "create", "--driver", "vp", "wiki")).toBe("wiki\n");
    expect(await docker("volume", "ls")).toMatch(/vp:latest +wiki\n$/);
    const inUse = "Error response from daemon: plugin vp:latest is in use";
    expect(await refusal("plugin", "disable", "vp")).toBe(inUse);
    expect(await refusal("plugin", "rm", "vp")).toBe(inUse);
    await docker("plugin", "disable", "--force", "vp");
    expect(await docker("volume", "ls")).toMatch(/vp:latest +wiki\n$/);

    await upgrade("v2");
    await docker("plugin", "enable", "vp");
    expect(await inspect("{{.Config.Description}} {{.PluginReference}}")).toBe(
      `version v2 ${remote("v2")}`,
    );
    // Volumes lie in the propagated mount, which an upgrade leaves.
    expect(await docker("volume", "inspect", "--format", "{{.Name}}", "wiki")).toBe("wiki\n");
    await docker("volume", "rm", "wiki");
    await docker("plugin", "disable", "vp");
    await docker("plugin", "rm", "vp");
    await becomesClean();
  },
  testTimeoutMs,
);

whenPossible(
  needed,
  "an upgrade to a version that does not start is taken back",
  async () => {
    await begin();
    await publish("v1");
    await publish("bad", { entrypoint: ["/bin/nothere"] });
    await install("--alias", "vp", remote("v1"));
    await docker("plugin", "disable", "vp");
    await upgrade("bad");
    const said = await refusal("plugin", "enable", "vp");
    expect(said).toContain('exec: "/bin/nothere": stat /bin/nothere: no such file or directory');
    expect(said).toContain(`the version before, ${remote("v1")}, is back`);
    expect(await inspect("{{.PluginReference}} {{.Enabled}}")).toBe(`${remote("v1")} false`);
    await docker("plugin", "enable", "vp");
    await docker("plugin", "rm", "--force", "vp");
    await becomesClean();
  },
  testTimeoutMs,
);

whenPossible(
  needed,
  "a plugin outlives a daemon that is killed, and ends with one that is stopped",
  async () => {
    await begin();
    await publish("v1");
    await install("--alias", "vp", remote("v1"));
    await docker("volume", "create", "--driver", "vp", "wiki");
    const id = await inspect("{{.Id}}");
    const pid = await processOf(id);
    await daemon.kill();
    await start();
    expect(await processOf(id)).toBe(pid);
    expect(await inspect("{{.Enabled}}")).toBe("true");
    expect((await holder("PUT")).status).toBe(200);
    expect((await holder("DELETE")).status).toBe(204);
    await daemon.stop();
    expect(existsSync(`/proc/${pid}`)).toBe(false);
    await start();
    expect(await processOf(id)).not.toBe(pid);
    expect(existsSync(runDirectory())).toBe(true);
    await docker("volume", "rm", "wiki");
    await docker("plugin", "rm", "--force", "vp");
  },
  testTimeoutMs,
);

whenPossible(
  needed,
  "a plugin whose volume somebody has outlives a clean stop",
  async () => {
    await begin();
    await publish("v1");
    await install("--alias", "vp", remote("v1"));
    await docker("volume", "create", "--driver", "vp", "--opt", "type=tmpfs", "wiki");
    const id = await inspect("{{.Id}}");
    const pid = await processOf(id);
    const { status, body } = await holder("PUT");
    expect([status, body]).toEqual([200, body]);
    await daemon.stop();
    expect(await processOf(id)).toBe(pid);
    await start();
    expect(await processOf(id)).toBe(pid);
    expect((await holder("DELETE")).status).toBe(204);
    await docker("volume", "rm", "wiki");
    await docker("plugin", "rm", "--force", "vp");
    await becomesClean();
  },
  testTimeoutMs,
);
