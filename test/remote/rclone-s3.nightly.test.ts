// The rclone driver's kind on a real S3 server: buckets, keys, prefixes, crashes.
import { afterAll, expect } from "bun:test";
import {
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { eventually, runToEnd } from "../support/child.ts";
import {
  type RadosgwServer,
  S3_KEY,
  S3_KEY_ID,
  startRadosgwServer,
} from "../support/labs/radosgw-server.ts";
import { whenPossible } from "../support/needs.ts";
import { closeDead, rcloneBench } from "../support/rclone-bench.ts";
import { heal, notesOf } from "../support/rclone-kills.ts";

const needed = ["root", "mount", "fuse", "rclone", "radosgw"] as const;
const secret = `access_key_id = ${S3_KEY_ID}\nsecret_access_key = ${S3_KEY}\n`;

let shared: Promise<RadosgwServer> | undefined;
afterAll(async () => await (await shared)?.[Symbol.asyncDispose]());

/** The options of a remote on the server, which has one bucket. */
async function on(remote: string): Promise<Readonly<Record<string, string>>> {
  shared ??= withBucket();
  const { url } = await shared;
  return { remote, "s3-provider": "Ceph", "s3-endpoint": url, "write-back": "0.1" };
}

async function withBucket(): Promise<RadosgwServer> {
  const server = await startRadosgwServer();
  const login = ["--s3-access-key-id", S3_KEY_ID, "--s3-secret-access-key", S3_KEY];
  const where = ["--s3-provider", "Ceph", "--s3-endpoint", server.url];
  const words = ["mkdir", ":s3:lab", "--config", "/dev/null", ...where, ...login];
  const environment = { AWS_CA_BUNDLE: "" };
  const made = await runToEnd("rclone", words, { environment, timeoutMs: 60_000 });
  if (made.exit !== 0) throw new Error(made.stderr);
  return server;
}

whenPossible(needed, "files, renames and prefixes that are not there yet", async () => {
  for (const remote of ["s3:lab", "s3:lab/a/prefix"]) {
    await using volume = rcloneBench(await on(remote), secret);
    await volume.mount();
    writeFileSync(join(volume.target, "one"), "1");
    mkdirSync(join(volume.target, "below"));
    writeFileSync(join(volume.target, "below", "two"), "2");
    renameSync(join(volume.target, "one"), join(volume.target, "uno"));
    await volume.unmount();
    await volume.mount();
    expect(readdirSync(volume.target)).toContain("uno");
    expect(readFileSync(join(volume.target, "below", "two"), "utf8")).toBe("2");
    await volume.unmount();
  }
});

whenPossible(needed, "buckets that are not there, and keys that are none", async () => {
  const refusal = async (remote: string, keys: string): Promise<unknown> => {
    await using volume = rcloneBench(await on(remote), keys);
    return await volume.mount().catch((thrown: unknown) => thrown);
  };
  expect(await refusal("s3:nobody", secret)).toMatchObject({ code: "remote.not_found" });
  expect(await refusal("s3:nobody/a", secret)).toMatchObject({ code: "remote.not_found" });
  expect(await refusal("s3:lab", "")).toMatchObject({ code: "remote.denied" });
  const wrong = secret.replace(S3_KEY, "never-right-1");
  const said = await refusal("s3:lab", wrong);
  expect(said).toMatchObject({ code: "remote.denied" });
  expect(String(said)).not.toContain("never-right-1");
});

whenPossible(needed, "a file that was open when rclone died is put together", async () => {
  await using volume = rcloneBench(await on("s3:lab/crash"), secret);
  await volume.mount();
  writeFileSync(join(volume.target, "base"), Buffer.alloc(1_000_000, "A"));
  await volume.unmount();
  await volume.mount();
  const base = openSync(join(volume.target, "base"), "r+");
  writeSync(base, "X", 0);
  writeSync(base, "Y", 500_000);
  process.kill(volume.pid(), "SIGKILL");
  await eventually(async () => ((await volume.look()).stale === undefined ? undefined : true), {
    timeoutMs: 10_000,
    otherwise: () => "rclone was killed, and nobody notices",
  });
  closeDead(base);
  await volume.unmount({ isLost: true });
  await volume.mount();
  await volume.unmount();
  await volume.mount();
  const expected = Buffer.alloc(1_000_000, "A");
  expected.write("X", 0);
  expected.write("Y", 500_000);
  expect(readFileSync(join(volume.target, "base")).equals(expected)).toBe(true);
  await volume.unmount();
});

whenPossible(
  needed,
  "files whose notes are empty: one that is not there, one that is",
  async () => {
    const options = { ...(await on("s3:lab/notes")), "write-back": "3600" };
    await using volume = rcloneBench(options, secret);
    const written = { old: "over the old", "d/new": "new" };
    Object.assign(volume.description.options, { writeBackSeconds: 0.1 });
    await volume.mount();
    writeFileSync(join(volume.target, "old"), "old");
    await volume.unmount();
    Object.assign(volume.description.options, { writeBackSeconds: 3600 });
    await volume.mount();
    mkdirSync(join(volume.target, "d"));
    for (const [name, text] of Object.entries(written))
      writeFileSync(join(volume.target, name), text);
    await eventually(
      async () => ((await volume.look()).unsaved?.fileCount === 2 ? true : undefined),
      { timeoutMs: 10_000, otherwise: () => "rclone has not noted what was written" },
    );
    process.kill(volume.pid(), "SIGKILL");
    await heal(volume, () => {
      for (const path of notesOf(volume, "s3")) truncateSync(path);
    });
    await volume.mount();
    for (const [name, text] of Object.entries(written)) {
      expect(readFileSync(join(volume.target, name), "utf8")).toBe(text);
    }
    expect((await volume.look()).degraded).toBeUndefined();
    await volume.unmount();
  },
);
