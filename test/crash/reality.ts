// What is there after a crash, as the daemon tells it and as it lies on the disk, against the
// models.
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { driverOptions } from "../../src/engine/engine-options.ts";
import { eventually } from "../support/child.ts";
import type { Client, Volume } from "./client.ts";
import type { ClientModel } from "./model.ts";
import { filesBelow, foundEntry } from "./trash-entries.ts";
import { differences, hasMount, type Known, type Trashed, type World } from "./world.ts";

/** How long the background may take until what was given up is gone. */
const purgeTimeoutMs = 15_000;

/** What Holdfast puts beside the data of what it has removed; the second while it writes. */
const descriptionFiles: readonly string[] = ["retired.json", "retired.json.new"];

/** Options while they are written. */
const unfinishedOptions = "opts.json.new";

export interface Place {
  readonly client: Client;
  readonly root: string;
  /** A power cut takes directories that nobody has ever used; they are made again when wanted. */
  readonly hadPowerCut?: boolean;
}

/** Everything found that no acknowledged answer allows, as sentences; the models are settled. */
export async function compare(
  place: Place,
  models: readonly ClientModel[],
): Promise<readonly string[]> {
  const { world, complaints } = await look(place);
  for (const warning of await place.client.warnings()) complaints.push(`warning: ${warning}`);
  const owned = new Set(models.flatMap(({ names }) => names));
  for (const name of namesIn(world)) {
    if (!owned.has(name)) complaints.push(`${name}: nobody has created it`);
  }
  for (const model of models) {
    const found = part(world, new Set(model.names));
    const isAllowed =
      place.hadPowerCut === true ? model.allowsAfterCut(found) : model.allows(found);
    if (!isAllowed) complaints.push(contrast(model, found));
    model.settle(found);
  }
  return complaints;
}

function namesIn({ volumes, aliases, trash }: World): ReadonlySet<string> {
  return new Set([...volumes.keys(), ...aliases.keys(), ...trash.map(({ volume }) => volume.Name)]);
}

function part({ volumes, aliases, trash }: World, names: ReadonlySet<string>): World {
  return {
    volumes: new Map([...volumes].filter(([name]) => names.has(name))),
    aliases: new Map([...aliases].filter(([alias]) => names.has(alias))),
    trash: trash.filter(({ volume }) => names.has(volume.Name)),
  };
}

interface Sight {
  readonly world: World;
  readonly complaints: string[];
}

/** Volumes, aliases and trash as they are now. */
async function look(place: Place): Promise<Sight> {
  const { client, root } = place;
  const complaints: string[] = [];
  const listed = await client.volumes();
  const own = await client.own();
  const volumes = new Map<string, Known>();
  const aliases = new Map<string, string>();
  for (const volume of listed) {
    const name = volume.Name;
    if (volumes.has(name)) complaints.push(`${name}: listed twice`);
    const files = filesBelow(join(root, "volumes", name, "_data"));
    const more = own.get(name);
    if (more === undefined) complaints.push(`${name}: not in Holdfast's own list`);
    const holders = new Set(more?.holders.map(({ id }) => id));
    // What a restore that was cut short has left goes with the next mount.
    const cut = place.hadPowerCut === true ? [unfinishedOptions] : [];
    const mayHave = holders.size === 0 ? [...descriptionFiles, ...cut] : cut;
    complaints.push(...layoutFaults(join(root, "volumes", name), volume, mayHave));
    const { note = null, protection = null } = more ?? {};
    volumes.set(name, { volume, note, files, holders, protection: protection?.reason ?? null });
    for (const alias of more?.aliases ?? []) aliases.set(alias, name);
    const inspected = await client.volume(name);
    if (!isDeepStrictEqual(inspected, volume)) complaints.push(`${name}: inspect differs`);
  }
  for (const entry of readdirSync(join(root, "volumes"))) {
    if (!volumes.has(entry)) complaints.push(`${entry}: a directory without a volume`);
  }
  const trash = await lookIntoTrash(place, complaints);
  return { world: { volumes, aliases, trash }, complaints };
}

/** What can be restored. Each such entry has its directory, and each directory is listed. */
async function lookIntoTrash(
  { client, root, hadPowerCut = false }: Place,
  complaints: string[],
): Promise<readonly Trashed[]> {
  const trash: Trashed[] = [];
  const before = readdirSync(join(root, "trash"));
  const ids = new Set<string>();
  for (const item of await client.trash()) {
    if (ids.has(item.id)) complaints.push(`${item.id}: listed twice in the trash`);
    ids.add(item.id);
    if (item.phase !== "kept") continue;
    const { entry } = foundEntry(item, root);
    const directory = join(root, "trash", item.id);
    // What had been used would have had files.
    const mayHave = hadPowerCut ? [...descriptionFiles, unfinishedOptions] : descriptionFiles;
    const isForgotten =
      hadPowerCut && entry.files.size === 0 && !existsSync(join(directory, "_data"));
    if (!isForgotten) complaints.push(...layoutFaults(directory, entry.volume, mayHave));
    trash.push(entry);
  }
  // What is being destroyed may be gone from the list before it was looked for, or from the disk.
  const after = new Set(readdirSync(join(root, "trash")));
  for (const directory of before) {
    const id = directory.replace(/\.purging$/, "");
    if (after.has(directory) && id === directory && !ids.has(id)) {
      complaints.push(`${directory}: a directory in the trash that nobody lists`);
    }
  }
  return trash;
}

/** A volume on disk is whole: its directory, its data, its options, and nothing else. */
function layoutFaults(
  directory: string,
  volume: Volume,
  mayHave: readonly string[],
): readonly string[] {
  const where = `${volume.Name} at ${directory}`;
  if (!existsSync(directory)) return [`${where}: no directory`];
  const faults: string[] = [];
  const options = driverOptions(volume.Options);
  const wanted = Object.keys(options).length > 0 ? "_data, opts.json" : "_data";
  const entries = readdirSync(directory).sort();
  const words = entries.filter((entry) => !mayHave.includes(entry)).join(", ");
  // An empty mount point is made again by the mount.
  const isWhole = words === wanted || (hasMount(volume) && words === "opts.json");
  if (!isWhole) faults.push(`${where}: its directory has ${words}, not ${wanted}`);
  const data = join(directory, "_data");
  if (existsSync(data) && !statSync(data).isDirectory()) faults.push(`${data}: no directory`);
  if (entries.includes("opts.json")) {
    const stored: { HoldfastOptions?: unknown } = JSON.parse(
      readFileSync(join(directory, "opts.json"), "utf8"),
    );
    if (!isDeepStrictEqual(stored.HoldfastOptions, options)) {
      faults.push(`${where}: opts.json has other options`);
    }
  }
  return faults;
}

function contrast(model: ClientModel, found: World): string {
  const { owner, world, unanswered } = model;
  const what = unanswered?.what ?? "nothing";
  return [`${owner}; unanswered: ${what}`, ...differences(found, world)].join("\n");
}

/**
 * Resolves when everything that was given up is gone from the disk and from the list; rejects when
 * something of it stays. What can be restored stays, with its directory: rejects when it does not.
 */
export async function untilPurged({ client, root, hadPowerCut }: Place): Promise<void> {
  let left: readonly string[] = [];
  const difference = async (): Promise<true | undefined> => {
    const items = await client.trash();
    const kept = new Set(items.flatMap(({ id, phase }) => (phase === "kept" ? [id] : [])));
    const there = readdirSync(join(root, "trash"));
    left = [
      ...there.filter((entry) => !kept.has(entry)),
      ...items.flatMap(({ id, phase }) => (phase === "kept" ? [] : [id])),
    ];
    const lost = [...kept].filter((id) => !there.includes(id));
    if (lost.length > 0 && hadPowerCut !== true)
      throw new Error(`listed as kept, and gone: ${lost.join(", ")}`);
    return left.length === 0 ? true : undefined;
  };
  await eventually(difference, {
    timeoutMs: purgeTimeoutMs,
    otherwise: () => `this stays in the trash and cannot be restored: ${left.join(", ")}`,
  });
}
