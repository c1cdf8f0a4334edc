// The directory of managed plugins, and the few safe things that are done there.
//
// <root>/plugins/<id>/plugin.json         what it is; there is no plugin without it
// <root>/plugins/<id>/rootfs, rootfs-<n>  the file systems of its versions: those that it names
// <root>/plugins/<id>/propagated-mount/   what the plugin mounts for others; an upgrade leaves it
// <root>/plugins/.new-<hex>/              an installation that is being built
// <root>/plugins/damaged-<id>-<hex>/      put aside: its plugin.json says nothing. Never removed
// <root>/plugins/blobs/, mounts/, logs/   of others
//
// A rename is the commit of everything: `.new-<hex>` to `<id>` installs, `plugin.json.new` to
// `plugin.json` changes, `plugin.json` to `plugin.json.removed` removes. What no commit names is a
// leftover, and goes with the next start.
import fs from "node:fs";
import { EngineError, isErrno, storageError } from "../../core/errors.ts";
import type { PluginId } from "../../core/plugin.ts";
import { isPluginId } from "./naming.ts";
import { isRootfsName, type PluginRecord, RECORD_BYTES_MAX, renderRecord } from "./record.ts";

/** Of the plugins' own directories: root's alone, as of dockerd. */
const DIRECTORY_MODE = 0o700;
/** Of what is `/` in a plugin, and of where it mounts. */
const INSIDE_MODE = 0o755;
const RECORD_MODE = 0o600;

const RECORD = "plugin.json";
const NEW_RECORD = "plugin.json.new";
const REMOVED_RECORD = "plugin.json.removed";
const STAGING = ".new-";
const DAMAGED = "damaged-";
const PROPAGATED = "propagated-mount";
const FIRST_ROOTFS = "rootfs";

const { O_CREAT, O_EXCL, O_NOFOLLOW, O_NONBLOCK, O_RDONLY, O_WRONLY } = fs.constants;
const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** What stands in the directory of plugins. */
export interface Entries {
  readonly installed: readonly PluginId[];
  /** Absolute paths of what an installation or a removal has left. */
  readonly leftovers: readonly string[];
}

/** Paths and changes below `<root>/plugins`. Everything throws `storage.*` and `host.denied`. */
export class PluginFiles {
  readonly directory: string;
  /** The highest numbers that were given to versions, by the directories of their plugins. */
  readonly #numbers = new Map<string, number>();

  /** `directory` is absolute, without links and without a trailing slash. */
  constructor(directory: string) {
    this.directory = directory;
  }

  of(id: PluginId): string {
    return `${this.directory}/${id}`;
  }

  rootfs(id: PluginId, name: string): string {
    return `${this.of(id)}/${name}`;
  }

  propagated(id: PluginId): string {
    return `${this.of(id)}/${PROPAGATED}`;
  }

  make(): void {
    doing(`making ${this.directory}`, () => {
      fs.mkdirSync(this.directory, { recursive: true, mode: DIRECTORY_MODE });
      if (fs.lstatSync(this.directory).isDirectory()) return;
      throw new EngineError("config.invalid", `${this.directory} is not a plain directory`);
    });
  }

  look(): Entries {
    const names = doing(`listing ${this.directory}`, () => fs.readdirSync(this.directory));
    const ours = names.filter(isPluginId);
    const installed = ours.filter((id) => isThere(`${this.of(id)}/${RECORD}`));
    const gone = ours.filter((id) => !installed.includes(id));
    const staged = names.filter((name) => name.startsWith(STAGING));
    return {
      installed,
      leftovers: [...gone, ...staged].map((name) => `${this.directory}/${name}`),
    };
  }

  /** Removes a record that was being written when a daemon died. */
  removeUnwritten(id: PluginId): void {
    const file = `${this.of(id)}/${NEW_RECORD}`;
    doing(`removing ${file}`, () => fs.rmSync(file, { force: true }));
  }

  /** Directories in a plugin's own that no version of it names, and are of versions. Absolute. */
  unnamedRootfs(id: PluginId, named: readonly string[]): readonly string[] {
    const names = doing(`listing ${this.of(id)}`, () => fs.readdirSync(this.of(id)));
    return names
      .filter((name) => isRootfsName(name) && !named.includes(name))
      .map((name) => this.rootfs(id, name));
  }

  /** Makes a directory for an installation that is built beside the others. */
  makeStaging(hex: string): string {
    const staging = `${this.directory}/${STAGING}${hex}`;
    doing(`making ${staging}`, () => {
      fs.mkdirSync(staging, { mode: DIRECTORY_MODE });
      fs.mkdirSync(`${staging}/${PROPAGATED}`, { mode: INSIDE_MODE });
    });
    return staging;
  }

  /**
   * Makes an empty directory for a version that is to be unpacked; returns its name. No name comes
   * twice in this life: somebody may still be removing what had it (see `Leftovers`).
   */
  makeRootfs(pluginDirectory: string): string {
    return doing(`making a directory in ${pluginDirectory}`, () => {
      const taken = fs.readdirSync(pluginDirectory).filter(isRootfsName);
      const numbers = taken.map((name) => Number(name.split("-")[1] ?? 1));
      const last = Math.max(this.#numbers.get(pluginDirectory) ?? 0, ...numbers);
      const name = last === 0 ? FIRST_ROOTFS : `${FIRST_ROOTFS}-${last + 1}`;
      fs.mkdirSync(`${pluginDirectory}/${name}`, { mode: INSIDE_MODE });
      if (last > 0) this.#numbers.set(pluginDirectory, last + 1);
      return name;
    });
  }

  /**
   * The commit of an installation: its record must have been written into the staging directory.
   */
  async install(staging: string, id: PluginId): Promise<void> {
    doing(`moving ${staging} to ${this.of(id)}`, () => fs.renameSync(staging, this.of(id)));
    await syncDirectory(this.directory);
  }

  /**
   * Replaces a record, or writes the first one; durable when it returns. Throws
   * `plugin.config_invalid` for one that could not be read again.
   */
  async write(pluginDirectory: string, record: PluginRecord): Promise<void> {
    const file = `${pluginDirectory}/${NEW_RECORD}`;
    const text = renderRecord(record);
    refuseUnreadable(text);
    try {
      fs.rmSync(file, { force: true });
      const descriptor = fs.openSync(file, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, RECORD_MODE);
      try {
        fs.writeFileSync(descriptor, text);
        await sync(descriptor);
      } finally {
        fs.closeSync(descriptor);
      }
      fs.renameSync(file, `${pluginDirectory}/${RECORD}`);
    } catch (error) {
      removeQuietly(file);
      throw storageError(error, `writing ${file}`);
    }
    await syncDirectory(pluginDirectory);
  }

  /** The text of a record. */
  read(id: PluginId): string {
    const file = `${this.of(id)}/${RECORD}`;
    return doing(`reading ${file}`, () => {
      const descriptor = fs.openSync(file, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
      try {
        const stat = fs.fstatSync(descriptor);
        if (!stat.isFile()) throw new Error("it is no plain file");
        if (stat.size > RECORD_BYTES_MAX) throw new Error("it is too large");
        const bytes = new Uint8Array(stat.size);
        return utf8.decode(bytes.subarray(0, fs.readSync(descriptor, bytes, 0, stat.size, 0)));
      } finally {
        fs.closeSync(descriptor);
      }
    });
  }

  /** The commit of a removal. What is in its directory is a leftover from then on. */
  async remove(id: PluginId): Promise<void> {
    const [from, to] = [RECORD, REMOVED_RECORD].map((name) => `${this.of(id)}/${name}`);
    doing(`removing ${from}`, () => fs.renameSync(String(from), String(to)));
    await syncDirectory(this.of(id));
  }

  /** Puts a plugin aside whose record says nothing; returns where it is now. */
  putAside(id: PluginId, hex: string): string {
    const place = `${this.directory}/${DAMAGED}${id}-${hex}`;
    doing(`moving ${this.of(id)} to ${place}`, () => fs.renameSync(this.of(id), place));
    return place;
  }

  /** How many bytes may still be written there. */
  availableBytes(): number {
    return doing(`looking at the file system of ${this.directory}`, () => {
      const { bsize, bavail } = fs.statfsSync(this.directory);
      return bsize * bavail;
    });
  }
}

/** The next start would put the plugin aside as damaged, with its data. */
function refuseUnreadable(text: string): void {
  if (Buffer.byteLength(text) <= RECORD_BYTES_MAX) return;
  throw new EngineError(
    "plugin.config_invalid",
    `the config and the settings of a plugin have at most ${RECORD_BYTES_MAX} bytes, written out`,
  );
}

function doing<T>(what: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw storageError(error, what);
  }
}

/** After a failure that says more; the next start looks for it again. */
function removeQuietly(file: string): void {
  try {
    fs.rmSync(file, { force: true });
  } catch {
    return;
  }
}

function isThere(path: string): boolean {
  try {
    return fs.lstatSync(path, { throwIfNoEntry: false }) !== undefined;
  } catch (error) {
    if (isErrno(error, "ENOTDIR")) return false;
    throw storageError(error, `looking at ${path}`);
  }
}

function sync(descriptor: number): Promise<void> {
  return new Promise((resolve, reject) => {
    fs.fsync(descriptor, (error) => (error === null ? resolve() : reject(error)));
  });
}

async function syncDirectory(directory: string): Promise<void> {
  try {
    const handle = await fs.promises.open(directory, O_RDONLY | fs.constants.O_DIRECTORY);
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
  } catch (error) {
    throw storageError(error, `putting the entries of ${directory} on disk`);
  }
}
