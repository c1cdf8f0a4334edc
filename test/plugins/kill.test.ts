// The daemon is killed while the docker command line installs, enables, upgrades and removes a
// managed plugin, and while our own API upgrades one that runs: the next start has the state before
// or after, nothing is left over, and what runs is what is enabled.
//
// test/crash/plugin-steps.test.ts dies at every step of them; here all parts are real, and the
// moments are spread over the time that a verb takes.
import { afterAll, expect } from "bun:test";
import { readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { type PluginRecord, parseRecord, rootfsNamesOf } from "../../src/plugins/managed/record.ts";
import { exchange } from "../docker/wire.ts";
import { eventually, runToEnd } from "../support/child.ts";
import { type RunningDaemon, startDaemon, temporaryDirectory } from "../support/daemon.ts";
import { whenPossible } from "../support/needs.ts";
import { pluginProcess } from "../support/plugin-process.ts";
import { makePluginRootfs } from "../support/plugin-rootfs.ts";
import { startRegistry } from "../support/registry.ts";

const commandTimeoutMs = 60_000;
const patienceMs = 20_000;
const testTimeoutMs = 300_000;
/** When each verb's daemon is killed, in milliseconds after the command has been started. */
const momentsMs = [15, 60, 110, 170];

const folder = temporaryDirectory();
const directory = join(folder, "root/plugins");
afterAll(async () => {
  // Ends the plugins, too.
  await daemon?.stop();
  rmSync(folder, { recursive: true, force: true });
});

let daemon: RunningDaemon | undefined;
const start = async () => {
  daemon = await startDaemon({ root: join(folder, "root") });
};

/** A command of the docker command line; "upgrade-in-place REMOTE" is a call of our own API. */
async function run(words: readonly string[]): Promise<boolean> {
  const [verb, remote = ""] = words;
  if (verb !== "upgrade-in-place") return (await docker(...words)).exit === 0;
  try {
    const description = "list of additional capabilities required";
    const granted = [{ name: "capabilities", description, value: ["CAP_SYS_ADMIN"] }];
    const path = "/holdfast/v1/plugins/vp/upgrade";
    const { status, body } = await exchange(daemon?.socketPath ?? "", {
      ...{ method: "POST", path, body: JSON.stringify({ remote, granted }) },
      headers: { "content-type": "application/json" },
    });
    return status === 200 && !body.includes('"error"');
  } catch {
    return false;
  }
}

const docker = (...words: readonly string[]) =>
  runToEnd("docker", ["--host", `unix://${daemon?.socketPath}`, ...words], {
    timeoutMs: commandTimeoutMs,
  });

/** The records on disk, as the daemon has made them. */
function records(): readonly PluginRecord[] {
  return readdirSync(directory)
    .filter((name) => /^[0-9a-f]{64}$/.test(name))
    .map((id) => parseRecord(readFileSync(join(directory, id, "plugin.json"), "utf8"), id));
}

/** Ids of plugins whose process lives. */
const running = (): readonly string[] =>
  records()
    .map(({ id }) => id)
    .filter((id) => pluginProcess(id) !== undefined);

/** What is wrong with what is on disk and what runs; undefined: nothing. */
function fault(): string | undefined {
  try {
    const all = records();
    const places = readdirSync(directory).filter((name) => !["logs", "mounts"].includes(name));
    const wanted = ["blobs", ...all.map(({ id }) => id)];
    expect(places.sort()).toEqual(wanted.sort());
    for (const record of all) {
      const names = ["plugin.json", "propagated-mount", ...rootfsNamesOf(record)];
      expect(readdirSync(join(directory, record.id)).sort()).toEqual(names.sort());
    }
    // What an upgrade had stopped is on its way.
    expect(all.filter(({ isPaused }) => isPaused)).toEqual([]);
    const enabled = all.filter(({ isEnabled }) => isEnabled).map(({ id }) => id);
    expect(running()).toEqual(enabled);
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

async function becomesWhole(): Promise<void> {
  await eventually(() => (fault() === undefined ? true : undefined), {
    timeoutMs: patienceMs,
    otherwise: () => `${fault()}\n${daemon?.output().slice(-2_000)}`,
  });
}

/** Name, whether it is enabled, and the version: what a verb changes. */
type Shown = readonly (readonly [name: string, isEnabled: boolean, reference: string])[];

const shown = (): Shown =>
  records().map(({ name, isEnabled, version }) => [name, isEnabled, version.reference] as const);

whenPossible(
  ["root", "docker-cli", "docker-registry", "plugin-runtime"],
  "the state before or after, whenever the daemon is killed",
  async () => {
    await using registry = await startRegistry();
    const remote = (tag: string) => `${registry.host}/vp:${tag}`;
    const grant = ["--grant-all-permissions"];
    await start();
    for (const tag of ["v1", "v2"]) {
      const place = join(folder, tag);
      await makePluginRootfs(place, "propagated", { description: tag });
      await docker("plugin", "create", remote(tag), place);
      await docker("plugin", "push", remote(tag));
      await docker("plugin", "rm", remote(tag));
    }
    const install = ["plugin", "install", ...grant, "--disable", "--alias", "vp", remote("v1")];
    const upgrade = ["plugin", "upgrade", ...grant, "--skip-remote-check", "vp", remote("v2")];
    const verbs: readonly (readonly [before: Shown, after: Shown, words: readonly string[]])[] = [
      [[], [["vp:latest", false, remote("v1")]], install],
      [[["vp:latest", false, remote("v1")]], [["vp:latest", false, remote("v2")]], upgrade],
      [
        [["vp:latest", false, remote("v2")]],
        [["vp:latest", true, remote("v2")]],
        ["plugin", "enable", "vp"],
      ],
      [
        [["vp:latest", true, remote("v2")]],
        [["vp:latest", true, remote("v1")]],
        ["upgrade-in-place", remote("v1")],
      ],
      [[["vp:latest", true, remote("v1")]], [], ["plugin", "rm", "--force", "vp"]],
    ];
    for (const moment of momentsMs) {
      for (const [before, after, words] of verbs) {
        expect(shown()).toEqual([...before]);
        const command = run(words);
        await delay(moment);
        await daemon?.kill();
        const isDone = await command;
        await start();
        await becomesWhole();
        const allowed = isDone ? [after] : [before, after];
        expect(allowed).toContainEqual(shown());
        // So that the next verb has something to begin with.
        if (JSON.stringify(shown()) === JSON.stringify(before)) await run(words);
        await becomesWhole();
        expect([words, shown()]).toEqual([words, after]);
      }
    }
  },
  testTimeoutMs,
);
