// What is there after a crash, as the daemon tells it and as it lies on the disk, against the
// models.
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { eventually } from "../support/child.ts";
import type { Client, Volume } from "./client.ts";
import { type ClientModel, hasMount, type Known, type Wanted } from "./model.ts";

/** Docker's creation time has whole seconds. */
const secondMs = 1_000;

/** How long the background may take until the trash is empty. */
const purgeTimeoutMs = 15_000;

export interface Place {
  readonly client: Client;
  readonly root: string;
}

/** Everything found that no acknowledged answer allows, as sentences; the models are settled. */
export async function compare(
  place: Place,
  models: readonly ClientModel[],
): Promise<readonly string[]> {
  const { volumes, complaints } = await look(place);
  for (const warning of await place.client.warnings()) complaints.push(`warning: ${warning}`);
  const owned = new Set(models.flatMap(({ names }) => names));
  for (const name of volumes.keys()) {
    if (!owned.has(name)) complaints.push(`${name}: nobody has created it`);
  }
  for (const model of models) {
    for (const name of model.names) {
      const found = volumes.get(name);
      const allowed = outcomes(model, name);
      if (allowed.some((outcome) => outcome(found))) continue;
      complaints.push(describe(model, name, found));
    }
    model.settle(volumes);
  }
  return complaints;
}

/** The volumes as they are now. */
async function look({ client, root }: Place): Promise<{
  readonly volumes: ReadonlyMap<string, Known>;
  readonly complaints: string[];
}> {
  const complaints: string[] = [];
  const listed = await client.volumes();
  const holders = await client.holders();
  const volumes = new Map<string, Known>();
  for (const volume of listed) {
    const name = volume.Name;
    if (volumes.has(name)) complaints.push(`${name}: listed twice`);
    complaints.push(...layoutFaults(root, volume));
    const files = filesBelow(join(root, "volumes", name, "_data"));
    volumes.set(name, { volume, holders: new Set(holders.get(name) ?? []), files });
    const inspected = await client.volume(name);
    if (!isDeepStrictEqual(inspected, volume)) complaints.push(`${name}: inspect differs`);
  }
  for (const entry of readdirSync(join(root, "volumes"))) {
    if (!volumes.has(entry)) complaints.push(`${entry}: a directory without a volume`);
  }
  return { volumes, complaints };
}

/** A volume on disk is whole: its directory, its data, its options, and nothing else. */
function layoutFaults(root: string, volume: Volume): readonly string[] {
  const directory = join(root, "volumes", volume.Name);
  if (!existsSync(directory)) return [`${volume.Name}: no directory`];
  const faults: string[] = [];
  const options = volume.Options ?? {};
  const wanted = Object.keys(options).length > 0 ? "_data, opts.json" : "_data";
  const entries = readdirSync(directory).sort();
  const words = entries.join(", ");
  // An empty mount point is made again by the mount.
  const isWhole = words === wanted || (hasMount(volume) && words === "opts.json");
  if (!isWhole) faults.push(`${volume.Name}: its directory has ${words}, not ${wanted}`);
  const data = join(directory, "_data");
  if (existsSync(data) && !statSync(data).isDirectory()) faults.push(`${data}: no directory`);
  if (entries.includes("opts.json")) {
    const stored: { HoldfastOptions?: unknown } = JSON.parse(
      readFileSync(join(directory, "opts.json"), "utf8"),
    );
    if (!isDeepStrictEqual(stored.HoldfastOptions, options)) {
      faults.push(`${volume.Name}: opts.json has other options`);
    }
  }
  return faults;
}

function filesBelow(data: string): ReadonlyMap<string, string> {
  if (!existsSync(data)) return new Map();
  const entries = readdirSync(data).filter((entry) => statSync(join(data, entry)).isFile());
  return new Map(entries.map((entry) => [entry, readFileSync(join(data, entry), "utf8")]));
}

type Outcome = (found: Known | undefined) => boolean;

/** All that may be found of a name: what was acknowledged, and what the last request asked for. */
function outcomes(model: ClientModel, name: string): readonly Outcome[] {
  const known = model.known.get(name);
  const before: Outcome = (found) => isDeepStrictEqual(found, known);
  const absent: Outcome = (found) => found === undefined;
  const { unanswered } = model;
  switch (unanswered.kind) {
    case "none":
      return [before];
    case "create": {
      const { wanted, sentAtMs } = unanswered;
      if (wanted.name !== name) return [before];
      return [before, (found) => found !== undefined && isAsWanted(found, wanted, sentAtMs)];
    }
    case "remove":
      return unanswered.name === name ? [before, absent] : [before];
    case "prune":
      return unanswered.names.includes(name) ? [before, absent] : [before];
    case "mount":
    case "unmount":
      if (unanswered.name !== name || known === undefined) return [before];
      return holderOutcomes(known, unanswered.holder);
    default:
      unanswered satisfies never;
      return [];
  }
}

/** With or without the holder; a tmpfs that nobody else holds may be unmounted, and so empty. */
function holderOutcomes(known: Known, holder: string): readonly Outcome[] {
  const others = new Set([...known.holders].filter((each) => each !== holder));
  const all = new Set([...others, holder]);
  const mayBeEmpty = others.size === 0 && hasMount(known.volume);
  return [others, all].flatMap((holders): readonly Outcome[] => [
    (found) => isDeepStrictEqual(found, { ...known, holders }),
    (found) => mayBeEmpty && isDeepStrictEqual(found, { ...known, holders, files: new Map() }),
  ]);
}

/** Wholly there: a volume without its labels is half made. */
function isAsWanted(found: Known, wanted: Wanted, sentAtMs: number): boolean {
  const { volume, holders, files } = found;
  const createdAtMs = Date.parse(volume.CreatedAt);
  return (
    isDeepStrictEqual(volume.Labels, wanted.labels) &&
    isDeepStrictEqual(volume.Options, wanted.options) &&
    createdAtMs >= sentAtMs - secondMs &&
    createdAtMs <= Date.now() &&
    holders.size === 0 &&
    files.size === 0
  );
}

function describe(model: ClientModel, name: string, found: Known | undefined): string {
  const asText = (known: Known | undefined): string =>
    known === undefined
      ? "nothing"
      : JSON.stringify({
          ...known,
          holders: [...known.holders],
          files: Object.fromEntries(known.files),
        });
  return (
    `${name}: found ${asText(found)}; acknowledged was ${asText(model.known.get(name))}; ` +
    `unanswered: ${JSON.stringify(model.unanswered)}`
  );
}

/** Resolves when nothing is left in the trash; rejects when something stays there. */
export async function untilTrashIsEmpty(root: string): Promise<void> {
  const entries = (): readonly string[] => readdirSync(join(root, "trash"));
  await eventually(() => (entries().length === 0 ? true : undefined), {
    timeoutMs: purgeTimeoutMs,
    otherwise: () => `this stays in the trash: ${entries().join(", ")}`,
  });
}
