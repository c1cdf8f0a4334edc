// The host's side of a plugin's propagated mount: what the plugin mounts in it arrives here.
import fs from "node:fs";
import type { Host, MountInfo } from "../../core/host.ts";
import type { Operation } from "../../core/operation.ts";

/** The program only detaches: it waits for no storage. */
const UMOUNT_MS_MAX = 10_000;

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
  fs.mkdirSync(propagated, { recursive: true, mode: 0o755 });
  if (host.isMountPoint(propagated)) return;
  await host.bind({ source: propagated, target: propagated, mayHang: false }, operation);
}

/** Takes back `shareMounts`, however often it was done. */
export async function stopSharing(
  host: Pick<Host, "mounts" | "run">,
  propagated: string,
  operation: Operation,
): Promise<void> {
  const count = host.mounts().filter(({ target }) => target === propagated).length;
  for (let done = 0; done < count; done++) await detach(host, propagated, operation);
}

/** Whether a process serves it: a mount that is dead without it. */
export function isServed({ fileSystem }: Pick<MountInfo, "fileSystem">): boolean {
  return /^fuse(?:\.|$)/.test(fileSystem);
}

/**
 * Takes what is mounted below a directory, all of it or some, out of sight. Whoever has a file
 * open there or a mount of it elsewhere keeps it: neither dead storage nor users can hinder it.
 */
export async function detachBelow(
  host: Pick<Host, "mounts" | "run">,
  directory: string,
  operation: Operation,
  isWanted: (mount: MountInfo) => boolean = () => true,
): Promise<void> {
  const targets = host
    .mounts()
    .filter((mount) => mount.target.startsWith(`${directory}/`) && isWanted(mount))
    .map(({ target }) => target);
  // Later ones lie on earlier ones.
  for (const target of targets.reverse()) await detach(host, target, operation);
}

async function detach(
  host: Pick<Host, "run">,
  target: string,
  operation: Operation,
): Promise<void> {
  const signal = AbortSignal.timeout(UMOUNT_MS_MAX);
  const words = ["--no-canonicalize", "--lazy", "--", target];
  await host.run("umount", words, { ...operation, signal });
}
