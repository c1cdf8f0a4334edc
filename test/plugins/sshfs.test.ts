// The tour of "docker plugin install": sshfs as a managed plugin, against a real sshd, for the
// docker command line without a Docker Engine and for containers of one.
import { expect } from "bun:test";
import { mkdirSync, readdirSync, readFileSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { exchange } from "../docker/wire.ts";
import { type SshServer, startSshServer } from "../support/labs/ssh-server.ts";
import { whenPossible } from "../support/needs.ts";
import { packSshfs } from "../support/packed-plugin.ts";
import { mountsBelow } from "../support/plugin-stage.ts";
import { startRegistry } from "../support/registry.ts";
import { Stage } from "./stage.ts";

const needed = [
  ...(["root", "docker-cli", "docker-registry", "plugin-runtime", "fuse", "mount"] as const),
  ...(["sshd", "sshfs", "busybox"] as const),
];
const timeoutMs = 120_000;

/** Paths as the plugin sees them. */
const optionsFor = ({ port }: SshServer, data: string): readonly string[] => [
  ...[`sshcmd=root@127.0.0.1:${data}`, `port=${port}`, "IdentityFile=/root/.ssh/user"],
  "UserKnownHostsFile=/root/.ssh/known_hosts",
];

/** The plugin is installed from a registry, with the keys of a user of the server. */
async function install(stage: Stage, keys: string): Promise<void> {
  await using registry = await startRegistry();
  await packSshfs(join(stage.folder, "packed"));
  const remote = `${registry.host}/vieux/sshfs:latest`;
  await stage.publish(remote, join(stage.folder, "packed"));
  const words = ["plugin", "install", "--grant-all-permissions", "--alias", "vieux/sshfs", remote];
  const said = await stage.docker(...words, `sshkey.source=${keys}`);
  expect(said).toEndWith(`Installed plugin ${remote}`);
}

/** Somebody has the volume, or no longer. Answers where it is then. */
async function holder(stage: Stage, method: "PUT" | "DELETE"): Promise<string> {
  const path = "/holdfast/v1/volumes/remote/holders/someone";
  const { status, body } = await exchange(stage.bench.daemon.socketPath, { method, path });
  if (method === "DELETE") expect(status).toBe(204);
  else expect([status, body]).toEqual([200, body]);
  return method === "DELETE" ? "" : String(JSON.parse(body).path);
}

/** The container `c1` has the volume `remote`; answers where its data is. */
async function containerWith(stage: Stage, server: SshServer): Promise<string> {
  const data = join(stage.folder, "data");
  mkdirSync(data);
  await install(stage, server.folder);
  await stage.bench.createVolume("remote", "driver=vieux/sshfs", ...optionsFor(server, data));
  await stage.container("c1", "remote");
  return data;
}

whenPossible(
  needed,
  "what a user gets",
  async () => {
    await using stage = await Stage.open({ engine: "none" });
    await using server = await startSshServer(join(stage.folder, "ssh"));
    const data = join(stage.folder, "data");
    mkdirSync(data);
    await install(stage, server.folder);
    expect(await stage.docker("plugin", "ls")).toMatch(
      /ENABLED\n[\da-f]{12} +vieux\/sshfs:latest +sshFS plugin for Docker +true$/,
    );
    const options = optionsFor(server, data).flatMap((option) => ["-o", option]);
    await stage.docker("volume", "create", "-d", "vieux/sshfs", ...options, "remote");
    expect(await stage.docker("volume", "ls")).toMatch(/vieux\/sshfs:latest +remote$/);
    const path = await holder(stage, "PUT");
    await writeFile(join(path, "page"), "written");
    expect(readFileSync(join(data, "page"), "utf8")).toBe("written");
    const inUse = await stage.run("plugin", "disable", "vieux/sshfs");
    expect(inUse.stderr).toContain("plugin vieux/sshfs:latest is in use");
    await holder(stage, "DELETE");

    await stage.docker("plugin", "disable", "-f", "vieux/sshfs");
    expect(await stage.docker("volume", "ls")).toMatch(/vieux\/sshfs:latest +remote$/);
    expect((await stage.volume("remote")).state).toBe("disabled");
    await stage.docker("plugin", "enable", "vieux/sshfs");
    expect(await readFile(join(await holder(stage, "PUT"), "page"), "utf8")).toBe("written");
    await holder(stage, "DELETE");
    await stage.docker("volume", "rm", "remote");
    await stage.docker("plugin", "rm", "-f", "vieux/sshfs");
    expect(readdirSync(data)).toEqual(["page"]);
    expect(mountsBelow(stage.bench.root)).toEqual([join(stage.bench.root, "holds")]);
  },
  timeoutMs,
);

whenPossible(
  [...needed, "dockerd", "unshare"],
  "a container's data over the end of the plugin",
  async () => {
    await using stage = await Stage.open();
    await using server = await startSshServer(join(stage.folder, "ssh"));
    const data = await containerWith(stage, server);
    expect(
      await stage.shell("c1", "echo one > /data/page && grep -o fuse.sshfs /proc/mounts"),
    ).toBe("fuse.sshfs");
    expect(readFileSync(join(data, "page"), "utf8")).toBe("one\n");
    const pid = await stage.processOf("vieux/sshfs");
    process.kill(pid, "SIGKILL");
    await stage.untilState("vieux/sshfs", "restarting");
    const ended = await stage.bench.dockerd.docker("exec", "c1", "cat", "/data/page");
    expect(ended.stderr).toContain("Transport endpoint is not connected");
    await stage.untilState("vieux/sshfs", "ready");
    expect(await stage.shellOnce("remote", "cat /data/page")).toBe("one");
    await stage.bench.docker("restart", "c1");
    expect(await stage.shell("c1", "echo two >> /data/page && cat /data/page")).toBe("one\ntwo");
    await stage.bench.holders("remote", "c1 running rw");
    expect(readFileSync(join(data, "page"), "utf8")).toBe("one\ntwo\n");
  },
  timeoutMs,
);

whenPossible(
  [...needed, "dockerd", "unshare"],
  "a container's data over the end of Holdfast and the plugin together",
  async () => {
    await using stage = await Stage.open();
    await using server = await startSshServer(join(stage.folder, "ssh"));
    const data = await containerWith(stage, server);
    await stage.shell("c1", "echo one > /data/page");
    const pid = await stage.processOf("vieux/sshfs");
    await stage.bench.daemon.kill();
    process.kill(pid, "SIGKILL");
    await stage.bench.startDaemon();
    await stage.untilState("vieux/sshfs", "ready");
    await stage.bench.holders("remote", "c1 running rw");
    expect(await stage.shellOnce("remote", "cat /data/page")).toBe("one");
    await stage.bench.docker("restart", "c1");
    expect(await stage.shell("c1", "cat /data/page")).toBe("one");
    await stage.bench.docker("rm", "--force", "c1");
    await stage.bench.docker("volume", "rm", "remote");
    expect(readdirSync(data)).toEqual(["page"]);
  },
  timeoutMs,
);
