// The servers that the survive suites have trouble with: the same handles for sshd and for WebDAV.
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { DriverOptions } from "../../src/core/driver.ts";
import { runToEnd } from "../support/child.ts";
import { startSshServer } from "../support/labs/ssh-server.ts";
import { startWebdavServer, WEBDAV_PASSWORD, WEBDAV_USER } from "../support/labs/webdav-server.ts";
import type { Requirement } from "../support/needs.ts";
import { obscured } from "../support/rclone-bench.ts";

export interface TroubledServer extends AsyncDisposable {
  readonly driver: "sshfs" | "rclone";
  /** What it serves, on this host. */
  readonly served: string;
  /** The secret `nas`. */
  readonly secret: string;
  /** Of a volume that is all that is served, where the server is now. */
  options(): DriverOptions;
  /** What `options` has of where the server is. */
  address(): DriverOptions;
  kill(): Promise<void>;
  start(): Promise<void>;
  freeze(): Promise<void>;
  thaw(): Promise<void>;
  /** Killed, and started somewhere else. */
  move(): Promise<void>;
  /** Killed, and started again; whoever logs in is refused, or is let in again. */
  lockOut(isLockedOut: boolean): Promise<void>;
  /** What it serves cannot be written to, or can be again. */
  lock(isReadOnly: boolean): Promise<void>;
}

export const servers = {
  sshfs: startSsh,
  rclone: startWebdav,
} as const satisfies Record<
  TroubledServer["driver"],
  (folder: string, enter?: readonly string[]) => Promise<TroubledServer>
>;

export const requirementsOf = {
  sshfs: ["root", "mount", "fuse", "sshfs", "sshd"],
  rclone: ["root", "mount", "fuse", "rclone"],
} as const satisfies Record<TroubledServer["driver"], readonly Requirement[]>;

export const drivers = ["sshfs", "rclone"] as const;

async function startSsh(folder: string, enter: readonly string[] = []): Promise<TroubledServer> {
  const served = join(folder, "served");
  mkdirSync(served, { recursive: true });
  const server = await startSshServer(join(folder, "ssh"), { enter });
  const [kind, key] = readFileSync(join(server.folder, "host.pub"), "utf8").split(" ");
  const authorized = readFileSync(join(server.folder, "authorized"));
  const address = () => ({ port: String(server.port) });
  return {
    driver: "sshfs",
    served,
    secret: readFileSync(join(server.folder, "user"), "utf8"),
    address,
    options: () => ({
      ...{ host: "root@127.0.0.1", path: served, secret: "nas", ...address() },
      // Silence is noticed soon, and nothing is remembered of the server.
      ...{ "host-key": `${kind} ${key}`, timeout: "3", cache: "0" },
    }),
    kill: server.kill,
    start: () => server.restart(),
    freeze: server.freeze,
    thaw: server.thaw,
    async move() {
      await server.kill();
      await server.restart({ hasNewPort: true });
    },
    async lockOut(isLockedOut) {
      await server.kill();
      writeFileSync(join(server.folder, "authorized"), isLockedOut ? "" : authorized);
      await server.restart();
    },
    async lock(isReadOnly) {
      if (isReadOnly) await mount("--bind", served, served);
      const words = isReadOnly
        ? ["-o", "remount,bind,ro", served]
        : ["-o", "remount,bind,rw", served];
      await mount(...words);
    },
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

async function mount(...words: readonly string[]): Promise<void> {
  const { exit, stderr } = await runToEnd("mount", words, { timeoutMs: 10_000 });
  if (exit !== 0) throw new Error(`mount ${words.join(" ")}: ${stderr}`);
}

async function startWebdav(
  _folder: string,
  enter: readonly string[] = [],
): Promise<TroubledServer> {
  const server = await startWebdavServer({ enter });
  const address = () => ({ "webdav-url": server.url });
  return {
    driver: "rclone",
    served: server.folder,
    secret: `user = ${WEBDAV_USER}\npass = ${await obscured(WEBDAV_PASSWORD)}\n`,
    address,
    options: () => ({
      ...{ remote: "webdav:", "webdav-vendor": "other", secret: "nas", ...address() },
      ...{ "write-back": "0.1", "dir-cache": "1" },
    }),
    kill: server.kill,
    start: server.start,
    freeze: server.freeze,
    thaw: server.thaw,
    async move() {
      await server.kill();
      server.next.port += 1;
      await server.start();
    },
    async lockOut(isLockedOut) {
      await server.kill();
      server.next.password = isLockedOut ? "of-somebody-else" : WEBDAV_PASSWORD;
      await server.start();
    },
    async lock(isReadOnly) {
      await server.kill();
      server.next.isReadOnly = isReadOnly;
      await server.start();
    },
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}
