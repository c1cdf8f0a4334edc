// A Holdfast with volumes on real servers of this machine, and the same mounts made by hand.
import { mkdir, readdir, readFile, readlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { descendants } from "../test/support/child.ts";
import { type RunningDaemon, startDaemon } from "../test/support/daemon.ts";
import { freePort, startServer } from "../test/support/labs/server-process.ts";
import { type SshServer, startSshServer } from "../test/support/labs/ssh-server.ts";
import { called } from "./calls.ts";
import { endMountsBelow } from "./plugin-daemon.ts";
import { run, runAnyway } from "./processes.ts";
import type { Ground, Workbench } from "./workbench.ts";

const MOUNT_MS_MAX = 20_000;
const POLL_MS = 2;
const LOOK_MS_MAX = 20_000;
const BEGIN_MS_MAX = 3_000;
const SERVED_BYTES_MAX = 1024 ** 3;
/** The secret with the key of the SSH server's user. */
const SECRET = "bench-key";

export type DriverOfRows = "sshfs" | "rclone";

/** Directories that the servers have from the beginning, each for a volume. */
export const remoteFolders = {
  sshfs: { transfers: "sshfs", mounts: "sshfs-mounts" },
  rclone: { transfers: "rclone", mounts: "rclone-mounts" },
} as const;

/** Disposing of it ends the daemon, the mounts and the servers. */
export interface RemoteStage extends AsyncDisposable {
  readonly daemon: RunningDaemon;
  /** Of the volume driver, as container engines use it. */
  readonly pluginSocket: string;
  readonly ssh: SshServer;
  /** What the servers serve, in memory. */
  readonly served: string;
  /** What `-o` takes for a volume in a directory of the server, which is made. */
  options(driver: DriverOfRows, directory: string): Promise<Readonly<Record<string, string>>>;
}

/** Starts an SSH and a WebDAV server that serve directories of the ground, and a daemon. */
export async function startRemoteStage(workbench: Workbench, ground: Ground): Promise<RemoteStage> {
  const { executable } = workbench;
  if (executable === undefined) throw new Error("these rows need Holdfast as the candidate");
  await using cleanUp = new AsyncDisposableStack();
  const served = cleanUp.use(await inMemory(join(ground.directory, "served"))).path;
  // Before the server is there, which knows for a second what was in a directory.
  for (const { transfers, mounts } of Object.values(remoteFolders)) {
    for (const name of [transfers, mounts]) await mkdir(join(served, name));
  }
  const ssh = cleanUp.use(await startSshServer(join(ground.directory, "ssh")));
  const port = freePort();
  const address = `127.0.0.1:${port}`;
  const web = ["rclone", "serve", "webdav", served, "--addr", address] as const;
  const cache = ["--cache-dir", join(ground.directory, "web"), "--dir-cache-time", "1s"] as const;
  const own = ["--config", "/dev/null", ...cache] as const;
  const answers = () =>
    fetch(`http://${address}`).then(
      ({ ok }) => ok,
      () => false,
    );
  cleanUp.use(
    await startServer({ command: () => [...web, ...own], isEntered: false, isReady: answers }),
  );
  const root = join(ground.disk, "root");
  const pluginSocket = join(ground.directory, "p");
  cleanUp.defer(() => endMountsBelow(join(root, "holds")));
  const daemon = cleanUp.use(
    await startDaemon({
      root,
      socketPath: join(ground.directory, "s"),
      pluginSocketPath: pluginSocket,
      command: [executable],
    }),
  );
  const value = (await readFile(join(ssh.folder, "user"))).toString("base64");
  const path = `/holdfast/v1/secrets/${SECRET}`;
  await called({ socket: daemon.socketPath, method: "PUT", path, body: { value } });
  const hostKey = (await readFile(join(ssh.folder, "host.pub"), "utf8")).trim();
  const held = cleanUp.move();
  return {
    ...{ daemon, ssh, served, pluginSocket },
    async options(driver, directory) {
      const path = join(served, directory);
      await mkdir(path, { recursive: true });
      return driver === "sshfs"
        ? sshfsOptions(ssh, path, hostKey)
        : { remote: `webdav:${directory}`, "webdav-url": `http://${address}` };
    },
    [Symbol.asyncDispose]: () => held.disposeAsync(),
  };
}

/** Directories of servers: what is measured is the way to them, not the disk below. */
async function inMemory(path: string) {
  await mkdir(path);
  await run({
    command: ["mount", "-t", "tmpfs", "-o", `size=${SERVED_BYTES_MAX}`, "served", path],
  });
  const end = async () => void (await runAnyway({ command: ["umount", "-l", path] }));
  return { path, [Symbol.asyncDispose]: end };
}

function sshfsOptions({ port }: SshServer, path: string, hostKey: string) {
  const [kind = "", key = ""] = hostKey.split(" ");
  return {
    ...{ host: "root@127.0.0.1", port: String(port), path, secret: SECRET },
    "host-key": `${kind} ${key}`,
  };
}

/**
 * Resolves when a helper of the daemon's has been at work, or none has for three seconds: soon
 * after a mount one looks once at whose files are in the volume, through the same program.
 */
export async function untilLookedAt({ daemon }: RemoteStage, signal: AbortSignal): Promise<void> {
  const deadline = AbortSignal.any([signal, AbortSignal.timeout(LOOK_MS_MAX)]);
  const program = await readlink(`/proc/${daemon.pid}/exe`);
  const isHelper = async (pid: number) =>
    (await readlink(`/proc/${pid}/exe`).catch(() => "")) === program;
  const untilMs = performance.now() + BEGIN_MS_MAX;
  for (let hasBegun = false; ; ) {
    const [, ...others] = await descendants(daemon.pid);
    const isAtWork = (await Promise.all(others.map(isHelper))).includes(true);
    if (!isAtWork && (hasBegun || performance.now() > untilMs)) return;
    hasBegun ||= isAtWork;
    await pause(POLL_MS, undefined, { signal: deadline });
  }
}

/** Mounted by hand: the program that Holdfast runs for a volume, with the same words. */
export interface BareMount extends AsyncDisposable {
  readonly target: string;
  /** From the start of the program to the mount that answers, in milliseconds. */
  readonly tookMs: number;
}

/** How a volume that is mounted now would be mounted by hand, one after the other. */
export type MountByHand = () => Promise<BareMount>;

/**
 * Reads the command line and the environment of the process that serves a volume's mount, and puts
 * places of its own below `directory` instead of the volume's: all else is the same.
 */
export async function byHand(mountpoint: string, directory: string): Promise<MountByHand> {
  const pid = await processServing(mountpoint);
  const volume = join(mountpoint, "..");
  const read = async (file: string) =>
    (await readFile(`/proc/${pid}/${file}`, "utf8")).split("\0").filter((word) => word !== "");
  const [command, environment] = [await read("cmdline"), await read("environ")];
  const ownRun = join(directory, "run");
  const run = /\/run\/holdfast\/[^/\s]+\/remote\/[^/\s]+\/[^/\s,=]+/.exec(command.join(" "))?.[0];
  // What is in it goes with the volume's own mount.
  if (run !== undefined) await copyFiles(run, ownRun);
  // One place for all of them: a cache that is kept there grows as the volume's does.
  const own = join(directory, "by-hand");
  return async () => {
    for (const name of ["data", "keep"]) await mkdir(join(own, name), { recursive: true });
    const here = (text: string) => {
      const moved = text.replaceAll(volume, own);
      return run === undefined ? moved : moved.replaceAll(run, ownRun);
    };
    return await mountBare(command.map(here), environment.map(here), join(own, "data"));
  };
}

/** Plain files, which name each other by their paths. */
async function copyFiles(from: string, to: string): Promise<void> {
  await mkdir(to, { recursive: true });
  for (const entry of await readdir(from, { withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const text = await readFile(join(from, entry.name), "utf8");
    await writeFile(join(to, entry.name), text.replaceAll(from, to), { mode: 0o600 });
  }
}

async function mountBare(
  command: readonly string[],
  environment: readonly string[],
  target: string,
): Promise<BareMount> {
  const startedMs = performance.now();
  const child = Bun.spawn([...command], {
    ...{ stdin: "ignore", stdout: "ignore", stderr: "ignore" },
    // A session of its own, as such a program makes itself one in the background: the kernel's
    // scheduler shares processor time out by sessions (autogroup), and ours has the load.
    detached: true,
    env: Object.fromEntries(environment.map((each) => each.split(/=(.*)/s).slice(0, 2))),
  });
  const dispose = async () => {
    await runAnyway({ command: ["fusermount", "-u", "-z", target] });
    child.kill("SIGTERM");
    await child.exited;
  };
  try {
    for (let isThere = false; !isThere; await pause(POLL_MS)) {
      if (performance.now() - startedMs > MOUNT_MS_MAX) throw new Error(`${target}: no mount`);
      isThere = (await readFile("/proc/self/mountinfo", "utf8")).includes(` ${target} `);
    }
    await readdir(target);
  } catch (error) {
    await dispose();
    throw error;
  }
  return { target, tookMs: performance.now() - startedMs, [Symbol.asyncDispose]: dispose };
}

/** The process that has the mount point as one of its words, and was started last. */
async function processServing(mountpoint: string): Promise<number> {
  const pids = (await readdir("/proc")).filter((each) => /^\d+$/.test(each)).map(Number);
  for (const pid of pids.toSorted((one, other) => other - one)) {
    const text = await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "");
    if (text.split("\0").includes(mountpoint)) return pid;
  }
  throw new Error(`no process serves ${mountpoint}`);
}
