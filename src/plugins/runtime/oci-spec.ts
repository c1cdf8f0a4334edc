// What an OCI runtime is told of a plugin: the container that Docker makes of the same config.
//
// test/plugins/oci-spec.test.ts holds it against the bundle of a real Docker Engine, and names what
// differs: a seccomp profile, a control group of our own, no protection from the OOM killer.
import type { PluginMount } from "../../core/plugin.ts";
import { capabilitiesOf } from "./capabilities.ts";
import type { DeviceNode } from "./devices.ts";
import { startFailed } from "./oci-runtime.ts";
import type { RunRequest } from "./run-request.ts";
import { type Seccomp, seccompOf } from "./seccomp.ts";

/** What this machine adds. */
export interface SpecFacts {
  /** Node's name of the processor: `x64`, `arm64`. */
  readonly architecture: string;
  /** What `settings.devices` are here. */
  readonly devices: readonly DeviceNode[];
  /** The host's directory that the plugin sees as /run/docker/plugins. */
  readonly socketDirectory: string;
  /** In every hierarchy; absolute. */
  readonly cgroupPath: string;
}

interface OciMount {
  readonly destination: string;
  readonly type: string;
  readonly source: string;
  readonly options: readonly string[];
}

interface DeviceRule {
  readonly allow: boolean;
  readonly access: string;
  readonly type?: string;
  readonly major?: number;
  readonly minor?: number;
}

/** Of the OCI runtime specification as much as plugins need. */
export interface OciSpec {
  readonly ociVersion: string;
  readonly process: {
    readonly user: { readonly uid: number; readonly gid: number };
    readonly args: readonly string[];
    readonly env: readonly string[];
    readonly cwd: string;
    readonly capabilities: ReturnType<typeof capabilitiesOf>;
    readonly oomScoreAdj: number;
  };
  readonly root: { readonly path: string };
  readonly mounts: readonly OciMount[];
  readonly linux: {
    readonly resources: { readonly devices: readonly DeviceRule[] };
    readonly cgroupsPath: string;
    readonly namespaces: readonly { readonly type: string }[];
    readonly devices?: readonly DeviceNode[];
    readonly seccomp?: Seccomp;
    readonly rootfsPropagation?: string;
    readonly maskedPaths: readonly string[];
    readonly readonlyPaths: readonly string[];
  };
}

const SEARCH_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
const SOCKETS_INSIDE = "/run/docker/plugins";

const plain = ["nosuid", "noexec", "nodev"];

const systemMounts: readonly OciMount[] = [
  mountOf("/proc", "proc", "proc", plain),
  mountOf("/dev", "tmpfs", "tmpfs", ["nosuid", "strictatime", "mode=755", "size=65536k"]),
  mountOf("/dev/pts", "devpts", "devpts", [
    ...["nosuid", "noexec", "newinstance"],
    ...["ptmxmode=0666", "mode=0620", "gid=5"],
  ]),
  mountOf("/sys", "sysfs", "sysfs", [...plain, "ro"]),
  mountOf("/sys/fs/cgroup", "cgroup", "cgroup", ["ro", ...plain]),
  mountOf("/dev/mqueue", "mqueue", "mqueue", plain),
  mountOf("/dev/shm", "tmpfs", "shm", [...plain, "mode=1777"]),
];

/** null, zero, … are made in every plugin; what they are, is the kernel's for ever. */
const deviceRules: readonly DeviceRule[] = [
  { allow: false, access: "rwm" },
  ruleOf(true, 1, 5),
  ruleOf(true, 1, 3),
  ruleOf(true, 1, 9),
  ruleOf(true, 1, 8),
  ruleOf(true, 5, 0),
  ruleOf(true, 5, 1),
  // FUSE, which a plugin must ask for.
  ruleOf(false, 10, 229),
];

const maskedPaths = [
  "/proc/asound",
  "/proc/acpi",
  "/proc/kcore",
  "/proc/keys",
  "/proc/latency_stats",
  "/proc/timer_list",
  "/proc/timer_stats",
  "/proc/sched_debug",
  "/proc/scsi",
  "/sys/firmware",
];

const readonlyPaths = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

/** Throws `plugin.start_failed` for a mount that would show more of the host than was granted. */
export function ociSpec(request: RunRequest, facts: SpecFacts): OciSpec {
  const { config, settings } = request;
  const capabilities = capabilitiesOf(config);
  const seccomp = seccompOf(capabilities.permitted, facts.architecture);
  return {
    ociVersion: "1.0.2",
    process: {
      // Docker never applies `config.user`.
      user: { uid: 0, gid: 0 },
      args: [...(config.entrypoint ?? []), ...settings.args],
      env: [SEARCH_PATH, ...settings.env],
      cwd: config.workDir === "" ? "/" : config.workDir,
      capabilities,
      // Ours is below zero, and would be inherited.
      oomScoreAdj: 0,
    },
    root: { path: request.rootfs },
    mounts: [...systemMounts, ...mountsOf(request, facts)],
    linux: {
      resources: { devices: rulesOf(request, facts.devices) },
      cgroupsPath: facts.cgroupPath,
      namespaces: namespacesOf(config).map((type) => ({ type })),
      ...(facts.devices.length === 0 ? {} : { devices: facts.devices }),
      ...(seccomp === undefined ? {} : { seccomp }),
      // Mounts that the plugin makes in its propagated mount reach the host.
      ...(request.propagated === null ? {} : { rootfsPropagation: "rshared" }),
      maskedPaths,
      readonlyPaths,
    },
  };
}

function mountsOf({ config, settings, propagated }: RunRequest, facts: SpecFacts): OciMount[] {
  const mounts: OciMount[] = [];
  if (propagated !== null) {
    const options = ["rbind", "rw", "rshared"];
    mounts.push(mountOf(config.propagatedMount, "bind", propagated, options));
  }
  mounts.push(...settings.mounts.map(grantedMount));
  const { socketDirectory } = facts;
  // Docker shares it. What a plugin mounts there must not lie between us and its socket.
  mounts.push(mountOf(SOCKETS_INSIDE, "bind", socketDirectory, ["rbind", "rprivate"]));
  if (config.network.type !== "") {
    for (const path of ["/etc/hosts", "/etc/resolv.conf"]) {
      mounts.push(mountOf(path, "bind", path, ["rbind", "ro"]));
    }
  }
  return mounts;
}

/** Nobody has been asked about more than the source: nothing else may say what is seen. */
function grantedMount({ destination, type, source, options }: PluginMount): OciMount {
  // Docker's words. Without a source nobody was asked at all: /proc, /dev or a directory of ours.
  if (source === null) throw startFailed("mount source is not specified");
  const given = options ?? [];
  const isBind = type === "bind" || given.some((option) => /^r?bind$/.test(option));
  // vieux/sshfs has one until somebody sets it, and works. Docker's shows the runtime's own files.
  if (isBind && source === "") return mountOf(destination, "tmpfs", "tmpfs", emptyDirectory);
  if (isBind && !source.startsWith("/")) {
    throw startFailed(`the source of the mount at ${destination} is no absolute path: ${source}`);
  }
  const hidden = isBind ? undefined : given.find((option) => namesPlace.test(option));
  if (hidden !== undefined) {
    throw startFailed(
      `the mount at ${destination} has the option ${hidden}, a place that nobody was asked about`,
    );
  }
  return mountOf(destination, type, source, given);
}

const emptyDirectory = ["nosuid", "nodev", "mode=700", "size=16m"];

/** As `lowerdir=/etc` of overlay. */
const namesPlace = /\/|dir\+?=/;

function rulesOf({ config }: RunRequest, devices: readonly DeviceNode[]): readonly DeviceRule[] {
  const granted = devices.map(({ type, major, minor }) => ruleOf(true, major, minor, type));
  if (config.linux.allowAllDevices) return [{ allow: true, access: "rwm" }, ...granted];
  return [...deviceRules, ...granted];
}

/** In Docker's order. */
function namespacesOf({ network, pidHost, ipcHost }: RunRequest["config"]): readonly string[] {
  return [
    "mount",
    ...(network.type === "host" ? [] : ["network"]),
    "uts",
    ...(pidHost ? [] : ["pid"]),
    ...(ipcHost ? [] : ["ipc"]),
  ];
}

function mountOf(
  destination: string,
  type: string,
  source: string,
  options: readonly string[],
): OciMount {
  return { destination, type, source, options };
}

function ruleOf(allow: boolean, major: number, minor: number, type = "c"): DeviceRule {
  return { allow, type, major, minor, access: "rwm" };
}
