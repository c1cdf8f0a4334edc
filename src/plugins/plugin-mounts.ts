// Our own mounts of what plugins mount: one for each volume and holder, below the data root.
//
// A place is a directory named by hashes, with a note beside it of what it is for. Both are made
// before the plugin is asked and go after the plugin has been told: while they are there, the
// plugin may count a mount. What is mounted at a place outlives the daemon.
import { createHash } from "node:crypto";
import {
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { EngineError, isErrno, storageError } from "../core/errors.ts";
import type { Host } from "../core/host.ts";
import { type HolderId, parseHolderId, parseVolumeName, type VolumeName } from "../core/names.ts";
import type { Operation } from "../core/operation.ts";
import type { CountedMount } from "../core/plugin.ts";

/** How long a mount that is there already may take to show that it is alive, in milliseconds. */
const LOOK_MS_MAX = 5_000;
/** A note is a place's name with this behind it. */
const NOTE = ".json";
/** More mounts than that are not stacked at one place. */
const STACKED_MAX = 16;

export interface PluginMountsParts {
  /** Absolute; made when it is first needed. */
  readonly directory: string;
  /** The plugin's name. */
  readonly plugin: string;
  readonly host: Host;
}

/** Where the data is that a plugin has mounted. */
export interface MountedData {
  readonly path: string;
  /** See `BindRequest.beneath`. */
  readonly beneath: string | undefined;
}

export class PluginMounts {
  readonly #parts: PluginMountsParts;

  constructor(parts: PluginMountsParts) {
    this.#parts = parts;
  }

  /** The path that a holder has a volume at. */
  place(volume: VolumeName, holder: HolderId): string {
    return `${this.#parts.directory}/${this.#prefix(volume)}${wordOf([holder])}`;
  }

  /** What the plugin may count, of whatever life of the daemon. Throws `storage.*`. */
  counted(volume?: VolumeName): readonly CountedMount[] {
    const { directory } = this.#parts;
    const prefix = volume === undefined ? "" : this.#prefix(volume);
    try {
      const notes = readdirSync(directory).filter(
        (name) => name.startsWith(prefix) && name.endsWith(NOTE),
      );
      return notes.flatMap((name) => this.#countedIn(`${directory}/${name}`));
    } catch (error) {
      if (isErrno(error, "ENOENT")) return [];
      throw storageError(error, `reading the notes in ${directory}`);
    }
  }

  #prefix(volume: VolumeName): string {
    return wordOf([this.#parts.plugin, volume]);
  }

  #note(volume: VolumeName, holder: HolderId): string {
    return JSON.stringify([this.#parts.plugin, volume, holder]);
  }

  #countedIn(file: string): readonly CountedMount[] {
    try {
      const note: unknown = JSON.parse(readFileSync(file, "utf8"));
      if (!Array.isArray(note) || note[0] !== this.#parts.plugin) return [];
      return [{ volume: parseVolumeName(note[1]), holder: parseHolderId(note[2]) }];
    } catch {
      // A crash came while it was written, before anybody was asked; or it went in this moment.
      return [];
    }
  }

  isMounted(place: string): boolean {
    return this.#parts.host.isMountPoint(place);
  }

  /** Whether anything was begun at the place: nothing is mounted there else. */
  isNoted(place: string): boolean {
    return isThere(`${place}${NOTE}`);
  }

  /** Whether the plugin may still count a mount for the place. Asks nothing that is mounted. */
  isKnown(place: string): boolean {
    if (this.isNoted(place) || this.isMounted(place)) return true;
    return lstatSync(place, { throwIfNoEntry: false })?.isDirectory() === true;
  }

  makePlace(volume: VolumeName, holder: HolderId): string {
    const place = this.place(volume, holder);
    try {
      mkdirSync(this.#parts.directory, { recursive: true, mode: 0o700 });
      writeFileSync(`${place}${NOTE}`, this.#note(volume, holder), { mode: 0o600 });
      mkdirSync(place, { recursive: true, mode: 0o700 });
      return place;
    } catch (error) {
      throw storageError(error, `making the mount point ${place}`);
    }
  }

  /** The place must not be mounted. */
  removePlace(place: string): void {
    try {
      if (isThere(place)) rmdirSync(place);
      rmSync(`${place}${NOTE}`, { force: true });
    } catch (error) {
      if (!isErrno(error, "ENOENT")) throw storageError(error, `removing ${place}`);
    }
  }

  /**
   * Whether what is mounted there answers. False only for what is dead for good; throws
   * `driver.timed_out` for what says nothing. A process of its own asks: it may never end.
   */
  async isAlive(place: string, operation: Operation): Promise<boolean> {
    const controller = new AbortController();
    const late = new EngineError(
      "driver.timed_out",
      `what plugin ${this.#parts.plugin} has mounted does not answer`,
      { details: { plugin: this.#parts.plugin, path: place } },
    );
    const abort = () => controller.abort(operation.signal.reason);
    const timer = setTimeout(() => controller.abort(late), LOOK_MS_MAX);
    operation.signal.addEventListener("abort", abort, { once: true });
    try {
      await this.#parts.host.askStorage(place, { ...operation, signal: controller.signal });
      return true;
    } catch (thrown) {
      if (!(thrown instanceof EngineError && thrown.code === "storage.failed")) throw thrown;
      const { isGone, words } = thrown.details;
      // Of a plugin's mount nobody can tell whether it says so for the moment only.
      return isGone !== true && words !== "Input/output error";
    } finally {
      clearTimeout(timer);
      operation.signal.removeEventListener("abort", abort);
    }
  }

  /** Throws `plugin.failed` when nothing is where the plugin says, and what `Host.bind` throws. */
  async bind(place: string, { path, beneath }: MountedData, operation: Operation): Promise<void> {
    const { host, plugin } = this.#parts;
    try {
      // The storage is a plugin's: nobody knows whether it answers.
      await host.bind({ source: path, target: place, mayHang: "unknown", beneath }, operation);
    } catch (error) {
      const words = error instanceof EngineError ? String(error.details["words"] ?? "") : "";
      if (!/\b(?:ENOENT|ENOTDIR|ELOOP)\b/.test(words)) throw error;
      throw new EngineError(
        "plugin.failed",
        `plugin ${plugin} says that it is mounted at ${path}, and no directory is there: ${words}`,
        { details: { plugin, path, words }, cause: error },
      );
    }
  }

  /** Throws `volume.unmount_failed`, also while a process uses it through this very mount. */
  async unbind(place: string, operation: Operation): Promise<void> {
    const { host } = this.#parts;
    for (let count = 0; count < STACKED_MAX && host.isMountPoint(place); count++) {
      if (this.#isLast(place)) {
        await host.unmount(place, operation);
        continue;
      }
      if (host.unbind(place) === "gone") continue;
      throw new EngineError("volume.unmount_failed", `unmount ${place}: target is busy`, {
        details: { target: place },
      });
    }
  }

  /**
   * Whether nobody else has it mounted, as far as can be seen here: whoever ends the last mount of
   * a file system waits until all is written that was not, on storage that may never answer.
   */
  #isLast(place: string): boolean {
    const mounts = this.#parts.host.mounts();
    const here = mounts.filter(({ target }) => target === place).map(({ device }) => device);
    return here.some((device) => mounts.filter((mount) => mount.device === device).length === 1);
  }

  /** Ends what is dead, whoever still has files of it open: nobody can do anything with them. */
  async unbindDead(place: string, operation: Operation): Promise<void> {
    const { host } = this.#parts;
    await host.detach(place, operation);
  }
}

function wordOf(names: readonly string[]): string {
  return createHash("sha256").update(JSON.stringify(names)).digest("hex").slice(0, 16);
}

function isThere(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false }) !== undefined;
}
