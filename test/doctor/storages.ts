// Storage of many kinds for measurements: loop devices, memory, FUSE over a directory.
import { mkdirSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Answer, Measurement, MeasureRequest } from "../../src/core/volume-report.ts";
import { linuxHost } from "../../src/host/linux.ts";
import { eventually, runToEnd } from "../support/child.ts";
import { testOperation } from "../support/operation.ts";

const MIB = 1024 ** 2;

/** A helper may wait for a slow machine; nobody waits for a measurement that long. */
const MEASURE_MS_MAX = 30_000;

/** A directory of a test; what is mounted below goes before it does. */
export class Storages implements AsyncDisposable {
  readonly folder = mkdtempSync("/dev/shm/hfm-");
  readonly #undo = new AsyncDisposableStack();

  /** A file system on a loop device of `mib` MiB, mounted. */
  async loop(kind: "ext4" | "xfs" | "btrfs", mib: number, ...words: string[]): Promise<string> {
    const image = join(this.folder, `${kind}.img`);
    writeFileSync(image, "");
    truncateSync(image, mib * MIB);
    await run(`mkfs.${kind}`, [...words, "-q", image]);
    return await this.mount(kind, ["-o", "loop", image]);
  }

  /** `mount WORDS TARGET`, at a new directory. */
  async mount(name: string, words: readonly string[]): Promise<string> {
    const target = this.directory(name);
    await run("mount", [...words, target]);
    this.#undo.defer(() => run("umount", [target]));
    return target;
  }

  directory(name: string): string {
    const path = join(this.folder, name);
    mkdirSync(path, { recursive: true });
    return path;
  }

  /** A FUSE program in the foreground, until the test ends. */
  async fuse(name: string, command: (target: string) => readonly string[]): Promise<string> {
    const target = this.directory(name);
    const child = Bun.spawn([...command(target)], {
      env: { PATH: "/usr/bin:/bin", HOME: this.folder },
      stdio: ["ignore", "ignore", "ignore"],
    });
    this.#undo.defer(async () => {
      child.kill("SIGKILL");
      // A test that failed before has nothing mounted.
      if (linuxHost().isMountPoint(target)) await run("umount", ["-l", target]);
      await child.exited;
    });
    await until(() => linuxHost().isMountPoint(target), `nothing was mounted at ${target}`);
    return target;
  }

  /** rclone over a directory, as it mounts a bucket. */
  async rclone(name: string, source: string, ...words: string[]): Promise<string> {
    const own = ["--vfs-cache-mode", "writes", "--cache-dir", this.directory(`cache-${name}`)];
    return await this.fuse(name, (target) => ["rclone", "mount", ...own, ...words, source, target]);
  }

  /** sshfs over a directory: a real SFTP server, and no network between the two. */
  async sshfs(name: string, source: string): Promise<string> {
    const server = join(this.folder, "serve-sftp");
    writeFileSync(server, "#!/bin/sh\nexec /usr/lib/openssh/sftp-server\n", { mode: 0o700 });
    const options = ["-f", "-o", `ssh_command=${server}`];
    return await this.fuse(name, (target) => ["sshfs", ...options, `nobody:${source}`, target]);
  }

  async [Symbol.asyncDispose]() {
    await this.#undo.disposeAsync();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** Measures by the helper, as the daemon does. */
export async function measure(
  directory: string,
  request: Partial<MeasureRequest> = {},
): Promise<readonly Measurement[]> {
  const told: Measurement[] = [];
  const result = await linuxHost().assist(
    {
      command: "measure-storage",
      directory,
      input: { elsewhere: null, isQuick: true, ...request },
      // What the helper tells is what it returns: compared below.
      told: (line) => void told.push(line as Measurement),
    },
    testOperation(AbortSignal.timeout(MEASURE_MS_MAX)),
  );
  if (JSON.stringify(result) !== JSON.stringify(told)) throw new Error("told and result differ");
  return told;
}

/** Waits until something is so. */
export async function until(look: () => boolean, otherwise: string): Promise<void> {
  const timing = { timeoutMs: MEASURE_MS_MAX, otherwise: () => otherwise };
  await eventually(() => look() || undefined, timing);
}

/** The abilities that have this answer. */
export function having(measured: readonly Measurement[], wanted: Answer): readonly string[] {
  return measured.filter(({ answer }) => answer === wanted).map(({ ability }) => ability);
}

async function run(program: string, args: readonly string[]): Promise<void> {
  const { exit, stderr } = await runToEnd(program, args, { timeoutMs: MEASURE_MS_MAX });
  if (exit !== 0) throw new Error(`${program} ${args.join(" ")}: ${stderr}`);
}
