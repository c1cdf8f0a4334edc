// Holds at a start: those of the rows, and those whose rows were lost and whose mounts are there.
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { storageError, toEngineError } from "../../core/errors.ts";
import type { Host, MountInfo } from "../../core/host.ts";
import { type HolderId, parseHolderId } from "../../core/names.ts";
import type { Operation } from "../../core/operation.ts";
import { placeOfMount } from "../../core/peer-mount.ts";
import type { HolderEntry, StateStore, VolumeEntry } from "../../core/state-store.ts";
import { holdId, layersAt, removeHoldPlace } from "./hold-places.ts";
import type { HoldSettler } from "./hold-settler.ts";
import { newHold } from "./hold-table.ts";

export interface HoldRestoreParts {
  readonly state: StateStore;
  readonly host: Host;
  readonly settler: HoldSettler;
  /** Absolute; where the holds' mounts are. Exists. */
  readonly directory: string;
}

const placePattern = /^[0-9a-f]{32}$/;

/**
 * Tells the settler of every hold that there is. A mount without a row belongs to a volume by its
 * source and gets a row again; a place that nothing is mounted at and no row knows is removed.
 */
export async function restoreHolds(parts: HoldRestoreParts, operation: Operation): Promise<void> {
  const { state, host, settler, directory } = parts;
  const rows = state.read((view) =>
    [...view.volumes()].flatMap((entry) =>
      view.holders(entry.name).filter(({ kind }) => kind === "engine"),
    ),
  );
  const lines = host.mounts();
  const mounted = new Map(lines.map((line) => [line.target, line]));
  const known = new Set<string>();
  for (const row of rows) {
    const path = placeOf(row, directory, mounted);
    known.add(path);
    restore(parts, row, path);
  }
  for (const name of namesIn(directory)) {
    const path = join(directory, name);
    if (known.has(path) || !placePattern.test(name)) continue;
    const line = mounted.get(path);
    const entry = line === undefined ? undefined : volumeOf(line, lines, state);
    try {
      if (entry !== undefined) await adopt(parts, { entry, name, path }, operation);
      else removeHoldPlace(host, path);
    } catch (error) {
      const { message } = toEngineError(error);
      operation.log.warn("what is left of a hold could not be removed", { path, error: message });
    }
  }
  if (settler.all().length > 0) {
    operation.log.info("holds of the last life are watched again", { count: settler.all().length });
  }
}

function restore({ host, settler }: HoldRestoreParts, row: HolderEntry, path: string): void {
  const { volume, holder, sinceMs } = row;
  const hold = newHold({ volume, holder, path, sinceMs }, { monotonicMs: host.monotonicMs() });
  Object.assign(hold, layersAt(host.mounts(), path));
  settler.add(hold);
}

/** A hold whose row was lost once goes by the name of its place. */
function placeOf(
  { volume, holder }: HolderEntry,
  directory: string,
  mounted: ReadonlyMap<string, MountInfo>,
): string {
  const own = join(directory, holder);
  if (placePattern.test(holder) && mounted.has(own)) return own;
  return join(directory, holdId(volume, holder));
}

async function adopt(
  parts: HoldRestoreParts,
  orphan: { readonly entry: VolumeEntry; readonly name: string; readonly path: string },
  operation: Operation,
): Promise<void> {
  const holder: HolderId = parseHolderId(orphan.name);
  const row: HolderEntry = {
    volume: orphan.entry.name,
    holder,
    kind: "engine",
    sinceMs: parts.host.nowMs(),
  };
  await parts.state.write((transaction) => transaction.putHolder(row));
  restore(parts, row, orphan.path);
  operation.log.warn("a hold without a row is kept", { volume: row.volume, path: orphan.path });
}

/** By the place of the data inside its file system: a plain one ends as the mount point does. */
function volumeOf(
  line: MountInfo,
  lines: readonly MountInfo[],
  state: StateStore,
): VolumeEntry | undefined {
  const name = /\/volumes\/([^/]+)\/_data$/.exec(line.root)?.[1];
  if (name !== undefined) return state.read((view) => view.volume(name));
  // A volume with a mount of its own: what shows the same is mounted at its mount point.
  const place = placeOfMount(line);
  const alike = lines.filter((one) => placeOfMount(one) === place).map(({ target }) => target);
  return state.read((view) =>
    [...view.volumes()].find(({ mountpoint }) => alike.includes(mountpoint)),
  );
}

function namesIn(directory: string): readonly string[] {
  try {
    return readdirSync(directory);
  } catch (error) {
    throw storageError(error, `reading the holds ${directory}`);
  }
}
