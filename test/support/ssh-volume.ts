// A daemon and a dockerd with a volume on a real sshd, and a container that has it.
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { eventually } from "./child.ts";
import { commandLinesWith } from "./command-lines.ts";
import { HoldsBench } from "./holds-bench.ts";
import { type SshServer, startSshServer } from "./labs/ssh-server.ts";
import type { Requirement } from "./needs.ts";

export const sshVolumeRequirements = [
  ...["root", "dockerd", "docker-cli", "mount", "busybox", "fuse", "sshfs", "sshd"],
] as readonly Requirement[]; // A list of such words.

export class SshVolume implements AsyncDisposable {
  readonly bench: HoldsBench;
  readonly server: SshServer;
  /** What the server has: the file `page` in it says `theirs`. */
  readonly exported: string;

  private constructor(bench: HoldsBench, server: SshServer, exported: string) {
    this.bench = bench;
    this.server = server;
    this.exported = exported;
  }

  /** The volume is `files`. `dockerArguments` go to `docker run` of the container `web`. */
  static async start(...dockerArguments: readonly string[]): Promise<SshVolume> {
    const bench = new HoldsBench();
    const exported = join(bench.folder, "exported");
    mkdirSync(exported);
    writeFileSync(join(exported, "page"), "theirs");
    const server = await startSshServer(join(bench.folder, "ssh"));
    const made = new SshVolume(bench, server, exported);
    try {
      await bench.start();
      const secret = await bench.holdfast("secret", "create", "nas", join(server.folder, "user"));
      if (secret.exit !== 0) throw new Error(secret.stderr);
      const [kind, key] = readFileSync(join(server.folder, "host.pub"), "utf8").split(" ");
      await bench.createVolume(
        "files",
        ...["driver=sshfs", "host=root@127.0.0.1", `port=${server.port}`, `path=${exported}`],
        ...["secret=nas", `host-key=${kind} ${key}`],
      );
      await bench.run("web", "-v", "files:/data", ...dockerArguments);
    } catch (error) {
      await made[Symbol.asyncDispose]();
      throw error;
    }
    return made;
  }

  /** What the container reads of `page`, or why it cannot. */
  async read(): Promise<string> {
    return await this.bench.docker("exec", "web", "cat", "/data/page").catch(String);
  }

  /** Returns how long it took, in milliseconds. */
  async untilRead(timeoutMs: number): Promise<number> {
    const startedAt = performance.now();
    await eventually(async () => ((await this.read()) === "theirs" ? true : undefined), {
      timeoutMs,
      otherwise: () => this.bench.daemon.output(),
    });
    return performance.now() - startedAt;
  }

  async becomes(state: string, timeoutMs: number): Promise<void> {
    const seen = async () => (await this.bench.volume("files")).state;
    await eventually(async () => ((await seen()) === state ? true : undefined), {
      timeoutMs,
      otherwise: () => `files is not ${state}: ${this.bench.daemon.output()}`,
    });
  }

  /** The process that serves the volume. */
  sshfs(): number {
    const found = commandLinesWith(this.exported).find(({ words: [program] }) =>
      program?.endsWith("sshfs"),
    );
    if (found === undefined) throw new Error(`no sshfs serves ${this.exported}`);
    return found.pid;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.server.thaw();
    await this.bench[Symbol.asyncDispose]();
    await this.server[Symbol.asyncDispose]();
  }
}
