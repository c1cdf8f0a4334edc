// A real WebDAV server on loopback that a test may kill, freeze and start again.
import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { temporaryDirectory } from "../daemon.ts";
import { freePort, type ServerSwitches, startServer } from "./server-process.ts";

/** The only one who is let in. */
export const WEBDAV_USER = "cloud";
export const WEBDAV_PASSWORD = "of-the-cloud-7";

export interface WebdavServer extends ServerSwitches {
  /** The directory that it serves, on this host. */
  readonly folder: string;
  readonly url: string;
}

/** Starts `rclone serve webdav` on a free port. Needs rclone. */
export async function startWebdavServer(): Promise<WebdavServer> {
  const own = temporaryDirectory();
  const folder = join(own, "served");
  mkdirSync(folder);
  const port = freePort();
  const url = `http://127.0.0.1:${port}`;
  const remove = () => rmSync(own, { recursive: true, force: true });
  try {
    const switches = await startServer({
      command: () => [
        ...(["rclone", "serve", "webdav", folder, "--addr", `127.0.0.1:${port}`] as const),
        // Listings are read from the directory each time: tests change it behind its back.
        ...["--config", "/dev/null", "--cache-dir", join(own, "cache"), "--dir-cache-time", "0"],
        ...["--user", WEBDAV_USER, "--pass", WEBDAV_PASSWORD],
      ],
      isEntered: false,
      isReady: () =>
        fetch(url, { signal: AbortSignal.timeout(1_000) }).then(
          ({ status }) => status === 401,
          () => false,
        ),
    });
    return {
      ...switches,
      ...{ folder, url },
      async [Symbol.asyncDispose]() {
        await switches.kill();
        remove();
      },
    };
  } catch (error) {
    remove();
    throw error;
  }
}
