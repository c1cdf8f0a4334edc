// Which mounts, in all mount namespaces of the machine, show what lies in given directories.
//
// A bind mount keeps showing its directory when that is moved: the kernel then writes the new path
// into the mount's line. So the place inside the file system is compared, not how it was reached.
import type { MountInfo } from "../core/host.ts";
import type { FoundMount, MountBelow, MountsBelow, MountsFound } from "../core/peer-mount.ts";
import {
  escapeOctal,
  parseMountTable,
  readMountTable,
  topmostAt,
  trueTarget,
} from "./mount-table.ts";
import { containerOf, type NamespaceTable, readingMountTables, runInTurns } from "./namespaces.ts";

/** What the kernel adds to the path of what is removed: nothing there can be destroyed any more. */
const REMOVED = "//deleted";

/** `Host.mountsBelow`. Waits for no storage: /proc only. */
export async function findMountsBelow(
  directories: readonly string[],
  table: () => readonly MountInfo[] = readMountTable,
): Promise<MountsBelow> {
  if (directories.length === 0) return { mounts: [], isWhole: true };
  const places = new Places(directories, table());
  const mounts: MountBelow[] = [];
  const isWhole = await runInTurns(
    readingMountTables((one) => mounts.push(...mountsIn(one, places))),
  );
  return { mounts, isWhole };
}

/** `Host.mountsWhere`. Waits for no storage: /proc only. */
export async function findMountsWhere(
  isWanted: (mount: MountInfo) => boolean,
): Promise<MountsFound> {
  const mounts: FoundMount[] = [];
  const isWhole = await runInTurns(
    readingMountTables(({ text, pid }) => {
      const found = parseMountTable(text).filter(isWanted);
      if (found.length === 0) return;
      const container = containerOf(pid);
      for (const mount of found) mounts.push({ mount, target: mount.target, pid, container });
    }),
  );
  return { mounts, isWhole };
}

/** The lines of a namespace's table that show one of the places. */
function mountsIn({ text, pid }: NamespaceTable, places: Places): readonly MountBelow[] {
  if (!places.mayBeIn(text)) return [];
  const found = parseMountTable(text).flatMap((mount) => {
    const directory = places.directoryOf(mount);
    return directory === undefined ? [] : [{ directory, target: mount.target }];
  });
  if (found.length === 0) return [];
  const container = containerOf(pid);
  return found.map((one) => ({ ...one, pid, container }));
}

/** The directories, by where on which file system they are. */
class Places {
  /** By device and path in it. */
  readonly #directories = new Map<string, string>();
  /** The folders that they lie in, as the tables' lines have them. */
  readonly #folders = new Set<string>();

  constructor(directories: readonly string[], table: readonly MountInfo[]) {
    const byTarget = Map.groupBy(table, ({ target }) => target);
    for (const directory of directories) {
      const place = placeOf(trueTarget(directory), byTarget);
      if (place === undefined) continue;
      this.#directories.set(`${place.device} ${place.path}`, directory);
      this.#folders.add(` ${escapeOctal(place.path.slice(0, place.path.lastIndexOf("/")))}/`);
    }
  }

  /** A quick look: most tables have no line that shows any of them. */
  mayBeIn(text: string): boolean {
    for (const folder of this.#folders) if (text.includes(folder)) return true;
    return false;
  }

  /** Which of the directories a mount shows, or something in it. */
  directoryOf({ device, root }: MountInfo): string | undefined {
    if (root.endsWith(REMOVED)) return undefined;
    for (let path = root; path.length > 1; path = path.slice(0, path.lastIndexOf("/"))) {
      const directory = this.#directories.get(`${device} ${path}`);
      if (directory !== undefined) return directory;
    }
    return this.#directories.get(`${device} /`);
  }
}

/** Where a path leads: the file system and the path inside it. */
function placeOf(
  path: string,
  byTarget: ReadonlyMap<string, readonly MountInfo[]>,
): { readonly device: string; readonly path: string } | undefined {
  for (let above = path; ; above = above.slice(0, above.lastIndexOf("/"))) {
    const target = above === "" ? "/" : above;
    const mount = topmostAt(byTarget.get(target) ?? [], target);
    if (mount !== undefined) {
      const root = mount.root === "/" ? "" : mount.root;
      return { device: mount.device, path: `${root}${path.slice(above.length)}` || "/" };
    }
    if (above === "") return undefined;
  }
}
