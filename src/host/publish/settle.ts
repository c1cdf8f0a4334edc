// Puts right what a crash has left of a publish: nobody works on that path any more.
//
// After it a tree, or nothing, is at the name; kept trees are "previous", and nothing else is left.
import type { PublishEffects } from "./effects.ts";
import {
  identityOf,
  isTreeOf,
  occupantOf,
  type Siblings,
  siblingsOf,
  stampedName,
} from "./names.ts";

/** A directory of a volume, and the name in it that is published to. */
export interface PublishSite {
  /** Open, for its place only. */
  readonly parent: number;
  readonly name: string;
  readonly effects: PublishEffects;
  /** Hears that work goes on. */
  readonly alive: () => void;
}

/** What lies there when all is put right. */
export function settle(site: PublishSite): Siblings {
  const { parent, name, effects, alive } = site;
  const found = siblingsOf(parent, name);
  for (const ready of found.ready) settleReady(site, ready);
  for (const { entry, stamp } of found.gap) settleGap(site, entry, stamp);
  for (const entry of found.passing) effects.removeTree(parent, entry, alive);
  settleLinks(site);
  return siblingsOf(parent, name);
}

/** Its name says which tree was new: what lies there now is that one, or has been replaced. */
function settleReady(site: PublishSite, { entry, inode, stamp }: Siblings["ready"][number]): void {
  const { parent, name, effects, alive } = site;
  const isUnpublished = identityOf(parent, entry)?.inode === inode;
  if (isUnpublished) effects.removeTree(parent, entry, alive);
  else keepAs(site, entry, stampedName("previous", name, stamp));
}

/** What has that name already is none of publishing's own: two never have one stamp. */
function keepAs({ parent, effects, alive }: PublishSite, entry: string, kept: string): void {
  if (occupantOf(parent, kept).is !== "missing") effects.removeTree(parent, kept, alive);
  effects.rename(parent, entry, kept, "replace");
}

/** The old tree comes back where nothing took its place; otherwise it is kept. */
function settleGap(site: PublishSite, entry: string, stamp: number): void {
  const { parent, name, effects } = site;
  const { is } = occupantOf(parent, name);
  if (is === "missing") effects.rename(parent, entry, name, "replace");
  else if (is === "symlink") keepBehindLink(site, entry, stamp);
  else keepAs(site, entry, stampedName("previous", name, stamp));
}

/** A directory that gave way to a symbolic link is what the kept link leads to. */
export function keepBehindLink(site: PublishSite, entry: string, stamp: number): void {
  const { parent, name, effects } = site;
  const tree = stampedName("tree", name, stamp);
  const previous = stampedName("previous", name, stamp);
  if (occupantOf(parent, previous).is === "missing") effects.makeLink(parent, tree, previous);
  keepAs(site, entry, tree);
}

/** Links that keep nothing, and trees that no link leads to. */
function settleLinks({ parent, name, effects, alive }: PublishSite): void {
  const current = treeAt(parent, name, name);
  const wanted = new Set(current === undefined ? [] : [current]);
  const { previous, trees } = siblingsOf(parent, name);
  for (const { entry } of previous) {
    const target = treeAt(parent, name, entry);
    if (target === undefined) continue;
    const isKept = target !== current && trees.some((tree) => tree.entry === target);
    if (isKept) wanted.add(target);
    else effects.removeLink(parent, entry);
  }
  for (const { entry } of trees) if (!wanted.has(entry)) effects.removeTree(parent, entry, alive);
}

/** Which of its trees a link of publishing's leads to; undefined: there is no such link. */
export function treeAt(parent: number, name: string, entry: string): string | undefined {
  const occupant = occupantOf(parent, entry);
  if (occupant.is !== "symlink" || !isTreeOf(name, occupant.target)) return undefined;
  return occupant.target;
}
