// The rclone driver on a real WebDAV server, in directories of its own.
import { rmSync } from "node:fs";
import { join } from "node:path";
import type { DriverOptions, VolumeDriver } from "../../src/core/driver.ts";
import { parseHolderId } from "../../src/core/names.ts";
import { SecretValue } from "../../src/core/secret-store.ts";
import { rcloneDriver } from "../../src/drivers/rclone/driver.ts";
import { linuxHost } from "../../src/host/linux.ts";
import { temporaryFolder } from "./driver-benches.ts";
import {
  startWebdavServer,
  WEBDAV_PASSWORD,
  WEBDAV_USER,
  type WebdavServer,
} from "./labs/webdav-server.ts";
import { testOperation } from "./operation.ts";
import { obscured } from "./rclone-bench.ts";

export interface RcloneStage extends AsyncDisposable {
  /** The data root. */
  readonly root: string;
  readonly server: WebdavServer;
  readonly driver: VolumeDriver;
  /** Of a volume that is all that the server has. */
  readonly options: DriverOptions;
}

/** Needs root, mount, fuse, rclone. Volumes that only `c1` holds are destroyed at the end. */
export async function openRcloneStage(password = WEBDAV_PASSWORD): Promise<RcloneStage> {
  const root = temporaryFolder("rclone");
  const server = await startWebdavServer();
  const text = `user = ${WEBDAV_USER}\npass = ${await obscured(password)}\n`;
  const secret = new SecretValue(new TextEncoder().encode(text));
  const driver = rcloneDriver({
    root,
    runDirectory: join(root, "run"),
    host: linuxHost(),
    secrets: { read: async () => secret },
  });
  return {
    ...{ root, server, driver },
    options: {
      ...{ remote: "webdav:", "webdav-url": server.url, "webdav-vendor": "other" },
      ...{ secret: "cloud", "write-back": "0.1", "dir-cache": "1" },
    },
    async [Symbol.asyncDispose]() {
      for await (const { name } of driver.list(testOperation())) {
        await driver.unmount(name, parseHolderId("c1"), testOperation());
        await driver.destroy(name, testOperation());
      }
      await server[Symbol.asyncDispose]();
      rmSync(root, { recursive: true, force: true });
    },
  };
}
