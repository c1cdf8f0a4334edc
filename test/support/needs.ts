// What a test needs of the machine, and the loud skip when the machine does not have it.
//
// A requirement is looked for once in a run. What is missing stands in the name of the skipped
// test, with the way out, so every reporter prints it and the summary of `npm test` repeats it.
// HOLDFAST_TEST_WITHOUT=dockerd,loop pretends that requirements are missing: a test of the tests.
import { test } from "bun:test";
import { spawnSync } from "node:child_process";
import {
  accessSync,
  constants,
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  debianPython,
  type ListedProgram,
  packageOf,
  postgresFolder,
} from "../../tools/debian-packages.ts";
import { findProgram } from "../../tools/find-program.ts";

/** How long a single look at the machine may take; a hanging `docker` counts as none. */
const probeTimeoutMs = 10_000;

/** A size that mkfs and losetup accept; the file is sparse. */
const probeImageBytes = 1_048_576;

/** Each look answers what is missing, in words a reader can act on, or `undefined`. */
const probes = {
  root: () => (process.getuid?.() === 0 ? undefined : "not running as root"),
  dockerd: () => program("dockerd"),
  "docker-cli": () => program("docker"),
  "docker-cli-23": newDockerCli,
  podman: () => program("podman") ?? program("runc"),
  runc: () => program("runc"),
  crun: () => program("crun"),
  conmon: () => program("conmon"),
  "docker-registry": () => program("docker-registry"),
  htpasswd: () => program("htpasswd"),
  openssl: () => program("openssl"),
  rclone: () => program("rclone"),
  busybox: () => program("busybox"),
  /** Documents name its libraries. */
  x64: () => (process.arch === "x64" ? undefined : `a machine of another kind: ${process.arch}`),
  /** Managed plugins can be run, and the tests' own can be made. */
  "plugin-runtime": () => program("conmon") ?? program("runc") ?? pluginCompiler(),
  /** Managed plugins of the tests can be made (test/support/plugin-rootfs.ts). */
  "plugin-compiler": () => pluginCompiler(),
  "docker-compose": () => program("docker-compose"),
  postgres: () =>
    postgresFolder() === undefined ? "no PostgreSQL (Debian package postgresql)" : undefined,
  nginx: () => program("nginx"),
  ip: () => program("ip"),
  "python3-docker": () =>
    works(debianPython, ["-c", "import docker"])
      ? undefined
      : `${debianPython} cannot import docker (Debian package python3-docker)`,
  /** Loop devices can be set up. */
  loop: probeLoop,
  /** A tmpfs can be mounted here. */
  mount: probeMount,
  /** For a dockerd with `--userns-remap`. */
  "user-namespaces": userNamespaces,
  curl: () => program("curl"),
  unshare: () => program("unshare"),
  "systemd-analyze": () => program("systemd-analyze"),
  groff: () => program("groff"),
  strace: () => program("strace"),
  ext4: () => program("mkfs.ext4") ?? fileSystem("ext4"),
  xfs: () => program("mkfs.xfs") ?? fileSystem("xfs"),
  btrfs: () => program("mkfs.btrfs") ?? fileSystem("btrfs"),
  fuse: probeFuse,
  sshd: () => program("sshd"),
  sshfs: () => program("sshfs"),
  /** Network namespaces with a link of their own can be made. */
  tap: () => program("ip") ?? openable("/dev/net/tun"),
  "nfs-server": () => program("ganesha.nfsd"),
  "nfs-client": () => program("mount.nfs") ?? program("insmod"),
  "smb-server": () => program("smbd"),
  "smb-client": () => program("mount.cifs") ?? program("insmod"),
  "user-mode-linux": () => program("linux.uml"),
  iptables: () => program("iptables"),
  go: () => program("go"),
  radosgw: () => program("radosgw") ?? program("ceph-osd") ?? program("ceph-mgr"),
} as const satisfies Record<string, () => string | undefined>;

export type Requirement = keyof typeof probes;

/** Whether somebody looks for what a text names. */
export function isRequirement(name: string): name is Requirement {
  return Object.hasOwn(probes, name);
}

const seen = new Map<Requirement, string | undefined>();

/** `skip`: undefined when this machine has all of it, otherwise a sentence saying what lacks. */
export function needs(...requirements: readonly Requirement[]): {
  readonly skip: string | undefined;
} {
  const missing = requirements.map(whatIsMissing).filter((reason) => reason !== undefined);
  return { skip: missing.length === 0 ? undefined : [...new Set(missing)].join(", ") };
}

/**
 * Registers a test that runs where the machine allows it; elsewhere it is skipped, with the reason
 * in its name. `timeoutMs` replaces the runner's 60 s.
 */
export function whenPossible(
  requirements: readonly Requirement[],
  name: string,
  run: () => void | Promise<void>,
  timeoutMs?: number,
): void {
  const { skip } = needs(...requirements);
  if (skip === undefined) test(name, run, timeoutMs);
  else skipLoudly(name, skip, run);
}

/**
 * As `whenPossible`; those that stand one behind the other run side by side. For tests that wait
 * for real seconds, and have nothing in common.
 */
export function sideBySide(
  requirements: readonly Requirement[],
  name: string,
  run: () => Promise<void>,
  timeoutMs?: number,
): void {
  const { skip } = needs(...requirements);
  if (skip === undefined) test.concurrent(name, run, timeoutMs);
  else skipLoudly(name, skip, run);
}

/**
 * For what no requirement says: a test that has no sense here, `because` of what the caller saw.
 */
export function skipLoudly(name: string, because: string, run: () => void | Promise<void>): void {
  test.skip(`${name} [skipped: ${because}]`, run);
}

function whatIsMissing(requirement: Requirement): string | undefined {
  if (!seen.has(requirement)) seen.set(requirement, look(requirement));
  return seen.get(requirement);
}

function look(requirement: Requirement): string | undefined {
  const pretended = (process.env["HOLDFAST_TEST_WITHOUT"] ?? "").split(",");
  if (pretended.includes(requirement)) return `no ${requirement}, by HOLDFAST_TEST_WITHOUT`;
  return probes[requirement]();
}

/** What it names is installed by tools/debian-packages.ts, or the types do not agree. */
function program(name: ListedProgram): string | undefined {
  if (findProgram(name) !== undefined) return undefined;
  return `no program ${name} (Debian package ${packageOf(name)})`;
}

function pluginCompiler(): string | undefined {
  if (program("gcc") !== undefined) return program("gcc");
  const headers = "/usr/include/stdio.h";
  return existsSync(headers) ? undefined : `no ${headers} (Debian package libc6-dev)`;
}

function works(command: string, parameters: readonly string[]): boolean {
  const options = { stdio: "ignore", timeout: probeTimeoutMs } as const;
  return spawnSync(command, parameters, options).status === 0;
}

function newDockerCli(): string | undefined {
  const missing = program("docker");
  if (missing !== undefined) return missing;
  const { stdout } = spawnSync("docker", ["--version"], {
    encoding: "utf8",
    timeout: probeTimeoutMs,
  });
  const major = Number(/version (\d+)\./.exec(stdout ?? "")?.[1] ?? 0);
  return major >= 23
    ? undefined
    : `the docker command line is ${major || "of unknown age"}, not 23`;
}

function userNamespaces(): string | undefined {
  const files = ["/etc/subuid", "/etc/subgid", "/proc/self/ns/user"];
  const missing = files.find((path) => !existsSync(path));
  if (missing !== undefined) return `no ${missing}`;
  return works("unshare", ["--user", "true"]) ? undefined : "no user namespace can be made";
}

function fileSystem(type: string): string | undefined {
  if (kernelHas(type)) return undefined;
  // The kernel may keep it as a module that nobody has asked for yet.
  if (process.getuid?.() === 0) works("modprobe", [type]);
  return kernelHas(type) ? undefined : `the kernel has no ${type}`;
}

function kernelHas(type: string): boolean {
  const lines = readFileSync("/proc/filesystems", "utf8").split("\n");
  return lines.some((line) => line.endsWith(`\t${type}`));
}

function probeLoop(): string | undefined {
  return inTemporaryFolder((folder) => {
    const image = join(folder, "image");
    writeFileSync(image, "");
    truncateSync(image, probeImageBytes);
    const made = spawnSync("losetup", ["--find", "--show", image], {
      encoding: "utf8",
      timeout: probeTimeoutMs,
    });
    const device = (made.stdout ?? "").trim();
    if (made.status !== 0 || device === "") return "loop devices cannot be set up";
    return works("losetup", ["--detach", device]) ? undefined : `${device} cannot be detached`;
  });
}

function probeMount(): string | undefined {
  return inTemporaryFolder((folder) => {
    if (!works("mount", ["-t", "tmpfs", "-o", "size=64k", "holdfast-probe", folder])) {
      return "file systems cannot be mounted";
    }
    return works("umount", [folder]) ? undefined : `${folder} cannot be unmounted`;
  });
}

function probeFuse(): string | undefined {
  return openable("/dev/fuse");
}

function openable(device: string): string | undefined {
  try {
    accessSync(device, constants.R_OK | constants.W_OK);
    return undefined;
  } catch {
    return `${device} cannot be opened`;
  }
}

function inTemporaryFolder(look: (folder: string) => string | undefined): string | undefined {
  const folder = mkdtempSync(join(tmpdir(), "holdfast-needs-"));
  try {
    return look(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
