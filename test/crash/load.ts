// The mixed load of one client: it changes, looks and compares until the daemon is killed.
import { closeSync, fsyncSync, openSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { type Client, holderPath, UnexpectedAnswer, type Volume } from "./client.ts";
import type { ClientModel, Known, Wanted } from "./model.ts";
import type { Random } from "./random.ts";

export interface LoadParts {
  readonly client: Client;
  readonly model: ClientModel;
  readonly random: Random;
  /** Whether volumes with `type=tmpfs` may be mounted here. */
  readonly canMount: boolean;
  /** From then on a request may fail without an answer. */
  readonly isKilled: () => boolean;
  /** Called after every acknowledged request. */
  readonly onAnswer?: () => void;
}

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

/** An answer that contradicts an earlier one. */
class Surprise extends Error {
  override readonly name = "Surprise";
}

/** Whether a load ended because of an answer that what was acknowledged before does not allow. */
export function isContradiction(error: unknown): boolean {
  return error instanceof UnexpectedAnswer || error instanceof Surprise;
}

function agree(what: string, got: unknown, wanted: unknown): void {
  if (isDeepStrictEqual(got, wanted)) return;
  throw new Surprise(`${what}: got ${JSON.stringify(got)}, wanted ${JSON.stringify(wanted)}`);
}

type Step = (parts: LoadParts, name: string) => Promise<void>;

async function oneRequest(parts: LoadParts): Promise<void> {
  const { random, model } = parts;
  const name = random.pick(model.names);
  const known = model.known.get(name);
  const steps = known === undefined ? stepsWithout : stepsWith;
  await random.pick(steps)(parts, name);
}

async function create({ client, model, random, canMount }: LoadParts, name: string): Promise<void> {
  const wanted = somethingWanted({ name, owner: model.owner, random, canMount });
  model.unanswered = { kind: "create", wanted, sentAtMs: Date.now() };
  const answer = await client.expect(201, "POST", "/volumes/create", requestOf(wanted));
  const volume = answer as Volume; // Docker's contract: a create answers the volume.
  agree(`labels of ${name}`, volume.Labels, wanted.labels);
  agree(`options of ${name}`, volume.Options, wanted.options);
  model.created(volume);
}

/** Docker's rule: whatever else is asked for, an existing volume is answered as it is. */
async function createAgain({ client, model }: LoadParts, name: string): Promise<void> {
  const body = { Name: name, Labels: { again: "true" } };
  const answer = await client.expect(201, "POST", "/volumes/create", body);
  agree(`create of the existing ${name}`, answer, model.known.get(name)?.volume);
}

async function inspect({ client, model }: LoadParts, name: string): Promise<void> {
  const known = model.known.get(name);
  if (known === undefined) await client.expect(404, "GET", `/volumes/${name}`);
  else agree(`inspect of ${name}`, await client.volume(name), known.volume);
}

async function list({ client, model }: LoadParts): Promise<void> {
  const filters = JSON.stringify({ name: [`^${model.owner}-`] });
  const path = `/volumes?filters=${encodeURIComponent(filters)}`;
  const answer = await client.expect(200, "GET", path);
  const { Volumes } = answer as { readonly Volumes: readonly Volume[] }; // Docker's contract.
  agree("list", byName(Volumes), byName([...model.known.values()].map(({ volume }) => volume)));
}

function byName(volumes: readonly Volume[]): readonly Volume[] {
  return volumes.toSorted((left, right) => (left.Name < right.Name ? -1 : 1));
}

async function remove({ client, model }: LoadParts, name: string): Promise<void> {
  const known = model.known.get(name);
  const path = `/volumes/${name}`;
  if (known === undefined) await client.expect(404, "DELETE", path);
  else if (known.holders.size > 0) await client.expect(409, "DELETE", path);
  else {
    model.unanswered = { kind: "remove", name };
    await client.expect(204, "DELETE", path);
    model.removed([name]);
  }
}

/** Only what this client owns, so that the others' models stay exact. */
async function prune({ client, model }: LoadParts): Promise<void> {
  const names = [...model.known.values()].filter((known) => isPrunable(known, model.owner));
  const prunable = names.map(({ volume }) => volume.Name).sort();
  model.unanswered = { kind: "prune", names: prunable };
  const filters = JSON.stringify({ all: ["1"], label: [`owner=${model.owner}`] });
  const path = `/volumes/prune?filters=${encodeURIComponent(filters)}`;
  const answer = await client.send("POST", path);
  if (answer.status === 409) {
    // Another client's prune runs: Docker refuses a second one, and nothing has happened.
    model.unanswered = { kind: "none" };
    return;
  }
  if (answer.status !== 200) throw new UnexpectedAnswer("prune", answer);
  // Docker's contract.
  const { VolumesDeleted } = answer.body as { readonly VolumesDeleted: string[] | null };
  agree("pruned", (VolumesDeleted ?? []).toSorted(), prunable);
  model.removed(prunable);
}

function isPrunable({ volume, holders }: Known, owner: string): boolean {
  const hasOptions = Object.keys(volume.Options ?? {}).length > 0;
  return holders.size === 0 && !hasOptions && volume.Labels?.["owner"] === owner;
}

async function mount({ client, model, random }: LoadParts, name: string): Promise<void> {
  const holder = random.pick(holders);
  model.unanswered = { kind: "mount", name, holder };
  const answer = await client.expect(200, "PUT", holderPath(name, holder));
  const path = model.known.get(name)?.volume.Mountpoint ?? "";
  agree(`mount of ${name}`, answer, { path });
  model.mounted(name, holder);
  const file = `${holder}-${random.below(3)}`;
  const content = `${name} ${random.below(1_000_000_000)}`;
  writeDurably(join(path, file), content);
  model.wrote(name, file, content);
}

/** As a database would: the file, then the directory that has its name. */
function writeDurably(file: string, content: string): void {
  writeFileSync(file, content, { flush: true });
  const directory = openSync(join(file, ".."), "r");
  fsyncSync(directory);
  closeSync(directory);
}

async function unmount({ client, model, random }: LoadParts, name: string): Promise<void> {
  const known = model.known.get(name);
  const holder = random.pick([...(known?.holders ?? []), ...holders]);
  if (known?.holders.has(holder) !== true) {
    await client.expect(204, "DELETE", holderPath(name, holder));
    return;
  }
  model.unanswered = { kind: "unmount", name, holder };
  await client.expect(204, "DELETE", holderPath(name, holder));
  model.unmounted(name, holder);
}

const holders = ["first", "second"];
const stepsWithout: readonly Step[] = [create, create, create, create, create, inspect, remove];
const stepsWith: readonly Step[] = [
  ...[createAgain, inspect, inspect, list, remove, remove, remove, remove],
  ...[prune, mount, mount, unmount, unmount, unmount],
];

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
  const options = canMount && random.chance(0.15) ? scratch : random.pick([null, null, {}]);
  return { name, labels, options };
}

function requestOf({ name, labels, options }: Wanted): unknown {
  return {
    Name: name,
    ...(labels === null ? {} : { Labels: labels }),
    ...(options === null ? {} : { DriverOpts: options }),
  };
}
