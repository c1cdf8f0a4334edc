// The steps of a publish but for the unpacking: `publish-step`, a helper that can be abandoned when
// the storage does not answer.
//
// Everything happens beneath the volume's directory: on the way to the parent of the tree no link
// is followed and no other mount is entered.
import { EngineError, isErrno, storageError } from "../../core/errors.ts";
import {
  type CommittedPublish,
  type PreparedPublish,
  type PrunedTrees,
  type PublishMethod,
  type PublishStep,
  pathInvalid,
  publishPathText,
  type TreeIdentity,
} from "../../core/publishing.ts";
import type { AssistCall } from "../assist-frame.ts";
import { closeDescriptor, openPlace, openPlaceWithoutLinks } from "../libc.ts";
import { type PublishEffects, publishEffects } from "./effects.ts";
import {
  identityOf,
  isSame,
  isTreeOf,
  occupantOf,
  passingName,
  type Siblings,
  siblingsOf,
} from "./names.ts";
import {
  changed,
  isUnsupported,
  notAtomic,
  putInPlace,
  rollBack,
  targetUnfit,
  verify,
} from "./put-in-place.ts";
import { type PublishSite, settle } from "./settle.ts";

type Outcome = PreparedPublish | CommittedPublish | PrunedTrees | Record<string, never>;

/**
 * Takes one step in a volume's `directory`. Throws `publish.*`, and what the storage says as
 * `storage.*` or `host.denied`. What a step was doing when it failed is put right by the next one.
 */
export function takePublishStep(
  directory: string,
  step: PublishStep,
  { effects, alive }: { readonly effects: PublishEffects; readonly alive: () => void },
): Outcome {
  const doing = `publishing ${publishPathText(step)}`;
  let root: number | undefined;
  let parent: number | undefined;
  try {
    root = openPlace(directory);
    parent = openParent(root, step);
    return takeAt({ parent, name: step.name, effects, alive }, step);
  } catch (thrown) {
    throw storageError(thrown, doing);
  } finally {
    for (const descriptor of [parent, root]) {
      if (descriptor !== undefined) closeDescriptor(descriptor);
    }
  }
}

function openParent(root: number, step: PublishStep): number {
  try {
    return openPlaceWithoutLinks(root, step.parent === "" ? "." : step.parent);
  } catch (thrown) {
    const words = Object.entries(parentErrors).find(([code]) => isErrno(thrown, code))?.[1];
    if (words === undefined) throw thrown;
    throw pathInvalid(publishPathText(step), `${words} /${step.parent}`);
  }
}

const parentErrors = {
  ENOENT: "there is no directory",
  ENOTDIR: "there is no directory",
  ELOOP: "a symbolic link is on the way to",
  EXDEV: "another file system is mounted on the way to",
} as const;

function takeAt(site: PublishSite, step: PublishStep): Outcome {
  const { parent, effects } = site;
  // What is being put in place is not what a crash has left.
  const siblings = step.do === "commit" ? siblingsOf(parent, site.name) : settle(site);
  switch (step.do) {
    case "prepare":
      return prepare(site, step);
    case "commit":
      return commit(site, step);
    case "rollback": {
      refuseMounted(site);
      const method = rollBack(site, siblings, step);
      effects.sync(parent);
      return { method };
    }
    case "prune":
      return prune(site, siblings, step.keep);
    case "settle":
      return {};
    default:
      throw new EngineError(
        "internal.bug",
        `no such step: ${JSON.stringify(step satisfies never)}`,
      );
  }
}

function prepare(
  site: PublishSite,
  { hex, allowGap }: { readonly hex: string; readonly allowGap: boolean },
): PreparedPublish {
  const { parent, name, effects, alive } = site;
  refuseMounted(site);
  const staging = passingName("publish", name, hex);
  effects.makeDirectory(parent, staging);
  try {
    const identity = identityOf(parent, staging);
    if (identity === undefined) throw changed(name, `${staging} was taken away`);
    const method = chooseMethod(site, { staging, hex, identity, allowGap });
    return { staging, identity, method };
  } catch (thrown) {
    effects.removeTree(parent, staging, alive);
    throw thrown;
  }
}

/** What is mounted on a directory, here, would stay where it is. */
function refuseMounted({ parent, name }: PublishSite): void {
  try {
    identityOf(parent, name);
  } catch (thrown) {
    if (!isErrno(thrown, "EXDEV")) throw thrown;
    throw targetUnfit(name, "another file system is mounted there");
  }
}

interface Trial {
  readonly staging: string;
  readonly identity: TreeIdentity;
  readonly hex: string;
  readonly allowGap: boolean;
}

/** By what the storage does just now, and by what is at the name. */
function chooseMethod(site: PublishSite, trial: Trial): PublishMethod {
  const { parent, name } = site;
  const occupant = occupantOf(parent, name);
  switch (occupant.is) {
    case "symlink":
      if (isTreeOf(name, occupant.target)) return "link";
      throw targetUnfit(name, "a symbolic link is there that publishing has not made");
    case "other":
      throw targetUnfit(name, "something is there that is no directory");
    case "missing":
      return canExchange(site, trial) || !canLink(site, trial) ? "create" : "link";
    case "directory":
      if (canExchange(site, trial)) return "exchange";
      if (!trial.allowGap) throw notAtomic(name);
      return canLink(site, trial) ? "convert" : "gap";
    default:
      throw new EngineError("internal.bug", `what is that? ${String(occupant satisfies never)}`);
  }
}

/** Tried with two empty directories; what it says is looked at. */
function canExchange({ parent, name, effects, alive }: PublishSite, trial: Trial): boolean {
  const { staging, hex, identity } = trial;
  const probe = passingName("probe", name, hex);
  effects.makeDirectory(parent, probe);
  try {
    effects.rename(parent, probe, staging, "exchange");
    const isDone = isSame(identityOf(parent, probe), identity);
    if (isDone) effects.rename(parent, probe, staging, "exchange");
    return isDone;
  } catch (thrown) {
    if (isUnsupported(thrown)) return false;
    throw thrown;
  } finally {
    effects.removeTree(parent, probe, alive);
  }
}

function canLink({ parent, name, effects }: PublishSite, { hex }: Trial): boolean {
  const link = passingName("link", name, hex);
  try {
    effects.makeLink(parent, "nothing", link);
    return occupantOf(parent, link).is === "symlink";
  } catch (thrown) {
    const isRefused =
      isUnsupported(thrown) || isErrno(thrown, "EPERM") || isErrno(thrown, "EACCES");
    if (isRefused || isErrno(thrown, "EIO")) return false;
    throw thrown;
  } finally {
    effects.removeLink(parent, link);
  }
}

function commit(
  site: PublishSite,
  tree: PublishStep & { readonly do: "commit" },
): CommittedPublish {
  const { parent, name, effects } = site;
  const { staging, identity, method } = tree;
  refuseMounted(site);
  if (!isSame(identityOf(parent, staging), identity)) {
    throw changed(name, `what was unpacked as ${staging} is not there any more`);
  }
  try {
    putInPlace(site, tree, method);
  } catch (thrown) {
    if (isErrno(thrown, "EXDEV")) {
      throw targetUnfit(name, "it cannot be renamed: it lies in a lower layer of an overlay");
    }
    const isOther = ["ENOENT", "EEXIST", "ENOTEMPTY", "ENOTDIR", "EBUSY"].some((code) =>
      isErrno(thrown, code),
    );
    if (!isOther) throw thrown;
    throw changed(name, "what was there when the publish began is not what is there now");
  }
  verify(site, identity);
  effects.sync(parent);
  return { method };
}

function prune(site: PublishSite, { previous }: Siblings, keep: number): PrunedTrees {
  const { parent, effects, alive } = site;
  const removed = previous.slice(keep);
  // A link first: the tree that nothing leads to any more is removed by what settles.
  for (const { entry } of removed) effects.removeTree(parent, entry, alive);
  if (removed.length > 0) settle(site);
  return { kept: previous.length - removed.length, removed: removed.length };
}

const stepNames: ReadonlySet<unknown> = new Set<PublishStep["do"]>([
  ...(["prepare", "commit", "rollback", "prune", "settle"] as const),
]);

/** The helper `publish-step` of `Host.assist`: its input is a `PublishStep`. */
export async function publishStep({ directory, input, tell }: AssistCall): Promise<Outcome> {
  if (!isStep(input)) throw new EngineError("internal.bug", "publish-step was given no step");
  return takePublishStep(directory, input, { effects: publishEffects, alive: () => tell("alive") });
}

/** The daemon has checked the path: this is the same executable. */
function isStep(value: unknown): value is PublishStep {
  return typeof value === "object" && value !== null && "do" in value && stepNames.has(value.do);
}
