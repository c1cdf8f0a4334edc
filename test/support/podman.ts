// A Podman with storage, state and configuration of its own, apart from the machine's.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Ended, runToEnd } from "./child.ts";

const commandTimeoutMs = 60_000;

/**
 * Arguments that every `run` and `create` needs here: Podman's own limits are higher than a test
 * machine may allow, and no network is touched.
 */
export const podmanRunArguments = [
  "--ulimit=nproc=1000:1000",
  "--ulimit=nofile=1000:1000",
  "--network=none",
] as const;

export interface PodmanOptions {
  /** Volume plugins: the driver's name, and its socket, which need not be there yet. */
  readonly plugins?: Readonly<Record<string, string>>;
}

/** Disposing of it removes its containers and all its files. */
export interface Podman extends AsyncDisposable {
  /** The global flags, and the variables: for who starts it in another way than `run`. */
  readonly flags: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  readonly root: string;
  /** Runs podman to its end. Killed after 60 s. */
  run(...parameters: readonly string[]): Promise<Ended>;
  /** What podman printed; throws, with its words, unless it ends with 0. */
  succeed(...parameters: readonly string[]): Promise<string>;
}

/** Nothing is started: every command is a process of its own. Needs root, podman and runc. */
export function makePodman({ plugins = {} }: PodmanOptions = {}): Podman {
  const folder = mkdtempSync(join(tmpdir(), "hfp-"));
  const root = join(folder, "root");
  const configuration = join(folder, "containers.conf");
  mkdirSync(root);
  const lines = Object.entries(plugins).map(([name, socket]) => `${name} = "${socket}"`);
  writeFileSync(
    configuration,
    `[engine]
events_logger = "file"
cgroup_manager = "cgroupfs"
[engine.volume_plugins]
${lines.join("\n")}
`,
  );
  const flags = [
    `--root=${root}`,
    `--runroot=${join(folder, "run")}`,
    `--tmpdir=${join(folder, "tmp")}`,
    "--storage-driver=vfs",
    "--runtime=runc",
  ];
  const environment = { CONTAINERS_CONF: configuration };
  const run = (...parameters: readonly string[]) =>
    runToEnd("podman", [...flags, ...parameters], { environment, timeoutMs: commandTimeoutMs });
  return {
    flags,
    environment,
    root,
    run,
    async succeed(...parameters) {
      const ended = await run(...parameters);
      if (ended.exit === 0) return ended.stdout.trim();
      throw new Error(`podman ${parameters.join(" ")}: ${ended.exit} ${ended.stderr}`);
    },
    async [Symbol.asyncDispose]() {
      const removed = await run("rm", "--all", "--force", "--time=0");
      if (removed.exit !== 0) throw new Error(`podman rm: ${removed.stderr}`);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
