// Volumes of rclone on a real S3 server (Ceph's gateway) and on a real WebDAV server.
import { expect } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { runToEnd } from "../support/child.ts";
import { holdfastCommand, startDaemon, temporaryDirectory } from "../support/daemon.ts";
import { S3_KEY, S3_KEY_ID, startRadosgwServer } from "../support/labs/radosgw-server.ts";
import { startWebdavServer, WEBDAV_PASSWORD, WEBDAV_USER } from "../support/labs/webdav-server.ts";
import { whenPossible } from "../support/needs.ts";

const programMs = 60_000;
const testMs = 300_000;

/** Makes a volume, writes a file as its holder does, and lets it go. */
async function writeFirst(lines: readonly string[], options: readonly string[]): Promise<void> {
  const own = temporaryDirectory();
  await using daemon = await startDaemon({ root: join(own, "root") });
  const [program, ...first] = holdfastCommand();
  const holdfast = async (...words: readonly string[]) => {
    const all = [...first, "--host", `unix://${daemon.socketPath}`, ...words];
    const ended = await runToEnd(program, all, { timeoutMs: programMs });
    expect(ended).toMatchObject({ exit: 0 });
  };
  writeFileSync(join(own, "secret"), lines.join("\n"));
  await holdfast("secret", "create", "cloud", join(own, "secret"));
  const words = ["-d", "rclone", "-o", "secret=cloud", "-o", "subpath=photos"];
  await holdfast("volume", "create", ...words, ...options.flatMap((each) => ["-o", each]), "cloud");
  const holder = "http://holdfast/holdfast/v1/volumes/cloud/holders/one";
  const held = await fetch(holder, { method: "PUT", unix: daemon.socketPath });
  const { path } = (await held.json()) as { readonly path: string };
  writeFileSync(join(path, "first"), "a picture");
  const released = await fetch(holder, { method: "DELETE", unix: daemon.socketPath });
  expect(released.status).toBe(204);
  await holdfast("volume", "rm", "cloud");
}

whenPossible(
  ["root", "fuse", "rclone", "radosgw"],
  "what a holder wrote is in the bucket when it is gone",
  async () => {
    await using server = await startRadosgwServer();
    const keys = `access_key_id=${S3_KEY_ID},secret_access_key=${S3_KEY}`;
    const bucket = `:s3,provider=Ceph,endpoint='${server.url}',${keys}:bucket`;
    const rclone = async (...words: readonly string[]) => {
      // A bundle of certificates that is no use on loopback keeps rclone from starting.
      const environment = { AWS_CA_BUNDLE: "", RCLONE_CONFIG: "/dev/null" };
      const ended = await runToEnd("rclone", words, { environment, timeoutMs: programMs });
      expect(ended).toMatchObject({ exit: 0 });
      return ended.stdout;
    };
    await rclone("mkdir", bucket);
    await writeFirst(
      [`access_key_id = ${S3_KEY_ID}`, `secret_access_key = ${S3_KEY}`],
      ["remote=s3:bucket", "s3-provider=Ceph", `s3-endpoint=${server.url}`],
    );
    expect(await rclone("cat", `${bucket}/photos/first`)).toBe("a picture");
  },
  testMs,
);

whenPossible(
  ["root", "fuse", "rclone"],
  "what a holder wrote is on the WebDAV server when it is gone",
  async () => {
    await using server = await startWebdavServer();
    const obscured = await runToEnd("rclone", ["obscure", WEBDAV_PASSWORD], {
      timeoutMs: programMs,
    });
    await writeFirst(
      [`user = ${WEBDAV_USER}`, `pass = ${obscured.stdout.trim()}`],
      ["remote=webdav:", `webdav-url=${server.url}`, "webdav-vendor=other"],
    );
    expect(readFileSync(join(server.folder, "photos/first"), "utf8")).toBe("a picture");
  },
  testMs,
);
