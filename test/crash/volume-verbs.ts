// The verbs of Docker's routes, as one client of the load uses them on its own volumes.
import { closeSync, fsyncSync, openSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Random } from "../support/random.ts";
import { holderPath, UnexpectedAnswer, type Volume } from "./client.ts";
import { isAsWanted, type Wanted } from "./model.ts";
import { agree, type LoadParts } from "./step.ts";
import { created, type Known, mounted, removed, unmounted, type World, wrote } from "./world.ts";

export async function create(parts: LoadParts, name: string): Promise<void> {
  const { client, model, random, canMount } = parts;
  const wanted = somethingWanted({ name, owner: model.owner, random, canMount });
  const before = model.world;
  const sentAtMs = Date.now();
  model.unanswered = {
    what: `create ${JSON.stringify(wanted)}`,
    outcomes: ({ volumes }) => {
      const found = volumes.get(name)?.volume;
      const isMade = found !== undefined && isAsWanted(found, wanted, sentAtMs);
      return isMade ? [created(before, found)] : [];
    },
  };
  const answer = await client.expect(201, "POST", "/volumes/create", requestOf(wanted));
  const volume = answer as Volume; // Docker's contract: a create answers the volume.
  agree(`labels of ${name}`, volume.Labels, wanted.labels);
  agree(`options of ${name}`, volume.Options, wanted.options);
  model.learns(created(before, volume));
}

/** Docker's rule: whatever else is asked for, an existing volume is answered as it is. */
export async function createAgain({ client, model }: LoadParts, name: string): Promise<void> {
  const body = { Name: name, Labels: { again: "true" } };
  const answer = await client.expect(201, "POST", "/volumes/create", body);
  agree(`create of the existing ${name}`, answer, model.world.volumes.get(name)?.volume);
}

export async function inspect({ client, model }: LoadParts, name: string): Promise<void> {
  const known = model.world.volumes.get(name);
  if (known === undefined) await client.expect(404, "GET", `/volumes/${name}`);
  else agree(`inspect of ${name}`, await client.volume(name), known.volume);
}

export async function list({ client, model }: LoadParts): Promise<void> {
  const filters = JSON.stringify({ name: [`^${model.owner}-`] });
  const path = `/volumes?filters=${encodeURIComponent(filters)}`;
  const answer = await client.expect(200, "GET", path);
  const { Volumes } = answer as { readonly Volumes: readonly Volume[] }; // Docker's contract.
  const known = [...model.world.volumes.values()].map(({ volume }) => volume);
  agree("list", byName(Volumes), byName(known));
}

function byName(volumes: readonly Volume[]): readonly Volume[] {
  return volumes.toSorted((left, right) => (left.Name < right.Name ? -1 : 1));
}

export async function remove({ client, model, random }: LoadParts, name: string): Promise<void> {
  const known = model.world.volumes.get(name);
  const path = `/volumes/${name}${random.pick(["", "?force=true"])}`;
  if (known === undefined) await client.expect(404, "DELETE", `/volumes/${name}`);
  else if (known.holders.size > 0) await client.expect(409, "DELETE", path);
  else {
    const after = removed(model.world, name);
    model.asks(`remove ${name}`, after);
    await client.expect(204, "DELETE", path);
    model.learns(after);
  }
}

/** Only what this client owns, so that the others' models stay exact. */
export async function prune({ client, model }: LoadParts): Promise<void> {
  const known = [...model.world.volumes.values()];
  const prunable = known
    .filter((each) => isPrunable(each, model.owner))
    .map(nameOf)
    .sort();
  model.asks(`prune of ${prunable.join()}`, ...someRemoved(model.world, prunable));
  const filters = JSON.stringify({ all: ["1"], label: [`owner=${model.owner}`] });
  const path = `/volumes/prune?filters=${encodeURIComponent(filters)}`;
  const answer = await client.send("POST", path);
  if (answer.status === 409) {
    // Another client's prune runs: Docker refuses a second one, and nothing has happened.
    model.unanswered = undefined;
    return;
  }
  if (answer.status !== 200) throw new UnexpectedAnswer("prune", answer);
  // Docker's contract.
  const { VolumesDeleted } = answer.body as { readonly VolumesDeleted: string[] | null };
  agree("pruned", (VolumesDeleted ?? []).toSorted(), prunable);
  model.learns(prunable.reduce((world, name) => removed(world, name), model.world));
}

function nameOf({ volume }: Known): string {
  return volume.Name;
}

/** Docker's rule: what was made with options was made on purpose. */
function isPrunable(known: Known, owner: string): boolean {
  return Object.keys(known.volume.Options ?? {}).length === 0 && isUnused(known, owner);
}

/** What a plan is about. */
export function isUnused({ volume, holders, protection }: Known, owner: string): boolean {
  return holders.size === 0 && protection === null && volume.Labels?.["owner"] === owner;
}

/** Each volume is removed or not, whatever the others are: all the worlds that are possible. */
export function someRemoved(world: World, names: readonly string[]): readonly World[] {
  let worlds: readonly World[] = [world];
  for (const name of names) {
    worlds = worlds.flatMap((each) => [each, removed(each, name)]);
  }
  return worlds;
}

const holders = ["first", "second"];

export async function mount({ client, model, random }: LoadParts, name: string): Promise<void> {
  const holder = random.pick(holders);
  const after = mounted(model.world, name, holder);
  model.asks(`mount ${name} for ${holder}`, ...holderOutcomes(model.world, name, holder));
  const answer = await client.expect(200, "PUT", holderPath(name, holder));
  const path = after.volumes.get(name)?.volume.Mountpoint ?? "";
  agree(`mount of ${name}`, answer, { path });
  model.learns(after);
  const file = `${holder}-${random.below(3)}`;
  const content = `${name} ${random.below(1_000_000_000)}`;
  writeDurably(join(path, file), content);
  model.world = wrote(model.world, name, file, content);
}

/** As a database would: the file, then the directory that has its name. */
function writeDurably(file: string, content: string): void {
  writeFileSync(file, content, { flush: true });
  const directory = openSync(join(file, ".."), "r");
  fsyncSync(directory);
  closeSync(directory);
}

export async function unmount({ client, model, random }: LoadParts, name: string): Promise<void> {
  const known = model.world.volumes.get(name);
  const holder = random.pick([...(known?.holders ?? []), ...holders]);
  if (known?.holders.has(holder) !== true) {
    await client.expect(204, "DELETE", holderPath(name, holder));
    return;
  }
  model.asks(`unmount ${name} for ${holder}`, ...holderOutcomes(model.world, name, holder));
  await client.expect(204, "DELETE", holderPath(name, holder));
  model.learns(unmounted(model.world, name, holder));
}

/** With or without the holder; a tmpfs that nobody else holds may be unmounted, and so empty. */
function holderOutcomes(world: World, name: string, holder: string): readonly World[] {
  const without = unmounted(world, name, holder);
  const known = world.volumes.get(name);
  const files = known?.files ?? new Map<string, string>();
  const withFiles = (each: World): World => {
    const found = each.volumes.get(name);
    if (found === undefined) return each;
    return { ...each, volumes: new Map([...each.volumes, [name, { ...found, files }]]) };
  };
  const again = mounted(without, name, holder);
  return [without, withFiles(without), again, withFiles(again)];
}

/** Labels and options in all the forms that are kept apart: missing, empty, odd, long. */
function somethingWanted(parts: {
  readonly name: string;
  readonly owner: string;
  readonly random: Random;
  readonly canMount: boolean;
}): Wanted {
  const { name, owner, random, canMount } = parts;
  const token = String(random.below(1_000_000_000));
  const labels = random.pick([
    null,
    {},
    { owner, token },
    { owner, token },
    { owner, token, "ключ.€": "\u2028 \n \\ \" '", long: "x".repeat(random.below(3_000)) },
  ]);
  const scratch = { type: "tmpfs", device: "tmpfs", o: `size=${1 + random.below(9)}m` };
  const plain = random.pick([null, null, {}, null, {}, { trash: "off" }]);
  return { name, labels, options: canMount && random.chance(0.15) ? scratch : plain };
}

function requestOf({ name, labels, options }: Wanted): unknown {
  return {
    Name: name,
    ...(labels === null ? {} : { Labels: labels }),
    ...(options === null ? {} : { DriverOpts: options }),
  };
}
