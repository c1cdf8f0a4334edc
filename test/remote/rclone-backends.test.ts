// rclone's other ways: SMB through rclone, a server that is full, secrets that are none.
import { expect } from "bun:test";
import { spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { eventually } from "../support/child.ts";
import { SMB_PASSWORD, SMB_USER, startSambaServer } from "../support/labs/samba-server.ts";
import { startWebdavServer, WEBDAV_PASSWORD, WEBDAV_USER } from "../support/labs/webdav-server.ts";
import { whenPossible } from "../support/needs.ts";
import { obscured, rcloneBench } from "../support/rclone-bench.ts";

const needed = ["root", "mount", "fuse", "rclone"] as const;

whenPossible([...needed, "smb-server"], "a share of Samba without the kernel's SMB", async () => {
  await using server = await startSambaServer();
  const options = {
    ...{ remote: "smb:data", "smb-host": server.address, "smb-port": String(server.port) },
    ...{ "smb-user": SMB_USER, "write-back": "0.1" },
  };
  await using volume = rcloneBench(options, `pass = ${await obscured(SMB_PASSWORD)}\n`);
  await volume.mount();
  writeFileSync(join(volume.target, "note"), "over SMB");
  await volume.unmount();
  expect(readFileSync(join(server.folder, "note"), "utf8")).toBe("over SMB");

  await using stranger = rcloneBench(options, `pass = ${await obscured("not-of-the-nas")}\n`);
  await expect(stranger.mount()).rejects.toMatchObject({ code: "remote.denied" });
  const elsewhere = { ...options, remote: "smb:no-such-share" };
  await using lost = rcloneBench(elsewhere, `pass = ${await obscured(SMB_PASSWORD)}\n`);
  await expect(lost.mount()).rejects.toMatchObject({ code: "remote.not_found" });
});

whenPossible(needed, "a password that is not obscured is refused with a word on why", async () => {
  await using server = await startWebdavServer();
  const options = { remote: "webdav:", "webdav-url": server.url };
  await using volume = rcloneBench(options, `user = ${WEBDAV_USER}\npass = plain-text-9!\n`);
  const error: unknown = await volume.mount().catch((thrown: unknown) => thrown);
  expect(error).toMatchObject({ code: "remote.denied" });
  expect(String(error)).toContain("obscured");
  expect(String(error)).not.toContain("plain-text-9");
});

whenPossible(needed, "what a full server does not take is kept, counted and said", async () => {
  await using server = await startWebdavServer();
  const words = ["--types", "tmpfs", "--options", "size=1m", "holdfast-full", server.folder];
  expect(spawnSync("mount", words).status).toBe(0);
  try {
    const secret = `user = ${WEBDAV_USER}\npass = ${await obscured(WEBDAV_PASSWORD)}\n`;
    const options = { remote: "webdav:", "webdav-url": server.url, "write-back": "0.1" };
    await using volume = rcloneBench(options, secret);
    await volume.mount();
    writeFileSync(join(volume.target, "large"), Buffer.alloc(3_000_000, "x"));
    const look = await eventually(
      async () => {
        const seen = await volume.look();
        return seen.degraded === undefined ? undefined : seen;
      },
      { timeoutMs: 30_000, otherwise: () => "nobody says that the server is full" },
    );
    expect(look.degraded).toContain("cannot be sent");
    expect(look.unsaved).toEqual({ fileCount: 1, bytes: 3_000_000 });
  } finally {
    spawnSync("umount", ["--lazy", server.folder]);
  }
});
