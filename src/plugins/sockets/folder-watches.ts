// Watches directories, those too that do not exist yet: then the nearest one above them.
import { type FSWatcher, watch } from "node:fs";
import { stat } from "node:fs/promises";
import { basename, dirname } from "node:path";

/** Further directories are left to the poll. */
const WATCHES_MAX = 256;

interface Watch {
  readonly watcher: FSWatcher;
  readonly inode: string;
  /** What is of interest in it; empty: everything. */
  names: ReadonlySet<string>;
}

export class FolderWatches {
  readonly #changed: () => void;
  readonly #watches = new Map<string, Watch>();
  #isStopped = false;

  /** Is told of changes; of some more than once, of some that mean nothing. */
  constructor(changed: () => void) {
    this.#changed = changed;
  }

  /**
   * Watches these directories from now on and no others. Returns whether one is watched that was
   * not before: what has happened in it by then has not been told.
   */
  async set(directories: readonly string[]): Promise<boolean> {
    const wanted = new Map<string, Set<string>>();
    for (const directory of directories) {
      // A directory that is removed and made again is another one, which only its parent tells.
      const { parent, name } = await nearest(directory);
      const names = wanted.get(parent);
      if (names === undefined) wanted.set(parent, new Set([name]));
      else if (names.size > 0) names.add(name);
    }
    for (const directory of directories) wanted.set(directory, new Set());
    for (const [path, { watcher }] of this.#watches) {
      if (wanted.has(path)) continue;
      watcher.close();
      this.#watches.delete(path);
    }
    let isNew = false;
    for (const [path, names] of wanted) {
      const inode = await inodeOf(path);
      if (!this.#isStopped) isNew = this.#watch(path, names, inode) || isNew;
    }
    return isNew;
  }

  stop(): void {
    this.#isStopped = true;
    for (const { watcher } of this.#watches.values()) watcher.close();
    this.#watches.clear();
  }

  #watch(path: string, names: ReadonlySet<string>, inode: string | undefined): boolean {
    const known = this.#watches.get(path);
    if (known !== undefined && known.inode === inode) {
      known.names = names;
      return false;
    }
    known?.watcher.close();
    this.#watches.delete(path);
    if (inode === undefined || this.#watches.size >= WATCHES_MAX) return false;
    try {
      const watcher = watch(path, { persistent: false }, (_, name) => this.#noticed(path, name));
      // It went away: the next look finds out.
      watcher.on("error", () => this.#changed());
      this.#watches.set(path, { watcher, inode, names });
      return true;
    } catch {
      // It went away, or the kernel gives no more watches: the poll remains.
      return false;
    }
  }

  #noticed(path: string, name: string | null): void {
    const names = this.#watches.get(path)?.names;
    if (names === undefined) return;
    if (names.size === 0 || name === null || names.has(name)) this.#changed();
  }
}

/** The nearest directory above that exists, and what is to appear in it. */
async function nearest(
  directory: string,
): Promise<{ readonly parent: string; readonly name: string }> {
  for (let path = directory; ; path = dirname(path)) {
    const parent = dirname(path);
    if (parent === path || (await inodeOf(parent)) !== undefined) {
      return { parent, name: basename(path) };
    }
  }
}

/** Not on the daemon's own thread: a directory may lie on storage that does not answer. */
async function inodeOf(path: string): Promise<string | undefined> {
  try {
    const { dev, ino } = await stat(path);
    return `${dev}:${ino}`;
  } catch {
    return undefined;
  }
}
