// Volumes on other machines behind a real Docker Engine, Compose and Podman: what their users type,
// what they are told when it cannot be, and what goes on while a server is silent or late.
import { afterAll, beforeAll, expect } from "bun:test";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { eventually, runToEnd } from "../support/child.ts";
import { needs, type Requirement, whenPossible } from "../support/needs.ts";
import { podmanRunArguments } from "../support/podman.ts";
import { RemoteStage } from "../support/remote-stage.ts";
import { testImage } from "../support/test-image.ts";

const requirements: readonly Requirement[] = [
  ...(["root", "dockerd", "docker-cli", "mount", "unshare", "busybox"] as const),
  ...(["fuse", "sshfs", "sshd", "rclone"] as const),
];
const timeoutMs = 60_000;
const soonMs = 20_000;

let stage: RemoteStage;
beforeAll(async () => {
  if (needs(...requirements).skip !== undefined) return;
  stage = new RemoteStage();
  await stage.start();
}, timeoutMs);
afterAll(async () => await stage?.[Symbol.asyncDispose](), timeoutMs);

function when(name: string, run: () => Promise<void>, more: readonly Requirement[] = []): void {
  whenPossible([...requirements, ...more], name, run, timeoutMs);
}

/** A container that does one thing. */
function once(mount: string, ...words: readonly string[]): readonly string[] {
  return ["run", "--rm", "--network=none", "-v", mount, testImage, ...words];
}

/** How long a command took, in milliseconds. */
async function took(work: () => Promise<unknown>): Promise<number> {
  const before = performance.now();
  await work();
  return performance.now() - before;
}

when("files on a server with SSH, as everybody types it", async () => {
  const { bench } = stage;
  await bench.createVolume("files", ...stage.sshOptions());
  expect(await bench.docker(...once("files:/data", "cat", "/data/theirs"))).toBe("before");
  expect(await bench.refused(...once("files:/data:ro", "touch", "/data/no"))).toContain(
    "Read-only file system",
  );
  await bench.run("one", "-v", "files:/data");
  await bench.run("two", "-v", "files:/data:ro");
  writeFileSync(join(bench.folder, "copied"), "by docker cp");
  await bench.docker("cp", join(bench.folder, "copied"), "one:/data/copied");
  expect(await bench.docker("exec", "two", "cat", "/data/copied")).toBe("by docker cp");
  expect(readFileSync(join(stage.exported, "copied"), "utf8")).toBe("by docker cp");
  expect(await bench.docker("volume", "ls", "-q")).toBe("files");
  const shown = JSON.parse(await bench.docker("volume", "inspect", "files"))[0];
  expect(shown.Status).toMatchObject({
    driver: "sshfs",
    state: "in use",
    storage: { state: "ready", server: `127.0.0.1:${stage.ssh.port}` },
  });
  expect(await bench.refused("volume", "rm", "files")).toContain("in use");
  // The same again is no mistake, as with every volume.
  await bench.createVolume("files", ...stage.sshOptions());
  await bench.docker("rm", "-f", "one", "two");
  await bench.docker("volume", "rm", "files");
  expect(readdirSync(stage.exported).toSorted()).toEqual(["copied", "theirs"]);
});

when("a folder in the cloud, as everybody types it", async () => {
  const { bench, cloud } = stage;
  await bench.createVolume("assets", ...stage.cloudOptions({ subpath: "photos" }));
  await bench.docker(...once("assets:/data", "sh", "-c", "echo smile > /data/first"));
  const first = join(cloud.folder, "photos/first");
  await eventually(() => (existsSync(first) ? true : undefined), {
    timeoutMs: soonMs,
    otherwise: () => bench.daemon.output(),
  });
  expect(await bench.docker(...once("assets:/data:ro", "cat", "/data/first"))).toBe("smile");
  await bench.docker("volume", "rm", "assets");
  expect(readFileSync(first, "utf8")).toBe("smile\n");
});

when("what cannot be is refused with the reason and the way out, and leaves nothing", async () => {
  const { bench, ssh } = stage;
  const refusals: readonly (readonly [Readonly<Record<string, string>>, ...string[]])[] = [
    [{ paht: "/x" }, 'unknown option "paht": did you mean path?'],
    [{ driver: "sshsf" }, 'unknown driver "sshsf": did you mean sshfs?'],
    [{ password: "hunter2" }, '"password" is a password', "holdfast secret create NAME"],
    [{ secret: "shh-key" }, "there is no secret shh-key", "holdfast secret ls"],
    [{ port: "99999" }, '"99999" is not a port from 1 to 65535'],
    [{ port: "1" }, "ECONNREFUSED", "see that the server runs", "-o test=off"],
    [{ host: "root@nosuch.invalid" }, 'at the step "resolve"', "nosuch.invalid"],
    [{ path: `${stage.exported}/nosuch` }, "No such file or directory", "nosuch"],
  ];
  for (const [more, ...wanted] of refusals) {
    const words = stage.sshOptions(more).flatMap((option) => ["-o", option]);
    const said = await bench.refused("volume", "create", "-d", "holdfast", ...words, "refused");
    for (const text of wanted) expect(said).toContain(text);
    expect(said).not.toContain("hunter2");
  }
  expect(await bench.docker("volume", "ls", "-q")).toBe("");
  expect(ssh.said()).not.toContain("refused");
  expect(stage.sshfs()).toEqual([]);
});

when(
  "a volume that nobody tested is refused when it is used, and nothing is made for it",
  async () => {
    const { bench } = stage;
    await bench.createVolume("late", ...stage.sshOptions({ port: "1", test: "off" }));
    const spent = await took(async () => {
      const said = await bench.refused(...once("late:/data", "touch", "/data/nowhere"));
      expect(said).toContain("Connection refused");
      expect(said).not.toContain("test=off");
    });
    expect(spent).toBeLessThan(10_000);
    expect(readdirSync(join(bench.root, "remote/sshfs/late/data"))).toEqual([]);
    expect(bench.holdMounts()).toEqual([]);
    await bench.docker("volume", "rm", "late");
  },
);

when("a server that falls silent hangs nobody but who reads from it", async () => {
  const { bench, ssh } = stage;
  await bench.createVolume("media", ...stage.sshOptions());
  await bench.run("player", "-v", "media:/data:ro");
  await bench.run("idler", "-v", "media:/data");
  await bench.holders("media", "player running ro", "idler running rw");
  await ssh.freeze();
  // It is not known yet: the first who comes finds it out.
  const spent = await took(async () => {
    const said = await bench.refused(...once("media:/data", "ls", "/data"));
    expect(said).toContain(`the storage on 127.0.0.1:${ssh.port} does not answer`);
  });
  expect(spent).toBeLessThan(12_000);
  let row = "";
  await eventually(
    async () => {
      row = (await stage.table()).find((line) => line.startsWith("media")) ?? "";
      return row.includes("UNREACHABLE") ? true : undefined;
    },
    { timeoutMs: soonMs, otherwise: () => row },
  );
  expect(row).toMatch(/^media {4,}sshfs +UNREACHABLE \d+s \(127\.0\.0\.1:\d+\) +\S/);
  expect(row).toContain("player (ro)");
  expect(row).toContain("idler (rw)");
  const quick: readonly (readonly string[])[] = [
    ...[["ps"], ["volume", "ls"], ["volume", "inspect", "media"], ["inspect", "player"]],
    ...[
      ["stop", "idler"],
      ["rm", "-f", "idler"],
    ],
  ];
  for (const words of quick) {
    expect([words, (await took(() => bench.docker(...words))) < 4_500]).toEqual([words, true]);
  }
  await ssh.thaw();
  await eventually(
    async () => ((await bench.volume("media")).state === "in use" ? true : undefined),
    { timeoutMs: soonMs, otherwise: () => bench.daemon.output() },
  );
  expect(await bench.docker("exec", "player", "cat", "/data/theirs")).toBe("before");
  expect(await bench.docker(...once("media:/data", "cat", "/data/theirs"))).toBe("before");
  await bench.docker("rm", "-f", "player");
  await bench.docker("volume", "rm", "media");
});

when("after a boot before the server's, containers that are always to run do", async () => {
  const { bench, ssh } = stage;
  await bench.createVolume("files", ...stage.sshOptions());
  const started = (name: string, policy: string) =>
    bench.docker(
      ...["run", "-d", "--name", name, "--restart", policy, "--network", "none"],
      ...["--stop-signal", "KILL", "-v", "files:/data", testImage, "sleep", "1000"],
    );
  await started("always", "always");
  await started("never", "no");
  await stage.loseHost();
  await ssh.kill();
  await bench.startDaemon();
  await bench.dockerd.restart();
  const running = async () => (await bench.docker("ps", "--format", "{{.Names}}")).split("\n");
  expect(await running()).toEqual([""]);
  await ssh.restart();
  await eventually(async () => ((await running()).includes("always") ? true : undefined), {
    timeoutMs: soonMs,
    otherwise: () => bench.daemon.output(),
  });
  expect(await bench.docker("exec", "always", "cat", "/data/theirs")).toBe("before");
  expect(await running()).toEqual(["always"]);
  await bench.docker("rm", "-f", "always", "never");
  await bench.holders("files");
  await bench.docker("volume", "rm", "files");
});

when("a Compose file has them, and takes them away without their data", async () => {
  const { bench } = stage;
  const project = join(bench.folder, "shop");
  mkdirSync(project);
  const options = stage.sshOptions({ subpath: "shop" }).map((each) => {
    const equals = each.indexOf("=");
    return `      ${each.slice(0, equals)}: "${each.slice(equals + 1)}"`;
  });
  const file = `version: "3.7"
services:
  web:
    image: ${testImage}
    command: [sh, -c, "echo page > /data/index; sleep 1000"]
    network_mode: none
    stop_signal: KILL
    volumes: ["pages:/data"]
volumes:
  pages:
    driver: holdfast
    driver_opts:
${options.join("\n")}
`;
  writeFileSync(join(project, "compose.yml"), file);
  const compose = async (...words: readonly string[]) => {
    const place = ["--ansi", "never", "-f", join(project, "compose.yml"), ...words];
    const environment = { DOCKER_HOST: `unix://${bench.dockerd.socketPath}` };
    const ended = await runToEnd("docker-compose", place, { environment, timeoutMs });
    if (ended.exit !== 0) throw new Error(ended.stderr);
  };
  await compose("up", "-d");
  const index = join(stage.exported, "shop/index");
  await eventually(() => (existsSync(index) ? true : undefined), {
    timeoutMs: soonMs,
    otherwise: () => bench.daemon.output(),
  });
  const [row] = await stage.table();
  expect(row).toContain("shop/shop_web_1 (rw)");
  await compose("down", "--volumes");
  expect(await bench.docker("volume", "ls", "-q")).toBe("");
  expect(readFileSync(index, "utf8")).toBe("page\n");
}, ["docker-compose"]);

when("Podman has them too, and says why not", async () => {
  const { bench, ssh } = stage;
  const podman = await bench.startPodman();
  const words = stage.sshOptions().flatMap((option) => ["-o", option]);
  await podman.succeed("volume", "create", "--driver=holdfast", ...words, "pods");
  const read = ["run", "--rm", ...podmanRunArguments, "-v", "pods:/data", testImage];
  expect(await podman.succeed(...read, "cat", "/data/theirs")).toBe("before");
  await ssh.kill();
  await eventually(() => (stage.sshfs().length === 0 ? true : undefined), {
    timeoutMs: soonMs,
    otherwise: () => bench.daemon.output(),
  });
  const refused = await podman.run(...read, "ls", "/data");
  expect([refused.exit, refused.stdout]).toEqual([expect.any(Number), ""]);
  expect(refused.stderr).toContain("Connection refused");
  await ssh.restart();
  expect(await podman.succeed(...read, "cat", "/data/theirs")).toBe("before");
  await podman.succeed("volume", "rm", "pods");
}, ["podman"]);
