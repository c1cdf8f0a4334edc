// rclone as a managed plugin behind a real dockerd: its data goes through FUSE, and over the ends
// of the plugin and of Holdfast.
import { expect } from "bun:test";
import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { whenPossible } from "../support/needs.ts";
import { packRclone } from "../support/packed-plugin.ts";
import { startRegistry } from "../support/registry.ts";
import { Stage } from "./stage.ts";

const needed = [
  ...(["root", "dockerd", "docker-cli", "docker-registry", "plugin-runtime"] as const),
  ...(["fuse", "mount", "rclone", "unshare", "busybox"] as const),
];
const timeoutMs = 120_000;

/** With the plugin installed from a registry, and a volume `wiki` that dockerd knows. */
async function begin(stage: Stage): Promise<{ readonly store: string }> {
  await using registry = await startRegistry();
  const store = join(stage.folder, "store");
  mkdirSync(join(store, "wiki"), { recursive: true });
  await packRclone(join(stage.folder, "packed"));
  const remote = `${registry.host}/rclone/docker-volume-rclone:amd64`;
  await stage.publish(remote, join(stage.folder, "packed"));
  const install = ["plugin", "install", "--grant-all-permissions", "--alias", "rclone", remote];
  await stage.docker(...install, `store.source=${store}`);
  await stage.bench.createVolume("wiki", "driver=rclone", "remote=:local:/store/wiki");
  return { store };
}

whenPossible(
  needed,
  "containers of dockerd write through it",
  async () => {
    await using stage = await Stage.open();
    const { store } = await begin(stage);
    expect(await stage.docker("plugin", "ls", "--format", "{{.Name}} {{.Enabled}}")).toBe("rclone:latest true");
    await stage.container("c1", "wiki");
    expect(await stage.shell("c1", "echo written > /data/page && cat /data/page")).toBe("written");
    console.log(await stage.shell("c1", "cat /proc/mounts | grep data"));
    console.log(await stage.docker("volume", "ls"), await stage.docker("volume", "inspect", "wiki"));
    const pid = await stage.processOf("rclone");
    process.kill(pid, "SIGKILL");
    console.log(await stage.until("x", async () => { const s = await stage.plugin("rclone"); return s.state !== "ready" ? s : undefined}));
    console.log(await stage.untilState("rclone", "ready"));
    console.log(await stage.bench.dockerd.docker("exec", "c1", "cat", "/data/page"));
    console.log((await stage.bench.holdfast("volume", "ls")).stdout);
    console.log(await stage.bench.dockerd.docker("run", "--rm", "--network=none", "-v", "wiki:/data", "holdfast-test:1", "cat", "/data/page"));
    console.log(await stage.bench.dockerd.docker("restart", "c1"));
    console.log(await stage.bench.dockerd.docker("exec", "c1", "cat", "/data/page"));
    console.log(stage.log());
  },
  timeoutMs,
);
