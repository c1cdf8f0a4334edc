// Devices of the host that a plugin is given: what lies at a path that was granted.
import { readdirSync, realpathSync, type Stats, statSync } from "node:fs";
import { join } from "node:path";
import { EngineError, isErrno } from "../../core/errors.ts";
import type { PluginDevice } from "../../core/plugin.ts";

/** As the OCI runtime specification has it. */
export interface DeviceNode {
  /** In the plugin. */
  readonly path: string;
  readonly type: "c" | "b";
  readonly major: number;
  readonly minor: number;
  readonly fileMode: number;
  readonly uid: number;
  readonly gid: number;
}

/** A directory that was granted has no more than this. */
const DEVICE_COUNT_MAX = 1024;

/**
 * Each under the path that was granted, links resolved; all that lie in a directory (/dev/dri), as
 * Docker does. A device without a path is none. Throws `plugin.start_failed` in Docker's words.
 */
export function findDevices(devices: readonly PluginDevice[]): readonly DeviceNode[] {
  return devices.flatMap(({ path }) => (path === null ? [] : devicesAt(path)));
}

function devicesAt(path: string): readonly DeviceNode[] {
  let nodes: readonly DeviceNode[];
  try {
    const real = realpathSync(path);
    const stat = statSync(real);
    const one = nodeOf(path, stat);
    if (one !== undefined) return [one];
    nodes = stat.isDirectory() ? nodesBelow(real, path) : [];
  } catch (error) {
    if (isErrno(error, "ENOENT")) throw missing(path, "no such file or directory");
    throw missing(path, error instanceof Error ? error.message : String(error));
  }
  if (nodes.length === 0) throw missing(path, "not a device node");
  return nodes;
}

function nodesBelow(folder: string, shown: string): readonly DeviceNode[] {
  const entries = readdirSync(folder, { withFileTypes: true, recursive: true });
  return entries
    .filter((entry) => entry.isCharacterDevice() || entry.isBlockDevice())
    .slice(0, DEVICE_COUNT_MAX)
    .flatMap((entry) => {
      const path = join(entry.parentPath, entry.name);
      return nodeOf(join(shown, path.slice(folder.length)), statSync(path)) ?? [];
    });
}

function nodeOf(path: string, stat: Stats): DeviceNode | undefined {
  const isCharacter = stat.isCharacterDevice();
  if (!isCharacter && !stat.isBlockDevice()) return undefined;
  return {
    type: isCharacter ? "c" : "b",
    path,
    // glibc's makedev(3): twelve bits of the major number, then twenty of the minor, interleaved.
    major: Math.floor(stat.rdev / 0x100) % 0x1000,
    minor: (stat.rdev % 0x100) + Math.floor(stat.rdev / 0x10_0000) * 0x100,
    fileMode: stat.mode & 0o777,
    uid: stat.uid,
    gid: stat.gid,
  };
}

function missing(path: string, words: string): EngineError {
  return new EngineError(
    "plugin.start_failed",
    `error gathering device information while adding custom device ${JSON.stringify(path)}: ` +
      words,
    { details: { path } },
  );
}
