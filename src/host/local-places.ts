// Directories that lie on storage of this machine: only those are opened in the daemon's process.
//
// The mount table says so, and reading it asks no storage. Anything that may be on a server, or is
// answered by a process (FUSE), is for a helper that the daemon can abandon; only the root of a
// FUSE mount can be had without asking its process.
import { readFileSync } from "node:fs";
import { basename, dirname } from "node:path";
import type { MountInfo } from "../core/host.ts";
import { closeDescriptor, openMountOn, openPlace, openPlaceBeneath } from "./libc.ts";
import { topmostAt } from "./mount-table.ts";

/** Whose data lies on a disk or in memory of this machine. */
const localFileSystems: ReadonlySet<string> = new Set([
  ...["bcachefs", "btrfs", "ext2", "ext3", "ext4", "f2fs", "jfs", "xfs", "zfs"],
  ...["devtmpfs", "ramfs", "tmpfs"],
]);

/**
 * The directory, open for its place only; undefined: it may lie elsewhere, or cannot be opened. A
 * mount that comes while this looks, and links that lead to other mounts, count as elsewhere.
 */
export function openLocalPlace(path: string, mounts: readonly MountInfo[]): number | undefined {
  // What the kernel would resolve cannot be compared with the table.
  if (!path.startsWith("/") || /\/\.\.?(?:\/|$)/.test(path)) return undefined;
  const mount = localMountOf(path, mounts);
  if (mount === undefined) return undefined;
  const { target, mountId } = mount;
  let root: number | undefined;
  try {
    root = openPlace(target);
    if (mountIdOf(root) !== mountId) return undefined;
    return openPlaceBeneath(root, `.${path.slice(target === "/" ? 0 : target.length)}`);
  } catch {
    // Whoever tries by other means learns why.
    return undefined;
  } finally {
    if (root !== undefined) closeDescriptor(root);
  }
}

/** The mount that the path lies on, when every one on the way to it is of this machine. */
export function localMountOf(path: string, mounts: readonly MountInfo[]): MountInfo | undefined {
  const onTheWay = mounts.filter(
    ({ target }) => target === "/" || target === path || path.startsWith(`${target}/`),
  );
  if (!onTheWay.every(({ fileSystem }) => localFileSystems.has(fileSystem))) return undefined;
  const nearest = onTheWay.reduce(
    (longest, { target }) => (target.length > longest.length ? target : longest),
    "",
  );
  return topmostAt(onTheWay, nearest);
}

/**
 * Whether an overlay has all its layers on storage of this machine, as `own`, our own mounts, show
 * it: then it asks nobody else. It may be one of another mount namespace, whose engine has its
 * layers where we see them. Layers that are named without their whole path are looked for beside
 * where the overlay is mounted here.
 */
export function isLocalOverlay(mount: MountInfo, own: readonly MountInfo[]): boolean {
  if (mount.fileSystem !== "overlay") return false;
  const layers = (mount.superOptions ?? []).flatMap(layersIn);
  if (layers.length > 0 && layers.every((path) => path.startsWith("/"))) {
    return layers.every((path) => localMountOf(path, own) !== undefined);
  }
  const here = own.find(({ device, fileSystem }) => {
    return fileSystem === "overlay" && device === mount.device;
  });
  return here !== undefined && localMountOf(dirname(here.target), own) !== undefined;
}

/** The directories that an option of an overlay names. */
function layersIn(option: string): readonly string[] {
  const [, paths] = /^(?:upperdir|lowerdir\+?|datadir\+?)=(.*)$/.exec(option) ?? [];
  return paths === undefined ? [] : paths.split(/:+/);
}

/**
 * The root of the FUSE mount at a path of this machine, open for its place only; undefined: none is
 * there, or something else is on top of it. Its process is asked nothing: the kernel looks at a
 * file system's root when it comes to it from a mount only where that has `d_weak_revalidate` (NFS,
 * 9p), which FUSE has not.
 */
export function openFuseRoot(path: string, mounts: readonly MountInfo[]): number | undefined {
  const top = topmostAt(mounts, path);
  if (top === undefined || !/^fuse(blk)?(\.|$)/.test(top.fileSystem)) return undefined;
  const parent = openLocalPlace(dirname(path), mounts);
  if (parent === undefined) return undefined;
  let root: number | undefined;
  try {
    root = openMountOn(parent, basename(path));
    if (mountIdOf(root) !== top.mountId) return undefined;
    const found = root;
    root = undefined;
    return found;
  } catch {
    return undefined;
  } finally {
    closeDescriptor(parent);
    if (root !== undefined) closeDescriptor(root);
  }
}

/** As the mount table counts mounts. Asks no storage. */
export function mountIdOf(descriptor: number): number {
  const text = readFileSync(`/proc/self/fdinfo/${descriptor}`, "utf8");
  return Number(/^mnt_id:\s*(\d+)$/m.exec(text)?.[1]);
}
