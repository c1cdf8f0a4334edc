// The host's side of a plugin's propagated mount: what the plugin mounts in it arrives here.
import fs from "node:fs";
import type { Host } from "../../core/host.ts";
import { isAtOrBelow } from "../../core/mount-of.ts";
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
  // First: what is mounted there may not answer, and making the directory would look at it.
  if (host.isMountPoint(propagated)) return;
  fs.mkdirSync(propagated, { recursive: true, mode: 0o755 });
  await host.bind({ source: propagated, target: propagated, mayHang: false }, operation);
}

/** Takes back `shareMounts`, however often it was done, with all that is mounted below. */
export async function stopSharing(
  host: Pick<Host, "mounts" | "run">,
  propagated: string,
  operation: Operation,
): Promise<void> {
  const count = host.mounts().filter(({ target }) => target === propagated).length;
  for (let done = 0; done < count; done++) await detach(host, propagated, operation);
}

/**
 * Takes everything that is mounted at or below a directory out of sight. Whoever has a file open there
 * or a mount of it elsewhere keeps it: neither dead storage nor users can hinder it.
 */
export async function detachBelow(
  host: Pick<Host, "mounts" | "run">,
  directory: string,
  operation: Operation,
): Promise<void> {
  const targets = host
    .mounts()
    .map(({ target }) => target)
    .filter((target) => isAtOrBelow(target, directory));
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
