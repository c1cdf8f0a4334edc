// The hidden names of publishing beside a tree, and what of them lies in a directory.
import { type BigIntStats, fstatSync, lstatSync, readdirSync, readlinkSync } from "node:fs";
import { isErrno } from "../../core/errors.ts";
import { PUBLISH_PREFIX, type TreeIdentity } from "../../core/publishing.ts";
import { closeDescriptor, openPlaceWithoutLinks } from "../libc.ts";

/**
 * "publish": being unpacked. "link": a symbolic link that is about to be moved. "probe": for
 * trying. "ready": whole, and exchanged or about to be: the inode in its name is the new tree's.
 * "gap": the old one, while readers find nothing. "previous": kept, a directory or a symbolic link
 * to a "tree", which is what symbolic links lead to.
 */
type Kind = "publish" | "link" | "probe" | "ready" | "gap" | "previous" | "tree";

/** Random, and removed whenever nobody works on it. */
export function passingName(
  kind: Kind & ("publish" | "link" | "probe"),
  name: string,
  hex: string,
) {
  return `${PUBLISH_PREFIX}${kind}-${name}-${hex}`;
}

export function stampedName(kind: Kind & ("gap" | "previous" | "tree"), name: string, at: number) {
  return `${PUBLISH_PREFIX}${kind}-${name}-${at}`;
}

export function readyName(name: string, { inode }: TreeIdentity, at: number): string {
  return `${PUBLISH_PREFIX}ready-${name}-${inode}-${at}`;
}

/** Some two thousand years from now, and well below 15 digits. */
const STAMP_MAX = 99_999_999_999_999;

export interface Stamped {
  readonly entry: string;
  readonly stamp: number;
}

/** What lies beside a tree. Each list with the newest first. */
export interface Siblings {
  /** Nothing of it is needed. */
  readonly passing: readonly string[];
  readonly ready: readonly (Stamped & { readonly inode: string })[];
  readonly gap: readonly Stamped[];
  readonly previous: readonly Stamped[];
  readonly trees: readonly Stamped[];
}

/** Reads all names of the directory. */
export function siblingsOf(parent: number, name: string): Siblings {
  const entries = readdirSync(`/proc/self/fd/${parent}`);
  const stamped = (kind: Kind): readonly Stamped[] => {
    const start = `${PUBLISH_PREFIX}${kind}-${name}-`;
    const found = entries.flatMap((entry): readonly Stamped[] => {
      const rest = entry.startsWith(start) ? entry.slice(start.length) : "";
      return /^\d{1,15}$/.test(rest) ? [{ entry, stamp: Number(rest) }] : [];
    });
    return found.sort((one, other) => other.stamp - one.stamp);
  };
  const passing = (["publish", "link", "probe"] as const).flatMap((kind) => {
    const start = `${PUBLISH_PREFIX}${kind}-${name}-`;
    const isIt = (entry: string) =>
      entry.startsWith(start) && /^[0-9a-f]{16}$/.test(entry.slice(start.length));
    return entries.filter(isIt);
  });
  const startOfReady = `${PUBLISH_PREFIX}ready-${name}-`;
  const ready = entries.flatMap((entry) => {
    const rest = entry.startsWith(startOfReady) ? entry.slice(startOfReady.length) : "";
    const [, inode, stamp] = /^(\d{1,20})-(\d{1,15})$/.exec(rest) ?? [];
    return inode === undefined ? [] : [{ entry, inode, stamp: Number(stamp) }];
  });
  return {
    ...{ passing, ready },
    ...{ gap: stamped("gap"), previous: stamped("previous"), trees: stamped("tree") },
  };
}

/**
 * Larger than any that is there. Whoever writes to the volume may have made one that has no room
 * above it: then one that is not there, nor the next, is as good.
 */
export function nextStamp({ ready, gap, previous, trees }: Siblings, nowMs: number): number {
  const there = new Set([...ready, ...gap, ...previous, ...trees].map(({ stamp }) => stamp));
  let latest = Math.trunc(nowMs) - 1;
  for (const stamp of there) latest = Math.max(latest, stamp);
  if (latest < STAMP_MAX) return latest + 1;
  let free = Math.trunc(nowMs);
  while (there.has(free) || there.has(free + 1)) free += 1;
  return free;
}

/** What is at a name. `target`: of a symbolic link. */
export type Occupant =
  | { readonly is: "missing" | "directory" | "other" }
  | { readonly is: "symlink"; readonly target: string };

export function occupantOf(parent: number, name: string): Occupant {
  const place = `/proc/self/fd/${parent}/${name}`;
  const status = lstatSync(place, { throwIfNoEntry: false });
  if (status === undefined) return { is: "missing" };
  if (status.isSymbolicLink()) return { is: "symlink", target: readlinkSync(place) };
  return { is: status.isDirectory() ? "directory" : "other" };
}

/** Whether a symbolic link is one of publishing's own for this name. */
export function isTreeOf(name: string, target: string): boolean {
  const start = `${PUBLISH_PREFIX}tree-${name}-`;
  return target.startsWith(start) && /^\d{1,15}$/.test(target.slice(start.length));
}

/** Of the directory at a name; undefined: none is there. What is mounted there is EXDEV. */
export function identityOf(parent: number, name: string): TreeIdentity | undefined {
  let descriptor: number;
  try {
    descriptor = openPlaceWithoutLinks(parent, name);
  } catch (thrown) {
    if (["ENOENT", "ENOTDIR", "ELOOP"].some((code) => isErrno(thrown, code))) return undefined;
    throw thrown;
  }
  try {
    return identity(fstatSync(descriptor, { bigint: true }));
  } finally {
    closeDescriptor(descriptor);
  }
}

export function identity({ dev, ino }: Pick<BigIntStats, "dev" | "ino">): TreeIdentity {
  return { device: String(dev), inode: String(ino) };
}

export function isSame(one: TreeIdentity | undefined, other: TreeIdentity): boolean {
  return one?.device === other.device && one.inode === other.inode;
}
