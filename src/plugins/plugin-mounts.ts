// Our own mounts of what plugins mount: one for each volume and holder, below the data root.
//
// A place is a directory named by a hash. It is made before the plugin is asked and goes after the
// plugin has been told: while it is there, the plugin may count a mount. What is mounted at it
// outlives the daemon.
import { createHash } from "node:crypto";
import { lstatSync, mkdirSync, rmdirSync } from "node:fs";
import { EngineError, isErrno, storageError } from "../core/errors.ts";
import type { Host } from "../core/host.ts";
import type { HolderId, VolumeName } from "../core/names.ts";
import type { Operation } from "../core/operation.ts";

/** How long a mount that is there already may take to show that it is alive, in milliseconds. */
const LOOK_MS_MAX = 5_000;
/** More mounts than that are not stacked at one place. */
const STACKED_MAX = 16;

/** What stat(1) says of a file system whose server is gone for good. */
const deadWords = [
  "Transport endpoint is not connected",
  "Software caused connection abort",
  "Stale file handle",
  "No such device",
  "Input/output error",
];

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
    const { directory, plugin } = this.#parts;
    const text = JSON.stringify([plugin, volume, holder]);
    const hash = createHash("sha256").update(text).digest("hex").slice(0, 32);
    return `${directory}/${hash}`;
  }

  isMounted(place: string): boolean {
    return this.#parts.host.isMountPoint(place);
  }

  /** Whether the plugin may still count a mount for the place. Asks nothing that is mounted. */
  isKnown(place: string): boolean {
    if (this.isMounted(place)) return true;
    return lstatSync(place, { throwIfNoEntry: false })?.isDirectory() === true;
  }

  /**
   * Returns whether it was not there: then nothing is mounted on it. Asks nothing that is mounted.
   */
  makePlace(place: string): boolean {
    const make = (isFirst: boolean): boolean => {
      try {
        // With all directories above it is another call, which looks at what is there already.
        mkdirSync(place, { recursive: isFirst, mode: 0o700 });
        return true;
      } catch (error) {
        if (isErrno(error, "EEXIST")) return false;
        if (isErrno(error, "ENOENT") && !isFirst) return make(true);
        throw storageError(error, `making the mount point ${place}`);
      }
    };
    return make(false);
  }

  /** The place must not be mounted. */
  removePlace(place: string): void {
    try {
      rmdirSync(place);
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
      const args = ["--file-system", "--format=%T", "--", place];
      const looking = { ...operation, signal: controller.signal };
      const { exitCode, stderr } = await this.#parts.host.run("stat", args, looking);
      return exitCode === 0 || !deadWords.some((words) => stderr.includes(words));
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
  unbind(place: string): void {
    const { host } = this.#parts;
    for (let count = 0; count < STACKED_MAX && host.isMountPoint(place); count++) {
      if (host.unbind(place) === "gone") continue;
      throw new EngineError("volume.unmount_failed", `unmount ${place}: target is busy`, {
        details: { target: place },
      });
    }
  }

  /** Ends what is dead, whoever still has files of it open: nobody can do anything with them. */
  async unbindDead(place: string, operation: Operation): Promise<void> {
    const { host } = this.#parts;
    for (let count = 0; count < STACKED_MAX && host.isMountPoint(place); count++) {
      const { exitCode, stderr } = await host.run(
        "umount",
        ["--lazy", "--no-canonicalize", "--", place],
        operation,
      );
      if (exitCode === 0) continue;
      const words = stderr.trim();
      throw new EngineError("volume.unmount_failed", `unmount ${place}: ${words}`, {
        details: { target: place, words },
      });
    }
  }
}
