// Where remote volumes are on this host: their records, mount points and credentials; never data.
//
// <root>/remote/<driver>/<name>/volume.json   the record (record.ts)
// <root>/remote/<driver>/<name>/data/         the mount point, sealed while nothing is mounted
// <root>/remote/<driver>/<name>/keep/         the kind's own: what must outlive a reboot
// <root>/remote/<driver>/.new-<hex>/          the same for a volume that is being made or tested
// <root>/remote/<driver>/.trash/<id>/         a removed volume's directory, moved as it was, and:
// <root>/remote/<driver>/.trash/<id>/retired.json   what the engine has to say of it
// <root>/remote/<driver>/.trash/<id>.purging/ the same while it is being destroyed
// <run>/remote/<driver>/<name>/               credentials, notes of processes, mounted.json,
//                                             waiting (sessions.ts)
//
// Nothing here looks at `data`: what is mounted there may never answer. Names begin with a letter
// or digit, so that none is `.trash` or `.new-…`.
import fs from "node:fs";
import { EngineError, isErrno, storageError } from "../core/errors.ts";
import type { Host } from "../core/host.ts";
import { isAtOrBelow } from "../core/mount-of.ts";
import type { TrashId, VolumeName } from "../core/names.ts";

const DIRECTORY_MODE = 0o700;
/** Passed through by containers' processes on their way to what is mounted. */
const MOUNT_POINT_MODE = 0o755;

/** What the name of a directory in the trash ends in that is being destroyed. */
export const PURGING = ".purging";
/** What the name of a place of a creation or a test begins with. */
export const NEW = ".new-";

/** The directories of one volume, of one that is being made, or of one in the trash. */
export interface Place {
  readonly directory: string;
  readonly data: string;
  readonly keep: string;
  readonly run: string;
}

export interface Layout {
  readonly volumes: string;
  readonly trash: string;
  readonly run: string;
  volume(name: VolumeName): Place;
  /** `hex` makes it this one's own. */
  fresh(hex: string): Place;
  retired(id: TrashId): Place;
  purging(id: TrashId): Place;
}

export interface LayoutParts {
  readonly root: string;
  readonly runDirectory: string;
  readonly driver: string;
}

/** Makes the directories of a driver and returns their paths, with links above resolved. */
export function makeLayout({ root, runDirectory, driver }: LayoutParts): Layout {
  try {
    fs.mkdirSync(`${root}/remote/${driver}/.trash`, { recursive: true, mode: DIRECTORY_MODE });
    fs.mkdirSync(`${runDirectory}/remote/${driver}`, { recursive: true, mode: DIRECTORY_MODE });
    const volumes = fs.realpathSync(`${root}/remote/${driver}`);
    const run = fs.realpathSync(`${runDirectory}/remote/${driver}`);
    const place = (entry: string): Place => ({
      directory: `${volumes}/${entry}`,
      data: `${volumes}/${entry}/data`,
      keep: `${volumes}/${entry}/keep`,
      run: `${run}/${entry.replace(".trash/", ".trash-")}`,
    });
    return {
      volumes,
      run,
      trash: `${volumes}/.trash`,
      volume: (name) => place(name),
      fresh: (hex) => place(`${NEW}${hex}`),
      retired: (id) => place(`.trash/${id}`),
      purging: (id) => place(`.trash/${id}${PURGING}`),
    };
  } catch (error) {
    throw storageError(error, `making the directories of remote volumes below ${root}`);
  }
}

/** Makes a place with an empty, sealed mount point. Throws `storage.*`. */
export function makePlace(place: Place, host: Pick<Host, "seal">): void {
  try {
    fs.mkdirSync(place.directory, { mode: DIRECTORY_MODE });
    fs.mkdirSync(place.keep, { mode: DIRECTORY_MODE });
    fs.mkdirSync(place.data, { mode: MOUNT_POINT_MODE });
    host.seal(place.data, true);
  } catch (error) {
    throw storageError(error, `making ${place.directory}`);
  }
}

/** Makes the run directory, which a reboot takes. Throws `storage.*`. */
export function makeRun({ run }: Place): void {
  try {
    fs.mkdirSync(run, { recursive: true, mode: DIRECTORY_MODE });
  } catch (error) {
    throw storageError(error, `making ${run}`);
  }
}

/**
 * Removes a place and its run directory. Whatever is mounted there stops it: nothing is ever
 * removed through a mount. Succeeds when nothing is there. Throws `storage.*`, `volume.in_use`.
 */
export function removePlace(place: Place, host: Pick<Host, "mounts" | "seal">): void {
  refuseMounted(place, host);
  try {
    if (fs.existsSync(place.directory)) {
      if (fs.existsSync(place.data)) {
        host.seal(place.data, false);
        // Never a tree: what lies in a mount point is nobody's to remove.
        fs.rmdirSync(place.data);
      }
      fs.rmSync(place.directory, { recursive: true, force: true });
    }
    removeRun(place);
  } catch (error) {
    throw storageError(error, `removing ${place.directory}`);
  }
}

/** Credentials and notes are gone afterwards. */
export function removeRun({ run }: Place): void {
  try {
    fs.rmSync(run, { recursive: true, force: true });
  } catch (error) {
    throw storageError(error, `removing ${run}`);
  }
}

/** Throws `volume.in_use` while something is mounted in a place. */
export function refuseMounted({ directory }: Place, host: Pick<Host, "mounts">): void {
  const mount = host.mounts().find(({ target }) => isAtOrBelow(target, directory));
  if (mount === undefined) return;
  throw new EngineError("volume.in_use", `${mount.target} is still mounted`, {
    details: { path: mount.target },
  });
}

/** Renames a directory: on disk when its parents have been synced. Throws `storage.*`. */
export async function moveDirectory(from: string, to: string): Promise<void> {
  try {
    fs.renameSync(from, to);
  } catch (error) {
    throw storageError(error, `moving ${from} to ${to}`);
  }
}

/** Puts a directory's own entries on disk. Throws `storage.*`. */
export async function syncDirectory(directory: string): Promise<void> {
  try {
    const handle = await fs.promises.open(
      directory,
      fs.constants.O_RDONLY | fs.constants.O_DIRECTORY,
    );
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
  } catch (error) {
    throw storageError(error, `putting the entries of ${directory} on disk`);
  }
}

/**
 * Whether a directory stands here; follows no link. Throws `volume.data_foreign` when something
 * else does.
 */
export function isPlainDirectory(directory: string): boolean {
  return plainDirectory(directory) !== undefined;
}

/** As `isPlainDirectory`, with when it was last moved or changed. */
export function plainDirectory(directory: string): { readonly changedAtMs: number } | undefined {
  let stat: fs.Stats | undefined;
  try {
    stat = fs.lstatSync(directory, { throwIfNoEntry: false });
  } catch (error) {
    // A name may be as long as the file system takes, and what is made of it longer.
    if (isErrno(error, "ENAMETOOLONG")) return undefined;
    throw storageError(error, `looking at ${directory}`);
  }
  if (stat === undefined) return undefined;
  if (stat.isDirectory()) return { changedAtMs: Math.trunc(stat.ctimeMs) };
  throw new EngineError("volume.data_foreign", `${directory} is not a plain directory`, {
    details: { path: directory },
  });
}

/** The names in a directory. Throws `storage.*`. */
export async function entriesOf(directory: string): Promise<readonly string[]> {
  try {
    return await fs.promises.readdir(directory);
  } catch (error) {
    throw storageError(error, `listing ${directory}`);
  }
}
