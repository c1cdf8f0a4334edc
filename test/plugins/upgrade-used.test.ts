// An upgrade of a plugin whose volume a container of a real dockerd has: not under its feet.
import { expect } from "bun:test";
import { join } from "node:path";
import { type Requirement, whenPossible } from "../support/needs.ts";
import { type ConfigChanges, makePluginRootfs } from "../support/plugin-rootfs.ts";
import { startRegistry } from "../support/registry.ts";
import { Stage } from "./stage.ts";

const needed: readonly Requirement[] = [
  ...(["root", "dockerd", "docker-cli", "docker-registry", "plugin-runtime"] as const),
  ...(["mount", "unshare", "busybox"] as const),
];
const read = "cat /data/page";
const timeoutMs = 120_000;

whenPossible(
  needed,
  "waits for the container to be stopped, which has its data then, as after a way back",
  async () => {
    await using stage = await Stage.open();
    await using registry = await startRegistry();
    const remote = (tag: string) => `${registry.host}/vp:${tag}`;
    const versions: Readonly<Record<string, ConfigChanges>> = {
      v1: {},
      v2: {},
      bad: { entrypoint: ["/bin/nothere"] },
    };
    for (const [tag, changes] of Object.entries(versions)) {
      const folder = join(stage.folder, tag);
      await makePluginRootfs(folder, "propagated", { description: tag, ...changes });
      await stage.publish(remote(tag), folder);
    }
    const upgrade = (tag: string) =>
      stage.bench.holdfast(
        ...["plugin", "upgrade", "--grant-all-permissions", "--skip-remote-check"],
        ...["vp", remote(tag)],
      );
    const shown = () => stage.docker("plugin", "inspect", "-f", "{{.Config.Description}}", "vp");
    await stage.docker(
      ...["plugin", "install", "--grant-all-permissions", "--alias", "vp"],
      remote("v1"),
    );
    await stage.bench.createVolume("wiki", "driver=vp");
    await stage.container("c1", "wiki");
    await stage.shell("c1", "echo one > /data/page");

    const inUse = await upgrade("v2");
    expect(inUse.stderr).toContain("somebody has its volumes wiki; stop those containers first");
    expect([await shown(), await stage.shell("c1", read)]).toEqual(["v1", "one"]);
    await stage.bench.docker("stop", "c1");
    await stage.bench.holders("wiki", "c1 stopped rw");
    expect(await upgrade("v2")).toMatchObject({ exit: 0, stderr: "" });
    expect([await shown(), (await stage.untilState("vp", "ready")).name]).toEqual([
      "v2",
      "vp:latest",
    ]);
    await stage.bench.docker("start", "c1");
    expect(await stage.shell("c1", `echo two > /data/page; ${read}`)).toBe("two");

    await stage.bench.docker("stop", "c1");
    await stage.bench.holders("wiki", "c1 stopped rw");
    const refused = await upgrade("bad");
    expect(refused.exit).not.toBe(0);
    expect(refused.stderr).toContain("no such file or directory");
    expect([await shown(), (await stage.untilState("vp", "ready")).name]).toEqual([
      "v2",
      "vp:latest",
    ]);
    await stage.bench.docker("start", "c1");
    expect(await stage.shell("c1", read)).toBe("two");
    await stage.bench.docker("rm", "--force", "c1");
    await stage.bench.docker("volume", "rm", "wiki");
    await stage.docker("plugin", "disable", "vp");
  },
  timeoutMs,
);
