// The host's side of a plugin's propagated mount: what the plugin mounts in it arrives here.
import fs from "node:fs";
import type { Host, MountInfo } from "../../core/host.ts";
import type { Operation } from "../../core/operation.ts";

/** The program only detaches: it waits for no storage. */
const UMOUNT_MS_MAX = 10_000;
/** How many mounts one program detaches: a plugin may have made thousands. */
const TARGETS_AT_ONCE = 100;
const ATTEMPTS_MAX = 3;

/**
 * Makes the directory, and a mount of it with a peer group of its own, so that mounts of the
 * plugin arrive once, whatever the mount is that the directory lies on. Repeating it changes
 * nothing. Throws `volume.mount_failed`, `storage.*`.
 */
export async function shareMounts(
  host: Pick<Host, "isMountPoint" | "bind">,
  propagated: string,
  operation: Operation,
): Promise<void> {
  // First: what is mounted there may not answer, and making the directory would look at it.
  if (host.isMountPoint(propagated)) return;
  fs.mkdirSync(propagated, { recursive: true, mode: 0o755 });
  await host.bind({ source: propagated, target: propagated, mayHang: false }, operation);
}

/**
 * Takes back `shareMounts`, however often it was done, with all that is mounted below. True:
 * nothing is mounted there any more.
 */
export async function stopSharing(
  host: Pick<Host, "mounts" | "run">,
  propagated: string,
  operation: Operation,
): Promise<boolean> {
  return await detachAll(host, ({ target }) => target === propagated, operation);
}

/** Whether a process serves it: a mount that is dead without it. */
export function isServed({ fileSystem }: Pick<MountInfo, "fileSystem">): boolean {
  return /^fuse(?:\.|$)/.test(fileSystem);
}

/**
 * Takes what is mounted below a directory, all of it or some, out of sight. Whoever has a file
 * open there or a mount of it elsewhere keeps it: neither dead storage nor users can hinder it.
 * True: nothing of it is mounted there any more.
 */
export async function detachBelow(
  host: Pick<Host, "mounts" | "run">,
  directory: string,
  operation: Operation,
  isWanted: (mount: MountInfo) => boolean = () => true,
): Promise<boolean> {
  const isBelow = ({ target }: MountInfo) => target.startsWith(`${directory}/`);
  return await detachAll(host, (mount) => isBelow(mount) && isWanted(mount), operation);
}

/** The same, wherever it is. */
export async function detachAll(
  host: Pick<Host, "mounts" | "run">,
  isWanted: (mount: MountInfo) => boolean,
  operation: Operation,
): Promise<boolean> {
  const left = () =>
    host
      .mounts()
      .filter(isWanted)
      .map(({ target }) => target);
  // Somebody may kill the program, or mount something else meanwhile.
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
    // Later ones lie on earlier ones.
    const targets = left().reverse();
    if (targets.length === 0) return true;
    for (let first = 0; first < targets.length; first += TARGETS_AT_ONCE) {
      const some = targets.slice(first, first + TARGETS_AT_ONCE);
      const signal = AbortSignal.timeout(UMOUNT_MS_MAX);
      const words = ["--no-canonicalize", "--lazy", "--", ...some];
      await host.run("umount", words, { ...operation, signal });
    }
  }
  return left().length === 0;
}
