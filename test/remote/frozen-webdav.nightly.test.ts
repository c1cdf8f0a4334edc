// A daemon, a dockerd and a real WebDAV server that is frozen under rclone: it is seen and said,
// nothing hangs, what was written meanwhile is on the server after it goes on.
import { expect } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { eventually } from "../support/child.ts";
import { HoldsBench } from "../support/holds-bench.ts";
import { startWebdavServer, WEBDAV_PASSWORD, WEBDAV_USER } from "../support/labs/webdav-server.ts";
import { whenPossible } from "../support/needs.ts";
import { obscured } from "../support/rclone-bench.ts";

const testMs = 240_000;

/** A held volume is asked every 15 s, and silence is believed at the second answer. */
const seenMs = 40_000;
/** What any request may take while the server is frozen, on a machine that does other things. */
const requestMs = 2_000;

const needed = ["root", "dockerd", "docker-cli", "mount", "busybox", "fuse", "rclone"] as const;

async function timed<T>(work: Promise<T>): Promise<readonly [T, number]> {
  const startedAt = performance.now();
  return [await work, performance.now() - startedAt];
}

whenPossible(
  [...needed],
  "a frozen server under rclone hangs nothing, and is back within 5 s of its return",
  async () => {
    await using bench = new HoldsBench();
    await using server = await startWebdavServer();
    writeFileSync(join(server.folder, "page"), "theirs");
    await bench.start();
    const login = join(bench.folder, "login");
    writeFileSync(login, `user = ${WEBDAV_USER}\npass = ${await obscured(WEBDAV_PASSWORD)}\n`);
    const secret = await bench.holdfast("secret", "create", "cloud", login);
    expect([secret.exit, secret.stderr]).toEqual([0, ""]);
    await bench.createVolume(
      "assets",
      ...["driver=rclone", "remote=webdav:", `webdav-url=${server.url}`, "webdav-vendor=other"],
      ...["secret=cloud", "write-back=1"],
    );
    await bench.run("web", "-v", "assets:/data");
    const inside = (script: string) => bench.docker("exec", "web", "sh", "-c", script);
    const state = async () => (await bench.volume("assets")).state;
    const becomes = (wanted: string, timeoutMs: number) =>
      eventually(async () => ((await state()) === wanted ? true : undefined), {
        timeoutMs,
        otherwise: () => `assets is not ${wanted}: ${bench.daemon.output()}`,
      });
    expect(await inside("cat /data/page")).toBe("theirs");

    await server.freeze();
    await inside("echo ours > /data/written");
    await becomes("unreachable", seenMs);
    const seen = await bench.holdfast("volume", "inspect", "assets");
    expect(seen.stdout).toContain("unreachable");
    expect(JSON.parse(seen.stdout)[0]).toMatchObject({
      Status: { storage: { unsaved: { files: 1 } } },
    });
    for (const words of [["volume", "ls"], ["volume", "inspect", "assets"], ["info"]] as const) {
      const [ended, tookMs] = await timed(bench.holdfast(...words));
      expect(ended.exit).toBe(0);
      expect(tookMs).toBeLessThan(requestMs);
    }
    const [, stopMs] = await timed(bench.docker("stop", "--timeout", "1", "web"));
    expect(stopMs).toBeLessThan(10_000);
    // What is not on the server yet is not waited for while its server is silent.
    await eventually(
      () => bench.daemon.output().includes("its server does not answer") || undefined,
      {
        timeoutMs: 20_000,
        otherwise: () => bench.daemon.output(),
      },
    );
    const [, startMs] = await timed(bench.docker("start", "web"));
    console.log("STOP", stopMs, "START", startMs);
    expect(startMs).toBeLessThan(20_000);
    await server.thaw();
    await becomes("in use", 5_000);
    expect(await inside("cat /data/page")).toBe("theirs");
    await eventually(
      () => (readFileSync(join(server.folder, "written"), "utf8") === "ours\n" ? true : undefined),
      { timeoutMs: 30_000, otherwise: () => bench.daemon.output() },
    );
    await bench.docker("rm", "-f", "web");
    await bench.docker("volume", "rm", "assets");
  },
  testMs,
);
