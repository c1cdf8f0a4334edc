// A daemon, a dockerd and a real sshd: the sshfs under a running container is killed, the server is
// frozen, and the container goes on.
import { expect } from "bun:test";
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { startSshServer } from "../daemon/ssh-server.ts";
import { eventually } from "../support/child.ts";
import { HoldsBench } from "../support/holds-bench.ts";
import { whenPossible } from "../support/needs.ts";

const requirements = [
  ...(["root", "dockerd", "docker-cli", "mount", "busybox"] as const),
  ...(["fuse", "sshfs", "sshd"] as const),
];
const testMs = 120_000;

/** A server that is back, or a process that has died, is seen and mended so soon. */
const soonMs = 40_000;

/** The process that serves this directory. */
function sshfsOf(directory: string): number {
  const found = readdirSync("/proc").find((pid) => {
    if (!/^\d+$/.test(pid)) return false;
    try {
      const words = readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0");
      return words[0]?.endsWith("sshfs") && words.some((word) => word.includes(directory));
    } catch {
      return false;
    }
  });
  if (found === undefined) throw new Error(`no sshfs serves ${directory}`);
  return Number(found);
}

whenPossible(
  requirements,
  "a dead sshfs and a frozen server are seen, said, and mended under a running container",
  async () => {
    await using bench = new HoldsBench();
    const exported = join(bench.folder, "exported");
    mkdirSync(exported);
    writeFileSync(join(exported, "page"), "theirs");
    await using server = await startSshServer(join(bench.folder, "ssh"));
    await bench.start();
    const key = join(server.folder, "user");
    const secret = await bench.holdfast("secret", "create", "nas", key);
    expect([secret.exit, secret.stderr]).toEqual([0, ""]);
    const [kind, hostKey] = readFileSync(join(server.folder, "host.pub"), "utf8").split(" ");
    await bench.createVolume(
      "files",
      ...["driver=sshfs", "host=root@127.0.0.1", `port=${server.port}`, `path=${exported}`],
      ...["secret=nas", `host-key=${kind} ${hostKey}`],
    );
    await bench.run("web", "-v", "files:/data");
    const read = () => bench.docker("exec", "web", "cat", "/data/page").catch(String);
    const state = async () => (await bench.volume("files")).state;
    const becomes = (wanted: string) =>
      eventually(async () => ((await state()) === wanted ? true : undefined), {
        timeoutMs: soonMs,
        otherwise: () => `files is not ${wanted}: ${bench.daemon.output()}`,
      });
    expect(await read()).toBe("theirs");

    // The process dies.
    process.kill(sshfsOf(exported), "SIGKILL");
    await eventually(async () => ((await read()) === "theirs" ? true : undefined), {
      timeoutMs: soonMs,
      otherwise: () => bench.daemon.output(),
    });

    // The server freezes, and comes back.
    await server.freeze();
    await becomes("unreachable");
    const listed = await bench.holdfast("volume", "inspect", "files");
    expect(listed.stdout).toContain("unreachable");
    await server.thaw();
    const backAt = performance.now();
    await becomes("in use");
    expect(performance.now() - backAt).toBeLessThan(5_000);
    expect(await read()).toBe("theirs");
    await bench.docker("rm", "-f", "web");
    await bench.holders("files");
    expect(bench.holdMounts()).toEqual([]);
    await bench.docker("volume", "rm", "files");
  },
  testMs,
);
