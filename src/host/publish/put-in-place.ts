// The one step in which a tree takes its place, by each of the methods; and the way back.
import { EngineError, isErrno } from "../../core/errors.ts";
import type { PublishMethod, TreeIdentity } from "../../core/publishing.ts";
import {
  identityOf,
  isSame,
  nextStamp,
  occupantOf,
  passingName,
  readyName,
  type Siblings,
  siblingsOf,
  stampedName,
} from "./names.ts";
import { keepBehindLink, type PublishSite, treeAt } from "./settle.ts";

export interface NewTree {
  readonly staging: string;
  readonly identity: TreeIdentity;
  readonly hex: string;
  readonly nowMs: number;
}

/** Not followed by a look at what is there: see `verify`. */
export function putInPlace(site: PublishSite, tree: NewTree, method: PublishMethod): void {
  const { parent, name, effects } = site;
  const stamp = nextStamp(siblingsOf(parent, name), tree.nowMs);
  switch (method) {
    case "create":
      create(site, tree.staging);
      break;
    case "exchange":
      exchange(site, tree, stamp);
      break;
    case "link":
      effects.rename(parent, tree.staging, stampedName("tree", name, stamp), "replace");
      keepCurrentLink(site, stamp);
      moveLink(site, stampedName("tree", name, stamp), tree.hex);
      break;
    case "convert":
      convert(site, tree, stamp);
      break;
    case "gap":
      replaceWithGap(site, tree.staging, stampedName("previous", name, stamp), stamp);
      break;
    default:
      throw new EngineError("internal.bug", `no such method: ${String(method satisfies never)}`);
  }
}

/** Nothing is there, and nobody's is overwritten. */
function create({ parent, name, effects }: PublishSite, staging: string): void {
  try {
    effects.rename(parent, staging, name, "new");
  } catch (thrown) {
    if (!isUnsupported(thrown)) throw thrown;
    // A directory takes the place of nothing but an empty one.
    effects.rename(parent, staging, name, "replace");
  }
}

/** A crash leaves a "ready" name that says which of the two is the new one. */
function exchange({ parent, name, effects }: PublishSite, tree: NewTree, stamp: number): void {
  const ready = readyName(name, tree.identity, stamp);
  effects.rename(parent, tree.staging, ready, "replace");
  effects.rename(parent, ready, name, "exchange");
  effects.rename(parent, ready, stampedName("previous", name, stamp), "replace");
}

/** What the link leads to now is to be found for a roll-back, from before it leads elsewhere. */
function keepCurrentLink({ parent, name, effects }: PublishSite, stamp: number): void {
  const current = treeAt(parent, name, name);
  if (current !== undefined)
    effects.makeLink(parent, current, stampedName("previous", name, stamp));
}

function moveLink({ parent, name, effects }: PublishSite, tree: string, hex: string): void {
  const link = passingName("link", name, hex);
  effects.makeLink(parent, tree, link);
  effects.rename(parent, link, name, "replace");
}

/** The link is there before the directory goes, so that the gap is two renames long. */
function convert(site: PublishSite, tree: NewTree, stamp: number): void {
  const { parent, name, effects } = site;
  const link = passingName("link", name, tree.hex);
  const wanted = stampedName("tree", name, stamp + 1);
  effects.rename(parent, tree.staging, wanted, "replace");
  effects.makeLink(parent, wanted, link);
  const gap = stampedName("gap", name, stamp);
  effects.rename(parent, name, gap, "replace");
  closeGap(site, gap, () => effects.rename(parent, link, name, "replace"));
  keepBehindLink(site, gap, stamp);
}

function replaceWithGap(site: PublishSite, from: string, kept: string, stamp: number): void {
  const { parent, name, effects } = site;
  const gap = stampedName("gap", name, stamp);
  effects.rename(parent, name, gap, "replace");
  closeGap(site, gap, () => effects.rename(parent, from, name, "replace"));
  effects.rename(parent, gap, kept, "replace");
}

/** The old tree comes back when the new one cannot take its place. */
function closeGap({ parent, name, effects }: PublishSite, gap: string, work: () => void): void {
  try {
    work();
  } catch (thrown) {
    effects.rename(parent, gap, name, "replace");
    throw thrown;
  }
}

/** Whether the new tree is what readers find. Throws `publish.changed`. */
export function verify(
  { parent, name }: Pick<PublishSite, "parent" | "name">,
  wanted: TreeIdentity,
): void {
  const there = treeAt(parent, name, name) ?? name;
  if (isSame(identityOf(parent, there), wanted)) return;
  throw changed(name, "something else than the new tree is there");
}

/** `publish.changed`. */
export function changed(name: string, why: string): EngineError {
  return new EngineError("publish.changed", `${name}: ${why}`, { details: { name } });
}

/**
 * Puts the newest kept tree in place of the one that is there, which is kept in its stead: a second
 * roll-back undoes the first. Throws `publish.nothing_kept`, `publish.not_atomic`,
 * `publish.target_unfit`.
 */
export function rollBack(
  site: PublishSite,
  { previous, ...rest }: Siblings,
  how: Pick<NewTree, "hex" | "nowMs"> & { readonly allowGap: boolean },
): PublishMethod {
  const { parent, name, effects } = site;
  const stamp = nextStamp({ previous, ...rest }, how.nowMs);
  const kept = previous.find(({ entry }) => treeOf(site, entry) !== undefined)?.entry;
  const tree = kept === undefined ? undefined : treeOf(site, kept);
  if (kept === undefined || tree === undefined) {
    throw new EngineError("publish.nothing_kept", `${name}: no tree is kept for a roll-back`, {
      details: { name },
    });
  }
  const wanted = identityOf(parent, tree);
  const method = tree === kept ? swapTrees(site, kept, { ...how, stamp }) : "link";
  if (method === "link") {
    keepCurrentLink(site, stamp);
    moveLink(site, tree, how.hex);
    effects.removeLink(parent, kept);
  }
  if (wanted !== undefined) verify(site, wanted);
  return method;
}

/** The directory that a kept one is, or leads to. */
function treeOf({ parent, name }: PublishSite, entry: string): string | undefined {
  const { is } = occupantOf(parent, entry);
  return is === "directory" ? entry : treeAt(parent, name, entry);
}

function swapTrees(
  site: PublishSite,
  kept: string,
  { allowGap, stamp }: { readonly allowGap: boolean; readonly stamp: number },
): PublishMethod {
  const { parent, name, effects } = site;
  const { is } = occupantOf(parent, name);
  if (is === "missing") {
    create(site, kept);
    return "create";
  }
  if (is !== "directory") throw targetUnfit(name, "a kept directory cannot take its place");
  try {
    effects.rename(parent, kept, name, "exchange");
    return "exchange";
  } catch (thrown) {
    if (!isUnsupported(thrown)) throw thrown;
    if (!allowGap) throw notAtomic(name);
    replaceWithGap(site, kept, kept, stamp);
    return "gap";
  }
}

/** Whether the storage, or the kernel, has no such rename. */
export function isUnsupported(thrown: unknown): boolean {
  return ["EINVAL", "ENOSYS", "ENOTSUP", "EOPNOTSUPP"].some((code) => isErrno(thrown, code));
}

export function targetUnfit(name: string, why: string): EngineError {
  return new EngineError("publish.target_unfit", `${name}: ${why}`, { details: { name } });
}

export function notAtomic(name: string): EngineError {
  return new EngineError(
    "publish.not_atomic",
    `${name} is a directory, and its storage cannot exchange two directories in one step`,
    { details: { name } },
  );
}
