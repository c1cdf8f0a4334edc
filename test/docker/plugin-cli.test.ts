// The docker CLI's plugin commands: prompts, flags, formats, what it sends and what it prints.
//
// Against plugins that are only remembered (test/support/scripted-plugins.ts): what is downloaded
// and run is not what is tested here.
import { describe, expect } from "bun:test";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Ended, runToEnd } from "../support/child.ts";
import { temporaryDirectory } from "../support/daemon.ts";
import { whenPossible } from "../support/needs.ts";
import { type PluginApi, startPluginApi } from "../support/plugin-api.ts";
import { emptyConfig, fullConfig } from "../support/scripted-plugins.ts";

const commandTimeoutMs = 30_000;
const remote = "127.0.0.1:5000/vp:v1";
const asked = [
  { name: "network", description: "permissions to access a network", value: ["host"] },
  { name: "capabilities", description: "additional", value: ["CAP_SYS_ADMIN", "CAP_NET_ADMIN"] },
];
const question =
  `Plugin "${remote}" is requesting the following privileges:\n` +
  " - network: [host]\n - capabilities: [CAP_SYS_ADMIN CAP_NET_ADMIN]\n" +
  "Do you grant the above permissions? [y/N] ";
const progress = "v1: Pulling from 127.0.0.1:5000/vp\nd9d8ef149be4: Download complete\n";

interface Session {
  readonly api: PluginApi;
  readonly folder: string;
  docker(line: string, input?: string): Promise<Ended>;
  /** The output of a command that must succeed. */
  prints(line: string, input?: string): Promise<string>;
}

function withCli(name: string, run: (session: Session) => Promise<void>): void {
  whenPossible(["docker-cli-23"], name, async () => {
    await using api = await startPluginApi();
    const folder = temporaryDirectory();
    const environment = { DOCKER_HOST: `unix://${api.socketPath}`, DOCKER_CONFIG: folder };
    const docker = (line: string, input = "") =>
      runToEnd("docker", line.split(" "), { input, environment, timeoutMs: commandTimeoutMs });
    const prints = async (line: string, input?: string) => {
      const { exit, stderr, stdout } = await docker(line, input);
      expect({ line, exit, stderr }).toEqual({ line, exit: 0, stderr: "" });
      return stdout;
    };
    api.plugins.images.set(remote, {
      config: fullConfig,
      privileges: asked,
      progress: [
        { status: "Pulling from 127.0.0.1:5000/vp", id: "v1" },
        { status: "Download complete", id: "d9d8ef149be4", isOfLayer: true },
      ],
    });
    try {
      await run({ api, folder, docker, prints });
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
}

describe("docker plugin install", () => {
  withCli("asks what may be granted, and takes no for an answer", async ({ api, docker }) => {
    for (const input of ["", "n\n"]) {
      const { exit, stdout, stderr } = await docker(`plugin install ${remote}`, input);
      expect(stdout).toBe(question);
      expect(stderr).toBe(`permission denied while installing plugin ${remote}\n`);
      expect(exit).toBe(1);
    }
    expect(api.plugins.list()).toEqual([]);
  });

  withCli("installs and enables what was granted", async ({ api, prints }) => {
    expect(await prints(`plugin install ${remote}`, "y\n")).toBe(
      `${question}${progress}Installed plugin ${remote}\n`,
    );
    expect(api.plugins.find(remote).isEnabled).toBe(true);
  });

  withCli("does it all at once, under another name, without a start", async ({ api, prints }) => {
    const line = `plugin install --grant-all-permissions --disable --alias my/vp ${remote} DEBUG=1`;
    expect(await prints(line)).toBe(`${progress}Installed plugin ${remote}\n`);
    const { isEnabled, settings, reference } = api.plugins.find("my/vp");
    expect([isEnabled, settings.env[0], reference]).toEqual([false, "DEBUG=1", remote]);
  });

  withCli("asks nothing when nothing is wanted", async ({ api, prints }) => {
    api.plugins.images.set("min:latest", { config: emptyConfig, privileges: [], progress: [] });
    expect(await prints("plugin install min")).toBe("Installed plugin min\n");
  });

  withCli("says why it did not", async ({ api, docker, prints }) => {
    const install = "plugin install --grant-all-permissions";
    const missing = await docker(`${install} 127.0.0.1:5000/no`);
    expect([missing.exit, missing.stdout, missing.stderr]).toEqual([
      1,
      "",
      "Error response from daemon: 127.0.0.1:5000/no:latest: not found\n",
    ]);
    await prints(`${install} ${remote}`);
    const again = await docker(`${install} ${remote}`);
    expect(again.stderr).toBe(`Error response from daemon: plugin ${remote} already exists\n`);
    // A setting that is none leaves the plugin there, and stopped.
    const bad = await docker(`${install} --alias b ${remote} NO=1`);
    expect([bad.exit, bad.stderr]).toEqual([
      1,
      'Error response from daemon: setting "NO" not found in the plugin configuration\n',
    ]);
    expect(api.plugins.find("b").isEnabled).toBe(false);
  });

  withCli("shows a failure behind the first line", async ({ api, docker }) => {
    const config = { config: fullConfig, privileges: asked, progress: [] };
    const until = Promise.reject(new Error("the disk is full"));
    until.catch(() => undefined);
    api.plugins.images.set("bad:latest", { ...config, until });
    const { exit, stderr } = await docker("plugin install --grant-all-permissions bad");
    expect(exit).toBe(1);
    expect(stderr).toContain("the disk is full");
    expect(api.plugins.list()).toEqual([]);
  });
});

describe("docker plugin", () => {
  withCli("lists, with filters and formats, and inspects", async ({ api, prints, docker }) => {
    await prints(`plugin install --grant-all-permissions --disable --alias vp ${remote}`);
    const [plugin] = api.plugins.list();
    const id = plugin?.id ?? "";
    expect(await prints("plugin ls")).toBe(
      "ID             NAME        DESCRIPTION              ENABLED\n" +
        `${id.slice(0, 12)}   vp:latest   research volume plugin   false\n`,
    );
    expect(await prints("plugin ls --no-trunc -q")).toBe(`${id}\n`);
    expect(await prints("plugin ls -q --filter enabled=true")).toBe("");
    expect(await prints("plugin ls -q --filter capability=volumedriver")).not.toBe("");
    expect(await prints("plugin ls --format {{.Name}}|{{.PluginReference}}|{{.Enabled}}")).toBe(
      `vp:latest|${remote}|false\n`,
    );
    expect(JSON.parse(await prints("plugin ls --format json"))).toMatchObject({
      Name: "vp:latest",
      Enabled: false,
    });
    expect(await prints("plugin inspect -f {{.Id}} vp")).toBe(`${id}\n`);
    const [inspected] = JSON.parse(await prints("plugin inspect vp"));
    expect(inspected.Config.Interface.Types).toEqual(["docker.volumedriver/1.0"]);
    const several = await docker("plugin inspect -f {{.Name}} vp nosuch");
    expect([several.exit, several.stdout, several.stderr]).toEqual([
      1,
      "vp:latest\n",
      'Error response from daemon: plugin "nosuch" not found\n',
    ]);
    const filtered = await docker("plugin ls --filter foo=bar");
    expect(filtered.stderr).toBe("Error response from daemon: invalid filter 'foo'\n");
  });

  withCli("is enabled, set, disabled, removed", async ({ prints, docker }) => {
    await prints(`plugin install --grant-all-permissions --alias vp ${remote}`);
    const refused = async (line: string) => (await docker(line)).stderr;
    const error = "Error response from daemon: ";
    expect(await refused("plugin enable vp")).toBe(
      `${error}plugin already enabled: plugin vp:latest is enabled\n`,
    );
    expect(await refused("plugin rm vp")).toBe(`${error}plugin vp:latest is enabled\n`);
    expect(await prints("plugin disable vp")).toBe("vp\n");
    expect(await prints("plugin set vp DEBUG=1")).toBe("");
    expect(await prints("plugin inspect -f {{.Settings.Env}} vp")).toBe("[DEBUG=1 FIXED=1]\n");
    expect(await prints("plugin enable vp")).toBe("vp\n");
    expect(await prints("plugin rm -f vp")).toBe("vp\n");
    expect(await refused("plugin rm vp nosuch")).toBe(
      `${error}plugin "vp" not found\n${error}plugin "nosuch" not found\n`,
    );
  });

  withCli("is upgraded, when it is stopped", async ({ api, prints, docker }) => {
    const image = api.plugins.images.get(remote);
    if (image === undefined) throw new Error("no image");
    api.plugins.images.set("127.0.0.1:5000/vp:v2", image);
    await prints(`plugin install --grant-all-permissions --alias vp ${remote}`);
    const upgrade = "plugin upgrade --skip-remote-check --grant-all-permissions vp";
    const enabled = await docker(`${upgrade} 127.0.0.1:5000/vp:v2`);
    expect(enabled.stderr).toBe("the plugin must be disabled before upgrading\n");
    await prints("plugin disable vp");
    expect(await prints(`${upgrade} 127.0.0.1:5000/vp:v2`)).toBe(
      `Upgrading plugin vp:latest from ${remote} to 127.0.0.1:5000/vp:v2\n${progress}` +
        "Upgraded plugin vp:latest to 127.0.0.1:5000/vp:v2\n",
    );
    expect(api.plugins.find("vp").reference).toBe("127.0.0.1:5000/vp:v2");
  });

  withCli("is created and pushed", async ({ api, prints, docker, folder }) => {
    const place = join(folder, "plugin");
    mkdirSync(join(place, "rootfs"), { recursive: true });
    writeFileSync(join(place, "config.json"), JSON.stringify({ description: "d" }));
    // More than is kept of a request's body.
    writeFileSync(join(place, "rootfs/large"), Buffer.alloc(12 * 1024 * 1024, "large"));
    const name = "127.0.0.1:5000/mine";
    expect(await prints(`plugin create ${name} ${place}`)).toBe(`${name}\n`);
    expect(await prints(`plugin create --compress ${name}:z ${place}`)).toBe(`${name}:z\n`);
    expect(api.plugins.uploads[0]).toBeGreaterThan(12 * 1024 * 1024);
    expect(api.plugins.uploads[1]).toBeLessThan(1024 * 1024);
    const again = await docker(`plugin create ${name} ${place}`);
    expect([again.exit, again.stderr]).toEqual([
      1,
      `Error response from daemon: plugin ${name}:latest already exists\n`,
    ]);
    // Of what is too long to be thrown away the CLI says that it could not send it, and then why.
    writeFileSync(join(place, "rootfs/huge"), Buffer.alloc(40 * 1024 * 1024, "huge"));
    const huge = await docker(`plugin create ${name} ${place}`);
    expect([huge.exit, huge.stderr]).toEqual([1, expect.stringContaining(again.stderr)]);
    expect(await prints(`plugin push ${name}`)).toBe(`The push refers to repository [${name}]\n`);
    const unknown = await docker("plugin push nosuch");
    expect(unknown.stderr).toBe('Error response from daemon: plugin "nosuch:latest" not found\n');
  });
});
