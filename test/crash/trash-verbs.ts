// Restores, purges and planned prunes, as one client of the load uses them.
import { ownPath, UnexpectedAnswer } from "./client.ts";
import { agree, type LoadParts, Surprise } from "./step.ts";
import { type FoundEntry, keptEntries } from "./trash-entries.ts";
import { isUnused, someRemoved } from "./volume-verbs.ts";
import { keyOf, knownIn, purged, removed, restored } from "./world.ts";

/** This client's entries of the trash, which have to be all that it knows of, and no others. */
async function ownEntries({ client, model, root }: LoadParts): Promise<readonly FoundEntry[]> {
  const own = await keptEntries(client, root, new Set(model.names));
  const keys = own.map(({ entry }) => keyOf(entry)).sort();
  agree(`trash of ${model.owner}`, keys, model.world.trash.map(keyOf).sort());
  return own;
}

/** Under the name that it had, or as this one, which is free. */
export async function restore(parts: LoadParts, name: string): Promise<void> {
  const { client, model, random } = parts;
  const { id, entry } = random.pick(await ownEntries(parts));
  const isPlain = entry.volume.Name === name;
  const after = restored(model.world, entry, name);
  model.asks(`restore ${id} (${entry.volume.Name}) as ${name}`, after);
  const body = isPlain ? {} : { as: name };
  await client.expect(200, "POST", `/holdfast/v1/trash/${id}/restore`, body);
  model.learns(after);
}

/** Nothing is ever restored over what is there, be it an alias. */
export async function restoreOver(parts: LoadParts, name: string): Promise<void> {
  const { client, model, random } = parts;
  if (model.world.trash.length === 0) return;
  const { id } = random.pick(await ownEntries(parts));
  await client.expect(409, "POST", `/holdfast/v1/trash/${id}/restore`, { as: name });
}

export async function purge(parts: LoadParts, _name: string): Promise<void> {
  const { client, model, random } = parts;
  const { id, entry } = random.pick(await ownEntries(parts));
  const after = purged(model.world, entry);
  await client.expect(400, "DELETE", `/holdfast/v1/trash/${id}?confirm=another`);
  model.asks(`purge ${id} (${entry.volume.Name})`, after);
  await client.expect(204, "DELETE", `/holdfast/v1/trash/${id}?confirm=${entry.volume.Name}`);
  model.learns(after);
}

/** `rm --purge`: past the trash. */
export async function removeForGood({ client, model }: LoadParts, name: string): Promise<void> {
  const path = ownPath(name, `?purge=true&confirm=${name}`);
  if (knownIn(model.world, name).holders.size > 0) {
    await client.expect(409, "DELETE", path);
    return;
  }
  const after = removed(model.world, name, true);
  model.asks(`rm-purge ${name}`, after);
  await client.expect(204, "DELETE", path);
  model.learns(after);
}

interface Plan {
  readonly id: string;
  readonly volumes: readonly { readonly name: string }[];
}

interface PlanResult {
  readonly removed: readonly { readonly name: string }[];
  readonly skipped: readonly { readonly name: string }[];
}

/** A plan names what is unused; what is used or protected before it is applied is skipped. */
export async function pruneByPlan(parts: LoadParts): Promise<void> {
  const { client, model } = parts;
  const known = [...model.world.volumes.values()];
  const prunable = known.filter((each) => isUnused(each, model.owner));
  const names = prunable.map(({ volume }) => volume.Name).sort();
  const question = { all: true, labels: [`owner=${model.owner}`] };
  const made = await client.expect(200, "POST", "/holdfast/v1/prune-plans", question);
  const plan = made as Plan; // Our own contract.
  agree("planned", plan.volumes.map(({ name }) => name).sort(), names);
  model.asks(`plan ${plan.id} of ${names.join()}`, ...someRemoved(model.world, names));
  const answer = await client.send("POST", `/holdfast/v1/prune-plans/${plan.id}/apply`);
  if (answer.status === 409) {
    // Another client's prune runs.
    model.unanswered = undefined;
    return;
  }
  if (answer.status !== 200) throw new UnexpectedAnswer("apply", answer);
  const result = answer.body as PlanResult; // Our own contract.
  if (result.skipped.length > 0) throw new Surprise(`skipped: ${JSON.stringify(result.skipped)}`);
  agree("pruned by plan", result.removed.map(({ name }) => name).sort(), names);
  model.learns(names.reduce((world, name) => removed(world, name), model.world));
}
