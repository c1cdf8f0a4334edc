// An sshfs mount and its real server, for tests of the kind without the driver around it.
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { DriverOptions } from "../../src/core/driver.ts";
import type { KeptProcess } from "../../src/core/host.ts";
import { parseVolumeName } from "../../src/core/names.ts";
import { SecretValue } from "../../src/core/secret-store.ts";
import { sshfsKind } from "../../src/drivers/sshfs/driver.ts";
import type { SshfsOptions } from "../../src/drivers/sshfs/options.ts";
import { linuxHost } from "../../src/host/linux.ts";
import type { RemoteKind, RemoteMount } from "../../src/remote/kind.ts";
import { eventually } from "./child.ts";
import { commandLinesWith } from "./command-lines.ts";
import { type SshServer, startSshServer } from "./labs/ssh-server.ts";
import { testOperation } from "./operation.ts";

export const host = linuxHost();

export interface Bench extends AsyncDisposable {
  readonly server: SshServer;
  /** The directory on the server that is mounted. */
  readonly served: string;
  /** The mount of the server's key; options and secret may be others. */
  mount(more?: DriverOptions, secret?: string): RemoteMount<SshfsOptions>;
  /** As a new life of the daemon has it: nothing is known but what the directories say. */
  kind(): RemoteKind<SshfsOptions>;
  readonly userKey: string;
  /** Of the sshfs that serves the mount. */
  process(): KeptProcess;
}

export async function openBench(password?: string): Promise<Bench> {
  const folder = mkdtempSync("/dev/shm/holdfast-sshfs-");
  const [served, target, runDirectory, keepDirectory] = ["served", "data", "run", "keep"].map(
    (name) => join(folder, name),
  ) as [string, string, string, string];
  for (const each of [served, target, runDirectory, keepDirectory]) {
    mkdirSync(each, { mode: 0o700 });
  }
  const server = await startSshServer(join(folder, "ssh"), password ? { password } : {});
  const userKey = readFileSync(join(server.folder, "user"), "utf8");
  const ofNewLife = () => sshfsKind(linuxHost(), join(keepDirectory, "known_hosts"));
  const mount = (more: DriverOptions = {}, secret = userKey): RemoteMount<SshfsOptions> => ({
    volume: parseVolumeName("data"),
    options: ofNewLife().parse({
      ...{ host: "root@127.0.0.1", port: String(server.port), path: served, secret: "s" },
      ...more,
    }),
    ...{ subpath: "", target, isReadOnly: false, runDirectory, keepDirectory },
    secret: async () => new SecretValue(Buffer.from(secret)),
  });
  return {
    ...{ server, served, userKey, mount, kind: ofNewLife },
    process: () => JSON.parse(readFileSync(join(runDirectory, "process.json"), "utf8")),
    async [Symbol.asyncDispose]() {
      await server.thaw();
      await ofNewLife().unmount(mount(), { isLost: true }, testOperation());
      await server[Symbol.asyncDispose]();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** What of a mount is still there: its mount, its process, files of its run directory. */
function leftOf({ target, runDirectory }: RemoteMount<SshfsOptions>): readonly string[] {
  const mounts = host.mounts().filter((mount) => mount.target === target);
  return [
    ...mounts.map((mount) => `mount ${mount.source}`),
    ...processesOf(runDirectory),
    ...readdirSync(runDirectory),
  ];
}

/** Command lines that name the run directory: sshfs and each ssh of it. */
export function processesOf(runDirectory: string): readonly string[] {
  return commandLinesWith(runDirectory).map(({ words }) => words.join(" "));
}

/** ssh ends a moment after sshfs. */
export async function untilNothingIsLeft(mount: RemoteMount<SshfsOptions>): Promise<void> {
  await eventually(() => (leftOf(mount).length === 0 ? true : undefined), {
    timeoutMs: 5_000,
    otherwise: () => `left: ${leftOf(mount).join(", ")}`,
  });
}
