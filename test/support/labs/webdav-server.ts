// A real WebDAV server on loopback that a test may kill, freeze and start again.
import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { temporaryDirectory } from "../daemon.ts";
import { freePort, listensOn, type ServerSwitches, startServer } from "./server-process.ts";

/** The only one who is let in. */
export const WEBDAV_USER = "cloud";
export const WEBDAV_PASSWORD = "of-the-cloud-7";

export interface WebdavServer extends ServerSwitches {
  /** The directory that it serves, on this host. */
  readonly folder: string;
  /** Where it is, or will be after the next start. */
  readonly url: string;
  /** What holds from the next start on. */
  next: { port: number; password: string; isReadOnly: boolean };
}

/**
 * Starts `rclone serve webdav` on a free port. `enter`: a program and arguments in front of it:
 * another network. Needs rclone.
 */
export async function startWebdavServer({
  enter = [],
}: {
  readonly enter?: readonly string[];
} = {}): Promise<WebdavServer> {
  const own = temporaryDirectory();
  const folder = join(own, "served");
  mkdirSync(folder);
  const next = { port: freePort(), password: WEBDAV_PASSWORD, isReadOnly: false };
  const remove = () => rmSync(own, { recursive: true, force: true });
  try {
    const switches = await startServer({
      command: () => [
        enter[0] ?? "rclone",
        ...(enter.length === 0 ? [] : [...enter.slice(1), "rclone"]),
        ...["serve", "webdav", folder, "--addr", `127.0.0.1:${next.port}`],
        // Listings are read from the directory each time: tests change it behind its back.
        ...["--config", "/dev/null", "--cache-dir", join(own, "cache"), "--dir-cache-time", "0"],
        ...["--user", WEBDAV_USER, "--pass", next.password],
        ...(next.isReadOnly ? ["--read-only"] : []),
      ],
      isEntered: false,
      isReady: (pid) => listensOn(pid, next.port),
    });
    return {
      ...switches,
      ...{ folder, next },
      get url() {
        return `http://127.0.0.1:${next.port}`;
      },
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
