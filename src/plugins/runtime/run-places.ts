// Where the running part of a plugin lies: its bundle, its sockets, its log.
import { createHash } from "node:crypto";
import { join } from "node:path";
import { EngineError } from "../../core/errors.ts";
import type { PluginId } from "../../core/plugin.ts";

/** Sockets have paths of at most 107 bytes: the id alone would take 64. */
const SHORT_ID_DIGITS = 16;

export interface RunDirectories {
  /** Absolute, and short; on a file system that a boot empties. Of this data root alone. */
  readonly runDirectory: string;
  /** Absolute; outlives boots. */
  readonly logDirectory: string;
}

export interface RunPlaces {
  /** The directory that the runtime gets; everything below is ours, and nothing the plugin's. */
  readonly bundle: string;
  readonly specFile: string;
  /** Written by the runtime when the container has been made. */
  readonly pidFile: string;
  readonly monitorPidFile: string;
  /** What the runtime has to say, as JSON lines. */
  readonly runtimeLog: string;
  /** Written by us when the process has been started: what a later daemon takes over. */
  readonly lifeFile: string;
  /** Written by us before anything is mounted; goes when nothing is any more. */
  readonly propagatedFile: string;
  /** Written by conmon: the exit status. */
  readonly exitFile: string;
  /** The host's side of the plugin's /run/docker/plugins: the plugin may write here. */
  readonly socketDirectory: string;
  readonly logDirectory: string;
  /** A link to it: conmon takes a path apart at colons, and the data root may have some. */
  readonly logLink: string;
  /**
   * In every hierarchy of control groups. Of this run directory alone: all that is in it may be
   * ended. Not with the whole id, or those who look for containers take the plugin for one.
   */
  readonly cgroupPath: string;
}

/** Exit files of all plugins lie side by side, so that one watch sees all of them. */
export function exitDirectory({ runDirectory }: Pick<RunDirectories, "runDirectory">): string {
  return join(runDirectory, "exits");
}

/** A directory for each plugin that has been started, by its id. */
export function bundlesDirectory({ runDirectory }: Pick<RunDirectories, "runDirectory">): string {
  return join(runDirectory, "bundles");
}

/** A file for each plugin whose propagated mount may be mounted. */
export function mountsDirectory({ runDirectory }: Pick<RunDirectories, "runDirectory">): string {
  return join(runDirectory, "mounts");
}

/** The state of runc or crun. */
export function runtimeDirectory({ runDirectory }: Pick<RunDirectories, "runDirectory">): string {
  return join(runDirectory, "runtime");
}

/** Throws `internal.bug` for what is no id: it becomes part of paths. */
export function runPlaces(directories: RunDirectories, id: PluginId): RunPlaces {
  if (!/^[\da-f]{64}$/.test(id)) throw new EngineError("internal.bug", `no plugin's id: ${id}`);
  const bundle = join(bundlesDirectory(directories), id);
  return {
    bundle,
    specFile: join(bundle, "config.json"),
    pidFile: join(bundle, "pid"),
    monitorPidFile: join(bundle, "conmon.pid"),
    runtimeLog: join(bundle, "runtime.log"),
    lifeFile: join(bundle, "life.json"),
    propagatedFile: join(mountsDirectory(directories), id),
    exitFile: join(exitDirectory(directories), id),
    socketDirectory: join(directories.runDirectory, id.slice(0, SHORT_ID_DIGITS)),
    logLink: join(bundle, "logs"),
    logDirectory: join(directories.logDirectory, id),
    cgroupPath: `/holdfast/${wordOf(directories.runDirectory)}-${id.slice(0, SHORT_ID_DIGITS)}`,
  };
}

/** Other daemons have other run directories, and may have the same plugins. */
function wordOf(runDirectory: string): string {
  return createHash("sha256").update(runDirectory).digest("hex").slice(0, 12);
}
