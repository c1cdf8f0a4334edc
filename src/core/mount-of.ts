// Which mount a path lies on, by the kernel's table alone: no file system is asked.
import type { MountInfo } from "./host.ts";

/**
 * The mount that holds an absolute path without `.`, `..` or symbolic links, whether or not
 * something is there. Of several at one place the topmost. undefined for an empty table.
 */
export function mountOf(mounts: readonly MountInfo[], path: string): MountInfo | undefined {
  const holding = mounts.filter(({ target }) => target === "/" || isAtOrBelow(path, target));
  const longest = Math.max(...holding.map(({ target }) => target.length));
  const here = holding.filter(({ target }) => target.length === longest);
  const below = new Set(here.map(({ parentId }) => parentId));
  return here.find(({ mountId }) => !below.has(mountId)) ?? here.at(-1);
}

/** Where the mounts of holds are, below a data root; the daemon makes it a mount where it must. */
export function holdsDirectoryOf(root: string): string {
  return `${root}/holds`;
}

/** Whether what is mounted there, or from there on, comes to other mount namespaces too. */
export function isShared(mount: MountInfo): boolean {
  return peerGroupOf(mount) !== undefined;
}

/** The peer group that a mount is in and shares what is mounted there with; undefined: none. */
export function peerGroupOf({ propagation }: MountInfo): number | undefined {
  const word = propagation.find((each) => each.startsWith("shared:"));
  return word === undefined ? undefined : Number(word.slice("shared:".length));
}

/** `/a/b` is below `/a`, `/ab` is not. */
export function isAtOrBelow(path: string, folder: string): boolean {
  return path === folder || path.startsWith(`${folder}/`);
}
