// Rounds of writing into an rclone volume and killing rclone a moment after a file was closed.
import {
  closeSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  statSync,
  writeSync,
} from "node:fs";
import { open } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { startWebdavServer, WEBDAV_PASSWORD, WEBDAV_USER } from "./labs/webdav-server.ts";
import { obscured, type RcloneBench, rcloneBench } from "./rclone-bench.ts";

/** rclone writes its notes within this time after a close, in milliseconds. */
const MOMENT_MS = 20;

/** A WebDAV server and a volume on it. */
export async function rcloneOnWebdav(writeBack: string) {
  const server = await startWebdavServer();
  const secret = `user = ${WEBDAV_USER}\npass = ${await obscured(WEBDAV_PASSWORD)}\n`;
  const options = {
    ...{ remote: "webdav:", "webdav-url": server.url, "webdav-vendor": "other" },
    "write-back": writeBack,
  };
  return { server, bench: rcloneBench(options, secret) };
}

/** Writes as a careful program does: all of it is safe, as it believes. */
export function writeSafely(path: string, content: Buffer, flags: "w" | "a" = "w"): void {
  const file = openSync(path, flags);
  try {
    writeSync(file, content);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

/** Mounts a volume whose rclone was killed anew, and waits until all is sent. */
export async function heal(bench: RcloneBench, before: () => void): Promise<void> {
  await bench.unmount({ isLost: true });
  before();
  Object.assign(bench.description.options, { writeBackSeconds: 0.1 });
  await bench.mount();
  await bench.unmount();
}

/** The notes of rclone's cache, as paths below it. */
export function notesOf(bench: RcloneBench, remote = "webdav"): readonly string[] {
  const meta = join(bench.keepDirectory, "cache", "vfsMeta", remote);
  return readdirSync(meta, { recursive: true, encoding: "utf8" })
    .map((name) => join(meta, name))
    .filter((path) => statSync(path).isFile());
}

/** So many files are written at the same time, so that a note is nearly always being written. */
const CROWD = 40;

/** Writes many files at once; the last of them are cut off. Tells of those that are safe. */
async function writeCrowd(
  bench: RcloneBench,
  content: Buffer,
  tell: (name: string, isSafe: boolean) => void,
): Promise<void> {
  const names = Array.from({ length: CROWD }, (_, index) => `new/crowd-${index}`);
  const writers = names.map(async (name) => {
    tell(name, false);
    const file = await open(join(bench.target, name), "w");
    try {
      await file.write(content);
      await file.sync();
    } finally {
      await file.close();
    }
    tell(name, true);
  });
  // rclone is killed meanwhile.
  await Promise.allSettled(writers);
}

/**
 * Writes a new file, another over one of the server's, behind the end of a third, and many at once;
 * kills rclone 0 to 20 ms later, and heals. Throws when a byte of what was closed is not on the
 * server. Resolves with how many notes were cut short.
 */
export async function killRounds(roundCount: number): Promise<number> {
  const { server, bench } = await rcloneOnWebdav("0.1");
  await using _server = server;
  await using volume = bench;
  const expected = new Map<string, Buffer>();
  let cutCount = 0;
  mkdirSync(join(server.folder, "new"));
  for (let round = 0; round < roundCount; round++) {
    await volume.mount();
    const delayMs = Math.random() * (MOMENT_MS + 1);
    const content = Buffer.alloc(1 + Math.floor(Math.random() * 300_000), `round ${round} `);
    writeThree(volume, round, content, expected);
    const crowd = writeCrowd(volume, content.subarray(0, 20_000), (name, isSafe) => {
      if (isSafe) expected.set(name, content.subarray(0, 20_000));
      else expected.delete(name);
    });
    await pause(delayMs);
    process.kill(bench.pid(), "SIGKILL");
    await crowd;
    await heal(volume, () => {
      cutCount += notesOf(volume).filter((path) => statSync(path).size === 0).length;
    });
    const what = `round ${round}, killed after ${delayMs.toFixed(1)} ms`;
    for (const [name, bytes] of expected) {
      if (!readFileSync(join(server.folder, name)).equals(bytes)) {
        throw new Error(`${what}: ${name} is not on the server as it was written`);
      }
    }
    const { degraded } = await volume.look();
    if (degraded !== undefined) throw new Error(`${what}: ${degraded}`);
  }
  return cutCount;
}

function writeThree(
  bench: RcloneBench,
  round: number,
  content: Buffer,
  expected: Map<string, Buffer>,
): void {
  for (const [name, bytes, flags] of [
    ["log", content.subarray(0, 5_000), "a"],
    ["same", content, "w"],
    [`new/${round}`, content, "w"],
  ] as const) {
    const before = (flags === "a" ? expected.get(name) : undefined) ?? Buffer.alloc(0);
    writeSafely(join(bench.target, name), bytes, flags);
    expected.set(name, Buffer.concat([before, bytes]));
  }
}
