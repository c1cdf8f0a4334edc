// The mixed load of one client: it changes, looks and compares until the daemon is killed.
import { UnexpectedAnswer } from "./client.ts";
import { type LoadParts, type Step, Surprise } from "./step.ts";
import * as trash from "./trash-verbs.ts";
import * as upkeep from "./upkeep-verbs.ts";
import * as volumes from "./volume-verbs.ts";

/** Ends when the daemon is gone. Rejects when the daemon answers anything that it should not. */
export async function runLoad(parts: LoadParts): Promise<void> {
  for (;;) {
    try {
      await oneRequest(parts);
      parts.onAnswer?.();
    } catch (error) {
      if (!parts.isKilled() || isContradiction(error)) throw error;
      return;
    }
    if (parts.isKilled()) return;
  }
}

/** Whether a load ended because of an answer that what was acknowledged before does not allow. */
export function isContradiction(error: unknown): boolean {
  return error instanceof UnexpectedAnswer || error instanceof Surprise;
}

/** As many entries as one client leaves in the trash before it purges more than it removes. */
const TRASH_COUNT = 5;

async function oneRequest(parts: LoadParts): Promise<void> {
  const { random, model } = parts;
  const name = random.pick(model.names);
  if (model.world.trash.length > TRASH_COUNT) return await trash.purge(parts, name);
  await random.pick(stepsFor(parts, name))(parts, name);
}

function stepsFor({ model }: LoadParts, name: string): readonly Step[] {
  const { world } = model;
  if (world.aliases.has(name)) return stepsOfAlias;
  const known = world.volumes.get(name);
  if (known === undefined) return world.trash.length > 0 ? stepsWithTrash : stepsWithout;
  return known.protection === null ? stepsWith : stepsProtected;
}

const { create, createAgain, inspect, list, mount, prune, remove, unmount } = volumes;
const { createByAlias, forget, inspectByAlias, rename, update } = upkeep;
const { lift, protect, refuseRemovals } = upkeep;

const stepsWithout: readonly Step[] = [create, create, create, create, create, inspect, remove];
const stepsWithTrash: readonly Step[] = [
  ...[create, create, create, inspect, remove],
  ...[trash.restore, trash.restore, trash.restore, trash.purge],
];
const stepsWith: readonly Step[] = [
  ...[createAgain, inspect, inspect, list, remove, remove, remove, remove, trash.removeForGood],
  ...[prune, trash.pruneByPlan, mount, mount, mount, unmount, unmount, unmount],
  ...[trash.restoreOver, rename, rename, update, update, protect],
];
/** What is protected can be used. */
const stepsProtected: readonly Step[] = [
  ...[refuseRemovals, refuseRemovals, inspect, mount, unmount, unmount, update, lift, lift, prune],
];
const stepsOfAlias: readonly Step[] = [inspectByAlias, createByAlias, forget, trash.restoreOver];
