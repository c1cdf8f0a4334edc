// rclone on a socket of its own, found by a running Holdfast: used by the docker command line, and
// by containers of Docker, Podman and Compose.
import { expect } from "bun:test";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { runToEnd } from "../support/child.ts";
import { type Requirement, whenPossible } from "../support/needs.ts";
import { podmanRunArguments } from "../support/podman.ts";
import { type RclonePlugin, startRclonePlugin } from "../support/rclone-plugin.ts";
import { testImage } from "../support/test-image.ts";
import { Stage } from "./stage.ts";

const needed: readonly Requirement[] = ["root", "docker-cli", "mount", "fuse", "rclone", "busybox"];
const neededOfDocker: readonly Requirement[] = [...needed, "dockerd", "unshare"];
const timeoutMs = 120_000;
const line = "echo written > /data/page && cat /data/page && grep -c fuse.rclone /proc/mounts";

/** Where volumes of rclone lie, and rclone. */
interface Rclone extends AsyncDisposable {
  readonly plugin: RclonePlugin;
  readonly data: string;
}

/** Starts it beside a Holdfast that runs already, which finds it. */
async function startRclone(stage: Stage): Promise<Rclone> {
  const data = join(stage.folder, "data");
  mkdirSync(data);
  const socket = join(stage.bench.otherPlugins, "clouds.sock");
  await using started = new AsyncDisposableStack();
  const own = join(stage.folder, "rclone");
  const plugin = started.use(await startRclonePlugin(socket, own));
  await stage.untilState("clouds", "ready");
  const all = started.move();
  return { plugin, data, [Symbol.asyncDispose]: () => all.disposeAsync() };
}

async function isWritten(stage: Stage, { data }: Rclone): Promise<void> {
  const page = join(data, "page");
  await stage.until("written through", () => (existsSync(page) ? true : undefined));
  await stage.until("written whole", () =>
    readFileSync(page, "utf8") === "written\n" ? true : undefined,
  );
}

whenPossible(
  needed,
  "volumes by the docker command line",
  async () => {
    await using stage = await Stage.open({ engine: "none" });
    await using rclone = await startRclone(stage);
    const options = ["-o", "type=local", "-o", `path=${rclone.data}`, "--label", "a=b"];
    expect(await stage.docker("volume", "create", "-d", "clouds", ...options, "wiki")).toBe("wiki");
    expect(await stage.docker("volume", "ls", "--format", "{{.Driver}} {{.Name}}")).toBe(
      "clouds wiki",
    );
    expect(await stage.docker("volume", "ls", "-q", "--filter", "driver=clouds")).toBe("wiki");
    const format = "{{.Driver}} {{.Scope}} {{.Labels}} {{.Options}} {{.Mountpoint}}";
    const place = join(stage.folder, "rclone/mounts/wiki");
    expect(await stage.docker("volume", "inspect", "--format", format, "wiki")).toBe(
      `clouds local map[a:b] map[path:${rclone.data} type:local] ${place}`,
    );
    expect(await stage.docker("info", "--format", "{{.Plugins.Volume}}")).toBe(
      "[clouds local nfs rclone smb sshfs]",
    );
    const refused = await stage.run("volume", "create", "-d", "clouds", "-o", "type=nosuch", "odd");
    expect(refused.stderr).toContain("nosuch");
    expect(await stage.docker("volume", "rm", "wiki")).toBe("wiki");
    expect(await stage.docker("volume", "ls", "-q")).toBe("");
  },
  timeoutMs,
);

whenPossible(
  neededOfDocker,
  "a container of Docker",
  async () => {
    await using stage = await Stage.open();
    await using rclone = await startRclone(stage);
    await stage.bench.createVolume("wiki", "driver=clouds", "type=local", `path=${rclone.data}`);
    expect(await stage.shellOnce("wiki", line)).toBe("written\n1");
    await isWritten(stage, rclone);
    expect(await stage.shellOnce("wiki", "cat /data/page")).toBe("written");
    await stage.bench.docker("volume", "rm", "wiki");
    expect(await stage.docker("volume", "ls", "-q")).toBe("");
  },
  timeoutMs,
);

whenPossible(
  [...needed, "podman"],
  "a container of Podman",
  async () => {
    await using stage = await Stage.open({ engine: "none" });
    await using rclone = await startRclone(stage);
    const podman = await stage.bench.startPodman();
    const options = ["driver=clouds", "type=local", `path=${rclone.data}`];
    const words = options.flatMap((option) => ["--opt", option]);
    await podman.succeed("volume", "create", "--driver", "holdfast", ...words, "wiki");
    const run = ["run", "--rm", ...podmanRunArguments, "-v", "wiki:/data", testImage, "sh", "-c"];
    expect(await podman.succeed(...run, line)).toBe("written\n1");
    await isWritten(stage, rclone);
    expect(await podman.succeed(...run, "cat /data/page")).toBe("written");
    await stage.bench.holders("wiki");
    await podman.succeed("volume", "rm", "wiki");
    expect(await stage.docker("volume", "ls", "-q")).toBe("");
  },
  timeoutMs,
);

const project = (data: string) => `version: "3.7"
services:
  app:
    image: ${testImage}
    command: [sleep, "1000"]
    network_mode: none
    stop_signal: KILL
    volumes:
      - wiki:/data
volumes:
  wiki:
    driver: holdfast
    driver_opts:
      driver: clouds
      type: local
      path: ${data}
`;

whenPossible(
  [...neededOfDocker, "docker-compose"],
  "a project of Compose",
  async () => {
    await using stage = await Stage.open();
    await using rclone = await startRclone(stage);
    const file = join(stage.folder, "docker-compose.yml");
    writeFileSync(file, project(rclone.data));
    const environment = { DOCKER_HOST: `unix://${stage.bench.dockerd.socketPath}` };
    const compose = async (...words: readonly string[]) => {
      const all = ["--project-name", "shop", "--file", file, ...words];
      const ended = await runToEnd("docker-compose", all, { environment, timeoutMs });
      if (ended.exit !== 0) throw new Error(`${words}: ${ended.stderr}\n${stage.log()}`);
      return ended.stdout.trim();
    };
    await compose("up", "--detach");
    expect(await compose("exec", "-T", "app", "sh", "-c", line)).toBe("written\n1");
    await isWritten(stage, rclone);
    expect((await stage.volume("shop_wiki")).holders.map(({ project }) => project)).toEqual([
      "shop",
    ]);
    await compose("down");
    await compose("up", "--detach");
    expect(await compose("exec", "-T", "app", "cat", "/data/page")).toBe("written");
    await compose("down", "--volumes");
    expect(await stage.docker("volume", "ls", "-q")).toBe("");
  },
  timeoutMs,
);
