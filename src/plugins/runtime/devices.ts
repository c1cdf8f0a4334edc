// Devices of the host that a plugin is given: what lies at a path that was granted.
//
// Not on the daemon's own thread: a path that was granted may be any, on any storage.
import type { Stats } from "node:fs";
import { readdir, realpath, stat } from "node:fs/promises";
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

/** A directory that was granted has no more than this in it: `/` is no directory of devices. */
const ENTRY_COUNT_MAX = 4_096;
const LOOK_MS_MAX = 5_000;

/**
 * Each under the path that was granted, links resolved; all that lie in a directory (/dev/dri), as
 * Docker does. A device without a path is none. Throws `plugin.start_failed` in Docker's words.
 */
export async function findDevices(
  devices: readonly PluginDevice[],
): Promise<readonly DeviceNode[]> {
  const paths = devices.flatMap(({ path }) => path ?? []);
  return (await Promise.all(paths.map((path) => inTime(path, devicesAt(path))))).flat();
}

/** What is waited for goes on all the same. */
async function inTime<T>(path: string, work: Promise<T>): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(missing(path, "i/o timeout")), LOOK_MS_MAX);
  try {
    return await Promise.race([work, promise]);
  } finally {
    clearTimeout(timer);
  }
}

async function devicesAt(path: string): Promise<readonly DeviceNode[]> {
  let nodes: readonly DeviceNode[];
  try {
    const real = await realpath(path);
    const facts = await stat(real);
    const one = nodeOf(path, facts);
    if (one !== undefined) return [one];
    nodes = facts.isDirectory() ? await nodesBelow(real, path) : [];
  } catch (error) {
    if (isErrno(error, "ENOENT")) throw missing(path, "no such file or directory");
    throw missing(path, error instanceof Error ? error.message : String(error));
  }
  if (nodes.length === 0) throw missing(path, "not a device node");
  return nodes;
}

async function nodesBelow(folder: string, shown: string): Promise<readonly DeviceNode[]> {
  const nodes: DeviceNode[] = [];
  let entryCount = 0;
  const waiting = [folder];
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    const entries = await readdir(next, { withFileTypes: true });
    entryCount += entries.length;
    if (entryCount > ENTRY_COUNT_MAX) throw new Error("too many files are in it");
    for (const entry of entries) {
      const path = join(next, entry.name);
      if (entry.isDirectory()) waiting.push(path);
      if (!entry.isCharacterDevice() && !entry.isBlockDevice()) continue;
      const node = nodeOf(join(shown, path.slice(folder.length)), await stat(path));
      if (node !== undefined) nodes.push(node);
    }
  }
  return nodes;
}

function nodeOf(path: string, facts: Stats): DeviceNode | undefined {
  const isCharacter = facts.isCharacterDevice();
  if (!isCharacter && !facts.isBlockDevice()) return undefined;
  return {
    type: isCharacter ? "c" : "b",
    path,
    // glibc's makedev(3): twelve bits of the major number, then twenty of the minor, interleaved.
    major: Math.floor(facts.rdev / 0x100) % 0x1000,
    minor: (facts.rdev % 0x100) + Math.floor(facts.rdev / 0x10_0000) * 0x100,
    fileMode: facts.mode & 0o777,
    uid: facts.uid,
    gid: facts.gid,
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
