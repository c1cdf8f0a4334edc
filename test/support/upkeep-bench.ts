// Volumes that are renamed, and what is left of it: rows, aliases, directories and history.
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { RenameCapable, VolumeDriver } from "../../src/core/driver.ts";
import type { StoredHistoryEntry, VolumeEntry } from "../../src/core/state-store.ts";
import { eventually } from "./child.ts";
import {
  changedLocal,
  create,
  type EngineBench,
  type EngineBenchParts,
  named,
} from "./engine-bench.ts";

/** A volume with a file in it that says whose it was. */
export async function filled(bench: EngineBench, name: string): Promise<VolumeEntry> {
  const entry = await create(bench, named(name));
  writeFileSync(join(bench.volumePath(name), "_data", "file"), name);
  return entry;
}

/** What `filled` wrote, where it is now; undefined: nothing is there. */
export function dataOf(bench: EngineBench, name: string): string | undefined {
  const path = join(bench.volumePath(name), "_data", "file");
  return existsSync(path) ? readFileSync(path, "utf8") : undefined;
}

/** The names of all directories of volumes, sorted. */
export function directories(bench: EngineBench): readonly string[] {
  return readdirSync(join(bench.root, "volumes")).sort();
}

export function rename(
  bench: EngineBench,
  name: string,
  to: string,
  keepAlias = false,
): Promise<VolumeEntry> {
  return bench.engine.upkeep.rename(name, to, { keepAlias }, bench.operation());
}

/** `alias → volume`, sorted. */
export function aliases(bench: EngineBench): readonly string[] {
  const rows = bench.state.read((view) => [...view.aliases()]);
  return rows.map(({ alias, volume }) => `${alias} → ${volume}`).sort();
}

/** The newest changes as `action volume subject outcome`, oldest first. */
export function changes(bench: EngineBench, countMax: number): readonly string[] {
  return bench.engine.history.all({ countMax }).entries.map(changeText).reverse();
}

/** Waits until these are the newest changes: nobody waits for the rows of refusals. */
export async function newest(bench: EngineBench, ...wanted: readonly string[]): Promise<void> {
  const seen = () => changes(bench, wanted.length);
  await eventually(() => (seen().join() === wanted.join() ? true : undefined), {
    timeoutMs: 5_000,
    otherwise: () => JSON.stringify(seen()),
  });
}

export function changeText({ action, volume, subject, outcome }: StoredHistoryEntry): string {
  const text = `${action} ${volume}${subject === "" ? "" : ` ${subject}`}`;
  return outcome === "done" ? text : `${text} (${outcome})`;
}

/** The local driver with another rename. */
export function changedRename(
  change: (rename: RenameCapable, driver: VolumeDriver) => RenameCapable,
): EngineBenchParts {
  return changedLocal((driver) => {
    if (driver.rename === undefined) throw new Error("local can rename");
    return { rename: change(driver.rename, driver) };
  });
}
