// A Holdfast daemon with a real dockerd, a real sshd and a real WebDAV server: what a user has who
// keeps volumes on other machines.
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Printed, runOnTerminal } from "../e2e/on-terminal.ts";
import { runToEnd, signalAll } from "./child.ts";
import { commandLinesWith } from "./command-lines.ts";
import { holdfastCommand } from "./daemon.ts";
import { HoldsBench } from "./holds-bench.ts";
import { type SshServer, startSshServer } from "./labs/ssh-server.ts";
import { startWebdavServer, WEBDAV_PASSWORD, type WebdavServer } from "./labs/webdav-server.ts";

const commandTimeoutMs = 20_000;

/** Disposing of it ends everything. */
export class RemoteStage implements AsyncDisposable {
  readonly bench = new HoldsBench();
  /** What the sshd shows; `theirs` is in it, with the text `before`. */
  readonly exported = join(this.bench.folder, "exported");
  #ssh: SshServer | undefined;
  #cloud: WebdavServer | undefined;

  /** With the secrets `ssh-key` and `cloud`. */
  async start(): Promise<void> {
    mkdirSync(this.exported);
    writeFileSync(join(this.exported, "theirs"), "before");
    this.#ssh = await startSshServer(join(this.bench.folder, "ssh"));
    this.#cloud = await startWebdavServer();
    await this.bench.start();
    await this.#keep("ssh-key", [join(this.ssh.folder, "user")]);
    const password = join(this.bench.folder, "cloud");
    const obscured = await runToEnd("rclone", ["obscure", WEBDAV_PASSWORD], {
      timeoutMs: commandTimeoutMs,
    });
    writeFileSync(password, obscured.stdout);
    await this.#keep("cloud", [password, "--field=user=cloud", "--field=pass"]);
  }

  get ssh(): SshServer {
    if (this.#ssh === undefined) throw new Error("sshd does not run");
    return this.#ssh;
  }

  get cloud(): WebdavServer {
    if (this.#cloud === undefined) throw new Error("the WebDAV server does not run");
    return this.#cloud;
  }

  /** Options of a volume on the sshd. */
  sshOptions(more: Readonly<Record<string, string>> = {}): readonly string[] {
    const { port } = this.ssh;
    const place = { host: "root@127.0.0.1", port: String(port), path: this.exported };
    return wordsOf({ driver: "sshfs", ...place, secret: "ssh-key", ...more });
  }

  /** Options of a volume in the cloud. */
  cloudOptions(more: Readonly<Record<string, string>> = {}): readonly string[] {
    const { url } = this.cloud;
    const place = { remote: "webdav:", "webdav-url": url, "webdav-vendor": "other" };
    return wordsOf({ driver: "rclone", ...place, secret: "cloud", ...more });
  }

  /** What `holdfast volume ls` prints for people, without the header. */
  async table(): Promise<readonly string[]> {
    const printed: Printed = await runOnTerminal({
      command: [...holdfastCommand(), "volume", "ls"],
      environment: {
        ...{ PATH: process.env["PATH"] ?? "", HOME: this.bench.folder, NO_COLOR: "1" },
        HOLDFAST_HOST: `unix://${this.bench.daemon.socketPath}`,
      },
      answers: [],
    });
    return printed.text.split("\n").slice(1);
  }

  /**
   * As after a power cut of this host: nothing runs, and nothing is mounted. `bench.startDaemon`
   * and `bench.dockerd.restart` are its boot.
   */
  async loseHost(): Promise<void> {
    const ids = (await this.bench.docker("ps", "--quiet")).split("\n");
    const pids = await this.bench.docker("inspect", "--format={{.State.Pid}}", ...ids);
    await this.bench.dockerd.killEngineOnly();
    await this.bench.daemon.kill();
    signalAll([...pids.split("\n").map(Number), ...this.sshfs()], "SIGKILL");
    const lines = readFileSync("/proc/self/mountinfo", "utf8").split("\n").reverse();
    for (const target of lines.map((line) => line.split(" ")[4] ?? "")) {
      // The directory of the holds itself: dockerd's namespace, which stays, has it from before.
      const isHolds = target === join(this.bench.root, "holds");
      if (isHolds || !target.startsWith(`${this.bench.root}/`)) continue;
      await runToEnd("umount", ["--lazy", target], { timeoutMs: commandTimeoutMs });
    }
  }

  /** Processes that serve what the sshd shows. */
  sshfs(): readonly number[] {
    return commandLinesWith(this.bench.folder)
      .filter(({ words: [program] }) => program?.endsWith("sshfs"))
      .map(({ pid }) => pid);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#ssh?.thaw();
    await this.bench.killDockerd();
    await this.#ssh?.[Symbol.asyncDispose]();
    await this.#cloud?.[Symbol.asyncDispose]();
    await this.bench[Symbol.asyncDispose]();
  }

  async #keep(name: string, words: readonly string[]): Promise<void> {
    const kept = await this.bench.holdfast("secret", "create", name, ...words);
    if (kept.exit !== 0) throw new Error(kept.stderr);
  }
}

function wordsOf(options: Readonly<Record<string, string>>): readonly string[] {
  return Object.entries(options).map(([name, value]) => `${name}=${value}`);
}
