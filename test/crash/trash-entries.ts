// What lies in the trash, as the daemon lists it together with what is on the disk.
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import type { Client, TrashItem, Volume } from "./client.ts";
import { hasMount, type Trashed } from "./world.ts";

/** One entry that can be restored. */
export interface FoundEntry {
  readonly id: string;
  readonly entry: Trashed;
}

/** Everything that can be restored, or what had one of these names. */
export async function keptEntries(
  client: Client,
  root: string,
  names?: ReadonlySet<string>,
): Promise<readonly FoundEntry[]> {
  const isAsked = ({ name }: TrashItem) => names?.has(name) !== false;
  const items = (await client.trash()).filter((item) => item.phase === "kept" && isAsked(item));
  return items.map((item) => foundEntry(item, root));
}

export function foundEntry(item: TrashItem, root: string): FoundEntry {
  const { id, name, note, labels, options, aliases } = item;
  const volume: Volume = {
    Name: name,
    // Docker's form has whole seconds.
    CreatedAt: `${item.createdAt.slice(0, "2026-10-15T20:00:00".length)}Z`,
    Driver: "local",
    Mountpoint: join(root, "volumes", name, "_data"),
    Scope: "local",
    Labels: labels,
    Options: options,
  };
  const files = hasMount(volume) ? new Map() : filesBelow(join(root, "trash", id, "_data"));
  return { id, entry: { volume, note, files, aliases } };
}

/** Contents of the plain files of a directory, by name. */
export function filesBelow(data: string): ReadonlyMap<string, string> {
  if (!existsSync(data)) return new Map();
  const entries = readdirSync(data).filter((entry) => statSync(join(data, entry)).isFile());
  return new Map(entries.map((entry) => [entry, readFileSync(join(data, entry), "utf8")]));
}
