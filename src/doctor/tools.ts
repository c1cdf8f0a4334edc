// Programs that Holdfast runs: what each is for, and which Debian package brings it.
import type { Finding, Severity } from "../core/doctor.ts";
import type { Operation } from "../core/operation.ts";
import { firstLineOf, type Look, type Machine, textOf } from "./machine.ts";

interface Tool {
  readonly program: string;
  /** By which it tells its version and does nothing else. */
  readonly versionOption: string;
  readonly debianPackage: string;
  readonly isFor: string;
  /** How bad it is when it is missing. */
  readonly without: Severity;
}

const tools: readonly Tool[] = [
  {
    ...{ program: "mount", versionOption: "--version", debianPackage: "mount" },
    ...{ isFor: "volumes with a device", without: "problem" },
  },
  {
    ...{ program: "umount", versionOption: "--version", debianPackage: "mount" },
    ...{ isFor: "volumes with a device", without: "problem" },
  },
  {
    ...{ program: "rm", versionOption: "--version", debianPackage: "coreutils" },
    ...{ isFor: "emptying the trash", without: "problem" },
  },
  {
    ...{ program: "mount.nfs", versionOption: "-V", debianPackage: "nfs-common" },
    ...{ isFor: "volumes of the driver nfs, and with type=nfs", without: "note" },
  },
  {
    ...{ program: "mount.cifs", versionOption: "-V", debianPackage: "cifs-utils" },
    ...{ isFor: "volumes of the driver smb, and with type=cifs", without: "note" },
  },
  {
    ...{ program: "sshfs", versionOption: "-V", debianPackage: "sshfs" },
    ...{ isFor: "volumes of the driver sshfs", without: "note" },
  },
  {
    ...{ program: "ssh", versionOption: "-V", debianPackage: "openssh-client" },
    ...{ isFor: "volumes of the driver sshfs", without: "note" },
  },
  {
    ...{ program: "rclone", versionOption: "--version", debianPackage: "rclone" },
    ...{ isFor: "volumes of the driver rclone", without: "note" },
  },
  {
    ...{ program: "fusermount3", versionOption: "--version", debianPackage: "fuse3" },
    ...{ isFor: "volumes of the driver rclone", without: "note" },
  },
  {
    ...{ program: "conmon", versionOption: "--version", debianPackage: "conmon" },
    ...{ isFor: "managed plugins, whose parent it is", without: "note" },
  },
];

/** The first that is there runs managed plugins. */
const runtimes: readonly [Tool, Tool] = [
  {
    ...{ program: "runc", versionOption: "--version", debianPackage: "runc" },
    ...{ isFor: "managed plugins", without: "note" },
  },
  {
    ...{ program: "crun", versionOption: "--version", debianPackage: "crun" },
    ...{ isFor: "managed plugins", without: "note" },
  },
];

/** Longer answers are no version. */
const VERSION_CHARACTERS_MAX = 100;

export const lookAtTools: Look = async (machine, operation) => {
  const findings = tools.map((tool) => lookAt(tool, machine, operation));
  return Promise.all([...findings, lookAtRuntimes(machine, operation)]);
};

async function lookAt(tool: Tool, machine: Machine, operation: Operation): Promise<Finding> {
  const { program, versionOption, debianPackage, isFor, without } = tool;
  const line = await firstLineOf(machine, [program, versionOption], operation);
  const about = `program ${program}`;
  if (line !== null) {
    // What it was built with stands behind it, in parentheses.
    const found = line.replace(/ \(libmount.*/, "").slice(0, VERSION_CHARACTERS_MAX);
    return { severity: "ok", about, found };
  }
  const found = `it is missing, and needed for ${isFor}`;
  return { severity: without, about, found, fix: `apt-get install ${debianPackage}` };
}

/** runc is enough; crun alone is, too, but not on control groups of both versions. */
async function lookAtRuntimes(machine: Machine, operation: Operation): Promise<Finding> {
  const [first, second] = runtimes;
  const preferred = await lookAt(first, machine, operation);
  if (preferred.severity === "ok") return preferred;
  const other = await lookAt(second, machine, operation);
  if (other.severity !== "ok") return preferred;
  const controllers = textOf(machine, "/sys/fs/cgroup/unified/cgroup.controllers")?.trim() ?? "";
  if (controllers === "") return other;
  const because = `crun runs no managed plugins here: cgroup version 2 has ${controllers}`;
  return { ...preferred, found: `it is missing, and ${because}` };
}
