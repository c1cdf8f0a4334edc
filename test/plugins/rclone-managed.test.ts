// rclone as a managed plugin behind a real dockerd: its data goes through FUSE, and stays over the
// ends of Holdfast and of the plugin.
import { afterAll, expect } from "bun:test";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { whenPossible } from "../support/needs.ts";
import { packRclone } from "../support/packed-plugin.ts";
import { mountsBelow } from "../support/plugin-stage.ts";
import { type RunningRegistry, startRegistry } from "../support/registry.ts";
import { Stage } from "./stage.ts";

const needed = [
  ...(["root", "dockerd", "docker-cli", "docker-registry", "plugin-runtime"] as const),
  ...(["fuse", "mount", "rclone", "unshare", "busybox"] as const),
];
const timeoutMs = 120_000;

/** It has the plugin from the first test on: packing 50 MB takes seconds. */
let registry: RunningRegistry | undefined;
afterAll(async () => await registry?.[Symbol.asyncDispose]());

async function published(stage: Stage): Promise<string> {
  const isFirst = registry === undefined;
  registry ??= await startRegistry();
  const remote = `${registry.host}/rclone/docker-volume-rclone:amd64`;
  if (!isFirst) return remote;
  await packRclone(join(stage.folder, "packed"));
  await stage.publish(remote, join(stage.folder, "packed"));
  return remote;
}

/** With the plugin installed from a registry, and a volume `wiki` that dockerd knows. */
async function open(): Promise<{ readonly stage: Stage; readonly store: string }> {
  await using opened = new AsyncDisposableStack();
  const stage = opened.use(await Stage.open());
  const remote = await published(stage);
  const store = join(stage.folder, "store");
  mkdirSync(join(store, "wiki"), { recursive: true });
  const install = ["plugin", "install", "--grant-all-permissions", "--alias", "rclone", remote];
  await stage.docker(...install, `store.source=${store}`);
  // With its tag: `rclone` alone is the built-in driver, which was there first.
  await stage.bench.createVolume("wiki", "driver=rclone:latest", "remote=:local:/store/wiki");
  opened.move();
  return { stage, store };
}

const read = "cat /data/page";

whenPossible(
  needed,
  "what containers write is there, and Holdfast may be killed and stopped meanwhile",
  async () => {
    const { stage: opened, store } = await open();
    await using stage = opened;
    const listed = await stage.docker("plugin", "ls", "--format", "{{.Name}} {{.Enabled}}");
    expect(listed).toBe("rclone:latest true");
    await stage.container("c1", "wiki");
    expect(await stage.shell("c1", "grep -o fuse.rclone /proc/mounts")).toBe("fuse.rclone");
    expect(await stage.shell("c1", `echo one > /data/page && ${read}`)).toBe("one");
    await stage.until("written through", () =>
      readFileSync(join(store, "wiki/page"), "utf8") === "one\n" ? true : undefined,
    );
    const pid = await stage.processOf("rclone");

    await stage.bench.daemon.kill();
    expect(await stage.shell("c1", `echo two > /data/page && ${read}`)).toBe("two");
    await stage.bench.startDaemon();
    await stage.untilState("rclone", "ready");
    expect(await stage.processOf("rclone")).toBe(pid);
    await stage.bench.holders("wiki", "c1 running rw");
    expect(await stage.shell("c1", read)).toBe("two");
    expect(await stage.shellOnce("wiki", read)).toBe("two");

    await stage.bench.daemon.stop();
    expect(await stage.shell("c1", `echo three > /data/page && ${read}`)).toBe("three");
    await stage.bench.startDaemon();
    await stage.untilState("rclone", "ready");
    expect(await stage.processOf("rclone")).toBe(pid);
    expect(await stage.shellOnce("wiki", read)).toBe("three");

    await stage.bench.docker("rm", "--force", "c1");
    await stage.bench.docker("volume", "rm", "wiki");
    await stage.docker("plugin", "disable", "rclone");
    expect(mountsBelow(stage.bench.root)).toEqual([join(stage.bench.root, "holds")]);
    await stage.docker("plugin", "rm", "rclone");
    expect(readFileSync(join(store, "wiki/page"), "utf8")).toBe("three\n");
  },
  timeoutMs,
);

whenPossible(
  needed,
  "the plugin is killed: it comes back with its volumes",
  async () => {
    const { stage: opened, store } = await open();
    await using stage = opened;
    writeFileSync(join(store, "wiki/page"), "kept");
    expect(await stage.shellOnce("wiki", read)).toBe("kept");
    await stage.bench.holders("wiki");
    const pid = await stage.processOf("rclone");
    process.kill(pid, "SIGKILL");
    const { reason, restarts } = await stage.untilState("rclone", "restarting");
    expect([reason, restarts]).toEqual(["it has ended (signal 9)", 1]);
    expect((await stage.volume("wiki")).state).toBe("unreachable");
    expect(await stage.docker("volume", "ls", "--quiet")).toBe("wiki");
    await stage.untilState("rclone", "ready");
    expect(await stage.processOf("rclone")).not.toBe(pid);
    expect(await stage.shellOnce("wiki", read)).toBe("kept");
    expect((await stage.volume("wiki")).state).toBe("idle");
  },
  timeoutMs,
);

// A newer one brings its mounts back. This one waits for itself when it begins to (rclone's own
// fault, of version 1.60), until it is told to forget them.
whenPossible(
  needed,
  "the plugin is killed under a container: reads fail at once, and it can be brought back",
  async () => {
    const { stage: opened } = await open();
    await using stage = opened;
    await stage.container("c1", "wiki");
    await stage.shell("c1", "echo kept > /data/page");
    process.kill(await stage.processOf("rclone"), "SIGKILL");
    await stage.untilState("rclone", "restarting");
    const ended = await stage.bench.dockerd.docker("exec", "c1", "cat", "/data/page");
    expect(ended.stderr).toContain("Transport endpoint is not connected");
    await stage.docker("plugin", "disable", "--force", "rclone");
    await stage.docker("plugin", "set", "rclone", "args=--forget-state");
    await stage.docker("plugin", "enable", "rclone");
    const refused = await stage.bench.refused("restart", "c1");
    expect(refused).toContain("plugin rclone:latest no longer has volume wiki");
    expect((await stage.volume("wiki")).state).toBe("not listed");
    await stage.docker("volume", "create", "--driver", "rclone:latest", "wiki");
    await stage.bench.docker("restart", "c1");
    expect(await stage.shell("c1", read)).toBe("kept");
    expect((await stage.volume("wiki")).state).toBe("in use");
  },
  timeoutMs,
);
