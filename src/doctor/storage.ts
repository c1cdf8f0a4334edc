// The file system of the data root: by the kernel's tables and by helper processes, which may hang.
import path from "node:path";
import type { Finding } from "../core/doctor.ts";
import type { MountInfo } from "../core/host.ts";
import { holdsDirectoryOf, isShared, mountOf } from "../core/mount-of.ts";
import type { Operation } from "../core/operation.ts";
import type { Look, Machine } from "./machine.ts";

const FREE_BYTES_MIN = 1024 ** 3;

/** What state and holds rest on works there, and has been tried. */
const tried = new Set(["ext4", "xfs", "btrfs"]);
const inMemory = new Set(["tmpfs", "ramfs"]);
const remote = /^(nfs4?|cifs|smb3|9p|virtiofs|fuse\..*|ceph|glusterfs)$/;

export const lookAtStorage: Look = async (machine, operation) => {
  const wanted = await resolved(machine, operation);
  const mounts = machine.host.mounts();
  const mount = mountOf(mounts, wanted);
  if (mount === undefined) {
    const found = `${wanted}: the mount table is empty`;
    return [{ severity: "warning", about: "data root", found }];
  }
  const nearest = await nearestThatExists(wanted, machine, operation);
  return [
    rootFinding(wanted, nearest === wanted),
    typeFinding(mount),
    ...writableFinding(mount),
    propagationFinding(mountOf(mounts, holdsDirectoryOf(wanted)) ?? mount),
    await birthTimes(nearest, machine, operation),
    await freeSpace(nearest, machine, operation),
    await reflink({ folder: wanted, isThere: nearest === wanted }, machine, operation),
  ];
};

/** Without symbolic links, whether it exists or not. */
async function resolved({ host, dataRoot }: Machine, operation: Operation): Promise<string> {
  const args = ["--canonicalize-missing", "--", dataRoot];
  const { exitCode, stdout } = await host.run("realpath", args, operation);
  return exitCode === 0 ? stdout.replace(/\n$/, "") : dataRoot;
}

async function nearestThatExists(
  wanted: string,
  { host }: Machine,
  operation: Operation,
): Promise<string> {
  let folder = wanted;
  while (folder !== "/") {
    const { exitCode } = await host.run("stat", ["--", folder], operation);
    if (exitCode === 0) return folder;
    folder = path.dirname(folder);
  }
  return folder;
}

function rootFinding(root: string, isThere: boolean): Finding {
  const about = "data root";
  if (isThere) return { severity: "ok", about, found: root };
  return { severity: "note", about, found: `${root} is not there yet: the daemon makes it` };
}

function typeFinding({ fileSystem, target }: MountInfo): Finding {
  const about = "file system";
  const where = `${fileSystem} at ${target}`;
  if (tried.has(fileSystem)) return { severity: "ok", about, found: where };
  if (inMemory.has(fileSystem)) {
    const fix = "put the data root on a disk (root in /etc/holdfast/config.toml)";
    return { severity: "warning", about, found: `${where}: a reboot empties it`, fix };
  }
  if (remote.test(fileSystem)) {
    const found = `${where}: the state needs a local disk, whose locks and syncs can be relied on`;
    const fix =
      "put the data root on a local disk, and give volumes a type= and device= on the server";
    return { severity: "problem", about, found, fix };
  }
  const found = `${where}: Holdfast was tried on ${[...tried].join(", ")}`;
  const fix = "run holdfast verify driver local --root DIR with a DIR on it";
  return { severity: "note", about, found, fix };
}

function writableFinding({ options, target }: MountInfo): readonly Finding[] {
  if (!options.includes("ro")) return [];
  const found = `${target} is mounted read-only: nothing can be created or removed`;
  const fix = `look for its reason in the kernel log (dmesg), then mount -o remount,rw ${target}`;
  return [{ severity: "problem", about: "file system", found, fix }];
}

function propagationFinding(mount: MountInfo): Finding {
  const { target } = mount;
  const about = "propagation";
  if (isShared(mount)) return { severity: "ok", about, found: `the mount at ${target} is shared` };
  return {
    severity: "warning",
    about,
    found:
      `the mount at ${target} is not shared: an engine in a mount namespace of its own that ` +
      "was started before the daemon sees no volume",
    fix: `mount --make-rshared ${target}, or start such an engine anew after the daemon`,
  };
}

async function birthTimes(
  folder: string,
  { host }: Machine,
  operation: Operation,
): Promise<Finding> {
  const about = "birth times";
  const { stdout } = await host.run("stat", ["--format=%W", "--", folder], operation);
  const isKept = /^[1-9]\d*\n$/.test(stdout);
  if (isKept) return { severity: "ok", about, found: "the file system keeps them" };
  const found =
    "the file system keeps none: a volume's directory is told from a later one by its number alone";
  return { severity: "note", about, found, fix: "prefer ext4, xfs or btrfs" };
}

async function freeSpace(
  folder: string,
  { host }: Machine,
  operation: Operation,
): Promise<Finding> {
  const about = "free space";
  const args = ["--file-system", "--format=%a %S %b", "--", folder];
  const { stdout } = await host.run("stat", args, operation);
  const [free = Number.NaN, blockBytes = 0, all = 0] = stdout.trim().split(" ").map(Number);
  if (!Number.isFinite(free)) {
    return { severity: "warning", about, found: `it cannot be told for ${folder}` };
  }
  const gibibytes = (blocks: number): string => ((blocks * blockBytes) / 1024 ** 3).toFixed(1);
  const found = `${gibibytes(free)} of ${gibibytes(all)} GiB`;
  if (free * blockBytes >= FREE_BYTES_MIN) return { severity: "ok", about, found };
  const fix = "free some: removing volumes works on a full disk, too";
  return { severity: "warning", about, found, fix };
}

/** By doing it, to the lock's empty file: a file system's name does not tell. */
async function reflink(
  { folder, isThere }: { readonly folder: string; readonly isThere: boolean },
  { host }: Machine,
  operation: Operation,
): Promise<Finding> {
  const about = "reflink";
  const copy = path.join(folder, `.doctor-${host.randomHex(4)}`);
  const lock = path.join(folder, "lock");
  const hasLock = isThere && (await host.run("stat", ["--", lock], operation)).exitCode === 0;
  if (!hasLock) return { severity: "note", about, found: "not tried: no daemon was there yet" };
  const args = ["--reflink=always", "--no-dereference", "--", lock, copy];
  const { exitCode } = await host.run("cp", args, operation);
  await host.run("rm", ["--force", "--", copy], operation);
  if (exitCode === 0) return { severity: "ok", about, found: "files can share their blocks" };
  return { severity: "note", about, found: "files cannot share their blocks: copies are whole" };
}
