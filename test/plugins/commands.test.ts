// `holdfast plugin …` and `holdfast verify plugin …` as people type them, against a real daemon:
// a managed plugin from its directory to its removal, and one on a socket.
import { afterAll, beforeAll, expect } from "bun:test";
import { mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { eventually, runToEnd } from "../support/child.ts";
import {
  holdfastCommand,
  type RunningDaemon,
  startDaemon,
  temporaryDirectory,
} from "../support/daemon.ts";
import { modelPluginCalls } from "../support/model-plugin.ts";
import { whenPossible } from "../support/needs.ts";
import { makePluginRootfs } from "../support/plugin-rootfs.ts";
import { startRegistry } from "../support/registry.ts";
import { servePlugin } from "../support/served-plugin.ts";

const needs = ["root", "runc", "conmon", "docker-registry", "htpasswd", "plugin-compiler"] as const;
const commandTimeoutMs = 120_000;
const testTimeoutMs = 300_000;

const folder = temporaryDirectory();
const sockets = join(folder, "sockets");
let daemon: RunningDaemon | undefined;

beforeAll(async () => {
  mkdirSync(sockets);
  mkdirSync(join(folder, "volumes"));
  daemon = await startDaemon({ root: join(folder, "root"), pluginSockets: sockets });
});
afterAll(async () => {
  await daemon?.stop();
  rmSync(folder, { recursive: true, force: true });
});

/** One command line as a process of its own, with nobody's logins. */
function holdfast(...words: readonly string[]) {
  const [program, ...first] = holdfastCommand();
  const environment = {
    HOLDFAST_HOST: `unix://${daemon?.socketPath}`,
    HOLDFAST_PLUGIN_SOCKETS: sockets,
    DOCKER_CONFIG: folder,
  };
  return runToEnd(program, [...first, ...words], { timeoutMs: commandTimeoutMs, environment });
}

async function succeeds(...words: readonly string[]): Promise<string> {
  const { exit, stdout, stderr } = await holdfast(...words);
  expect([words.join(" "), exit, stderr]).toEqual([words.join(" "), 0, ""]);
  return stdout;
}

function leftPlaces(): readonly string[] {
  return readdirSync(tmpdir()).filter((name) => name.startsWith("holdfast-verify-"));
}

whenPossible(
  needs,
  "a managed plugin: made, pushed, installed with a login, set, used, upgraded as it runs, removed",
  async () => {
    const passwords = { username: "kim", password: "secret" };
    await using registry = await startRegistry({ passwords });
    const auths = { [registry.host]: { auth: btoa("kim:secret") } };
    writeFileSync(join(folder, "config.json"), JSON.stringify({ auths }));
    await makePluginRootfs(join(folder, "v1"));
    await makePluginRootfs(join(folder, "v2"), "propagated", { description: "the second" });
    const [one, two] = [`${registry.host}/disks:v1`, `${registry.host}/disks:v2`];

    for (const [name, place] of [
      [one, "v1"],
      [two, "v2"],
    ] as const) {
      expect(await succeeds("plugin", "create", name, join(folder, place))).toBe(`${name}\n`);
      expect(await succeeds("plugin", "push", name)).toContain("Upload complete");
      expect(await succeeds("plugin", "rm", name)).toBe(`${name}\n`);
    }

    const install = ["plugin", "install", "--alias", "disks", one];
    const refused = await holdfast(...install);
    expect([refused.exit, refused.stderr]).toEqual([
      1,
      `permission denied while installing plugin ${one}\n`,
    ]);
    expect(refused.stdout).toContain("\n - capabilities: [CAP_SYS_ADMIN]\nDo you grant");
    const installed = await succeeds(...install, "--grant-all-permissions", "CHILD=");
    expect(installed).toEndWith(`Installed plugin ${one}\n`);
    expect(await succeeds("plugin", "ls")).toMatch(/disks:latest {3}A plugin of the tests {3}true/);

    await succeeds("volume", "create", "-d", "disks", "data");
    const inUse = await holdfast("plugin", "disable", "disks");
    expect(inUse.stderr).toBe("Error response from daemon: plugin disks:latest is in use\n");

    const upgrade = ["plugin", "upgrade", "--skip-remote-check", "--grant-all-permissions"];
    const upgraded = await succeeds(...upgrade, "disks", two);
    expect(upgraded).toStartWith(`Upgrading plugin disks:latest from ${one} to ${two}\n`);
    expect(upgraded).toEndWith(`Upgraded plugin disks:latest to ${two}\n`);
    expect(
      await succeeds("plugin", "inspect", "-f", "{{.Config.Description}} {{.Enabled}}", "disks"),
    ).toBe("the second true\n");
    expect(await succeeds("volume", "ls", "-q")).toBe("data\n");

    const before = leftPlaces();
    const report = await holdfast("verify", "plugin", "disks");
    expect([report.exit, report.stdout.match(/^(?:BROKEN|left).*$/gm)]).toEqual([0, null]);
    expect(report.stdout).toContain("kept    Two holders see the same data.");
    expect(leftPlaces()).toEqual(before);
    expect(await succeeds("volume", "ls", "-q")).toBe("data\n");

    await succeeds("volume", "rm", "data");
    expect(await succeeds("plugin", "rm", "-f", "disks")).toBe("disks\n");
    expect(await succeeds("plugin", "ls", "-q")).toBe("");
  },
  testTimeoutMs,
);

whenPossible(
  ["root"],
  "a plugin on a socket: its volumes, its state when it is gone, its checks",
  async () => {
    const socket = join(sockets, "disks-here.sock");
    {
      await using _plugin = await servePlugin(socket, modelPluginCalls(join(folder, "volumes")));
      await succeeds("volume", "create", "-d", "disks-here", "here");
      const report = await holdfast("verify", "plugin", "disks-here", "--json");
      expect([report.exit, report.stderr]).toEqual([0, ""]);
      expect(report.stdout).not.toContain('"leftBehind"');
      const own = await holdfast("verify", "plugin", socket);
      expect(own.exit).toBe(0);
    }
    const state = await eventually(
      async () => {
        const [volume] = JSON.parse(await succeeds("volume", "inspect", "--full", "here"));
        return volume.state === "idle" ? undefined : volume.state;
      },
      { timeoutMs: 30_000, otherwise: () => "the plugin's end is not seen" },
    );
    expect(["unreachable", "gone"]).toContain(state);
    await succeeds("volume", "rm", "-f", "here");
    const gone = await holdfast("verify", "plugin", "disks-here");
    expect([gone.exit, gone.stdout]).toEqual([3, ""]);
    expect(gone.stderr).toStartWith('plugin "disks-here" not found');
  },
  testTimeoutMs,
);
