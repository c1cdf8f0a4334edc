// All that one client has, as a value that never changes, and what each verb makes of it.
//
// A volume is in exactly one place: among the volumes, or in the trash. Every verb is a function
// from what there was to what there is, so "it happened, or not, but not by half" is a comparison.
import { isDeepStrictEqual } from "node:util";
import type { Volume } from "./client.ts";

/** What survives a removal and comes back with a restore. */
export interface Contents {
  readonly volume: Volume;
  readonly note: string | null;
  /** Contents of the files in `_data`, by name. */
  readonly files: ReadonlyMap<string, string>;
}

/** A volume as its client knows it. */
export interface Known extends Contents {
  readonly holders: ReadonlySet<string>;
  /** The reason; null: it is not protected. */
  readonly protection: string | null;
}

/** An entry of the trash. Its id is the daemon's; `volume.Name` is the name that it had. */
export interface Trashed extends Contents {
  /** What meant it when it was removed, sorted. */
  readonly aliases: readonly string[];
}

export interface World {
  readonly volumes: ReadonlyMap<string, Known>;
  /** What each alias means. */
  readonly aliases: ReadonlyMap<string, string>;
  /** In no particular order. */
  readonly trash: readonly Trashed[];
}

export const nothing: World = { volumes: new Map(), aliases: new Map(), trash: [] };

/** Whether the volume is something that is mounted rather than a directory. */
export function hasMount(volume: Pick<Volume, "Options">): boolean {
  return volume.Options?.["device"] !== undefined;
}

/** Whether a removal keeps nothing: Docker's behaviour, for one volume. */
function isTrashOff(volume: Volume): boolean {
  return volume.Options?.["trash"] === "off";
}

export function isSameWorld(left: World, right: World): boolean {
  return (
    isDeepStrictEqual(left.volumes, right.volumes) &&
    isDeepStrictEqual(left.aliases, right.aliases) &&
    isDeepStrictEqual(keysOf(left.trash), keysOf(right.trash))
  );
}

function keysOf(trash: readonly Trashed[]): readonly string[] {
  return trash.map(keyOf).sort();
}

/** The same for entries that cannot be told apart by anything but their ids. */
export function keyOf({ volume, note, files, aliases }: Trashed): string {
  const { Name, CreatedAt, Labels, Options } = volume;
  const labels = Labels === null ? null : Object.entries(Labels).sort();
  const options = Options === null ? null : Object.entries(Options).sort();
  return JSON.stringify([Name, CreatedAt, labels, options, note, [...files].sort(), aliases]);
}

export function created(world: World, volume: Volume): World {
  const files = new Map<string, string>();
  return withVolume(world, { volume, note: null, files, holders: new Set(), protection: null });
}

/** Into the trash, with all that it has; its aliases are free until it comes back. */
export function removed(world: World, name: string, isPurged = false): World {
  const { volume, note, files } = knownIn(world, name);
  const rest = withoutVolume(world, name);
  const aliases = new Map([...world.aliases].filter(([, meant]) => meant !== name));
  const isKept = !isPurged && !isTrashOff(volume);
  const entry = { volume, note, files, aliases: aliasesOf(world, name) };
  const trash = isKept ? [...world.trash, entry] : world.trash;
  return { ...rest, aliases, trash };
}

export function mounted(world: World, name: string, holder: string): World {
  return change(world, name, ({ holders }) => ({ holders: new Set([...holders, holder]) }));
}

export function unmounted(world: World, name: string, holder: string): World {
  return change(world, name, (known) => {
    const holders = new Set(known.holders);
    holders.delete(holder);
    return { holders, files: holders.size === 0 ? keptFiles(known) : known.files };
  });
}

/** What the last unmount leaves: a tmpfs forgets. */
function keptFiles({ volume, files }: Known): ReadonlyMap<string, string> {
  return hasMount(volume) ? new Map() : files;
}

export function wrote(world: World, name: string, file: string, content: string): World {
  return change(world, name, ({ files }) => ({ files: new Map([...files, [file, content]]) }));
}

/** Sorted. */
export function aliasesOf(world: World, name: string): readonly string[] {
  return [...world.aliases].flatMap(([alias, meant]) => (meant === name ? [alias] : [])).sort();
}

/** Out of the trash, as it was, under this name, with those aliases that nothing has. */
export function restored(world: World, entry: Trashed, as: string): World {
  const { note, files } = entry;
  const volume = called(entry.volume, as);
  const known: Known = { volume, note, files, holders: new Set(), protection: null };
  const after = withVolume(purged(world, entry), known);
  const back = entry.aliases.filter((alias) => {
    return !after.volumes.has(alias) && !after.aliases.has(alias);
  });
  const aliases = new Map([...after.aliases, ...back.map((alias) => [alias, as] as const)]);
  return { ...after, aliases };
}

export function purged(world: World, entry: Trashed): World {
  const key = keyOf(entry);
  const index = world.trash.findIndex((each) => keyOf(each) === key);
  if (index < 0) throw new Error(`the model has no such entry in its trash: ${key}`);
  return { ...world, trash: world.trash.toSpliced(index, 1) };
}

/** The old name is free, or an alias from then on; other aliases follow. */
export function renamed(world: World, from: string, to: string, keepAlias: boolean): World {
  const known = knownIn(world, from);
  const moved = withVolume(withoutVolume(world, from), {
    ...known,
    volume: called(known.volume, to),
  });
  const aliases = new Map<string, string>();
  for (const [alias, meant] of world.aliases) {
    if (alias !== to) aliases.set(alias, meant === from ? to : meant);
  }
  if (keepAlias) aliases.set(from, to);
  return { ...moved, aliases };
}

export interface Update {
  readonly labelsSet: Readonly<Record<string, string>>;
  readonly labelsRemoved: readonly string[];
  /** undefined: it stays. */
  readonly note?: string | null;
}

export function updated(world: World, name: string, update: Update): World {
  return change(world, name, ({ volume, note }) => {
    const { labelsSet, labelsRemoved } = update;
    // None is still none when nothing is set.
    const isTouched = Object.keys(labelsSet).length > 0 || volume.Labels !== null;
    const labels = { ...volume.Labels, ...labelsSet };
    for (const label of labelsRemoved) delete labels[label];
    return {
      volume: isTouched ? { ...volume, Labels: labels } : volume,
      note: update.note === undefined ? note : update.note,
    };
  });
}

export function protectedBy(world: World, name: string, reason: string | null): World {
  return change(world, name, () => ({ protection: reason }));
}

export function forgotten(world: World, alias: string): World {
  const aliases = new Map(world.aliases);
  aliases.delete(alias);
  return { ...world, aliases };
}

/** After the machine has come back: nothing is mounted any more. */
export function rebooted(world: World): World {
  const volumes = new Map<string, Known>();
  for (const [name, known] of world.volumes) {
    volumes.set(name, hasMount(known.volume) ? { ...known, files: new Map() } : known);
  }
  return { ...world, volumes };
}

/** Docker's object of the same volume under another name. */
function called(volume: Volume, name: string): Volume {
  const place = volume.Mountpoint.replace(`/volumes/${volume.Name}/`, `/volumes/${name}/`);
  return { ...volume, Name: name, Mountpoint: place };
}

export function knownIn(world: World, name: string): Known {
  const known = world.volumes.get(name);
  if (known === undefined) throw new Error(`the model does not know ${name}`);
  return known;
}

export function change(world: World, name: string, to: (known: Known) => Partial<Known>): World {
  const known = knownIn(world, name);
  return withVolume(world, { ...known, ...to(known) });
}

function withVolume(world: World, known: Known): World {
  return { ...world, volumes: new Map([...world.volumes, [known.volume.Name, known]]) };
}

function withoutVolume(world: World, name: string): World {
  const volumes = new Map(world.volumes);
  volumes.delete(name);
  return { ...world, volumes };
}

/** What differs, one line for each. */
export function differences(found: World, wanted: World): readonly string[] {
  const [left, right] = [wordsOf(found), wordsOf(wanted)];
  return [
    ...left.filter((word) => !right.includes(word)).map((word) => `  found ${word}`),
    ...right.filter((word) => !left.includes(word)).map((word) => `  wanted ${word}`),
  ];
}

function wordsOf({ volumes, aliases, trash }: World): readonly string[] {
  const told = [...volumes.values()].map(({ holders, ...known }) => {
    const text = { ...known, files: Object.fromEntries(known.files), holders: [...holders].sort() };
    return `volume ${shortened(text)}`;
  });
  const removed = trash.map(({ volume, note, files, aliases: freed }) => {
    const { Name, CreatedAt, Labels, Options } = volume;
    const text = { Name, CreatedAt, Labels, Options, note, files: Object.fromEntries(files) };
    return `in the trash ${shortened({ ...text, aliases: freed })}`;
  });
  return [...told, ...removed, ...[...aliases].map(([alias, name]) => `alias ${alias}: ${name}`)];
}

export function shortened(value: unknown): string {
  const lengthMax = 60;
  return JSON.stringify(value, (_, each: unknown) =>
    typeof each === "string" && each.length > lengthMax ? `${each.slice(0, lengthMax)}…` : each,
  );
}
