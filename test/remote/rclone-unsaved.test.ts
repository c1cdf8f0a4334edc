// What was written to an rclone volume and is not on the server yet: counted, waited for, kept.
import { expect } from "bun:test";
import { fsyncSync, openSync, readFileSync, writeFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { eventually } from "../support/child.ts";
import { startWebdavServer, WEBDAV_PASSWORD, WEBDAV_USER } from "../support/labs/webdav-server.ts";
import { whenPossible } from "../support/needs.ts";
import { closeDead, obscured, type RcloneBench, rcloneBench } from "../support/rclone-bench.ts";

const needed = ["root", "mount", "fuse", "rclone"] as const;

/** A server and a volume on it that sends nothing for an hour unless told otherwise. */
async function stage(writeBack = "3600") {
  const server = await startWebdavServer();
  const secret = `user = ${WEBDAV_USER}\npass = ${await obscured(WEBDAV_PASSWORD)}\n`;
  const options = {
    ...{ remote: "webdav:", "webdav-url": server.url, "webdav-vendor": "other" },
    "write-back": writeBack,
  };
  return { server, bench: rcloneBench(options, secret), options, secret };
}

/** Ends the rclone of a volume as a crash does. */
async function crash(bench: RcloneBench): Promise<void> {
  process.kill(bench.pid(), "SIGKILL");
  await eventually(async () => ((await bench.look()).stale === undefined ? undefined : true), {
    timeoutMs: 10_000,
    otherwise: () => "rclone was killed, and nobody notices",
  });
}

/** Mounts again with a short write-back and waits until all is sent. */
async function healAndSend(bench: RcloneBench): Promise<void> {
  await bench.unmount({ isLost: true });
  Object.assign(bench.description.options, { writeBackSeconds: 1 });
  await bench.mount();
  await bench.unmount();
}

whenPossible(
  needed,
  "what is written is counted, and an unmount waits until it is sent",
  async () => {
    const { server, bench } = await stage("1");
    await using _server = server;
    await using volume = bench;
    await volume.mount();
    writeFileSync(join(volume.target, "note"), "twelve bytes");
    expect((await volume.look()).unsaved).toEqual({ fileCount: 1, bytes: 12 });
    await volume.unmount();
    expect(readFileSync(join(server.folder, "note"), "utf8")).toBe("twelve bytes");
    expect((await volume.look()).unsaved).toEqual({ fileCount: 0, bytes: 0 });
  },
);

whenPossible(
  needed,
  "a file that is open when rclone dies keeps all that was written",
  async () => {
    const { server, bench } = await stage();
    await using _server = server;
    await using volume = bench;
    const path = join(server.folder, "base");
    writeFileSync(path, Buffer.alloc(20_000_000, "A"));
    writeFileSync(join(server.folder, "log"), "old line\n");
    writeFileSync(join(server.folder, "anew"), Buffer.alloc(300_000, "B"));
    await volume.mount();
    const base = openSync(join(volume.target, "base"), "r+");
    for (const at of [0, 10_000_123, 19_000_000]) {
      writeSync(base, Buffer.alloc(5_000, "X"), 0, 5_000, at);
      fsyncSync(base);
    }
    const log = openSync(join(volume.target, "log"), "a");
    writeSync(log, "line 2\n");
    writeSync(log, "line 3\n");
    const anew = openSync(join(volume.target, "anew"), "w");
    writeSync(anew, Buffer.alloc(100_000, "C"));
    const fresh = openSync(join(volume.target, "fresh"), "w");
    writeSync(fresh, "new");
    writeSync(fresh, "er");
    await crash(volume);
    closeDead(base, log, anew, fresh);
    await healAndSend(volume);
    const expected = Buffer.alloc(20_000_000, "A");
    for (const at of [0, 10_000_123, 19_000_000]) expected.fill("X", at, at + 5_000);
    expect(readFileSync(path).equals(expected)).toBe(true);
    expect(readFileSync(join(server.folder, "log"), "utf8")).toBe("old line\nline 2\nline 3\n");
    expect(readFileSync(join(server.folder, "anew")).equals(Buffer.alloc(100_000, "C"))).toBe(true);
    expect(readFileSync(join(server.folder, "fresh"), "utf8")).toBe("newer");
    expect((await volume.look()).degraded).toBeUndefined();
  },
);

whenPossible(
  needed,
  "no hole is sent when the server is away at the start after a crash",
  async () => {
    const { server, bench } = await stage();
    await using _server = server;
    await using volume = bench;
    const path = join(server.folder, "base");
    writeFileSync(path, Buffer.alloc(2_000_000, "A"));
    await volume.mount();
    const base = openSync(join(volume.target, "base"), "r+");
    writeSync(base, "X", 1_000_000);
    await crash(volume);
    await server.kill();
    await volume.unmount({ isLost: true });
    await expect(volume.mount()).rejects.toMatchObject({ code: "remote.unreachable" });
    expect((await volume.look()).unsaved).toEqual({ fileCount: 1, bytes: 2_000_000 });
    await server.start();
    await healAndSend(volume);
    const expected = Buffer.alloc(2_000_000, "A");
    expected[1_000_000] = "X".charCodeAt(0);
    expect(readFileSync(path).equals(expected)).toBe(true);
  },
);
