// Where the `local` driver keeps things below its root, and the few safe things it does there.
//
// <root>/volumes/<name>/_data       the data (0755 at first; containers change it)
// <root>/volumes/<name>/opts.json   the options, only if there are any, in Docker's own format
// <root>/trash/<id>/                a removed volume's directory, moved as it was, and in it:
// <root>/trash/<id>/retired.json    what the engine has to say of it (0600)
// <root>/trash/<id>.purging/        the same while it is being destroyed
//
// Names are parsed (one path segment, never "." or "..") and the directories above `_data` belong
// to the daemon alone, so a path made here cannot lead elsewhere unless root itself put a link
// there; that is what `plainDirectory` refuses. The start refuses links and mounts in the place of
// `volumes` and `trash`; whatever removes looks at both again (`refuseLinkedRoot`).
import fs from "node:fs";
import path from "node:path";
import type { DriverOptions } from "../../core/driver.ts";
import { EngineError, isErrno, storageError } from "../../core/errors.ts";
import type { Host } from "../../core/host.ts";
import type { TrashId, VolumeName } from "../../core/names.ts";

/** Modes of dockerd: nobody but root may list, everybody may pass. */
const DIRECTORY_MODE = 0o701;
const DATA_MODE = 0o755;
const OPTIONS_MODE = 0o600;
/** No options are longer; a larger file is not ours. */
const OPTIONS_BYTES_MAX = 1024 * 1024;

/** What the name of a directory in the trash ends in that is being destroyed. */
export const PURGING = ".purging";

export interface Layout {
  readonly volumes: string;
  readonly trash: string;
  volume(name: VolumeName): string;
  data(name: VolumeName): string;
  optionsFile(name: VolumeName): string;
  retired(id: TrashId): string;
  purging(id: TrashId): string;
}

/** The paths below a root. `root` is absolute and has no trailing slash. */
export function makeLayout(root: string): Layout {
  const volumes = path.join(root, "volumes");
  const trash = path.join(root, "trash");
  return {
    volumes,
    trash,
    volume: (name) => `${volumes}/${name}`,
    data: (name) => `${volumes}/${name}/_data`,
    optionsFile: (name) => `${volumes}/${name}/opts.json`,
    retired: (id) => `${trash}/${id}`,
    purging: (id) => `${trash}/${id}${PURGING}`,
  };
}

export interface RootParts {
  /** Absolute, without a trailing slash. */
  readonly root: string;
  readonly host: Pick<Host, "mounts">;
  /** By default true. */
  readonly isFirstStart?: boolean | undefined;
}

/**
 * Makes `volumes` and `trash` below a root and returns their layout, with links above resolved: the
 * mount table knows no links, and is compared with these paths. Later than at the first start a
 * missing `volumes` is not made: it would be empty. Throws `config.invalid` when one of the two
 * leads elsewhere or is mounted on, `storage.*`, `host.denied`.
 */
export function makeRoot({ root, host, isFirstStart = true }: RootParts): Layout {
  try {
    fs.mkdirSync(root, { recursive: true, mode: DIRECTORY_MODE });
    const layout = makeLayout(fs.realpathSync(root));
    refuseMountedOn(layout, host);
    refuseElsewhere(layout, root);
    if (!isFirstStart && !fs.existsSync(layout.volumes)) {
      throw new EngineError(
        "storage.failed",
        `${layout.volumes} is gone, but the state knows of volumes in it; mount its disk, or ` +
          "make the directory to have them back empty",
        { details: { path: layout.volumes } },
      );
    }
    const made = [layout.volumes, layout.trash].map((directory) =>
      fs.mkdirSync(directory, { recursive: true, mode: DIRECTORY_MODE }),
    );
    // A state that survives a power cut must not know of volumes in a directory that does not.
    if (made.some((each) => each !== undefined)) syncNow(path.dirname(layout.volumes));
    return layout;
  } catch (error) {
    throw storageError(error, `making the directories of the data root ${root}`);
  }
}

/**
 * Removal renames from `volumes` into `trash` and deletes there: a link would take it outside of
 * the root, and between two file systems nothing can be renamed. Throws `config.invalid`.
 */
function refuseElsewhere(layout: Layout, root: string): void {
  const { dev } = fs.statSync(root);
  for (const directory of [layout.volumes, layout.trash]) {
    const stat = fs.lstatSync(directory, { throwIfNoEntry: false });
    if (stat === undefined || (stat.isDirectory() && stat.dev === dev)) continue;
    throw new EngineError(
      "config.invalid",
      `${directory} is not a plain directory on the file system of the root; to keep volumes on ` +
        "another disk give a directory there as --root, or mount it at the root itself",
      { details: { path: directory } },
    );
  }
}

/**
 * Between two mounts nothing can be renamed either, also of one and the same file system, where
 * nothing but the mount table tells of it. Throws `config.invalid`.
 */
function refuseMountedOn(layout: Layout, host: Pick<Host, "mounts">): void {
  const directories = [layout.volumes, layout.trash];
  const mount = host.mounts().find(({ target }) => directories.includes(target));
  if (mount === undefined) return;
  const { target, source } = mount;
  throw new EngineError(
    "config.invalid",
    `something is mounted on ${target} (from ${source}): a volume is removed by moving it from ` +
      "volumes/ into trash/, which works within one mount only. Unmount it with " +
      `\`umount ${target}\` and take it out of /etc/fstab; to keep volumes on another disk, ` +
      `mount that at ${path.dirname(target)} itself, or give a directory on it as --root`,
    { details: { path: target, source } },
  );
}
/** As `plainDirectory` for `volumes` and `trash`, which may have been swapped since the start. */
export function refuseLinkedRoot(layout: Layout): void {
  plainDirectory(layout.volumes);
  plainDirectory(layout.trash);
}

/** A directory's identity: inode and birth time survive a rename and tell a later one apart. */
export interface DirectoryFacts {
  readonly identity: string;
  readonly bornAtMs: number;
  /** A rename moves it, too. */
  readonly changedAtMs: number;
  /** Its last change was to what is in it: nobody has renamed it since. */
  readonly isChangedInside: boolean;
}

/**
 * Looks at a directory without following links. undefined: nothing is there. Throws
 * `volume.data_foreign` when something else is.
 */
export function plainDirectory(directory: string): DirectoryFacts | undefined {
  let stat: fs.BigIntStats | undefined;
  try {
    stat = fs.lstatSync(directory, { bigint: true, throwIfNoEntry: false });
  } catch (error) {
    throw storageError(error, `looking at ${directory}`);
  }
  if (stat === undefined) return undefined;
  if (!stat.isDirectory()) {
    throw new EngineError(
      "volume.data_foreign",
      `unable to remove a directory outside of the local volume root: ${directory} is not a ` +
        "plain directory",
      { details: { path: directory } },
    );
  }
  return {
    identity: `${stat.ino}-${stat.birthtimeNs}`,
    bornAtMs: Number(stat.birthtimeNs / 1_000_000n),
    changedAtMs: Number(stat.ctimeNs / 1_000_000n),
    isChangedInside: stat.ctimeNs === stat.mtimeNs,
  };
}

/** What stands in a volume's directory. */
export interface VolumeContents {
  readonly hasOptions: boolean;
  readonly hasData: boolean;
}

/**
 * Looks into a volume's directory without touching what is in it: on `_data` something may be
 * mounted whose server is dead. Throws `volume.data_foreign` when `_data` is no directory.
 */
export function contentsOf(layout: Layout, name: VolumeName): VolumeContents {
  const directory = layout.volume(name);
  let entries: readonly fs.Dirent[];
  try {
    entries = fs.readdirSync(directory, { withFileTypes: true });
  } catch (error) {
    throw storageError(error, `looking into ${directory}`);
  }
  const data = entries.find((entry) => entry.name === "_data");
  // Some file systems do not tell types in their directories: then it has to be looked at.
  if (data !== undefined && !data.isDirectory()) plainDirectory(layout.data(name));
  return {
    hasOptions: entries.some((entry) => entry.name === "opts.json"),
    hasData: data !== undefined,
  };
}

/** Makes the directories and the options file; on failure nothing of what it made is left. */
export function makeVolume(layout: Layout, name: VolumeName, options: DriverOptions): void {
  const directory = layout.volume(name);
  const doing = `creating volume root path '${directory}'`;
  let isNew = true;
  try {
    fs.mkdirSync(directory, { mode: DIRECTORY_MODE });
  } catch (error) {
    if (!isErrno(error, "EEXIST")) throw storageError(error, doing);
    isNew = false;
  }
  try {
    makeData(layout, name);
    if (Object.keys(options).length > 0) writeOptions(layout, name, options);
  } catch (error) {
    if (isNew) removeEmptyVolume(layout, name);
    throw storageError(error, doing);
  }
}

/** Makes the data directory unless there is one. Throws what the file system throws. */
export function makeData(layout: Layout, name: VolumeName): void {
  try {
    fs.mkdirSync(layout.data(name), { mode: DATA_MODE });
  } catch (error) {
    if (!isErrno(error, "EEXIST")) throw error;
  }
}

/** Whether anything lies in the data directory. */
export function hasData(layout: Layout, name: VolumeName): boolean {
  try {
    return fs.readdirSync(layout.data(name)).length > 0;
  } catch (error) {
    if (isErrno(error, "ENOENT")) return false;
    throw storageError(error, `looking into ${layout.data(name)}`);
  }
}

function removeEmptyVolume(layout: Layout, name: VolumeName): void {
  for (const undo of [
    () => fs.unlinkSync(`${layout.optionsFile(name)}.new`),
    () => fs.unlinkSync(layout.optionsFile(name)),
    () => fs.rmdirSync(layout.data(name)),
    () => fs.rmdirSync(layout.volume(name)),
  ]) {
    try {
      undo();
    } catch {
      // What cannot be taken back is found by the next start, which has no row for it.
    }
  }
}

/** Docker's opts.json, so that options survive even the loss of the state. */
function writeOptions(layout: Layout, name: VolumeName, options: DriverOptions): void {
  const file = layout.optionsFile(name);
  const body = JSON.stringify({
    MountType: options["type"] ?? "",
    MountOpts: options["o"] ?? "",
    MountDevice: options["device"] ?? "",
    Quota: { Size: 0 },
    HoldfastOptions: options,
  });
  const descriptor = fs.openSync(`${file}.new`, "w", OPTIONS_MODE);
  try {
    fs.writeFileSync(descriptor, body);
    fs.fsyncSync(descriptor);
  } finally {
    fs.closeSync(descriptor);
  }
  fs.renameSync(`${file}.new`, file);
}

/** As `readOptionsIn` for a volume that is not removed. */
export function readOptions(layout: Layout, name: VolumeName): DriverOptions {
  return readOptionsIn(layout.volume(name));
}

/**
 * The options in a volume's directory; `{}` when there are none. Reads Docker's own files too.
 * Throws `storage.failed` when the file is there and says nothing: a mount that is forgotten would
 * hide data.
 */
export function readOptionsIn(directory: string): DriverOptions {
  const file = `${directory}/opts.json`;
  let body: string;
  try {
    const stat = fs.lstatSync(file, { throwIfNoEntry: false });
    if (stat === undefined) return {};
    if (!stat.isFile()) throw new Error("it is no plain file");
    if (stat.size > OPTIONS_BYTES_MAX) throw new Error("the file is too large");
    body = fs.readFileSync(file, "utf8");
  } catch (error) {
    throw storageError(error, `reading ${file}`);
  }
  try {
    return parseOptions(JSON.parse(body));
  } catch (error) {
    throw storageError(error, `reading ${file}`);
  }
}

function parseOptions(value: unknown): DriverOptions {
  if (typeof value !== "object" || value === null) throw new Error("not a JSON object");
  const file: Record<string, unknown> = { ...value };
  const ours = file["HoldfastOptions"];
  if (typeof ours === "object" && ours !== null) {
    return Object.fromEntries(Object.entries(ours).map(([key, text]) => [key, String(text)]));
  }
  const words = { type: file["MountType"], o: file["MountOpts"], device: file["MountDevice"] };
  const given = Object.entries(words).filter(([, text]) => typeof text === "string" && text !== "");
  return Object.fromEntries(given.map(([key, text]) => [key, String(text)]));
}

function syncNow(directory: string): void {
  const descriptor = fs.openSync(directory, fs.constants.O_RDONLY | fs.constants.O_DIRECTORY);
  try {
    fs.fsyncSync(descriptor);
  } finally {
    fs.closeSync(descriptor);
  }
}

/** Puts a directory's own entries on disk. Throws `storage.*`. */
export async function syncDirectory(directory: string): Promise<void> {
  const flags = fs.constants.O_RDONLY | fs.constants.O_DIRECTORY;
  try {
    const handle = await fs.promises.open(directory, flags);
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
  } catch (error) {
    throw storageError(error, `putting the entries of ${directory} on disk`);
  }
}

/** Renames a volume's directory, with all that is in it. Throws `storage.*`. */
export function moveDirectory(from: string, to: string): void {
  try {
    fs.renameSync(from, to);
  } catch (error) {
    if (isErrno(error, "EXDEV")) {
      throw new EngineError(
        "storage.failed",
        `${from} cannot be moved to ${to}: one of them has been mounted on since the start`,
        { cause: error },
      );
    }
    throw storageError(error, `moving ${from} to ${to}`);
  }
}

/** The names in a directory. Throws `storage.*`. */
export async function entriesOf(directory: string): Promise<readonly string[]> {
  try {
    return await fs.promises.readdir(directory);
  } catch (error) {
    throw storageError(error, `listing ${directory}`);
  }
}
